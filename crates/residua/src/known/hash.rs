//! MD5 and SHA-256 of a file, read once and piece by piece.

use std::io::Read;
use std::path::Path;

use md5::Md5;
use residua_ir::{Shown, files};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Context, Result};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 16;

/// Hashes of a file; those that nothing is told by are not computed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// Of all bytes.
    pub md5: Option<String>,
    /// Of all bytes.
    pub sha256: Option<String>,
}

/// The hashes that are asked for of a file.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn of_file(path: &Path, wants_md5: bool, wants_sha256: bool) -> Result<Hashes> {
    let cannot = || format!("cannot read {}", path.shown());
    let mut file = files::open(path).with_context(cannot)?;
    let (mut md5, mut sha256) = (wants_md5.then(Md5::new), wants_sha256.then(Sha256::new));
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).with_context(cannot)?;
        let bytes = &piece[..read];
        if bytes.is_empty() {
            break;
        }
        md5.iter_mut().for_each(|hash| hash.update(bytes));
        sha256.iter_mut().for_each(|hash| hash.update(bytes));
    }
    let text = |digits: &[u8]| hex(digits);
    Ok(Hashes { md5: md5.map(|hash| text(&hash.finalize())), sha256: sha256.map(|hash| text(&hash.finalize())) })
}

/// SHA-256 of a file.
///
/// # Errors
/// Where it cannot be read.
#[cfg(feature = "more-images")]
pub(crate) fn sha256(path: &Path) -> Result<Option<String>> {
    of_file(path, false, true).map(|hashes| hashes.sha256)
}

/// Bytes as digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321, appendix A.5; FIPS 180-2, appendix B.1.
    #[test]
    fn hashes_are_those_of_the_standards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let Hashes { md5, sha256 } = of_file(&path, true, true).unwrap();
        assert_eq!(md5.as_deref(), Some("900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!(sha256.as_deref(), Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        assert_eq!(of_file(&path, false, false).unwrap(), Hashes::default());
        assert!(of_file(&folder.path().join("none"), true, true).is_err());
    }
}
