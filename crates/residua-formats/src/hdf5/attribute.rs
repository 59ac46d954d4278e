//! Attributes, as far as Keras uses them: strings and lists of strings.

use hdf5_reader::btree_v2::{BTreeV2Header, BTreeV2Record, collect_btree_v2_records_storage};
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::attribute::{self, AttributeMessage};
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{Datatype, StringPadding, StringSize, VarLenKind};
use residua_ir::budget::Limit;

use super::heap::{self, Widths};
use super::{Group, Source};
use crate::FormatError;
use crate::error::Result;

/// All attributes of the object with this header, not decoded.
pub(super) fn messages(source: &Source, at: &str, header: &ObjectHeader) -> Result<Vec<AttributeMessage>> {
    let mut all = Vec::new();
    for message in &header.messages {
        if let HdfMessage::Attribute(attribute) = message {
            all.push(attribute.clone());
        } else if let HdfMessage::AttributeInfo(info) = message {
            let (heap, index) = (info.fractal_heap_address, info.btree_name_index_address);
            let fail = |error| source.fail(at, "an attribute", &error);
            dense(source, at, heap, index, is_attribute, &mut |bytes| {
                let (offsets, lengths) = (source.offset_size, source.length_size);
                all.push(attribute::parse(&mut Cursor::new(bytes), offsets, lengths, bytes.len()).map_err(fail)?);
                Ok(())
            })?;
        }
    }
    Ok(all)
}

fn is_attribute(record: &BTreeV2Record) -> Option<&[u8]> {
    if let BTreeV2Record::AttributeNameHash { heap_id, .. } = record { Some(heap_id) } else { None }
}

/// Gives `each` the messages that an object holds in a heap, indexed by name, where it has any.
pub(super) fn dense(
    source: &Source,
    at: &str,
    heap: u64,
    index: u64,
    id: fn(&BTreeV2Record) -> Option<&[u8]>,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (storage, offsets, lengths) = (source.storage(), source.offset_size, source.length_size);
    if Cursor::is_undefined_offset(heap, offsets) {
        return Ok(());
    }
    let fail = |error| source.fail(at, "a heap of links or attributes", &error);
    let index = BTreeV2Header::parse_at_storage(storage, index, offsets, lengths).map_err(fail)?;
    FormatError::check(at, Limit::HdfObjects, index.total_records)?;
    let records = collect_btree_v2_records_storage(storage, &index, offsets, lengths, None, &[], None).map_err(fail)?;
    let heap = FractalHeap::parse_at_storage(storage, heap, offsets, lengths).map_err(fail)?;
    let mut blocks = FractalHeapDirectBlockCache::default();
    let mut bytes = 0;
    for id in records.iter().filter_map(id) {
        let object = heap::object(&heap, id, storage, Widths { offsets, lengths }, &mut blocks).map_err(fail)?;
        bytes += object.len() as u64;
        FormatError::check(at, Limit::HdfAttributeBytes, bytes)?;
        each(&object)?;
    }
    Ok(())
}

impl Group {
    /// Whether the group has this attribute, or its first piece.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|a| a.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest == "0"))
    }

    /// The one string in an attribute.
    pub(crate) fn string(&self, name: &str) -> Result<Option<String>> {
        let Some(mut all) = self.strings(name)? else { return Ok(None) };
        match (all.pop(), all.len()) {
            (Some(one), 0) => Ok(Some(one)),
            (_, more) => {
                let count = if more == 0 { 0 } else { more + 1 };
                Err(FormatError::malformed(self.place(name), "one string", format!("{count}")))
            }
        }
    }

    /// The list of strings in an attribute, or in the pieces `name0`, `name1`, … that Keras cuts a long one into.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<String>>> {
        if let Some(whole) = self.strings(name)? {
            return Ok(Some(whole));
        }
        let mut all: Option<Vec<String>> = None;
        for piece in 0.. {
            let Some(strings) = self.strings(&format!("{name}{piece}"))? else { break };
            all.get_or_insert_default().extend(strings);
        }
        Ok(all)
    }

    fn place(&self, name: &str) -> String {
        format!("{}@{name}", self.path)
    }

    fn strings(&self, name: &str) -> Result<Option<Vec<String>>> {
        let Some(attribute) = self.attributes.iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        let at = self.place(name);
        let count = attribute.dataspace.num_elements().unwrap_or(u64::MAX);
        // An empty list has lost its type: Keras writes it as no numbers at all.
        if count == 0 {
            return Ok(Some(Vec::new()));
        }
        let (width, padding) = match &attribute.datatype {
            Datatype::String { size: StringSize::Fixed(width), padding, .. } => (*width as usize, Some(*padding)),
            Datatype::String { size: StringSize::Variable, .. } | Datatype::VarLen { kind: VarLenKind::String, .. } => {
                (8 + usize::from(self.source.offset_size), None)
            }
            Datatype::FixedPoint { .. }
            | Datatype::FloatingPoint { .. }
            | Datatype::Compound { .. }
            | Datatype::Array { .. }
            | Datatype::Enum { .. }
            | Datatype::VarLen { .. }
            | Datatype::Opaque { .. }
            | Datatype::Reference { .. }
            | Datatype::Bitfield { .. } => return Err(FormatError::malformed(at, "strings", "another type")),
        };
        let stored = attribute.raw_data.chunks_exact(width.max(1));
        if width == 0 || (stored.len() as u64) < count {
            let found = format!("{} bytes for {count} of {width}", attribute.raw_data.len());
            return Err(FormatError::malformed(at, "strings", found));
        }
        let mut budget = Limit::HdfAttributeBytes.most();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let decode = |bytes: &[u8]| match padding {
            Some(padding) => utf8(&at, trim(bytes, padding)),
            None => utf8(&at, trim(&self.variable(&at, bytes, &mut budget)?, StringPadding::NullTerminate)),
        };
        stored.take(count).map(decode).collect::<Result<_>>().map(Some)
    }

    /// The bytes of one string of variable length: a count, the address of a heap and an index in it.
    fn variable(&self, at: &str, reference: &[u8], budget: &mut u64) -> Result<Vec<u8>> {
        let len = reference.first_chunk().map_or(0, |&len| u64::from(u32::from_le_bytes(len)));
        let used = Limit::HdfAttributeBytes.most() - *budget + len;
        FormatError::check(at, Limit::HdfAttributeBytes, used)?;
        *budget -= len;
        let fail = |error| self.source.fail(at, "a string in a heap", &error);
        let root = self.source.hdf5.root_group().map_err(fail)?;
        root.resolve_vlen_reference_bytes(reference, 1).map_err(fail)
    }
}

fn trim(bytes: &[u8], padding: StringPadding) -> &[u8] {
    let end = match padding {
        StringPadding::NullTerminate => bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()),
        StringPadding::NullPad => bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1),
        StringPadding::SpacePad => bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1),
    };
    bytes.get(..end).unwrap_or(bytes)
}

fn utf8(at: &str, bytes: &[u8]) -> Result<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(FormatError::malformed(at, "text in UTF-8", error.to_string())),
    }
}
