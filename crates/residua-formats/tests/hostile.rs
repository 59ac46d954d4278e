//! Damaged files: whatever happens to the bytes of a real file, it is read or refused, soon and in little memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;
#[path = "common/measure.rs"]
mod measure;

use common::{fixture_bytes, onnx_bytes, zipped};
use measure::{ALONE, Random, survives};
use residua_formats::onnx::schema::{AttributeProto, DataType, NodeProto, TensorProto};

/// Small files of each container: name and bytes.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let files = [
        ("storage", "resnet8.k3.h5"),
        ("storage", "resnet8.k3.weights.h5"),
        ("faults", "sound.keras"),
        ("storage", "resnet8.k3-deflated.keras"),
        ("storage", "resnet8.k3-shuffle-gzip-fletcher32.h5"),
        ("storage", "resnet8.k3-latest-gzip.h5"),
        ("storage", "resnet8.k3-latest-fixed-array.h5"),
        ("storage", "resnet8.k3-chunked-resizable.h5"),
        ("storage", "resnet8.k3-split-attributes.h5"),
        ("storage", "resnet8.k3-track-order.h5"),
        ("storage", "resnet8.k2-weights-latest.h5"),
        ("storage", "resnet8_float16.k3-float16.h5"),
    ];
    let mut seeds: Vec<_> =
        files.iter().map(|&(folder, name)| (name.to_owned(), fixture_bytes(folder, name))).collect();
    seeds.extend(zipped("containers/containers.zip"));
    seeds.push(("onnx".to_owned(), onnx()));
    seeds.push(("safetensors".to_owned(), safetensors()));
    seeds
}

fn onnx() -> Vec<u8> {
    let attribute = AttributeProto { name: "pads".into(), ints: vec![1; 4], r#type: 7, ..AttributeProto::default() };
    let node = |i| NodeProto {
        input: vec![format!("x{i}"), format!("w{i}")],
        output: vec![format!("x{}", i + 1)],
        op_type: "Conv".to_owned(),
        attribute: vec![attribute.clone(); 3],
        ..NodeProto::default()
    };
    let raw = |i| TensorProto {
        name: format!("w{i}"),
        dims: vec![4, 3],
        data_type: DataType::Float as i32,
        raw_data: vec![i; 48].into(),
        ..TensorProto::default()
    };
    let typed = TensorProto { dims: vec![2], data_type: 7, int64_data: vec![5, -1], ..TensorProto::default() };
    let halves = TensorProto { dims: vec![2], data_type: 10, int32_data: vec![5, 9], ..TensorProto::default() };
    let mut initializer: Vec<TensorProto> = (0..20).map(raw).collect();
    initializer.extend([typed, halves]);
    onnx_bytes((0..20).map(node).collect(), initializer)
}

fn safetensors() -> Vec<u8> {
    let header = br#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"__metadata__":{"format":"pt"},
        "b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},"c":{"dtype":"I64","shape":[0,7],"data_offsets":[26,26]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([7; 26]);
    bytes
}

/// Mutants of each file; `RESIDUA_MUTANTS` asks for another number.
fn mutants() -> usize {
    std::env::var("RESIDUA_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(120)
}

#[test]
fn files_cut_short_are_read_or_refused() {
    let _alone = ALONE.lock();
    for (name, bytes) in seeds() {
        assert!(survives(&name, "nothing done to it", &bytes));
        let step = (bytes.len() / 60).max(1);
        for end in (0..bytes.len().min(64)).chain((64..bytes.len()).step_by(step)) {
            let taken = survives(&name, &format!("only {end} bytes"), &bytes[..end]);
            // All of these say how long they are, but for ONNX, whose fields may end anywhere, for tar, which ends in
            // zeros, and for the archive that holds a whole other one.
            let may_end = ["onnx", "tar.pth", "exported-before-2.8.pt2"].contains(&name.as_str());
            assert!(!taken || may_end, "{name} is taken with only {end} bytes");
        }
    }
}

#[test]
fn files_with_flipped_bits_are_read_or_refused() {
    let _alone = ALONE.lock();
    for (name, bytes) in seeds() {
        let mut random = Random(7);
        for _ in 0..mutants() {
            let mut mutant = bytes.clone();
            let flips: Vec<(usize, u8)> =
                (0..1 + random.below(3)).map(|_| (random.below(bytes.len()), 1 << random.below(8))).collect();
            for &(at, bit) in &flips {
                mutant[at] ^= bit;
            }
            survives(&name, &format!("{flips:?} flipped"), &mutant);
        }
    }
}

#[test]
fn files_with_numbers_overwritten_are_read_or_refused() {
    let _alone = ALONE.lock();
    for (name, bytes) in seeds() {
        let mut random = Random(11);
        for _ in 0..mutants() {
            let mut mutant = bytes.clone();
            let width = [1, 2, 4, 8][random.below(4)];
            let at = random.below(bytes.len().saturating_sub(width).max(1));
            let value = [0u64, 1, 0x7fff_ffff, u64::MAX, u64::MAX >> 1, 1 << 40, bytes.len() as u64][random.below(7)];
            let end = (at + width).min(mutant.len());
            mutant[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
            survives(&name, &format!("{value:#x} in {width} bytes at {at}"), &mutant);
        }
    }
}
