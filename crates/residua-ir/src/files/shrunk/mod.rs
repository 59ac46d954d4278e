//! Mapped files that become shorter, or whose disk or server fails, while they are read.
//!
//! The kernel tells of it with SIGBUS at the instruction that touches what is gone, wherever that is. A program can say what is to happen then:
//! [`exit_with_message`] names the file and ends with a status. It is for programs, and an explicit call; a library does not change what a signal
//! does to the process that it is part of. System calls that are given such bytes fail instead ("bad address"); [`found`] says which file that was about.
//!
//! The table of mapped ranges is made of atomics alone, since a signal handler may read nothing else. A slot is written before
//! its length is, and has none before its map is gone; a range of which the handler is asked is mapped, so its slot is at rest.

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
mod handler;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::Mmap;

use crate::name::printable;

/// Most files whose name the handler knows; of more, it says that a mapped file was it.
const SLOTS: usize = 1024;
/// Most mapped files that stay open to be read again; of the others each read opens its own. A process may have a thousand
/// files open, or fewer, and a model may lie in as many.
const OPEN: usize = 64;
/// Most bytes of a message.
const TEXT: usize = 512;

struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    /// 0 where the slot stands for nothing.
    len: AtomicUsize,
    text: [AtomicU8; TEXT],
    text_len: AtomicUsize,
}

impl Slot {
    const fn free() -> Self {
        Self {
            taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            text: [const { AtomicU8::new(0) }; TEXT],
            text_len: AtomicUsize::new(0),
        }
    }

    fn fill(&self, map: &Mmap, text: &str) {
        let text = text.as_bytes();
        for (to, &byte) in self.text.iter().zip(text) {
            to.store(byte, Ordering::Relaxed);
        }
        self.text_len.store(text.len().min(TEXT), Ordering::Relaxed);
        self.start.store(map.as_ptr().addr(), Ordering::Relaxed);
        self.len.store(map.len(), Ordering::Release);
    }

    fn clear(&self) {
        self.len.store(0, Ordering::Release);
        self.taken.store(false, Ordering::Release);
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", test))]
    fn holds(&self, address: usize) -> bool {
        let len = self.len.load(Ordering::Acquire);
        // Beyond the end of the file, but on the last page of the map, bytes are zero and touching them is no fault.
        address.wrapping_sub(self.start.load(Ordering::Relaxed)) < len
    }
}

static TABLE: [Slot; SLOTS] = [const { Slot::free() }; SLOTS];
/// Maps that found no slot.
static NAMELESS: AtomicUsize = AtomicUsize::new(0);

/// A mapped file.
struct Mapped {
    path: PathBuf,
    /// What was mapped, whatever has its name now; none where enough are open.
    file: Option<Arc<File>>,
    /// Which file that is; none where the system does not tell.
    identity: Option<(u64, u64)>,
    /// The length that it had.
    len: u64,
}

impl Mapped {
    /// The file that was mapped; none where another has its name now.
    fn open(path: &Path, identity: Option<(u64, u64)>) -> Option<File> {
        let file = File::open(path).ok()?;
        (identity.is_some() && identity_of(&file) == identity).then_some(file)
    }
}

/// Device and number of a file.
#[cfg(unix)]
fn identity_of(file: &File) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    file.metadata().ok().map(|about| (about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn identity_of(_: &File) -> Option<(u64, u64)> {
    None
}

/// The mapped files, by where their bytes are.
static MAPPED: Mutex<BTreeMap<usize, Mapped>> = Mutex::new(BTreeMap::new());

fn mapped() -> MutexGuard<'static, BTreeMap<usize, Mapped>> {
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A map that the table knows.
pub(super) struct Watched {
    map: Mmap,
    slot: Option<&'static Slot>,
}

impl Watched {
    /// Takes a map of the file at a path.
    pub(super) fn new(path: &Path, map: Mmap, file: File) -> Self {
        let take = |slot: &&Slot| !slot.taken.load(Ordering::Relaxed) && !slot.taken.swap(true, Ordering::Acquire);
        let slot = TABLE.iter().find(take);
        match slot {
            Some(slot) => slot.fill(&map, &message(&path.to_string_lossy())),
            None => _ = NAMELESS.fetch_add(1, Ordering::Relaxed),
        }
        let identity = identity_of(&file);
        let mut mapped = mapped();
        let open = mapped.values().filter(|of_map| of_map.file.is_some()).take(OPEN).count();
        let file = (open < OPEN).then(|| Arc::new(file));
        mapped.insert(map.as_ptr().addr(), Mapped { path: path.to_owned(), file, identity, len: map.len() as u64 });
        drop(mapped);
        Self { map, slot }
    }
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        mapped().remove(&self.map.as_ptr().addr());
        match self.slot {
            Some(slot) => slot.clear(),
            None => _ = NAMELESS.fetch_sub(1, Ordering::Relaxed),
        }
    }
}

/// What is said of a file, as every other error is. Of a long path its end is kept.
fn message(path: &str) -> String {
    const BEFORE: &str = "error: cannot read ";
    const BEHIND: &str = "\n  because: it became shorter while it was read, or its disk or server failed; what was not finished is not written\n";
    let room = TEXT - BEFORE.len() - BEHIND.len();
    let mut name = printable(path).into_owned();
    if name.len() > room {
        let cut = name.char_indices().map(|(at, _)| at).find(|at| name.len() - at + '…'.len_utf8() <= room);
        name = format!("…{}", &name[cut.unwrap_or(name.len())..]);
    }
    format!("{BEFORE}{name}{BEHIND}")
}

/// The mapped file that has fewer bytes now than when it was mapped, if there is one.
#[must_use]
pub fn found() -> Option<PathBuf> {
    let mapped = mapped();
    let shorter = |of_map: &&Mapped| fs::metadata(&of_map.path).is_ok_and(|now| now.len() < of_map.len);
    mapped.values().find(shorter).map(|of_map| of_map.path.clone())
}

/// Does something while the map that these bytes are a part of is certainly there; nothing for other bytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn while_mapped(part: &[u8], then: impl FnOnce()) {
    let first = part.as_ptr().addr();
    let mapped = mapped();
    let map = mapped.range(..=first).next_back();
    let end = first.checked_add(part.len()).map(|end| end as u64);
    if map.zip(end).is_some_and(|((&start, of_map), end)| end - start as u64 <= of_map.len) {
        then();
    }
}

/// The mapped file that these bytes are a part of, and where they start in it; none where it cannot be had any more.
pub(super) fn file_of(part: &[u8]) -> Option<(Arc<File>, u64)> {
    let first = part.as_ptr().addr();
    let mapped = mapped();
    let (&start, of_map) = mapped.range(..=first).next_back()?;
    let offset = (first - start) as u64;
    offset.checked_add(part.len() as u64).filter(|&end| end <= of_map.len)?;
    if let Some(file) = &of_map.file {
        return Some((Arc::clone(file), offset));
    }
    let (path, identity) = (of_map.path.clone(), of_map.identity);
    drop(mapped);
    Some((Arc::new(Mapped::open(&path, identity)?), offset))
}

/// From now on, touching what a mapped file has lost prints `error: cannot read FILE` on stderr and ends the process with this status, at once and without
/// unwinding. Any other bus error does what it did before. Whether that can be had: on Linux, Android and macOS.
///
/// For the main function of a program: it changes what SIGBUS does to the process.
pub fn exit_with_message(status: u8) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    let installed = handler::install(status);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
    let installed = {
        let _ = status;
        false
    };
    installed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_fits_and_ends_with_the_name_of_the_file() {
        assert!(message("models/a.h5").starts_with("error: cannot read models/a.h5\n  because: it became shorter"));
        let long = message(&format!("{}/модель.onnx", "ü".repeat(TEXT)));
        assert!(long.len() <= TEXT && long.contains("…ü") && long.contains("/модель.onnx\n"), "{long}");
        let hostile = message("a\u{1b}[2J\n\u{202e}b'c");
        assert!(hostile.starts_with("error: cannot read a\\u{1b}[2J\\n\\u{202e}b'c\n  because"), "{hostile}");
    }

    /// Beside this test there are few maps, so that more than are held open are open at once.
    #[cfg(target_os = "linux")]
    #[test]
    fn many_mapped_files_need_few_descriptors_and_are_read_again_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = |number: usize| folder.path().join(number.to_string());
        let maps: Vec<_> = (0..OPEN + 8)
            .map(|number| {
                fs::write(path(number), vec![u8::try_from(number).unwrap(); 1 << 20]).unwrap();
                crate::map_file(&path(number)).unwrap()
            })
            .collect();
        let ours = |entry: fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|file| file.starts_with(folder.path()));
        let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
        assert!(open.map(ours).filter(|ours| *ours).count() <= OPEN);
        let read = |number: usize| {
            let mut out = vec![0; 100];
            crate::files::read_again(&maps[number][5000..5100], &mut out).map(|done| done.map(|()| out).unwrap())
        };
        for number in 0..maps.len() {
            assert_eq!(read(number), Some(vec![u8::try_from(number).unwrap(); 100]), "{number}");
        }
        // Where another file has its name, what was mapped is all there is.
        let last = maps.len() - 1;
        fs::rename(path(0), path(last)).unwrap();
        assert_eq!((read(last), &maps[last][..3]), (None, &[u8::try_from(last).unwrap(); 3][..]));
    }

    #[test]
    fn a_mapped_range_is_found_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, vec![7; 2 << 20]).unwrap();
        let bytes = crate::map_file(&path).unwrap();
        let (first, last) = (bytes.as_ptr().addr(), bytes.as_ptr().addr() + bytes.len() - 1);
        let known = |address: usize| TABLE.iter().filter(|slot| slot.holds(address)).count();
        assert_eq!((known(first), known(last), known(last + 1)), (1, 1, 0));
        let of_this = || mapped().get(&first).map(|of_map| (of_map.path.clone(), of_map.len));
        assert_eq!(of_this(), Some((path.clone(), 2 << 20)));
        File::options().write(true).open(&path).unwrap().set_len(5).unwrap();
        assert_eq!(found(), Some(path));
        drop(bytes);
        assert_eq!((known(first), of_this()), (0, None));
    }
}
