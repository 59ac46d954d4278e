//! Files that are read: opening them, mapping them, and remembering which they were.
//!
//! Everything here and in the crates above that opens a file for reading does it through [`open`], [`read`] or [`map_file`], or [notes](inputs::note)
//! the path where foreign code opens it. So whoever places an output can ask whether it would replace something that was read ([`inputs`]).
//!
//! What can be mapped is mapped, from [`MAPPED_FROM`] bytes on; what happens when such a file becomes shorter is told in [`shrunk`].

pub mod inputs;
mod map;
pub mod shrunk;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::budget::Limit;
pub use map::{MAPPED_FROM, let_go, map_file, read_again};

/// Opens a file for reading, and remembers that it is read.
///
/// # Errors
/// As [`File::open`].
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    inputs::note(path);
    Ok(file)
}

/// Reads a whole file of no more bytes than a limit allows, and remembers that it is read.
///
/// # Errors
/// What opening and reading give; [`io::ErrorKind::FileTooLarge`] around an [`Overrun`](crate::budget::Overrun) where there is more.
pub fn read(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit.most().saturating_add(1)).read_to_end(&mut bytes)?;
    limit.check_here(bytes.len()).map_err(|overrun| io::Error::new(io::ErrorKind::FileTooLarge, overrun))?;
    Ok(bytes)
}
