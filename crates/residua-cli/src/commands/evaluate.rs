//! `evaluate`: accuracy over labelled images.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use residua::evaluate::{Document, Evaluate, Evaluator, Row, Target, Truth, merge};
use residua::model::Model;
use residua::options::ImageOptions;
use residua::output;
use residua::render::{self, evaluation, plural};

use crate::args::{EvaluateArgs, EvaluateFormat};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render::evaluation as text;

pub(super) fn run(args: &EvaluateArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let document = match (&args.model, &args.folder) {
        (Some(model), Some(folder)) if args.merge.is_empty() => evaluated(args, model, folder, threads, console)?,
        _ => merge(&args.merge)?,
    };
    let style = console.style();
    match args.format {
        EvaluateFormat::Text => text::text(console.out(), style, &document, args.top as usize)?,
        EvaluateFormat::Json => render::json(console.out(), &document)?,
        EvaluateFormat::Csv => evaluation::csv(console.out(), &document)?,
        EvaluateFormat::Html => render::html::evaluation(console.out(), &document)?,
    }
    if let Some(note) = document.turned_note() {
        console.note(note);
    }
    if document.skipped.is_empty() {
        return Ok(Outcome::Holds);
    }
    for skipped in document.skipped.iter().take(10) {
        console.warn(format!("{}: {}", skipped.file, skipped.error));
    }
    let all = document.count as usize + document.skipped.len();
    console.complain(format!("{} of {} could not be evaluated", document.skipped.len(), plural(all, "image")));
    Ok(Outcome::Undone)
}

/// Images that protocols are tried on where nothing is said.
const SAMPLE: usize = 200;

/// The accuracy that a protocol is looked for of: what was given, else what is published of the weights.
fn target(args: &EvaluateArgs, model: &Model) -> Option<Target> {
    let given = args.published.map(|percent| Target { top1: percent / 100.0, by: "--published".to_owned() });
    let known = model.identity().and_then(|identity| identity.weights.as_ref()?.published.as_ref());
    given.or_else(|| known.map(|known| Target { top1: known.top1 / 100.0, by: known.by.clone() }))
}

fn evaluated(
    args: &EvaluateArgs,
    model: &Path,
    folder: &Path,
    threads: Option<usize>,
    console: &mut Console,
) -> Result<Document> {
    let images = ImageOptions { upright: Some(args.orientation.upright()), ..args.image.options()? };
    let options = args.source.options();
    let (mut model, mut against) = match &args.against {
        Some(other) => {
            let (model, other) = Model::open_both(model, other.as_path(), &options)?;
            (model, Some(other))
        }
        None => (Model::open_strict(model, &options)?, None),
    };
    for model in std::iter::once(&mut model).chain(&mut against) {
        console.tell(model);
        console.identify(model)?;
    }
    if let Some(path) = &args.predictions {
        let read = [Some(model.path()), args.against.as_deref(), args.truth.as_deref(), args.labels.as_deref()];
        output::refuse(&[path], read.into_iter().flatten().chain([folder]))?;
    }
    let truth = Truth::read(folder, args.truth.as_deref())?;
    let progress = Progress::start(console, "evaluating");
    let options = Evaluate {
        labels: args.labels.clone(),
        order: args.class_order.order(),
        images,
        batch: args.batch.map(|batch| batch as usize),
        limit: args.limit.map(|limit| limit as usize).or(args.find_protocol.then_some(SAMPLE)),
        shard: args.shard,
        threads,
        watch: progress.watch(),
    };
    let evaluator = Evaluator::new(&model, against.as_ref(), truth, options)?;
    for note in evaluator.notes() {
        console.note(note);
    }
    if args.find_protocol {
        return Ok(evaluator.find_protocol(target(args, &model))?);
    }
    let Some(path) = &args.predictions else { return Ok(evaluator.run(|_| Ok(()))?) };
    let mut document = None;
    output::write_whole(path, |file| {
        let mut file = BufWriter::new(file);
        evaluation::csv_head(&mut file)?;
        document = Some(evaluator.run(|row: &Row| evaluation::csv_row(&mut file, row))?);
        file.flush()?;
        Ok(())
    })?;
    document.context("nothing was evaluated")
}
