//! Files as bytes without reading them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use super::{inputs, shrunk};

/// Files of fewer bytes are read at once and not mapped: a mapping would save nothing, and what was read is there whatever becomes of the file.
pub const MAPPED_FROM: u64 = 1 << 20;

/// Most bytes that are read from what is no file, such as a pipe, and so cannot be mapped.
const MOST_PIPED: u64 = 1 << 30;

/// The bytes of a file: read where they are few ([`MAPPED_FROM`]), else mapped into memory, read-only; pages are read when they are touched.
///
/// Where another process shortens a mapped file, or its disk or server fails, touching what is gone ends this process with a bus error (Linux, macOS); a program
/// says what happens then with [`shrunk::exit_with_message`]. Windows refuses to shorten a file that is mapped.
///
/// Files of network file systems are mapped as well. Reading them whole would take the memory and the traffic of a checkpoint where its list of
/// tensors was asked for, and an error of the server is told as a shortened file is.
///
/// # Errors
/// Whatever opening, reading or mapping the file gives; more than 1 GiB from a pipe or device.
pub fn map_file(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder"));
    }
    inputs::note(path);
    let regular = about.is_file();
    if regular && about.len() >= MAPPED_FROM {
        return map(path, file);
    }
    let most = if regular { MAPPED_FROM } else { MOST_PIPED };
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
    file.take(most + 1).read_to_end(&mut bytes)?;
    match (bytes.len() as u64 > most, regular) {
        (false, _) => Ok(bytes.into()),
        // It grows while it is read: what it has now is mapped.
        (true, true) => map(path, File::open(path)?),
        (true, false) => Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 GiB that is no regular file")),
    }
}

fn map(path: &Path, file: File) -> io::Result<Bytes> {
    // SAFETY: the map is private and read-only, and bytes are only ever copied out of it, never borrowed as another
    // type. Another process that writes to the file can change what is read, which every parser here has to expect
    // of its input anyway; shortening it is documented above.
    #[expect(unsafe_code, reason = "mapping a file is the one thing std does not offer")]
    let map = unsafe { memmap2::Mmap::map(&file) }?;
    Ok(Bytes::from_owner(shrunk::Watched::new(path, map, file)))
}

/// Reads what a part of a mapped file shows into `out`, of the same length, from the file itself: the pages that it lies on
/// need not be in this process's memory. [`None`] for bytes that are no part of a mapped file, and on systems that cannot
/// read at a place.
#[must_use]
pub fn read_again(part: &[u8], out: &mut [u8]) -> Option<io::Result<()>> {
    let (file, start) = shrunk::file_of(part)?;
    read_at(&file, start, out)
}

/// Bytes from which on pages are let go: of fewer, little is in pages of their own.
const WORTH: usize = 32 << 10;

/// Lets the pages go that lie wholly in a part of a mapped file, as far as this process is concerned: it is not to be looked
/// at soon, and is read from the file again where it is. Nothing for other bytes, and on systems other than Linux.
pub fn let_go(part: &[u8]) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if part.len() >= WORTH {
        shrunk::while_mapped(part, || drop_pages(part));
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (part, WORTH);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[expect(unsafe_code, reason = "std says nothing to the system about memory")]
fn drop_pages(part: &[u8]) {
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0).max(1);
    let first = part.as_ptr().addr().next_multiple_of(page) - part.as_ptr().addr();
    let len = part.len().saturating_sub(first) / page * page;
    if len > 0 {
        let start = part.as_ptr().wrapping_add(first).cast_mut().cast();
        // SAFETY: the range lies in a map that is there for the time of the call, which is private, of a file, and never written
        // to: what is dropped is read from the file again. Where that fails, everything stays as it is.
        unsafe { libc::madvise(start, len, libc::MADV_DONTNEED) };
    }
}

#[cfg(unix)]
fn read_at(file: &File, start: u64, out: &mut [u8]) -> Option<io::Result<()>> {
    Some(std::os::unix::fs::FileExt::read_exact_at(file, out, start))
}

#[cfg(not(unix))]
fn read_at(_: &File, _: u64, _: &mut [u8]) -> Option<io::Result<()>> {
    None
}
