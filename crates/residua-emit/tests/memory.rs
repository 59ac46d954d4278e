//! What is written into memory, or into a writer, is what is written into a file: the same bytes, and the same account.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

#[allow(dead_code, reason = "nothing is run")]
mod cases;

use std::path::{Path, PathBuf};

use cases::cases;
use residua_emit::onnx::{self, ExternalData, OnnxOptions};
use residua_emit::safetensors::{self, SafetensorsOptions, TensorLayout};
use residua_emit::{EmitError, Emitted, InMemory};
use residua_ir::{Checked, Conv, DType, GraphBuilder, Op, Shape, Tensor, validate};

/// A convolution of 4.5 MiB, stored as Keras does: its elements have to be moved, in several pieces.
fn large() -> Checked {
    let mut g = GraphBuilder::new("large");
    let x = g.input("x", Shape::batch(&[128, 4, 4]));
    let values: Vec<f32> = (0..3 * 3 * 128 * 1024).map(|i| (i % 1013) as f32).collect();
    let kernel = Tensor::from_f32(vec![3, 3, 128, 1024], &values).unwrap().permute(&[3, 2, 0, 1]).unwrap();
    let kernel = g.weight("conv/kernel", kernel);
    let y = g.add("conv", Op::Conv(Conv::default()), &[x, kernel]);
    g.output(y);
    validate(g.finish().unwrap()).unwrap()
}

/// Holds an output in memory against one on disk: the files, their names, and what is said of them.
fn hold(memory: &InMemory, folder: &Path, disk: &Emitted) {
    let name = |path: &PathBuf| PathBuf::from(path.file_name().unwrap());
    let on_disk: Vec<PathBuf> = disk.files.iter().map(name).collect();
    assert_eq!(memory.emitted.files, on_disk);
    let mut account = memory.emitted.clone();
    account.files.clone_from(&disk.files);
    assert_eq!(account, *disk);
    let files = std::iter::once(&memory.bytes).chain(memory.beside.iter().map(|file| &file.bytes));
    for (name, bytes) in on_disk.iter().zip(files) {
        assert!(std::fs::read(folder.join(name)).unwrap() == *bytes, "{name:?} has other bytes");
    }
    assert_eq!(memory.beside.len() + 1, on_disk.len());
}

#[test]
fn onnx_in_memory_is_onnx_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let models = cases().into_iter().map(|case| case.model).chain([large()]);
    for (at, model) in models.enumerate() {
        let name = format!("m{at}.onnx");
        let options = OnnxOptions { opset: 17, ..OnnxOptions::default() };
        let Ok(disk) = onnx::write(&model, &options, &folder.path().join(&name)) else { continue };
        hold(&onnx::to_memory(&model, &options, &name).unwrap(), folder.path(), &disk);
        let mut streamed = Vec::new();
        let emitted = onnx::write_to(&model, &options, &mut streamed).unwrap();
        let mut on_disk = disk;
        on_disk.files.clear();
        assert_eq!(emitted, on_disk);
        assert!(streamed == std::fs::read(folder.path().join(&name)).unwrap());
    }
}

#[test]
fn external_data_in_memory_is_a_file_beside_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let options = OnnxOptions { external_data: ExternalData::Always, ..OnnxOptions::default() };
    let disk = onnx::write(&large(), &options, &folder.path().join("large.onnx")).unwrap();
    let memory = onnx::to_memory(&large(), &options, "large.onnx").unwrap();
    assert_eq!(memory.beside[0].name, "large.onnx.data");
    hold(&memory, folder.path(), &disk);
    let mut streamed = Vec::new();
    onnx::write_to(&large(), &options, &mut streamed).unwrap();
    assert!(streamed.len() > 4 << 20, "a writer has no place beside it");
}

#[test]
fn safetensors_in_memory_is_safetensors_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (model, path) = (large(), folder.path().join("m.safetensors"));
    for float in [None, Some(DType::F16)] {
        let options = SafetensorsOptions { layout: TensorLayout::Source, float };
        let disk = safetensors::write(&model, &options, &path).unwrap();
        hold(&safetensors::to_memory(&model, &options, "m.safetensors").unwrap(), folder.path(), &disk);
        let mut streamed = Vec::new();
        safetensors::write_to(&model, &options, &mut streamed).unwrap();
        assert!(streamed == std::fs::read(&path).unwrap());
    }
}

#[test]
fn a_name_with_a_folder_is_refused_and_what_a_writer_says_is_the_cause() {
    let options = OnnxOptions { external_data: ExternalData::Always, ..OnnxOptions::default() };
    for name in ["", "..", "a/b.onnx", "a\\b.onnx"] {
        let refused = onnx::to_memory(&large(), &options, name);
        assert!(matches!(refused, Err(EmitError::Option(_))), "{name}: {refused:?}");
    }
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = onnx::write_to(&large(), &OnnxOptions::default(), &mut Full).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::StorageFull);
}
