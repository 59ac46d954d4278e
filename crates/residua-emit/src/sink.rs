//! Writes a file that consists of known bytes and tensors, piece by piece: into a place on disk by several workers, or
//! into any writer from front to back.
//!
//! Lengths are known before anything is gathered, so each worker takes the next batch and writes it at its place.
//! Memory: a batch ([`BATCH`]) a worker, or a tensor a worker where it cannot be taken apart (compressed or computed
//! ones, which must be decoded as a whole).

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use residua_ir::{Tensor, files};

use crate::EmitError;
use crate::file_ops;

/// Bytes that are gathered before they are written: they stay in the second cache between both.
const BATCH: usize = 1 << 20;

/// Bytes from which on a piece that needs no gathering is written from where it lies, on its own.
const ALONE: usize = 64 << 10;

/// A part of a file.
pub(crate) enum Segment {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The elements of a tensor, row-major and little-endian.
    Tensor {
        /// For errors.
        name: String,
        /// Its elements.
        tensor: Tensor,
    },
}

impl Segment {
    /// Bytes in the file.
    pub(crate) fn len(&self) -> usize {
        match self {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::Tensor { tensor, .. } => tensor.byte_len(),
        }
    }
}

/// Part of a segment, small enough to be gathered at once.
enum Piece<'a> {
    Bytes(&'a [u8]),
    Tensor(&'a str, Tensor),
}

impl Piece<'_> {
    fn len(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Tensor(_, tensor) => tensor.byte_len(),
        }
    }

    /// The bytes, where they need no gathering.
    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Piece::Bytes(bytes) => Some(bytes),
            Piece::Tensor(_, tensor) => tensor.as_le_bytes(),
        }
    }

    /// Whether it is written from where it lies.
    fn is_alone(&self) -> bool {
        self.len() >= ALONE && self.as_bytes().is_some()
    }

    /// Writes the bytes into `out`, which has room for exactly them.
    fn copy(&self, out: &mut [u8]) -> Result<(), EmitError> {
        match self {
            Piece::Bytes(bytes) => out.copy_from_slice(bytes),
            Piece::Tensor(name, tensor) => {
                tensor.copy_le_bytes(out).map_err(|source| EmitError::Tensor { tensor: (*name).into(), source })?
            }
        }
        Ok(())
    }
}

/// Pieces that follow each other in the file.
#[derive(Default)]
struct Batch<'a> {
    offset: u64,
    len: usize,
    pieces: Vec<Piece<'a>>,
}

impl Batch<'_> {
    /// The bytes: where they are, or gathered into `buffer`.
    fn bytes<'b>(&'b self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], EmitError> {
        let in_place = match &self.pieces[..] {
            [piece] => piece.as_bytes(),
            _ => None,
        };
        if let Some(bytes) = in_place {
            return Ok(bytes);
        }
        // What was gathered before is written over.
        if buffer.len() < self.len {
            buffer.resize(self.len, 0);
        }
        let mut rest = &mut buffer[..self.len];
        for piece in &self.pieces {
            let (own, behind) = rest.split_at_mut(piece.len());
            piece.copy(own)?;
            rest = behind;
        }
        Ok(&buffer[..self.len])
    }
}

fn batches(segments: &[Segment]) -> (Vec<Batch<'_>>, u64) {
    let pieces = segments.iter().flat_map(|segment| match segment {
        Segment::Bytes(bytes) => vec![Piece::Bytes(bytes)],
        Segment::Tensor { name, tensor } => {
            tensor.pieces(BATCH).into_iter().map(|piece| Piece::Tensor(name, piece)).collect()
        }
    });
    let mut batches: Vec<Batch<'_>> = vec![Batch::default()];
    let mut offset = 0;
    // Whether the last batch is one piece that takes no others.
    let mut closed = false;
    for piece in pieces {
        let (len, alone) = (piece.len(), piece.is_alone());
        let before = std::mem::replace(&mut closed, alone);
        match batches.last_mut() {
            Some(batch) if batch.len == 0 || (!alone && !before && batch.len + len <= BATCH) => {
                batch.len += len;
                batch.pieces.push(piece);
            }
            Some(_) | None => batches.push(Batch { offset, len, pieces: vec![piece] }),
        }
        offset += len as u64;
    }
    (batches, offset)
}

/// Writes a new file at `path`, which errors call by the name that it will have.
pub(crate) fn write(path: &Path, shown: &Path, segments: &[Segment]) -> Result<(), EmitError> {
    let (batches, len) = batches(segments);
    let failed = || EmitError::io("cannot write", shown);
    let file = file_ops::create_new(path).map_err(failed())?;
    file_ops::set_len(&file, path, len).map_err(failed())?;
    let workers = rayon::current_num_threads().min(batches.len());
    let next = AtomicUsize::new(0);
    // The system lets one write into a file at a time, and who waits for it there does so at work.
    let turn = Mutex::new(());
    let first_error = Mutex::new(None);
    let work = |file: std::io::Result<File>| -> Result<(), EmitError> {
        let mut file = file.map_err(failed())?;
        let mut buffer = Vec::new();
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            write_batch(&mut file, batch, &mut buffer, &turn, [path, shown])?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // Each worker has a cursor of its own.
                if let Err(error) = work(file_ops::open_to_write(path)) {
                    next.store(batches.len(), Ordering::Relaxed);
                    first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Writes the file into any writer, from front to back; how many bytes it has.
pub(crate) fn write_to(out: &mut dyn Write, segments: &[Segment]) -> Result<u64, EmitError> {
    let (batches, len) = batches(segments);
    let mut buffer = Vec::new();
    for batch in &batches {
        out.write_all(batch.bytes(&mut buffer)?).map_err(|source| EmitError::Write { source })?;
    }
    Ok(len)
}

fn write_batch(
    file: &mut File,
    batch: &Batch<'_>,
    buffer: &mut Vec<u8>,
    turn: &Mutex<()>,
    [path, shown]: [&Path; 2],
) -> Result<(), EmitError> {
    let bytes = batch.bytes(buffer)?;
    let _own = turn.lock().unwrap_or_else(PoisonError::into_inner);
    let written = file.seek(SeekFrom::Start(batch.offset)).and_then(|_| file_ops::write_all(file, path, bytes));
    written.map_err(|error| match files::shrunk::found().filter(|_| is_bad_address(&error)) {
        // It was the source that could not be read: the system was handed bytes that are gone.
        Some(source) => EmitError::io("cannot read", &source)(std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "it became shorter while it was read",
        )),
        None => EmitError::io("cannot write", shown)(error),
    })
}

/// Whether the system could not read the bytes that it was to write.
fn is_bad_address(error: &std::io::Error) -> bool {
    const EFAULT: i32 = 14;
    cfg!(unix) && error.raw_os_error() == Some(EFAULT)
}

#[cfg(test)]
mod tests {
    use residua_ir::{DType, Endian, map_file};

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_source_that_became_shorter_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::write(&source, vec![1; 4 << 20]).unwrap();
        let bytes = map_file(&source).unwrap();
        let tensor = Tensor::from_bytes(DType::U8, Endian::Little, vec![bytes.len()], bytes).unwrap();
        File::options().write(true).open(&source).unwrap().set_len(0).unwrap();
        let segments = [Segment::Tensor { name: "t".to_owned(), tensor }];
        let written = write(&folder.path().join("out"), Path::new("shown"), &segments);
        assert!(
            matches!(&written, Err(EmitError::Io { action: "cannot read", path, .. }) if *path == source),
            "{written:?}"
        );
    }
}
