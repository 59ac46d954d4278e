//! `new`: a network of a standard name with seeded weights.

use std::time::Instant;

use anyhow::Result;
use residua::{New, output};

use super::written::{Writing, target, write};
use crate::args::NewArgs;
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;

pub(super) fn run(args: &NewArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let started = Instant::now();
    let to = target(&args.out, args.layout)?;
    output::refuse(&[&args.out], [])?;
    let progress = Progress::start(console, "making weights");
    let new = New {
        classes: args.classes.map(|classes| classes as usize),
        input: args.input_shape,
        width: args.width,
        survival: args.survival,
        seed: args.seed,
    };
    let model = new.make(&args.name)?;
    let writing = Writing { out: &args.out, to, format: args.format, schema: "residua.new/1", started };
    write(&model, writing, threads, progress, console)
}
