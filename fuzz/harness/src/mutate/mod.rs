//! Models mutated as what they are: a size, a name, an attribute or an edge changes, and the file around it stays whole.

pub mod archive;
mod json;
mod numbers;
mod onnx;
mod pickle;

use fastrand::Rng;

/// The model with one to four changes, where these bytes are one of a kind that is known.
#[must_use]
pub fn model(data: &[u8], random: &mut Rng) -> Option<Vec<u8>> {
    match data {
        [b'P', b'K', ..] => archive::mutate(data, random),
        [0x80, 2..=5, ..] => Some(pickle::mutate(data, random)),
        [_, _, _, _, _, _, _, 0, b'{', ..] => safetensors(data, random),
        [0x08 | 0x12 | 0x3a | 0x42, ..] => onnx::mutate(data, random),
        _ => None,
    }
}

/// How often to change something.
fn times(random: &mut Rng) -> usize {
    [1, 1, 1, 2, 2, 3, 4].get(random.usize(..7)).copied().unwrap_or(1)
}

/// A file whose header is changed, with the length before it corrected.
fn safetensors(data: &[u8], random: &mut Rng) -> Option<Vec<u8>> {
    let (length, rest) = data.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, elements) = rest.split_at_checked(length)?;
    let header = json::mutate(header, random)?;
    Some([&(header.len() as u64).to_le_bytes()[..], &header, elements].concat())
}
