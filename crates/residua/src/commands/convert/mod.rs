//! `convert`: writes a model in another format or layout, reads it back, and keeps it only where it is proved.
//!
//! Invariant: nothing is at OUT before every check that was asked for has passed.

mod place;
mod prove;
mod report;
mod rewrite;
mod target;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use residua_emit::{Emitted, Staged};
use residua_ir::preparation::{Preparation, Stated};
use residua_ir::{Checked, Graph, Level, Op, Shown, validate};
use residua_resnet::preprocessing::{Known, Told};
use residua_verify::Subject;

use crate::args::{ConvertArgs, Dtype, PreprocessChoice};
use crate::check;
use crate::console::Console;
use crate::exit::{Outcome, report_findings};
use crate::manifest::{self, Conversion};
use crate::model::{Model, shapes_for};
use crate::progress::Progress;
use crate::proof::{Settings, Verdict, Verification};
use crate::{input, output, pooling};
use place::Place;
use prove::Written;
use report::Report;
use target::Target;

pub(super) fn run(args: &ConvertArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let started = Instant::now();
    let place = Place::of(args)?;
    let golden_path = args.proof.golden.golden.as_deref();
    let outputs: Vec<&Path> = [Some(&*place.file), args.manifest.as_deref()].into_iter().flatten().collect();
    output::refuse(&outputs, golden_path.into_iter().chain([args.model.path.as_path()]))?;
    if args.model.free_batch && !args.model.input_shape.is_empty() {
        bail!("--free-batch makes the batch free, --input-shape fixes it: give one of them");
    }
    let model = Model::load(&args.model.path, &args.model.input_shape, &args.model.source)?;
    let mut model = pooling::as_golden(model, golden_path, &args.model.input_shape, &args.model.source)?;
    model.tell(console);
    let progress = Progress::start(console, "reading");
    let subject = Subject::new(&model.checked, &model.anatomy, None);
    let mut findings = residua_verify::check_values(&subject);
    // What no proof could run at the sizes that it declares.
    if !args.model.free_batch && !args.proof.no_verify {
        findings.extend(residua_verify::check_free_sizes(&subject));
    }
    if findings.iter().any(|finding| finding.level == Level::Error) {
        drop(progress);
        report_findings(&findings, console.stderr_style(), &mut console.err());
        return Ok(Outcome::Fails);
    }
    let settings = Settings {
        threads,
        input_shapes: shapes_for(model.checked.graph(), &args.model.input_shape)?,
        input_range: model.input_range(),
        tolerance: args.proof.golden.tolerance,
        before_softmax: false,
        written: None,
    };
    let golden = match golden_path {
        Some(path) => {
            progress.step("running the source on the golden inputs");
            let held = check::hold_golden(&model, path, &settings)?;
            held.into_iter().map(|held| held.verification).collect()
        }
        None => Vec::new(),
    };
    let recorded = record_preprocessing(&mut model, args.preprocess)?;

    progress.step("writing");
    let mut source = model.checked.clone();
    let freed = if args.model.free_batch { Some(model.free_batch()?) } else { None };
    let free_batch = freed.map(|(applied, frozen)| {
        source = frozen;
        applied
    });
    let frees = free_batch.is_some();
    let mut changed = rewrite::Changed::as_it_was(&mut model, free_batch)?;
    let target = Target::new(args, place.format, &model)?;
    changed.fold(&mut model, args)?;
    if !fits_float(&model, args, console) {
        drop(progress);
        return Ok(Outcome::Fails);
    }
    let _made = place.prepare()?;
    let staged = target.stage(&model.checked, &place.file)?;
    let files = staged.emitted().files.iter().chain(&args.manifest);
    residua_emit::place::refuse_twice(&files.map(PathBuf::as_path).collect::<Vec<_>>())?;
    let verification = if args.proof.no_verify {
        None
    } else {
        progress.step("proving");
        refuse_what_cannot_run(&model.checked)?;
        let rewritten = changed.change().map(|change| (&model.checked, change));
        let (model, target) = (&model.checked, &target);
        let written = Written { source: &source, model, rewritten, target, staged: &staged, frees };
        Some(written.prove(&settings).context("what was written cannot be proved")?)
    };
    drop(progress);

    let verdicts = golden.iter().chain(&verification).map(|verification| verification.verdict);
    let holds = verdicts.into_iter().all(|verdict| verdict == Verdict::Same);
    let emitted =
        if holds { put_in_place(args, staged, model.checked.graph(), target.format())? } else { unwritten(staged) };
    let report = Report {
        args,
        file: &place.file,
        target: &target,
        source: &source,
        emitted: &emitted,
        told: model.told(),
        passes: changed.passes(),
        preparation: &recorded,
        verification: verification.as_ref(),
        golden: &golden,
        holds,
    };
    report.print(started.elapsed().as_secs_f64(), console)?;
    if !holds {
        console.complain(refusal(&place, verification.as_ref()));
    }
    Ok(if holds { Outcome::Holds } else { Outcome::Fails })
}

/// Whether the float type that was asked for holds all weights; what it only loses is told.
fn fits_float(model: &Model, args: &ConvertArgs, console: &Console) -> bool {
    if args.dtype != Some(Dtype::F16) {
        return true;
    }
    let subject = Subject::new(&model.checked, &model.anatomy, None).in_dtype(args.dtype.map(Dtype::of_tensors));
    let findings = residua_verify::check_float(&subject);
    for finding in findings.iter().filter(|finding| finding.level == Level::Warning) {
        console.warn(format!("{} {}", finding.code.id, finding.message));
    }
    report_findings(&findings, console.stderr_style(), &mut console.err());
    findings.iter().all(|finding| finding.level < Level::Error)
}

/// A proof runs both models, the operators that are not known too.
fn refuse_what_cannot_run(model: &Checked) -> Result<()> {
    let graph = model.graph();
    let unknown: Vec<_> = model.opaque_nodes().map(|id| graph.node(id)).collect();
    let Some(first) = unknown.first() else { return Ok(()) };
    let Op::Opaque(opaque) = &first.op else { return Ok(()) };
    let more = if unknown.len() > 1 { format!(" (and {} more)", unknown.len() - 1) } else { String::new() };
    bail!(
        "what was written cannot be proved, since `{}` ({} {}) cannot be run: {}{more}; --no-verify writes it as it is, \
         unproved",
        graph.layer(first.layer).name,
        opaque.domain,
        opaque.op_type,
        opaque.reason
    )
}

/// Moves the output to its place and writes the manifest, if one was asked for: both or neither.
fn put_in_place(args: &ConvertArgs, staged: Staged, graph: &Graph, format: &str) -> Result<Emitted> {
    let Some(path) = &args.manifest else { return Ok(staged.commit()?) };
    let conversion = Conversion { source: &args.model.path, graph, format, staged: &staged };
    let manifest = manifest::stage(path, &conversion)?;
    Ok(staged.commit_with(vec![manifest])?)
}

/// Why nothing was written.
fn refusal(place: &Place, verification: Option<&Verification>) -> String {
    let out = place.file.shown();
    match verification {
        Some(Verification { verdict: Verdict::Different, first_divergence: Some(first), .. }) => {
            format!("{out} was not written: it would not be the source's function from layer `{}` on", first.a)
        }
        Some(Verification { verdict: Verdict::Different, reason: Some(reason), .. }) => {
            format!("{out} was not written: {reason}")
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

/// Notes in the graph how pictures are prepared, so that it is written into the output; what is noted.
fn record_preprocessing(model: &mut Model, choice: PreprocessChoice) -> Result<Known> {
    let mut known = model.preprocessing();
    if let Some(mode) = choice.mode() {
        known.values = Some(Told::new(mode.values(), "--preprocess"));
        (known.assumed, known.reason) = (false, "from --preprocess".to_owned());
        known.conflicts.retain(|conflict| conflict.part != "values");
    }
    let preparation = Preparation {
        resize: known.resize.as_ref().map(|told| told.value),
        crop: known.crop.as_ref().map(|told| told.value),
        filter: known.filter.as_ref().map(|told| told.value),
        values: known.values.as_ref().map(|told| told.value),
    };
    let architecture = model.anatomy.standard_name().map(str::to_owned);
    let mut graph = model.checked.graph().clone();
    let source = graph.source_mut();
    source.preprocessing.clear();
    if !preparation.is_empty() {
        let mut places = input::geometry_by(&known);
        // An assumption is about the values alone, and says so in its own words.
        match &known.values {
            Some(values) if known.assumed => places = vec![&values.by],
            Some(values) if !places.contains(&values.by.as_str()) => places.insert(0, &values.by),
            Some(_) | None => {}
        }
        let stated = Stated { assumed: known.assumed, ..Stated::new(places.join(" and "), preparation) };
        source.preprocessing.push(stated);
    }
    if source.architecture.is_none() {
        source.architecture = architecture;
    }
    model.checked = validate(graph)?;
    Ok(known)
}
