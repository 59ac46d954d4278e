//! Where everything goes: columns beside each other, wrapped where there are many; stacks below each other in each.
//!
//! Coordinates are in pixels, y downwards.

use super::measure::width;
use crate::summary::diagram::{Cell, Column, Diagram, Item, Shortcut, Stack};

pub(super) const MARGIN: f64 = 20.0;
pub(super) const TITLE: f64 = 64.0;
pub(super) const FONT: f64 = 11.5;
pub(super) const SMALL: f64 = 10.0;
pub(super) const BOX: f64 = 24.0;
pub(super) const BETWEEN: f64 = 8.0;
pub(super) const HEAD: f64 = 66.0;
pub(super) const PLUS: f64 = 8.0;
/// Between columns, where the line from one to the next runs.
pub(super) const GUTTER: f64 = 26.0;
/// Between the edge of a box and its text.
pub(super) const INSET: f64 = 7.0;
pub(super) const PAD: f64 = 12.0;
const BADGE: f64 = 46.0;
const LANE: f64 = 22.0;
const MOST_ACROSS: f64 = 1720.0;
const NARROWEST: f64 = 92.0;
const WIDEST: f64 = 220.0;

/// A diagram with places.
pub(super) struct Layout<'a> {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) columns: Vec<Placed<'a>>,
}

/// A column with its place.
pub(super) struct Placed<'a> {
    pub(super) column: &'a Column,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Where the middle of its boxes is.
    pub(super) middle: f64,
    /// Width of its boxes.
    pub(super) boxes: f64,
    /// Width of the boxes on its shortcuts; 0 where there are none.
    pub(super) link_boxes: f64,
    /// Top of each item.
    pub(super) tops: Vec<f64>,
    /// Where the last item ends.
    pub(super) end: f64,
    /// Whether the next column lies below.
    pub(super) wraps: bool,
    /// Whether nothing comes before it, and nothing after.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

/// Height of an item with what joins it to the next.
pub(super) fn item_height(item: &Item) -> f64 {
    match item {
        Item::More(_) => 34.0,
        Item::Stack(stack) => {
            let rows = stack.cells.len().max(1) as f64;
            let links = stack.shortcut.as_ref().map_or(0.0, |link| link.cells.len() as f64);
            let boxes = rows.max(links) * (BOX + BETWEEN);
            // A block has a fork above and a sum below.
            if stack.shortcut.is_some() { 10.0 + boxes + 2.0 * PLUS + 14.0 } else { boxes + 6.0 }
        }
    }
}

/// How far the sides of a box lean inwards: what gives fewer pixels than it takes is narrower below.
pub(super) fn slant(cell: &Cell) -> f64 {
    if cell.strided { 6.0 } else { 0.0 }
}

fn stacks(column: &Column) -> impl Iterator<Item = &Stack> {
    column.items.iter().filter_map(|item| match item {
        Item::Stack(stack) => Some(stack),
        Item::More(_) => None,
    })
}

fn links(column: &Column) -> impl Iterator<Item = &Shortcut> {
    stacks(column).filter_map(|stack| stack.shortcut.as_ref())
}

/// A column at the origin.
fn measured(column: &Column) -> Placed<'_> {
    let widest = |cells: &mut dyn Iterator<Item = &Cell>, size: f64| {
        cells.map(|cell| width(&cell.text, size) + 2.0 * (INSET + slant(cell))).fold(0.0, f64::max)
    };
    let boxes = widest(&mut stacks(column).flat_map(|stack| &stack.cells), FONT).clamp(NARROWEST, WIDEST);
    let link_boxes = widest(&mut links(column).flat_map(|link| &link.cells), SMALL).min(WIDEST);
    let badge = if stacks(column).any(|stack| stack.times > 1 || stack.after.is_some()) { BADGE } else { 0.0 };
    let lane = if links(column).next().is_some() { LANE + link_boxes } else { 0.0 };
    let texts = [&column.name, &column.what, &column.map].map(|text| width(text, FONT) + 2.0 * PAD);
    let heading = texts.into_iter().fold(0.0, f64::max) + 34.0;
    let content = 2.0 * PAD + badge + boxes + lane;
    let all = content.max(heading.min(WIDEST));
    let mut y = HEAD + 14.0;
    let mut tops = Vec::with_capacity(column.items.len());
    for item in &column.items {
        tops.push(y);
        y += item_height(item);
    }
    Placed {
        column,
        x: 0.0,
        y: 0.0,
        width: all,
        height: y + 22.0,
        middle: PAD + badge + boxes / 2.0 + (all - content) / 2.0,
        boxes,
        link_boxes,
        tops,
        end: y,
        wraps: false,
        is_first: false,
        is_last: false,
    }
}

impl<'a> Layout<'a> {
    /// `least` is the width of what stands above the columns.
    pub(super) fn of(diagram: &'a Diagram, least: f64) -> Self {
        let mut columns: Vec<Placed<'a>> = diagram.columns.iter().map(measured).collect();
        let (mut x, mut y, mut first) = (MARGIN, TITLE + 8.0, 0);
        let mut across: f64 = 0.0;
        for index in 0..columns.len() {
            if index > first && x + columns[index].width > MOST_ACROSS {
                columns[index - 1].wraps = true;
                y += level(&mut columns[first..index]) + GUTTER + 8.0;
                (x, first) = (MARGIN, index);
            }
            let column = &mut columns[index];
            column.shift(x, y);
            x += column.width + GUTTER;
            across = across.max(x - GUTTER);
        }
        let bottom = y + level(&mut columns[first..]);
        columns.first_mut().into_iter().for_each(|column| column.is_first = true);
        columns.last_mut().into_iter().for_each(|column| column.is_last = true);
        let notes = diagram.notes.iter().map(|note| width(note, FONT)).fold(least, f64::max);
        let across = across.max(MARGIN + notes.min(MOST_ACROSS));
        Self {
            width: (across + MARGIN).ceil(),
            height: (bottom + 58.0 + 16.0 * diagram.notes.len() as f64).ceil(),
            columns,
        }
    }
}

/// Makes the columns of a row equally high, and gives that height.
fn level(columns: &mut [Placed]) -> f64 {
    let height = columns.iter().map(|column| column.height).fold(0.0, f64::max);
    for column in columns {
        column.height = height;
    }
    height
}

impl Placed<'_> {
    fn shift(&mut self, x: f64, y: f64) {
        (self.x, self.y) = (x, y);
        self.middle += x;
        self.end += y;
        for top in &mut self.tops {
            *top += y;
        }
    }
}
