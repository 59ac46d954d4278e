//! The difference of two models as tables, and as Markdown.

use std::io::{self, Write};

use super::table::{self, Column, numbers, words};
use super::{markdown, plural, small};
use crate::diff::{Change, Differences, Layer, LayerChange, Moved, Single, TensorChange};

/// At most so many rows of a table are shown; the JSON has all.
pub const LISTED: usize = 16;

/// What differs of one kind.
pub struct Part {
    /// Of which kind.
    pub title: &'static str,
    /// The columns of its table.
    pub columns: Vec<Column>,
    /// A row each.
    pub rows: Vec<Vec<String>>,
}

impl Part {
    fn new(title: &'static str, columns: Vec<Column>, rows: impl Iterator<Item = Vec<String>>) -> Self {
        Self { title, columns, rows: rows.collect() }
    }

    /// How many rows are more than are listed.
    #[must_use]
    pub fn more(&self) -> Option<usize> {
        self.rows.len().checked_sub(LISTED).filter(|more| *more > 0)
    }
}

/// What differs, a part a kind; those of which there is nothing have no rows.
#[must_use]
pub fn parts(differences: &Differences) -> Vec<Part> {
    let Differences { model, layers, tensors, .. } = differences;
    let change = |change: &Change| vec![change.what.clone(), change.a.clone(), change.b.clone()];
    let layer = |layer: &Layer| vec![layer.name.clone(), layer.op.clone()];
    let single = |single: &Single| vec![single.name.clone(), single.dtype.clone(), format!("{:?}", single.shape)];
    let in_layer = || vec![words("layer"), words("operator")];
    let of_tensor = || vec![words("tensor"), words("type"), words("shape")];
    let changed = layers.changed.iter().flat_map(|LayerChange { name, name_b, attributes, .. }| {
        attributes.iter().map(move |of| vec![both(name, name_b), of.what.clone(), of.a.clone(), of.b.clone()])
    });
    let moved = |Moved { name, name_b, a, b }: &Moved| vec![both(name, name_b), a.join(", "), b.join(", ")];
    vec![
        Part::new("", vec![words(""), words("A"), words("B")], model.iter().map(change)),
        Part::new("layers only in A", in_layer(), layers.only_a.iter().map(layer)),
        Part::new("layers only in B", in_layer(), layers.only_b.iter().map(layer)),
        Part::new(
            "layers that compute something else",
            vec![words("layer"), words("attribute"), words("A"), words("B")],
            changed,
        ),
        Part::new(
            "layers that take something else",
            vec![words("layer"), words("takes in A"), words("takes in B")],
            layers.moved.iter().map(moved),
        ),
        Part::new(
            "layers with another name",
            vec![words("operator"), words("A"), words("B")],
            layers.renamed.iter().map(change),
        ),
        Part::new("tensors only in A", of_tensor(), tensors.only_a.iter().map(single)),
        Part::new("tensors only in B", of_tensor(), tensors.only_b.iter().map(single)),
        Part::new(
            "tensors with another name",
            vec![words("A"), words("B")],
            tensors.renamed.iter().map(|change| vec![change.a.clone(), change.b.clone()]),
        ),
        Part::new(
            "tensors with other contents",
            vec![
                words("tensor"),
                words("A"),
                words("B"),
                numbers("max abs"),
                numbers("max rel"),
                numbers("differ"),
                numbers("of"),
            ],
            tensors.changed.iter().map(contents),
        ),
    ]
}

fn contents(change: &TensorChange) -> Vec<String> {
    let number = |value: Option<f64>| value.map(small).unwrap_or_default();
    let count = |value: Option<usize>| value.map(|count| super::number(count as u64)).unwrap_or_default();
    vec![
        both(&change.name, &change.name_b),
        change.a.clone(),
        if change.a == change.b { String::new() } else { change.b.clone() },
        number(change.max_abs),
        number(change.max_rel),
        count(change.differing),
        super::number(change.elements as u64),
    ]
}

/// A name, or what it is in A and in B.
fn both(a: &str, b: &str) -> String {
    if a == b { a.to_owned() } else { format!("{a} → {b}") }
}

/// What is the same, and how many elements differ.
#[must_use]
pub fn summary(differences: &Differences) -> String {
    let (layers, tensors) = (&differences.layers, &differences.tensors);
    let renamed = |count: usize| if count > 0 { format!(" ({} under another name)", count) } else { String::new() };
    let same = tensors.same + tensors.renamed.len();
    let mut text = format!(
        "{} and {}{} are the same",
        plural(layers.same, "layer"),
        plural(same, "tensor"),
        renamed(tensors.renamed.len())
    );
    if tensors.differing > 0 {
        let (differing, all) = (super::number(tensors.differing as u64), super::number(tensors.elements as u64));
        text.push_str(&format!("; {differing} of {all} elements differ"));
    }
    text
}

/// Writes what differs, for a comment on a pull request.
///
/// # Errors
/// Those of the writer.
pub fn markdown(out: &mut dyn Write, differences: &Differences) -> io::Result<()> {
    let (a, b) = (markdown::code(&differences.a), markdown::code(&differences.b));
    writeln!(out, "### {}: {a} and {b}\n", differences.verdict)?;
    writeln!(out, "{}.", summary(differences))?;
    for part in parts(differences).into_iter().filter(|part| !part.rows.is_empty()) {
        writeln!(out)?;
        if !part.title.is_empty() {
            writeln!(out, "**{} ({})**\n", part.title, part.rows.len())?;
        }
        let more = part.more();
        table::markdown(out, &part.columns, table::inline(part.rows.into_iter().take(LISTED).collect()))?;
        if let Some(more) = more {
            writeln!(out, "\n… and {more} more.")?;
        }
    }
    Ok(())
}
