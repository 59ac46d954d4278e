//! Any other network: what it does in the order in which it does it, a column for each size of its maps.
//!
//! Branches are not drawn: where paths meet there is a box that says so.

use std::collections::BTreeMap;

use residua_ir::{Checked, Dim, ValueId};

use super::cells;
use super::{Cell, CellKind, Column, Diagram, Item, Stack, Tone, shortened, stack};
use crate::render::plural;

/// More boxes do not make a longer pattern.
const LONGEST_PATTERN: usize = 12;

/// More columns than a drawing is read with; what lies behind them goes into the last.
const MOST_COLUMNS: usize = 14;

pub(super) fn diagram(model: &Checked, sized: &Checked) -> Diagram {
    let graph = sized.graph();
    let sizes = Sizes::of(sized);
    let mut runs: BTreeMap<usize, Run> = BTreeMap::new();
    runs.entry(0).or_default().cells.extend(graph.inputs().iter().map(|&id| cells::end(model, id)));
    for node in graph.nodes() {
        let Some(cell) = cells::node(sized, node) else { continue };
        let run = runs.entry(sizes.before[node.output().index()].min(MOST_COLUMNS - 1)).or_default();
        run.cells.push(cell);
        run.last = Some(node.output());
    }
    let outputs = graph.outputs().iter().map(|&id| cells::end(model, id));
    if let Some(mut last) = runs.last_entry() {
        last.get_mut().cells.extend(outputs);
    }
    let columns = runs.into_values().enumerate().map(|(index, run)| column(sized, index, run)).collect();
    let notes =
        ["No residual blocks were found.", "Operations are in the order in which they run; branches are not drawn."];
    Diagram { columns, notes: notes.map(str::to_owned).to_vec() }
}

/// How often the size of the map has changed on the way to each value; branches are as far as the longest of them.
struct Sizes {
    before: Vec<usize>,
    /// Rows of the map; none for features, and for maps of one pixel.
    rows: Vec<Option<Dim>>,
}

impl Sizes {
    fn of(model: &Checked) -> Self {
        let graph = model.graph();
        let count = graph.values().len();
        let mut sizes = Self { before: vec![0; count], rows: vec![None; count] };
        for &input in graph.inputs() {
            sizes.rows[input.index()] = rows(model, input).unwrap_or_default();
        }
        for node in graph.nodes() {
            let operands = || node.inputs.iter().filter(|&&value| graph.as_parameter(value).is_none());
            for &output in &node.outputs {
                let first = || operands().find_map(|value| sizes.rows[value.index()].clone());
                let size = rows(model, output).unwrap_or_else(first);
                let furthest =
                    |values: &mut dyn Iterator<Item = &ValueId>| values.map(|value| sizes.before[value.index()]).max();
                // A gate is multiplied with what it was made of.
                let same = furthest(&mut operands().filter(|value| sizes.rows[value.index()] == size));
                let before = same.or_else(|| Some(furthest(&mut operands())? + 1)).unwrap_or(0);
                (sizes.before[output.index()], sizes.rows[output.index()]) = (before, size);
            }
        }
        sizes
    }
}

/// Rows of a map. [`None`] for what is neither a map nor features: pixels or channels that are being rearranged.
fn rows(model: &Checked, value: ValueId) -> Option<Option<Dim>> {
    match model.shape_of(value)?.dims() {
        [_, _, rows, columns] => Some((rows.fixed() != Some(1) || columns.fixed() != Some(1)).then(|| rows.clone())),
        [] | [_] | [_, _] => Some(None),
        _ => None,
    }
}

/// Nodes whose maps have the same size.
#[derive(Default)]
struct Run {
    last: Option<ValueId>,
    cells: Vec<Cell>,
}

fn column(sized: &Checked, index: usize, run: Run) -> Column {
    let weighted = run.cells.iter().filter(|cell| matches!(cell.kind, CellKind::Weighted(_))).count();
    let last = run.last.or_else(|| sized.graph().inputs().first().copied());
    let size = last.filter(|&value| rows(sized, value).flatten().is_some()).and_then(|value| sized.shape_of(value));
    let (name, tone) = match size {
        Some(size) => (cells::pixels(size), Tone::Stage(index)),
        None if index == 0 => ("input".to_owned(), Tone::Neutral),
        None => ("features".to_owned(), Tone::Neutral),
    };
    Column {
        name,
        what: if weighted == 0 { String::new() } else { format!("{} with weights", plural(weighted, "layer")) },
        map: cells::channels(last.and_then(|value| sized.shape_of(value))),
        scale: last.and_then(|value| cells::scale(sized, value)),
        tone,
        items: shortened(folded(&run.cells)),
    }
}

/// Boxes with each pattern that repeats drawn once; of several the one that covers most.
fn folded(cells: &[Cell]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < cells.len() {
        let rest = &cells[at..];
        let repeats = |length: usize| {
            let pattern = &rest[..length];
            rest.chunks_exact(length).take_while(|&chunk| chunk == pattern).count()
        };
        let lengths = 1..=LONGEST_PATTERN.min(rest.len() / 2);
        // Of equal covers the shortest pattern.
        let best = lengths.map(|length| (length * repeats(length), length)).filter(|&(cover, length)| cover > length);
        match best.max_by_key(|&(cover, length)| (cover, std::cmp::Reverse(length))) {
            Some((cover, length)) => {
                let (blocks, times, cells) = (Vec::new(), cover / length, rest[..length].to_vec());
                items.push(Item::Stack(Stack { blocks, times, cells, shortcut: None, after: None }));
                at += cover;
            }
            None => {
                items.push(stack(vec![cells[at].clone()]));
                at += 1;
            }
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::super::CellKind;
    use super::*;

    #[test]
    fn a_pattern_that_repeats_is_drawn_once() {
        let cells: Vec<Cell> = "abcbcbcdd".chars().map(|c| Cell::new(c, CellKind::Other)).collect();
        let found: Vec<(String, usize)> = folded(&cells)
            .into_iter()
            .map(|item| match item {
                Item::Stack(stack) => (stack.cells.into_iter().map(|cell| cell.text).collect(), stack.times),
                Item::More(_) => panic!("nothing is left out"),
            })
            .collect();
        assert_eq!(found, [("a".to_owned(), 1), ("bc".to_owned(), 3), ("d".to_owned(), 2)]);
    }
}
