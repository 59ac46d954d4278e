//! Models that fuzzing starts from: the small ones of the fixtures, given to the targets that read them.

/// Names of the targets for a file that begins like this.
#[must_use]
pub fn targets_of(data: &[u8]) -> &'static [&'static str] {
    match data {
        [0x89, b'H', b'D', b'F', ..] => &["hdf5", "keras", "pipeline"],
        [b'P', b'K', ..] if holds(data, b"config.json") => &["keras", "pipeline"],
        [b'P', b'K', ..] | [0x80, 2..=5, ..] => &["torch", "pipeline"],
        [_, _, _, _, _, _, _, 0, b'{', ..] => &["safetensors", "pipeline"],
        [0x08 | 0x12 | 0x3a | 0x42, ..] => &["onnx", "pipeline"],
        _ => &["torch"],
    }
}

fn holds(data: &[u8], name: &[u8]) -> bool {
    data.windows(name.len()).any(|window| window == name)
}
