//! `head`: the top of a network off, another on.

use std::time::Instant;

use anyhow::{Result, bail};
use residua::head::{Cut, Part, Squash, read_classes};
use residua::ir::{PoolKind, Shown};
use residua::model::Model;
use residua::render::{bytes, plural};
use residua::{Head, output};

use super::written::{Writing, target, write};
use crate::args::{Classes, HeadArgs, PoolChoice};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;

pub(super) fn run(args: &HeadArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let started = Instant::now();
    let to = target(&args.out, args.layout)?;
    let names = match &args.classes {
        Some(Classes::File(path)) => Some(path.as_path()),
        Some(Classes::Count(_)) | None => None,
    };
    output::refuse(&[&args.out], names.into_iter().chain([args.model.path.as_path()]))?;
    let labels = names.map(read_classes).transpose()?.unwrap_or_default();
    let model = Model::open_strict(&args.model.path, &args.model.options())?;
    console.tell(&model);
    let count = match &args.classes {
        Some(Classes::Count(count)) => Some(*count),
        Some(Classes::File(_)) => Some(labels.len()),
        None => None,
    };
    let parts = match (&args.head, count) {
        (Some(parts), _) => parts.to_vec(),
        (None, Some(count)) => vec![Part::Dense(count, Some(Squash::Softmax))],
        (None, None) => Vec::new(),
    };
    let last = parts.iter().rev().find_map(|part| match part {
        Part::Dense(units, _) => Some(*units),
        Part::Dropout(_) | Part::Activation(_) => None,
    });
    if let (Some(count), Some(units)) = (count, last.filter(|_| args.head.is_some()))
        && count != units
    {
        bail!("--classes has {count} classes, the last dense layer of --head has {units} units");
    }
    let cut = match (&args.cut, args.drop_top) {
        (Some(layer), _) => Cut::Behind(layer.clone()),
        (None, true) => Cut::Top,
        (None, false) => Cut::Nowhere,
    };
    if cut == Cut::Nowhere && args.pool.is_none() && parts.is_empty() {
        bail!("nothing is asked for: --drop-top or --cut says what goes, --pool, --head or --classes what comes");
    }
    let pool = args.pool.map(|pool| match pool {
        PoolChoice::Avg => PoolKind::Mean,
        PoolChoice::Max => PoolKind::Max,
    });
    let progress = Progress::start(console, "cutting");
    let made = Head { cut, pool, parts, labels, seed: args.seed }.put(&model)?;
    console.note(format!(
        "kept up to `{}`: {} and {} of {}, shown to be the source's, every bit of them",
        made.cut.shown(),
        plural(made.base.operators, "operator"),
        plural(made.base.tensors, "tensor"),
        bytes(made.base.bytes)
    ));
    for line in made.notes.iter().chain(&made.added) {
        console.note(line);
    }
    let writing = Writing { out: &args.out, to, format: args.format, schema: "residua.head/1", started };
    write(&made.model, writing, threads, progress, console)
}
