//! HDF5 files as a tree of groups and datasets: the seam behind which `hdf5-reader` does the decoding.
//!
//! The tree is listed once, here and not by the library: its own listing leaves out links that lead nowhere and copies
//! names as often as a file repeats them. Every object is counted, nesting is bounded, a group that holds itself is
//! refused, and so are links and data in other files. Reading of metadata is metered ([`storage`]), so that a small file
//! whose headers overlap cannot keep the reader busy.
//!
//! Invariant: only this folder names `hdf5_reader`. Every link of the file is in the tree, or the file is refused.
//!
//! Facts about the format are from the HDF5 file format specification, version 3.

mod attribute;
mod dataset;
mod heap;
mod links;
mod soft;
mod storage;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::attribute::AttributeMessage;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{Hdf5File, OpenOptions, Storage};

use crate::FormatError;
use crate::error::Result;
pub(crate) use dataset::Dataset;
use links::Target;
use residua_ir::budget::{self, Limit};
use soft::SoftLinks;
use storage::Metered;

/// A group with everything in it, in the order of names.
#[derive(Clone)]
pub(crate) struct Group {
    /// Path from the root, without a slash before it; empty for the root.
    pub(crate) path: String,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) datasets: BTreeMap<String, Dataset>,
    attributes: Vec<AttributeMessage>,
    source: Arc<Source>,
}

/// The open file.
struct Source {
    hdf5: Hdf5File,
    /// From the superblock on; addresses count from here.
    bytes: Bytes,
    meter: Arc<Metered>,
    offset_size: u8,
    length_size: u8,
}

impl Source {
    fn storage(&self) -> &dyn Storage {
        self.hdf5.storage()
    }

    /// The library's error at this place; the meter's, where that is what ended the reading.
    fn fail(&self, at: &str, expected: &str, error: &hdf5_reader::error::Error) -> FormatError {
        match self.meter.check(at) {
            Ok(()) => FormatError::malformed(at, expected, error.to_string()),
            Err(limit) => limit,
        }
    }

    fn header(&self, at: &str, address: u64) -> Result<ObjectHeader> {
        let fail = |error| self.fail(at, "an object header", &error);
        let (offsets, lengths) = (self.offset_size, self.length_size);
        let limit = Limit::HdfHeaderBytes.most_here();
        let header = ObjectHeader::parse_at_storage_with_limit(self.storage(), address, offsets, lengths, limit)
            .map_err(fail)?;
        // Messages that several objects share are resolved, and kept, by the library.
        if header.messages.iter().any(|message| matches!(message, HdfMessage::Shared(_))) {
            return self.hdf5.get_or_parse_header(address).map(|header| (*header).clone()).map_err(fail);
        }
        Ok(header)
    }
}

/// Whether these bytes are an HDF5 file; a block of the user's own may come before it.
pub(crate) fn is_hdf5(bytes: &[u8]) -> bool {
    const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
    let at = |offset: usize| bytes.get(offset..).is_some_and(|rest| rest.starts_with(&SIGNATURE));
    at(0) || std::iter::successors(Some(512), |&n| Some(n * 2)).take_while(|&n| n < bytes.len()).any(at)
}

/// Lists all of an HDF5 file; no element is read.
pub(crate) fn open(bytes: Bytes) -> Result<Group> {
    let meter = Arc::new(Metered::new(bytes.clone()));
    let options = OpenOptions::default()
        .with_chunk_cache_bytes(0)
        .with_chunk_cache_slots(0)
        .with_max_chunk_bytes(Limit::HdfChunkBytes.most_here())
        .with_max_read_bytes(usize::try_from(budget::decoded(bytes.len())).unwrap_or(usize::MAX))
        .with_max_object_header_bytes(Limit::HdfHeaderBytes.most_here());
    let damaged = |error: hdf5_reader::error::Error| {
        FormatError::malformed("superblock", "an HDF5 superblock", error.to_string())
    };
    let hdf5 = Hdf5File::from_storage_with_options(Arc::clone(&meter) as _, options).map_err(damaged)?;
    let superblock = hdf5.superblock();
    let root = superblock.root_object_header_address().map_err(damaged)?;
    let base = usize::try_from(superblock.base_address).unwrap_or(usize::MAX).min(bytes.len());
    if superblock.eof_address > bytes.len() as u64 {
        let (expected, found) = (format!("{} bytes, as it says", superblock.eof_address), format!("{}", bytes.len()));
        return Err(FormatError::malformed("end of the file", expected, format!("{found}: the file is cut short")));
    }
    let (offset_size, length_size) = (superblock.offset_size, superblock.length_size);
    let source = Source { bytes: bytes.slice(base..), meter, offset_size, length_size, hdf5 };
    let tally = Tally { most_elements: budget::decoded(source.bytes.len()), ..Tally::default() };
    let mut listing = Listing { source: Arc::new(source), above: Vec::new(), tally, soft: SoftLinks::default() };
    let mut root = listing.group(String::new(), root)?;
    listing.soft.follow(&mut root, &mut listing.tally)?;
    root.source.meter.stop();
    Ok(root)
}

/// What is in the tree so far.
#[derive(Default)]
struct Tally {
    objects: u64,
    /// Bytes of all paths, which grow with names times levels.
    text: u64,
    /// Bytes that the elements of all datasets come to, and the most that they may.
    elements: u64,
    most_elements: u64,
}

impl Tally {
    fn count(&mut self, at: &str, objects: u64, text: usize) -> Result<()> {
        self.objects = self.objects.saturating_add(objects);
        self.text = self.text.saturating_add(text as u64);
        FormatError::check(at, Limit::HdfObjects, self.objects)?;
        FormatError::check(at, Limit::TextBytes, self.text)
    }

    fn dataset(&mut self, dataset: &Dataset) -> Result<()> {
        self.elements = self.elements.saturating_add(dataset.byte_len()?);
        FormatError::check_against(&dataset.path, Limit::DecodedBytes, self.most_elements, self.elements)
    }
}

/// The state of listing one file.
struct Listing {
    source: Arc<Source>,
    /// Addresses of the groups that lead here.
    above: Vec<u64>,
    tally: Tally,
    soft: SoftLinks,
}

impl Listing {
    fn group(&mut self, path: String, address: u64) -> Result<Group> {
        let header = self.source.header(&path, address)?;
        self.group_of(path, address, &header)
    }

    fn group_of(&mut self, path: String, address: u64, header: &ObjectHeader) -> Result<Group> {
        self.tally.count(&path, 1, path.len())?;
        FormatError::check(&path, Limit::Nesting, self.above.len() as u64)?;
        if self.above.contains(&address) {
            return Err(FormatError::malformed(path, "groups within groups", "a group that holds itself"));
        }
        let attributes = attribute::messages(&self.source, &path, header)?;
        let source = Arc::clone(&self.source);
        let links = links::list(&source, &path, header)?;
        let mut group = Group { path, groups: BTreeMap::new(), datasets: BTreeMap::new(), attributes, source };
        self.above.push(address);
        for (name, target) in links {
            self.member(&mut group, name, target)?;
        }
        self.above.pop();
        Ok(group)
    }

    fn member(&mut self, group: &mut Group, name: String, target: Target) -> Result<()> {
        let path = join(&group.path, &name);
        if name.is_empty() || name.contains('/') || group.groups.contains_key(&name) {
            return Err(FormatError::malformed(path, "a name of its own for each link", format!("`{name}`")));
        }
        if group.datasets.contains_key(&name) {
            return Err(FormatError::malformed(path, "a name of its own for each link", "a second one"));
        }
        let address = match target {
            Target::Hard(address) => address,
            Target::Soft(to) => {
                self.tally.count(&path, 1, path.len().saturating_add(to.len()))?;
                return self.soft.add(path, to);
            }
        };
        let header = self.source.header(&path, address)?;
        match kind(&header) {
            Kind::Group => {
                group.groups.insert(name, self.group_of(path, address, &header)?);
            }
            Kind::Dataset => {
                self.tally.count(&path, 1, path.len())?;
                let dataset = Dataset::new(Arc::clone(&self.source), path, &header)?;
                self.tally.dataset(&dataset)?;
                group.datasets.insert(name, dataset);
            }
            Kind::Type => {}
            Kind::Unknown => {
                let found = "an object that is neither";
                return Err(FormatError::malformed(path, "a group or a dataset", found));
            }
        }
        Ok(())
    }
}

enum Kind {
    Group,
    Dataset,
    /// A datatype under a name of its own; it holds no elements.
    Type,
    Unknown,
}

fn kind(header: &ObjectHeader) -> Kind {
    let has = |found: fn(&HdfMessage) -> bool| header.messages.iter().any(found);
    if has(|m| matches!(m, HdfMessage::SymbolTable(_) | HdfMessage::Link(_) | HdfMessage::LinkInfo(_))) {
        Kind::Group
    } else if has(|m| matches!(m, HdfMessage::Dataspace(_) | HdfMessage::DataLayout(_))) {
        Kind::Dataset
    } else if has(|m| matches!(m, HdfMessage::Datatype(_))) {
        Kind::Type
    } else {
        Kind::Unknown
    }
}

/// `group/name`, without a slash before it.
pub(crate) fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}

impl Group {
    /// The group at this path below this one; names in it are separated by slashes.
    pub(crate) fn group(&self, path: &str) -> Option<&Group> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |group, name| group.groups.get(name))
    }

    fn group_mut(&mut self, path: &str) -> Option<&mut Group> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |group, name| group.groups.get_mut(name))
    }

    /// The dataset at this path below this group.
    pub(crate) fn dataset(&self, path: &str) -> Option<&Dataset> {
        let (group, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.group(group)?.datasets.get(name)
    }

    /// All datasets in this group and below it.
    pub(crate) fn all_datasets(&self) -> Vec<&Dataset> {
        let mut all: Vec<&Dataset> = self.datasets.values().collect();
        all.extend(self.groups.values().flat_map(Group::all_datasets));
        all
    }

    /// Objects in this group and below it, itself counted, and the bytes of their paths.
    fn size(&self) -> (u64, usize) {
        let datasets = self.datasets.values().map(|dataset| dataset.path.len());
        let own = (1 + self.datasets.len() as u64, self.path.len() + datasets.sum::<usize>());
        self.groups.values().map(Group::size).fold(own, |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// Levels of groups, this one counted.
    fn depth(&self) -> usize {
        1 + self.groups.values().map(Group::depth).max().unwrap_or(0)
    }
}
