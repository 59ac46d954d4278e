//! `compare`: whether two models are the same function, and if not, where they begin to differ and why.

use anyhow::Result;
use residua::comparison::Comparison;
use residua::ir::Shown;
use residua::model::Model;
use residua::render::json;

use crate::args::{CompareArgs, Format};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render;

pub(super) fn run(args: &CompareArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let progress = Progress::start(console, "reading both models");
    let (a, b) = Model::open_both(&args.a, &args.b, &args.source.options())?;
    let how = Comparison {
        input_shapes: args.input_shape.clone(),
        before_softmax: args.before_softmax,
        numeric: args.numeric,
        layers: args.layers,
        save: args.save.clone(),
        golden: args.golden.golden.clone(),
        tolerance: args.golden.tolerance,
        threads,
        watch: progress.watch(),
    };
    let compared = residua::compare(&a, &b, &how)?;
    drop(progress);
    [&a, &b].into_iter().for_each(|model| console.tell(model));
    match args.format {
        Format::Json => json(console.out(), &compared.document())?,
        Format::Text => {
            let style = console.style();
            let out = console.out();
            writeln!(out, "{} and {}:", a.path().shown(), b.path().shown())?;
            render::verification::text(out, style, &compared.found.verification)?;
            render::verification::details(out, style, &compared.found)?;
            if let (Some(folder), Some(_)) = (&args.save, &compared.saved) {
                writeln!(out, "\nWhat goes into and comes out of that layer is in {}.", folder.shown())?;
            }
            for held in &compared.golden {
                writeln!(out, "\n{} on the golden inputs:", held.model.shown())?;
                render::verification::text(out, style, &held.verification)?;
            }
        }
    }
    Ok(if compared.is_same() { Outcome::Holds } else { Outcome::Fails })
}
