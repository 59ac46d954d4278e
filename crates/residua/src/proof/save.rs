//! The first layer that differs, for a bug report: its arrays as `.npy`, and what they are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, bail};
use residua_emit::place::{MadeFolder, commit_together};
use residua_ir::{DType, Hint, Shown};
use serde::Serialize;

use super::{Divergence, Failing, Verification};
use crate::input::write_npy;
use crate::output::stage;
use crate::render;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    a: String,
    b: String,
    first_divergence: &'a Option<Divergence>,
    arrays: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    file: String,
    what: &'static str,
    shape: &'a [usize],
}

/// What an array is, for people.
fn describe(name: &str) -> &'static str {
    match name {
        "input_a" => "what goes into the layer of A",
        "output_a" => "what comes out of it, norm and activation behind it included",
        "input_b" => "what goes into the layer of B",
        _ => "what comes out of it",
    }
}

/// Writes the arrays and `difference.json` into a folder that is made for them, or is empty.
pub(crate) fn write(
    folder: &Path,
    failing: &Failing,
    [a, b]: [&Path; 2],
    verification: &Verification,
) -> Result<Vec<PathBuf>> {
    let _made = MadeFolder::make(folder)?;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.shown()))? {
        // What a run that was killed has left is removed with the first file.
        if !entry?.file_name().to_string_lossy().starts_with(".residua-") {
            bail!("{} {}: the folder is not empty; choose another", Hint::Save, folder.shown());
        }
    }
    let mut files = Vec::new();
    let mut pending = Vec::new();
    let mut arrays = Vec::new();
    for (name, array) in &failing.arrays {
        let file = format!("{name}.npy");
        let path = folder.join(&file);
        pending.push(stage(&path, |to| Ok(write_npy(to, DType::F64, array.shape(), &array.to_f64())?))?);
        files.push(path);
        arrays.push(Entry { file, what: describe(name), shape: array.shape() });
    }
    let document = Document {
        schema: "residua.difference/1",
        a: a.to_string_lossy().into_owned(),
        b: b.to_string_lossy().into_owned(),
        first_divergence: &verification.first_divergence,
        arrays,
    };
    let path = folder.join("difference.json");
    // It names the arrays, so it comes last.
    pending.push(stage(&path, |to| render::json(to, &document))?);
    commit_together(pending)?;
    files.push(path);
    Ok(files)
}
