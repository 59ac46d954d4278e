//! ZIP archives as far as Keras and PyTorch need them: an entry's bytes, without copying where it is stored.

use std::cmp::Ordering;
use std::io::{Cursor, Read};

use ::zip::read::{ArchiveOffset, Config};
use ::zip::result::ZipResult;
use ::zip::{CompressionMethod, ZipArchive};
use bytes::Bytes;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use residua_ir::budget::{self, Limit};

use crate::FormatError;
use crate::error::Result;

/// An archive in memory.
pub(crate) struct Archive {
    bytes: Bytes,
    zip: ZipArchive<Cursor<Bytes>>,
    /// Bytes that were decompressed.
    decompressed: u64,
    /// Whether wrong checksums are errors. PyTorch leaves them out where it is told to.
    strict: bool,
}

impl Archive {
    /// Reads the directory of an archive.
    pub(crate) fn open(bytes: &Bytes) -> Result<Self> {
        let damaged = |error: zip::result::ZipError| {
            FormatError::malformed("the archive's directory", "a complete ZIP archive", error.to_string())
        };
        let mut zip = open_zip(bytes).map_err(damaged)?;
        FormatError::check("", Limit::ArchiveEntries, zip.len() as u64)?;
        if zip.has_overlapping_files().map_err(damaged)? {
            let found = "entries that share bytes";
            return Err(FormatError::malformed("the archive's directory", "entries one after the other", found));
        }
        Ok(Self { bytes: bytes.clone(), zip, decompressed: 0, strict: true })
    }

    /// The same archive, whose checksums are not held against what is decompressed.
    pub(crate) fn without_checksums(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Whether the directory's checksum of an entry is that of its bytes.
    pub(crate) fn is_sound(&mut self, name: &str, bytes: &[u8]) -> bool {
        let index = self.zip.index_for_name(name);
        let entry = index.and_then(|index| self.zip.by_index(index).ok());
        entry.is_some_and(|entry| entry.crc32() == checksum(bytes))
    }

    /// Names of all entries.
    pub(crate) fn names(&self) -> Vec<String> {
        self.zip.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// The bytes of an entry, within `limit`: a slice of the archive where it is stored, decompressed where it is
    /// not. The checksum of a stored entry is not verified, since that would read all of it.
    pub(crate) fn entry(&mut self, name: &str, limit: Limit) -> Result<Option<Bytes>> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let damaged = |error: zip::result::ZipError| FormatError::malformed(name, "a ZIP entry", error.to_string());
        let entry = self.zip.by_index(index).map_err(damaged)?;
        let (size, stored, checked) = (entry.size(), entry.compressed_size(), entry.crc32());
        if entry.encrypted() {
            let help = "save the model without a password";
            return Err(FormatError::unsupported(name, "an encrypted entry", help));
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let end = start.and_then(|start| start.checked_add(usize::try_from(stored).ok()?));
        let range = start.zip(end).filter(|&(_, end)| end <= self.bytes.len());
        let (start, end) = range.ok_or_else(|| {
            let found = format!("{stored} bytes, of a file of {}", self.bytes.len());
            FormatError::malformed(name, "an entry that lies in the file", found)
        })?;
        let raw = self.bytes.slice(start..end);
        match entry.compression() {
            CompressionMethod::Stored if size == stored => Ok(Some(raw)),
            CompressionMethod::Stored => {
                let found = format!("{size} bytes in {stored}");
                Err(FormatError::malformed(name, "a stored entry that is as long as it says", found))
            }
            CompressionMethod::Deflated => {
                // The limit of all entries together follows from the size of the archive.
                let most = if limit == Limit::DecodedBytes { u64::MAX } else { limit.most() };
                FormatError::check_against(name, limit, most, size)?;
                self.decompressed = self.decompressed.saturating_add(size);
                let most = budget::decoded(self.bytes.len());
                FormatError::check_against(name, Limit::DecodedBytes, most, self.decompressed)?;
                let bytes = inflate(name, &raw, size)?;
                if self.strict && checksum(&bytes) != checked {
                    return Err(FormatError::malformed(name, "a deflated entry", "a wrong checksum"));
                }
                Ok(Some(bytes))
            }
            method => {
                let help = "zip the entries stored or deflated";
                Err(FormatError::unsupported(name, format!("an entry compressed with {method}"), help))
            }
        }
    }
}

/// The directory of a ZIP archive that starts where its bytes start, or, where it is none, behind something else.
///
/// Left to itself, the `zip` crate looks for a start behind something else first: it takes the directory's end less its
/// size for the directory's start. Behind the directory PyTorch always writes records of 64-bit sizes, 76 bytes, so this
/// is 76 bytes too late, and where the first entry is as long (a name of 30 letters, `/data.pkl` among them) the second
/// entry is taken for the first.
///
/// # Errors
/// That of the `zip` crate, where the bytes are no archive.
pub fn open_zip(bytes: &Bytes) -> ZipResult<ZipArchive<Cursor<Bytes>>> {
    let at_its_start = Config { archive_offset: ArchiveOffset::Known(0) };
    ZipArchive::with_config(at_its_start, Cursor::new(bytes.clone()))
        .or_else(|_| ZipArchive::new(Cursor::new(bytes.clone())))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Decompresses an entry that says how long it is.
fn inflate(name: &str, raw: &[u8], size: u64) -> Result<Bytes> {
    // Growing by doubling would take three times as much for a moment.
    let mut bytes = Vec::new();
    let room = usize::try_from(size.saturating_add(1)).unwrap_or(usize::MAX);
    let refused = |_| FormatError::malformed(name, "an entry that fits into memory", format!("{size} bytes"));
    bytes.try_reserve_exact(room).map_err(refused)?;
    // One byte more than announced shows an entry that is larger than it says.
    let read = DeflateDecoder::new(raw).take(size.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| FormatError::malformed(name, "a deflated entry", error.to_string()))?;
    let found = match (bytes.len() as u64).cmp(&size) {
        Ordering::Less => format!("{}", bytes.len()),
        Ordering::Equal => return Ok(bytes.into()),
        Ordering::Greater => "an entry that is larger than its declared size".to_owned(),
    };
    Err(FormatError::malformed(name, format!("{size} bytes"), found))
}
