//! Files as bytes without reading them.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

/// Maps a file into memory, read-only. Pages are read when they are touched.
///
/// As with every mapped file, a process that shortens the file while it is mapped ends this process with a bus error.
///
/// # Errors
/// Whatever opening or mapping the file gives.
pub fn map_file(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder"));
    }
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is private and read-only, and bytes are only ever copied out of it, never borrowed as another
    // type. Another process that writes to the file can change what is read, which every parser here has to expect
    // of its input anyway; shortening it is documented above.
    #[expect(unsafe_code, reason = "mapping a file is the one thing std does not offer")]
    let map = unsafe { memmap2::Mmap::map(&file) }?;
    Ok(Bytes::from_owner(map))
}
