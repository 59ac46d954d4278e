//! `compare`: whether two models are the same function, and if not, where they begin to differ and why.

mod save;

use anyhow::{Context, Result};
use residua_ir::Shown;
use serde::Serialize;

use crate::args::{CompareArgs, Format};
use crate::console::Console;
use crate::exit::Outcome;
use crate::model::{Model, shapes_for};
use crate::progress::Progress;
use crate::proof::{self, Cause, LayerDifference, Settings, Verdict, Verification, Wanted};
use crate::{input, render};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    a: String,
    b: String,
    /// How each network was told, and what was taken where the file leaves it open: A's, then B's.
    source_notes: [&'a [String]; 2],
    #[serde(flatten)]
    verification: &'a Verification,
    /// Why they differ; null where they do not, or where nothing that was tried explains it.
    cause: &'a Option<Cause>,
    /// Every layer that both have, with `--layers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<&'a [LayerDifference]>,
    /// Files that `--save` wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<Vec<String>>,
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
        written: None,
    };
    progress.step("running both models");
    let wanted = Wanted { layers: args.layers, failing: args.save.is_some(), cause: true };
    let found = proof::examine(&a.checked, &b.checked, &settings, wanted)?;
    let verification = &found.verification;
    let mut golden = Vec::new();
    if let Some(path) = &args.golden.golden {
        progress.step("running both on the golden inputs");
        for model in [&a, &b] {
            for set in input::read_golden(path, &model.checked)? {
                let verification = proof::golden(&model.checked, &set, &settings)
                    .with_context(|| format!("{} on {}", model.path.shown(), path.shown()))?;
                golden.push(Held { model: model.path.to_string_lossy().into_owned(), verification });
            }
        }
    }
    let saved = match (&args.save, &found.failing) {
        (Some(folder), Some(failing)) => Some(save::write(folder, failing, [&args.a, &args.b], verification)?),
        (Some(_), None) | (None, _) => None,
    };
    drop(progress);
    [&a, &b].into_iter().for_each(|model| model.tell(console));
    let holds = golden.iter().map(|held| held.verification.verdict).chain([verification.verdict]);
    let outcome = if holds.into_iter().all(|v| v == Verdict::Same) { Outcome::Holds } else { Outcome::Fails };
    let source_notes = [a.told(), b.told()];
    let (a, b) = (args.a.to_string_lossy().into_owned(), args.b.to_string_lossy().into_owned());
    match args.format {
        Format::Json => {
            let document = Document {
                schema: "residua.compare/1",
                a,
                b,
                source_notes,
                verification,
                cause: &found.cause,
                layers: args.layers.then_some(&found.layers),
                saved: saved.map(|files| files.iter().map(|file| file.to_string_lossy().into_owned()).collect()),
                golden: &golden,
            };
            render::json(console.out(), &document)?;
        }
        Format::Text => {
            let style = console.style();
            let out = console.out();
            writeln!(out, "{} and {}:", a.shown(), b.shown())?;
            render::verification::text(out, style, verification)?;
            render::verification::details(out, style, &found)?;
            if let (Some(folder), Some(_)) = (&args.save, &saved) {
                writeln!(out, "\nWhat goes into and comes out of that layer is in {}.", folder.shown())?;
            }
            for held in &golden {
                writeln!(out, "\n{} on the golden inputs:", held.model.shown())?;
                render::verification::text(out, style, &held.verification)?;
            }
        }
    }
    Ok(outcome)
}
