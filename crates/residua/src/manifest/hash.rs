//! SHA-256 of tensors and files.

use std::fmt::Write;
use std::path::Path;

use crate::error::{Context, Result};
use rayon::prelude::*;
use residua_ir::{Shown, Tensor, TensorError, map_file};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes that are gathered before they are hashed, where they do not lie in the file as they are hashed.
const PIECE: usize = 1 << 20;

/// A hash in 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Sha256Hex(String);

impl TryFrom<String> for Sha256Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text))
        } else {
            Err(format!("expected a SHA-256 of 64 digits 0-9a-f, found one of {} bytes", text.len()))
        }
    }
}

impl From<Sha256> for Sha256Hex {
    fn from(hash: Sha256) -> Self {
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

/// Hash of the elements: row-major, little-endian.
pub(super) fn tensor(tensor: &Tensor) -> Result<Sha256Hex, TensorError> {
    let mut hash = Sha256::new();
    let mut buffer = Vec::new();
    for piece in tensor.pieces(PIECE) {
        match piece.as_le_bytes() {
            Some(bytes) => hash.update(bytes),
            None => {
                buffer.clear();
                piece.append_le_bytes(&mut buffer)?;
                hash.update(&buffer);
            }
        }
    }
    Ok(hash.into())
}

/// Hashes of several, by all threads.
pub(super) fn tensors(all: &[&Tensor]) -> Vec<Result<Sha256Hex, TensorError>> {
    all.par_iter().map(|one| tensor(one)).collect()
}

/// Hash of a file.
pub(super) fn file(path: &Path) -> Result<Sha256Hex> {
    let bytes = map_file(path).with_context(|| format!("cannot read {}", path.shown()))?;
    let mut hash = Sha256::new();
    hash.update(&bytes);
    Ok(hash.into())
}

/// Hashes of several, by all threads.
pub(super) fn files(all: &[std::path::PathBuf]) -> Vec<Result<Sha256Hex>> {
    all.par_iter().map(|path| file(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_has_the_hash_of_its_elements_in_their_order_whatever_the_view() {
        let values: Vec<f32> = (0..600_000).map(|i| i as f32).collect();
        let plain = Tensor::from_f32(vec![600, 1000], &values).unwrap();
        let turned = plain.permute(&[1, 0]).unwrap();
        let mut bytes = Vec::new();
        turned.append_le_bytes(&mut bytes).unwrap();
        let moved = Tensor::from_bytes(turned.dtype(), residua_ir::Endian::Little, vec![1000, 600], bytes.into());
        assert_eq!(tensor(&turned).unwrap(), tensor(&moved.unwrap()).unwrap());
        assert_ne!(tensor(&turned).unwrap(), tensor(&plain).unwrap());
    }

    #[test]
    fn a_hash_is_the_published_one_and_nothing_else_is_taken_for_one() {
        let letters =
            Tensor::from_bytes(residua_ir::DType::U8, residua_ir::Endian::Little, vec![3], (&b"abc"[..]).into());
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(tensor(&letters.unwrap()).unwrap(), Sha256Hex(known.to_owned()));
        assert!(Sha256Hex::try_from(known.to_uppercase()).is_err());
        assert!(Sha256Hex::try_from(known[1..].to_owned()).is_err());
    }
}
