//! A crate that runs an ONNX model of ours.

use std::path::Path;

use residua_emit::place::StagedFolder;
use residua_source::{ident, onnx};

use super::target::choose;
use super::{SourceCrate, Writer, golden, images, package, readme};
use crate::convert::{Convert, Onnx, Output};
use crate::error::{Context, Result, bail};

/// Writes the crate. The model is written and proved as every ONNX output is.
pub(super) fn write(writer: &Writer, folder: &Path, runtime: onnx::Runtime) -> Result<SourceCrate> {
    let version = version(runtime, writer.options.version.as_deref())?;
    let mut staged = StagedFolder::new(folder)?;
    let convert =
        Convert { to: Output::Onnx(Onnx::default()), watch: writer.options.watch.clone(), ..writer.as_convert() };
    let conversion = writer.given.convert_in_memory("model.onnx", convert)?.prove(writer.proof)?;
    let holds = conversion.holds();
    let model = conversion.model.clone();
    let (written, converted) = conversion.end(holds);
    let mut notes: Vec<String> = converted.notes().into_iter().cloned().collect();
    let images = images::of(&model, converted.preparation(), &mut notes);
    let Some(images) = images else {
        bail!(
            "programs for {} are for networks that take images and give one score a class, which this one does not",
            runtime.name()
        );
    };
    let (golden, _) = golden::make(writer, &model, &model.checked)?;
    let about = onnx::About {
        package: ident::package(&package(folder)),
        title: readme::title(&model, runtime.name()),
        runtime,
        version,
        images: (images, images::squashes(&model)),
        labels: images::labels(&model, true, writer.options.labels.as_deref())?,
        golden: golden.about.clone(),
        shapes: golden.shapes(),
        paragraphs: readme::paragraphs(writer.given, converted.preparation(), &notes),
    };
    for (path, text) in onnx::files(&about) {
        staged.write(path, text.as_bytes())?;
    }
    staged.write("model.onnx", &written.bytes)?;
    for file in &written.beside {
        staged.write(&file.name, &file.bytes)?;
    }
    golden.write_arrays(&mut staged)?;
    SourceCrate {
        staged,
        source: writer.given.path.clone(),
        runtime: runtime.name(),
        version,
        mapping: converted.emitted().mapping.clone(),
        notes,
        preparation: converted.preparation().clone(),
        modules: 0,
        verification: converted.verification().cloned(),
        golden: converted.golden().to_vec(),
        built: false,
    }
    .built(writer)
}

fn version(runtime: onnx::Runtime, wanted: Option<&str>) -> Result<&'static str> {
    let (what, known) = (format!("programs are written for {}", runtime.name()), runtime.versions());
    let at = choose(&what, known, wanted)?;
    known.get(at).copied().context("no version is known")
}
