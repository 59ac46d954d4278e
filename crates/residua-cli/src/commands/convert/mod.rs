//! `convert`: writes a model in another format or layout, reads it back, and keeps it only where it is proved.

mod place;
pub(super) mod report;
mod source;

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use residua::convert::{Convert, Onnx, Output, Proof, Safetensors};
use residua::emit::onnx;
use residua::ir::Level;
use residua::model::Model;
use residua::{output, pooling};

use super::written::finish;
use crate::args::{ConvertArgs, InputLayout, OutputFormat};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use place::Place;

pub(super) fn run(args: &ConvertArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let started = Instant::now();
    let place = Place::of(args)?;
    let golden = args.proof.golden.golden.as_deref();
    let outputs: Vec<&Path> = [Some(&*place.file), args.manifest.as_deref()].into_iter().flatten().collect();
    output::refuse(&outputs, golden.into_iter().chain([args.model.path.as_path()]))?;
    if args.model.free_batch && !args.model.input_shape.is_empty() {
        bail!("--free-batch makes the batch free, --input-shape fixes it: give one of them");
    }
    // The batch is made free when the model is written, so that it is proved against the model that has it fixed.
    let open = residua::options::OpenOptions { free_batch: false, ..args.model.options() };
    let model = pooling::as_golden(Model::open_strict(&args.model.path, &open)?, golden, &open)?;
    console.tell(&model);
    if let Some(runtime) = place.format.runtime() {
        return source::run(args, (&model, runtime), threads, started, console);
    }
    let progress = Progress::start(console, "reading");
    let convert = Convert { watch: progress.watch(), ..options(args, place.format) };
    let _made = place.prepare()?;
    let conversion = model.convert(&place.file, convert)?;
    for finding in conversion.findings().iter().filter(|finding| finding.level == Level::Warning) {
        console.warn(format!("{} {}", finding.code.id, finding.message));
    }
    let conversion = conversion.prove(&proof(args, threads))?;
    drop(progress);
    finish(conversion, args.format, "residua.convert/1", started, console)
}

/// What is to be proved.
fn proof(args: &ConvertArgs, threads: Option<usize>) -> Proof {
    Proof {
        against_source: !args.proof.no_verify,
        numeric: args.proof.numeric,
        golden: args.proof.golden.golden.clone(),
        tolerance: args.proof.golden.tolerance,
        threads,
    }
}

/// As the library takes them.
fn options(args: &ConvertArgs, format: OutputFormat) -> Convert {
    let to = match format {
        OutputFormat::Onnx => Output::Onnx(Onnx {
            opset: args.onnx.opset,
            input_layout: args.onnx.input_layout.map(|layout| match layout {
                InputLayout::Nchw => onnx::InputLayout::Nchw,
                InputLayout::Nhwc => onnx::InputLayout::Nhwc,
                InputLayout::Source => onnx::InputLayout::Source,
            }),
            keep_io_types: args.onnx.keep_io_types,
            external_data: args.onnx.external_data,
        }),
        // Crates with source have options of their own.
        OutputFormat::Safetensors
        | OutputFormat::Candle
        | OutputFormat::Burn
        | OutputFormat::Tract
        | OutputFormat::Rten => Output::Safetensors(Safetensors { layout: args.safetensors.layout }),
    };
    Convert {
        dtype: args.dtype,
        fold_batch_norms: args.fold_bn,
        free_batch: args.model.free_batch,
        preprocess: args.preprocess.mode(),
        manifest: args.manifest.clone(),
        ..to.into()
    }
}
