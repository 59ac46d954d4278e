//! What the fuzz targets do with the bytes that they are given, and how a model is mutated as what it is.
//!
//! The targets themselves, in `fuzz/fuzz_targets`, are a line each and need a nightly compiler. All that they call is here, so
//! that the corpus, the files that once failed, and models mutated by chance go through the same code in `cargo test`.
//!
//! What counts as a failure: a panic, more memory or time than the fuzzer allows, and in [`targets::pipeline`] a model that was
//! written without an error and is refused when it is read again.

#![allow(clippy::panic, reason = "a panic is how a target fails")]

pub mod mutate;
pub mod seeds;
pub mod targets;

use std::sync::Once;

use residua::ir::budget::{self, Limit};

/// A fuzz target: its name, which is that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 6] = [
    ("torch", targets::torch),
    ("hdf5", targets::hdf5),
    ("keras", targets::keras),
    ("onnx", targets::onnx),
    ("safetensors", targets::safetensors),
    ("pipeline", targets::pipeline),
];

/// Sets limits far below the defaults, so that inputs that only ask for much end soon and those that meet no limit are found.
pub(crate) fn lower_limits() {
    static ONCE: Once = Once::new();
    const MIB: u64 = 1 << 20;
    ONCE.call_once(|| {
        budget::set(&[
            (Limit::DecodedBytes, 16 * MIB),
            (Limit::FilledBytes, 4 * MIB),
            (Limit::JsonValues, 100_000),
            (Limit::PickleOpcodes, 500_000),
            (Limit::PickleValues, 100_000),
            (Limit::HdfChunkBytes, 16 * MIB),
            (Limit::GraphItems, 20_000),
            (Limit::InlinedSize, 2 * MIB),
            (Limit::ActivationBytes, 16 * MIB),
            (Limit::ProbeBytes, 4 * MIB),
            (Limit::ArithmeticAlways, 20_000_000),
            (Limit::ArithmeticRatio, 64),
        ]);
    });
}

/// Mutates the first `size` of `data` as the model that they are, or by `bytes` where they are none; gives the new size.
pub fn mutate_in_place(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    bytes: fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut random = fastrand::Rng::with_seed(u64::from(seed));
    let found = data.get(..size).unwrap_or_default();
    // Bytes as they come find what no model that was written whole can show.
    let mutated = if random.u8(..4) == 0 { None } else { mutate::model(found, &mut random) };
    match mutated {
        Some(mutated) if mutated.len() <= max_size.min(data.len()) => {
            for (to, from) in data.iter_mut().zip(&mutated) {
                *to = *from;
            }
            mutated.len()
        }
        Some(_) | None => bytes(data, size, max_size),
    }
}
