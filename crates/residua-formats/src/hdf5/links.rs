//! The links in a group, in any of the three ways that a file can hold them.

use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::btree_v2::BTreeV2Record;
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::{self, LinkMessage, LinkTarget};
use hdf5_reader::messages::symbol_table_msg::SymbolTableMessage;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::symbol_table::SymbolTableNode;
use residua_ir::Shown;
use residua_ir::budget::Limit;

use super::{Source, attribute};
use crate::FormatError;
use crate::error::Result;

/// Where a link leads.
pub(super) enum Target {
    /// To an object header in this file.
    Hard(u64),
    /// To a path in this file.
    Soft(String),
}

/// All links of the group with this header.
pub(super) fn list(source: &Source, at: &str, header: &ObjectHeader) -> Result<Vec<(String, Target)>> {
    let mut all = Vec::new();
    for message in &header.messages {
        if let HdfMessage::SymbolTable(table) = message {
            symbol_table(source, at, table, &mut all)?;
        } else if let HdfMessage::Link(link) = message {
            all.push(target(at, link.clone())?);
        } else if let HdfMessage::LinkInfo(info) = message {
            let (heap, index) = (info.fractal_heap_address, info.btree_name_index_address);
            let fail = |error| source.fail(at, "a link", &error);
            attribute::dense(source, at, heap, index, is_link, &mut |bytes| {
                let (offsets, lengths) = (source.offset_size, source.length_size);
                let link = link::parse(&mut Cursor::new(bytes), offsets, lengths, bytes.len()).map_err(fail)?;
                all.push(target(at, link)?);
                Ok(())
            })?;
        }
    }
    Ok(all)
}

fn is_link(record: &BTreeV2Record) -> Option<&[u8]> {
    if let BTreeV2Record::LinkNameHash { heap_id, .. } = record { Some(heap_id) } else { None }
}

fn target(at: &str, link: LinkMessage) -> Result<(String, Target)> {
    FormatError::check(at, Limit::HdfNameBytes, link.name.len() as u64)?;
    match link.target {
        LinkTarget::Hard { address } => Ok((link.name, Target::Hard(address))),
        LinkTarget::Soft { path } => Ok((link.name, Target::Soft(path))),
        LinkTarget::External { filename, .. } => Err(FormatError::unsupported(
            super::join(at, &link.name),
            format!("an external link (to `{}`)", filename.shown()),
            "a model has to be in one file; copy it with `h5repack` or save it again",
        )),
    }
}

/// Links as files up to HDF5 1.8's default hold them: a B-tree of nodes whose names are in a heap of the group.
fn symbol_table(source: &Source, at: &str, table: &SymbolTableMessage, all: &mut Vec<(String, Target)>) -> Result<()> {
    let fail = |error| source.fail(at, "a table of links", &error);
    let (storage, offsets, lengths) = (source.storage(), source.offset_size, source.length_size);
    let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offsets, lengths).map_err(fail)?;
    let leaves = collect_btree_v1_leaves_storage(storage, table.btree_address, offsets, lengths, None, &[], None)
        .map_err(fail)?;
    if leaves.is_empty() {
        return Ok(());
    }
    let size = usize::try_from(heap.data_segment_size).unwrap_or(usize::MAX);
    let names = storage.read_range(heap.data_segment_address, size).map_err(fail)?;
    for (_, address) in leaves {
        // Signature, version, a reserved byte and the number of entries; an entry is two offsets and 24 bytes.
        let start = storage.read_range(address, 8).map_err(fail)?;
        let entries = usize::from(u16::from_le_bytes([start[6], start[7]]));
        let len = 8 + entries * (2 * usize::from(offsets) + 24);
        let node = storage.read_range(address, len).map_err(fail)?;
        let node = SymbolTableNode::parse(&mut Cursor::new(&node), offsets, lengths).map_err(fail)?;
        for entry in node.entries {
            let name = text(at, &names, entry.link_name_offset)?;
            // 2 marks a soft link, whose path is in the heap too.
            all.push(if entry.cache_type == 2 {
                let [a, b, c, d, ..] = entry.scratch;
                (name, Target::Soft(text(at, &names, u64::from(u32::from_le_bytes([a, b, c, d])))?))
            } else {
                (name, Target::Hard(entry.object_header_address))
            });
        }
    }
    Ok(())
}

fn text(at: &str, heap: &[u8], offset: u64) -> Result<String> {
    let rest = usize::try_from(offset).ok().and_then(|offset| heap.get(offset..));
    let name = rest.and_then(|rest| rest.split(|&byte| byte == 0).next()).unwrap_or_default();
    FormatError::check(at, Limit::HdfNameBytes, name.len() as u64)?;
    match std::str::from_utf8(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(error) => Err(FormatError::malformed(at, "names in UTF-8", error.to_string())),
    }
}
