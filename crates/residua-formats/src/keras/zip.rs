//! ZIP archives as far as `.keras` needs them: an entry's bytes, without copying where it is stored.

use std::io::{Cursor, Read};

use bytes::Bytes;
use zip::{CompressionMethod, ZipArchive};

use crate::error::Result;
use crate::{FormatError, limits};

/// An archive in memory.
pub(crate) struct Archive {
    bytes: Bytes,
    zip: ZipArchive<Cursor<Bytes>>,
    /// Bytes that may still be decompressed.
    budget: u64,
}

impl Archive {
    /// Reads the directory of an archive.
    pub(crate) fn open(bytes: &Bytes) -> Result<Self> {
        let damaged = |error: zip::result::ZipError| {
            FormatError::malformed("the archive's directory", "a complete ZIP archive", error.to_string())
        };
        let mut zip = ZipArchive::new(Cursor::new(bytes.clone())).map_err(damaged)?;
        FormatError::check("", "entries of the archive", limits::ZIP_ENTRIES, zip.len() as u64)?;
        if zip.has_overlapping_files().map_err(damaged)? {
            let found = "entries that share bytes";
            return Err(FormatError::malformed("the archive's directory", "entries one after the other", found));
        }
        Ok(Self { bytes: bytes.clone(), zip, budget: limits::decoded(bytes.len()) })
    }

    /// Names of all entries.
    pub(crate) fn names(&self) -> Vec<String> {
        self.zip.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// The bytes of an entry, no more than `limit`: a slice of the archive where it is stored, decompressed where it is
    /// not. The checksum of a stored entry is not verified, since that would read all of it.
    pub(crate) fn entry(&mut self, name: &str, limit: u64) -> Result<Option<Bytes>> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let damaged = |error: zip::result::ZipError| FormatError::malformed(name, "a ZIP entry", error.to_string());
        let mut entry = self.zip.by_index(index).map_err(damaged)?;
        let (size, stored) = (entry.size(), entry.compressed_size());
        if entry.encrypted() {
            let help = "save the model without a password";
            return Err(FormatError::unsupported(name, "an encrypted entry", help));
        }
        match entry.compression() {
            CompressionMethod::Stored => {
                let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
                let end = start.and_then(|start| start.checked_add(usize::try_from(stored).ok()?));
                let range = start.zip(end).filter(|&(_, end)| size == stored && end <= self.bytes.len());
                let (start, end) = range.ok_or_else(|| {
                    let found = format!("{size} bytes in {stored}, of a file of {}", self.bytes.len());
                    FormatError::malformed(name, "a stored entry that lies in the file", found)
                })?;
                Ok(Some(self.bytes.slice(start..end)))
            }
            CompressionMethod::Deflated => {
                FormatError::check(name, "bytes after decompression", self.budget.min(limit), size)?;
                let mut bytes = Vec::new();
                // One byte more than announced shows an entry that is larger than it says.
                let read = entry.by_ref().take(size + 1).read_to_end(&mut bytes);
                read.map_err(|error| FormatError::malformed(name, "a deflated entry", error.to_string()))?;
                if bytes.len() as u64 != size {
                    let found = format!("{} or more", bytes.len());
                    return Err(FormatError::malformed(name, format!("{size} bytes"), found));
                }
                self.budget -= size;
                Ok(Some(bytes.into()))
            }
            method => {
                let help = "zip the entries stored or deflated";
                Err(FormatError::unsupported(name, format!("an entry compressed with {method}"), help))
            }
        }
    }
}
