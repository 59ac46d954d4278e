//! `convert`: writes a model in another format or layout, reads it back, and keeps it only where it is proved.
//!
//! Invariant: nothing is at OUT before every check that was asked for has passed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use residua_emit::onnx::{ExternalData, OnnxOptions};
use residua_emit::safetensors::{Layout, SafetensorsOptions};
use residua_emit::{Dropped, Emitted, Exactness, Staged, TensorMapping, onnx, safetensors};
use residua_ir::rewrite::{cast_weights, fold_batch_norm};
use residua_ir::{Checked, DType, Level, ParameterId, validate};
use residua_resnet::anatomy;
use residua_resnet::naming::slots;
use residua_verify::Subject;
use serde::Serialize;

use super::check::hold_golden;
use crate::args::{ConvertArgs, Dtype, Format, InputLayout, LayoutName, OutputFormat, PreprocessChoice};
use crate::console::Console;
use crate::exit::{Outcome, report_findings};
use crate::model::{Model, shapes_for};
use crate::progress::Progress;
use crate::proof::{self, Relation, Settings, Verdict, Verification};
use crate::{input, output, render};

/// Notes on what was done to the graph that are printed; the rest are counted.
const NOTES: usize = 2;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    source: String,
    /// Null where nothing was written, since the proof failed.
    output: Option<String>,
    format: &'static str,
    files: Vec<String>,
    bytes: u64,
    seconds: f64,
    tensors: &'a [TensorMapping],
    dropped: &'a [Dropped],
    exactness: &'a Exactness,
    notes: &'a [String],
    verification: Option<&'a Verification>,
    golden: &'a [Verification],
}

pub(super) fn run(args: &ConvertArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let started = Instant::now();
    let format = output_format(args)?;
    let golden_path = args.proof.golden.golden.as_deref();
    output::refuse_inputs(&args.out, golden_path.into_iter().chain([args.model.path.as_path()]))?;

    let progress = Progress::start(console, "reading");
    let mut model = Model::from_args(&args.model)?;
    let findings = residua_verify::check_values(&Subject::new(&model.checked, &model.anatomy, None));
    if findings.iter().any(|finding| finding.code.level == Level::Error) {
        drop(progress);
        report_findings(&findings, console.stderr_style(), &mut std::io::stderr());
        return Ok(Outcome::Fails);
    }
    let settings = Settings {
        threads,
        input_shapes: shapes_for(model.checked.graph(), &args.model.input_shape)?,
        input_range: model.input_range(),
        tolerance: args.proof.golden.tolerance,
    };
    let golden = match golden_path {
        Some(path) => {
            progress.step("running the source on the golden inputs");
            hold_golden(&model, path, &settings)?
        }
        None => Vec::new(),
    };
    record_preprocessing(&mut model, args.preprocess)?;

    progress.step("writing");
    let target = Target::new(args, format);
    let folded = folded(&model.checked, args)?;
    let staged = target.stage(folded.as_ref().unwrap_or(&model.checked), &args.out)?;
    let verification = if args.proof.no_verify {
        None
    } else {
        progress.step("proving");
        let proof = prove(&model.checked, folded.as_ref(), &target, &staged, &settings);
        Some(proof.context("what was written cannot be proved")?)
    };
    drop(progress);

    let verdicts = golden.iter().chain(&verification).map(|verification| verification.verdict);
    let holds = verdicts.into_iter().all(|verdict| verdict == Verdict::Same);
    let emitted = if holds { staged.commit()? } else { unwritten(staged) };
    let report = Report {
        args,
        format: target.name(),
        emitted: &emitted,
        verification: verification.as_ref(),
        golden: &golden,
        holds,
    };
    report.print(started.elapsed().as_secs_f64(), console)?;
    if !holds {
        console.complain(refusal(args, verification.as_ref()));
    }
    Ok(if holds { Outcome::Holds } else { Outcome::Fails })
}

/// Why nothing was written.
fn refusal(args: &ConvertArgs, verification: Option<&Verification>) -> String {
    let out = args.out.display();
    match verification {
        Some(Verification { verdict: Verdict::Different, first_divergence: Some(first), .. }) => {
            format!("{out} was not written: it would not be the source's function from layer `{}` on", first.a)
        }
        Some(Verification { verdict: Verdict::Different, .. }) => {
            format!("{out} was not written: it would not be the source's function")
        }
        Some(Verification { verdict: Verdict::Same, .. }) | None => {
            format!("{out} was not written: the source does not reproduce the golden outputs")
        }
    }
}

/// What was staged, once it is thrown away.
fn unwritten(staged: Staged) -> Emitted {
    staged.emitted().clone()
}

/// The format of the output, with the options that are for another one refused.
fn output_format(args: &ConvertArgs) -> Result<OutputFormat> {
    let extension = args.out.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let format = match (args.to, extension.as_deref()) {
        (Some(format), _) => format,
        (None, Some("onnx")) => OutputFormat::Onnx,
        (None, Some("safetensors")) => OutputFormat::Safetensors,
        (None, Some(_) | None) => {
            bail!("{}: expected a name that ends in .onnx or .safetensors, or --to", args.out.display())
        }
    };
    let onnx_only = [
        ("--opset", args.onnx.opset.is_some()),
        ("--input-layout", args.onnx.input_layout.is_some()),
        ("--external-data", args.onnx.external_data),
    ];
    match format {
        OutputFormat::Safetensors => {
            if let Some((option, _)) = onnx_only.iter().find(|(_, given)| *given) {
                bail!("{option} is for ONNX outputs, {} is a safetensors file", args.out.display());
            }
            if args.fold_bn && args.safetensors.layout == Some(LayoutName::Keras) {
                bail!("--fold-bn changes tensors, --layout keras keeps the source's own; choose one of them");
            }
        }
        OutputFormat::Onnx if args.safetensors.layout.is_some() => {
            bail!("--layout is for safetensors outputs, {} is an ONNX file", args.out.display());
        }
        OutputFormat::Onnx => {}
    }
    Ok(format)
}

/// Notes in the graph how pictures are prepared, so that it is written into the output.
fn record_preprocessing(model: &mut Model, choice: PreprocessChoice) -> Result<()> {
    let known = model.preprocessing().mode.is_some();
    let (mode, _) = input::preprocessing(model, choice);
    let architecture = model.anatomy.standard_name().map(str::to_owned);
    let mut graph = model.checked.graph().clone();
    if choice != PreprocessChoice::Auto || known {
        graph.source_mut().preprocessing = Some(mode.name().to_owned());
    }
    if graph.source().architecture.is_none() {
        graph.source_mut().architecture = architecture;
    }
    model.checked = validate(graph)?;
    Ok(())
}

fn float(dtype: Option<Dtype>) -> Option<DType> {
    dtype.map(|dtype| match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    })
}

/// The source with its batch norms folded, where that is asked for.
fn folded(model: &Checked, args: &ConvertArgs) -> Result<Option<Checked>> {
    if !args.fold_bn {
        return Ok(None);
    }
    let folded = fold_batch_norm(model).context("cannot fold the batch norms")?;
    Ok(Some(validate(folded.graph)?))
}

/// What is written, and how.
enum Target {
    Onnx(OnnxOptions),
    Safetensors { layout: LayoutName, float: Option<DType> },
}

impl Target {
    fn new(args: &ConvertArgs, format: OutputFormat) -> Self {
        match format {
            OutputFormat::Onnx => Self::Onnx(OnnxOptions {
                opset: args.onnx.opset.map_or(onnx::PORTABLE, i64::from),
                input_layout: match args.onnx.input_layout.unwrap_or_default() {
                    InputLayout::Nchw => onnx::InputLayout::Nchw,
                    InputLayout::Nhwc => onnx::InputLayout::Nhwc,
                    InputLayout::Source => onnx::InputLayout::Source,
                },
                float: float(args.dtype).unwrap_or(DType::F32),
                external_data: if args.onnx.external_data { ExternalData::Always } else { ExternalData::Auto },
                ..OnnxOptions::default()
            }),
            OutputFormat::Safetensors => {
                Self::Safetensors { layout: args.safetensors.layout.unwrap_or_default(), float: float(args.dtype) }
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Target::Onnx(_) => "onnx",
            Target::Safetensors { .. } => "safetensors",
        }
    }

    fn stage(&self, model: &Checked, out: &Path) -> Result<Staged> {
        match self {
            Target::Onnx(options) => Ok(onnx::stage(model, options, out)?),
            &Target::Safetensors { layout, float } => {
                let names = slots(model, &anatomy::analyse(model));
                let name_of = |id: ParameterId| names[id.index()].1.clone();
                let layout = match layout {
                    LayoutName::Keras => Layout::Source,
                    LayoutName::Residua => Layout::Graph { name: "residua", names: &name_of },
                };
                Ok(safetensors::stage(model, &SafetensorsOptions { layout, float }, out)?)
            }
        }
    }

    /// The model as the format has its numbers: what the file must be, bit for bit.
    fn expected(&self, model: &Checked) -> Result<Checked> {
        let graph = match self {
            Target::Onnx(options) => onnx::representable(model, options)?,
            Target::Safetensors { float: Some(dtype), .. } => cast_weights(model.graph().clone(), *dtype),
            Target::Safetensors { float: None, .. } => model.graph().clone(),
        };
        Ok(validate(graph)?)
    }
}

/// Proves what was written, as it is read back.
///
/// Folding is held against the source itself. Rounding is a step of its own: the file must be the rounded model exactly,
/// and what rounding cost is measured apart.
fn prove(
    source: &Checked,
    folded: Option<&Checked>,
    target: &Target,
    staged: &Staged,
    settings: &Settings,
) -> Result<Verification> {
    let graph = residua_import::load(&staged.path()).context("what was written cannot be read back")?;
    let read_back = validate(graph).context("what was written does not hold together")?;
    let (rounded_to, rearranged) = match &staged.emitted().exactness {
        Exactness::Identical => (None, false),
        Exactness::Rearranged { .. } => (None, true),
        Exactness::Rounded { dtype, nodes } => (Some(*dtype), !nodes.is_empty()),
    };
    let relation = if rearranged { Relation::Rearranged } else { Relation::Identical };
    let Some(dtype) = rounded_to else {
        return match folded {
            Some(_) => proof::prove(source, &read_back, Relation::Rearranged, settings),
            None => proof::prove(&target.expected(source)?, &read_back, relation, settings),
        };
    };
    if let Some(folded) = folded {
        let folding = proof::prove(source, folded, Relation::Rearranged, settings)?;
        if folding.verdict == Verdict::Different {
            return Ok(folding);
        }
    }
    let wide = folded.unwrap_or(source);
    let rounded = target.expected(wide)?;
    let mut verification = proof::prove(&rounded, &read_back, relation, settings)?;
    verification.method = format!("{}, its weights rounded to {dtype}", verification.method);
    verification.rounding = Some(proof::rounding_cost(wide, &rounded, settings)?);
    Ok(verification)
}

struct Report<'a> {
    args: &'a ConvertArgs,
    format: &'static str,
    emitted: &'a Emitted,
    verification: Option<&'a Verification>,
    golden: &'a [Verification],
    holds: bool,
}

impl Report<'_> {
    fn print(&self, seconds: f64, console: &mut Console) -> Result<()> {
        let Self { args, format, emitted, verification, golden, holds } = *self;
        let text = |path: &Path| path.display().to_string();
        if args.format == Format::Json {
            let document = Document {
                schema: "residua.convert/1",
                source: text(&args.model.path),
                output: holds.then(|| text(&args.out)),
                format,
                files: emitted.files.iter().filter(|_| holds).map(|file| text(file)).collect(),
                bytes: emitted.bytes,
                seconds,
                tensors: &emitted.mapping,
                dropped: &emitted.dropped,
                exactness: &emitted.exactness,
                notes: &emitted.notes,
                verification,
                golden,
            };
            return render::json(console.out(), &document);
        }
        let style = console.style();
        let out = console.out();
        let (from, to) = (text(&args.model.path), style.bold(&text(&args.out)));
        if holds {
            writeln!(out, "{from} → {to}")?;
            let tensors = render::plural(emitted.mapping.len(), "tensor");
            writeln!(out, "  {tensors}, {}, {seconds:.2} s", render::bytes(emitted.bytes))?;
            for extra in emitted.files.iter().skip(1) {
                writeln!(out, "  weights in {}", extra.display())?;
            }
        } else {
            writeln!(out, "{from} → {to}: {}", style.error("not written"))?;
        }
        for dropped in &emitted.dropped {
            writeln!(out, "  left out {}: {}", dropped.from, dropped.reason)?;
        }
        for note in emitted.notes.iter().take(NOTES) {
            writeln!(out, "  {note}")?;
        }
        if let Some(more @ 1..) = emitted.notes.len().checked_sub(NOTES) {
            writeln!(out, "  and {} more, all in --format json", render::plural(more, "note"))?;
        }
        match verification {
            Some(verification) => {
                writeln!(out, "\nread back and run against the source:")?;
                render::verification::text(out, style, verification)?;
            }
            None => writeln!(out, "  {}", style.warning("not proved: --no-verify was given"))?,
        }
        for verification in golden {
            writeln!(out, "\nthe source against the golden outputs:")?;
            render::verification::text(out, style, verification)?;
        }
        Ok(())
    }
}
