//! `compare`: whether two models are the same function.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::args::{CompareArgs, Format};
use crate::console::Console;
use crate::exit::Outcome;
use crate::model::{Model, shapes_for};
use crate::progress::Progress;
use crate::proof::{self, Settings, Verdict, Verification};
use crate::{input, render};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    a: String,
    b: String,
    #[serde(flatten)]
    verification: &'a Verification,
    /// Each model against the golden outputs: A's sets, then B's.
    golden: &'a [Held],
}

/// A model against one set of golden outputs.
#[derive(Serialize)]
struct Held {
    model: String,
    #[serde(flatten)]
    verification: Verification,
}

pub(super) fn run(args: &CompareArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let progress = Progress::start(console, "reading both models");
    let (a, b) = Model::load_both(&args.a, &args.b, &args.source)?;
    let settings = Settings {
        threads,
        input_shapes: shapes_for(a.checked.graph(), &args.input_shape)?,
        input_range: a.input_range(),
        tolerance: args.golden.tolerance,
        before_softmax: args.before_softmax,
    };
    progress.step("running both models");
    let verification = proof::compare(&a.checked, &b.checked, &settings)?;
    let mut golden = Vec::new();
    if let Some(path) = &args.golden.golden {
        progress.step("running both on the golden inputs");
        for model in [&a, &b] {
            for set in input::read_golden(path, &model.checked)? {
                let verification = proof::golden(&model.checked, &set, &settings)
                    .with_context(|| format!("{} on {}", model.path.display(), path.display()))?;
                golden.push(Held { model: model.path.display().to_string(), verification });
            }
        }
    }
    drop(progress);
    [&a, &b].into_iter().for_each(|model| model.tell(console));
    let holds = golden.iter().map(|held| held.verification.verdict).chain([verification.verdict]);
    let outcome = if holds.into_iter().all(|v| v == Verdict::Same) { Outcome::Holds } else { Outcome::Fails };
    let (a, b) = (args.a.display().to_string(), args.b.display().to_string());
    match args.format {
        Format::Json => {
            let verification = &verification;
            let document = Document { schema: "residua.compare/1", a, b, verification, golden: &golden };
            render::json(console.out(), &document)?;
        }
        Format::Text => {
            let style = console.style();
            let out = console.out();
            writeln!(out, "{a} and {b}:")?;
            render::verification::text(out, style, &verification)?;
            for held in &golden {
                writeln!(out, "\n{} on the golden inputs:", held.model)?;
                render::verification::text(out, style, &held.verification)?;
            }
        }
    }
    Ok(outcome)
}
