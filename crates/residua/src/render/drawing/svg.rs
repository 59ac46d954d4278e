//! The drawing as SVG, in the manner of the ResNet papers: each block a stack of boxes, its shortcut an arc beside it.
//!
//! It is readable in light and dark, whichever the reader prefers, and refers to nothing outside itself.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;

use crate::error::Result;
use residua_ir::Level;
use residua_resnet::anatomy::ShortcutKind;

use super::layout::{
    BETWEEN, BOX, FONT, GUTTER, HEAD, INSET, Layout, MARGIN, PAD, PLUS, Placed, SMALL, TITLE, item_height, slant,
};
use super::measure::{fitted, width};
use super::{link_text, subtitle, title};
use crate::render::markup::escape;
use crate::render::{blocks, plural};
use crate::summary::Summary;
use crate::summary::diagram::{Bound, Cell, CellKind, Column, Diagram, Item, Shortcut, Stack, Tone};

const STYLE: &str = include_str!("drawing.css");

/// Where a drawing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a file of its own.
    File,
    /// In a page, which has a title of its own.
    Page,
}

/// Writes the drawing.
pub fn svg(out: &mut dyn Write, summary: &Summary, diagram: &Diagram, place: Place) -> Result<()> {
    // A page says above the drawing what it is of, and which findings there are.
    let (top, heading, marks) = match place {
        Place::File => (0.0, true, Marks::default()),
        Place::Page => (TITLE - 12.0, false, Marks::of(summary)),
    };
    let words = [(title(summary), 18.0), (subtitle(summary), 12.0)];
    let least = if heading { words.iter().map(|(text, size)| width(text, *size)).fold(0.0, f64::max) } else { 0.0 };
    let layout = Layout::of(diagram, least);
    let mut drawing = Drawing { text: String::new(), marks, in_page: place == Place::Page };
    let (width, height) = (layout.width, layout.height - top);
    // A page shrinks it a little where that saves scrolling; its blocks are buttons, which an image cannot hold.
    let (shrinks, role) = match place {
        Place::File => (String::new(), "img"),
        Place::Page => (format!("style=\"min-width:{:.0}px\" ", width * 0.8), "group"),
    };
    drawing.push(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 {top} {width} {height}\" width=\"{width}\" height=\"{height}\" \
         {shrinks}role=\"{role}\" aria-labelledby=\"d-title d-desc\" font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif\">"
    ));
    drawing.push(format_args!("<title id=\"d-title\">{}</title>", escape(&title(summary))));
    drawing.push(format_args!("<desc id=\"d-desc\">{}</desc>", escape(&described(summary, diagram))));
    drawing.push(format_args!("<style>{STYLE}</style>"));
    drawing.push(format_args!("<rect class=\"d-bg\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>"));
    if heading {
        let room = width - 2.0 * MARGIN;
        let [(title, _), (subtitle, _)] = &words;
        drawing.text(MARGIN, 30.0, 18.0, "d-ink\" font-weight=\"600", &fitted(title, 18.0, room));
        drawing.text(MARGIN, 50.0, 12.0, "d-soft", &fitted(subtitle, 12.0, room));
    }
    for column in &layout.columns {
        drawing.panel(column);
    }
    for pair in layout.columns.windows(2) {
        drawing.joined(&pair[0], &pair[1]);
    }
    for column in &layout.columns {
        drawing.items(column);
    }
    drawing.legend(diagram, &layout);
    drawing.push(format_args!("</svg>"));
    out.write_all(drawing.text.as_bytes())?;
    Ok(())
}

/// The drawing in a sentence, for those who do not see it.
fn described(summary: &Summary, diagram: &Diagram) -> String {
    let part = |column: &Column| {
        let words = [&column.name, &column.what, &column.map].map(String::as_str);
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
    };
    let parts: Vec<String> = diagram.columns.iter().map(part).collect();
    format!("{}. From input to output: {}.", subtitle(summary), parts.join("; "))
}

/// Findings by the part of the network that they are about: how many, and how bad the worst is.
#[derive(Default)]
struct Marks<'a>(HashMap<&'a str, (usize, Level)>);

impl<'a> Marks<'a> {
    fn of(summary: &'a Summary) -> Self {
        let levels: HashMap<&str, Level> = summary.findings.iter().map(|found| (found.code.id, found.level)).collect();
        let mut marks = HashMap::new();
        for row in &summary.layers {
            let Some(part) = row.part else { continue };
            for code in &row.findings {
                let level = levels.get(code).copied().unwrap_or(Level::Note);
                let mark = marks.entry(part).or_insert((0, level));
                *mark = (mark.0 + 1, mark.1.max(level));
            }
        }
        Self(marks)
    }

    /// Of several parts together.
    fn at(&self, parts: &[String]) -> Option<(usize, Level)> {
        let found = parts.iter().filter_map(|part| self.0.get(part.as_str()).copied());
        found.reduce(|a, b| (a.0 + b.0, a.1.max(b.1)))
    }
}

struct Drawing<'a> {
    text: String,
    marks: Marks<'a>,
    /// Whether scripts of a page make parts of it buttons.
    in_page: bool,
}

impl Drawing<'_> {
    fn push(&mut self, arguments: std::fmt::Arguments) {
        // A string takes whatever is written to it.
        let _ = self.text.write_fmt(arguments);
        self.text.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, size: f64, class: &str, text: &str) {
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" class=\"{class}\">{}</text>",
            escape(text)
        ));
    }

    fn arrow_down(&mut self, x: f64, from: f64, to: f64) {
        self.push(format_args!("<path class=\"d-line\" d=\"M{x:.1} {from:.1}V{:.1}\"/>", to - 3.0));
        self.push(format_args!("<path class=\"d-head\" d=\"M{:.1} {:.1}h6l-3 5z\"/>", x - 3.0, to - 5.0));
    }

    /// The line from one column to the next.
    fn joined(&mut self, from: &Placed, to: &Placed) {
        let start = from.end;
        let low = start + 10.0;
        let entry = to.y + HEAD;
        let target = to.tops.first().copied().unwrap_or(to.end);
        let mut path = format!("M{:.1} {:.1}V{:.1}", from.middle, start - 2.0, low);
        if from.wraps {
            let between = from.y + from.height + GUTTER / 2.0;
            let _ = write!(path, "H{:.1}V{between:.1}H{:.1}", from.x + from.width + GUTTER / 2.0, to.x - GUTTER / 2.0);
        } else {
            let _ = write!(path, "H{:.1}", to.x - GUTTER / 2.0);
        }
        let _ = write!(path, "V{entry:.1}H{:.1}V{:.1}", to.middle, target);
        self.push(format_args!("<path class=\"d-line\" stroke-linejoin=\"round\" d=\"{path}\"/>"));
    }

    /// The ground of a column, with what is said of all in it.
    fn panel(&mut self, placed: &Placed) {
        let Placed { column, x, y, width, height, .. } = *placed;
        self.push(format_args!(
            "<rect class=\"d-panel\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"10\"/>"
        ));
        let scale = column.scale.map_or(0.0, |scale| 22.0 * scale.clamp(0.0, 1.0).sqrt());
        let room = width - 2.0 * PAD - if scale > 0.0 { 30.0 } else { 0.0 };
        let mut line = y + 21.0;
        self.text(x + PAD, line, 13.0, "d-ink\" font-weight=\"600", &fitted(&column.name, 13.5, room));
        for (words, room) in [(&column.what, room), (&column.map, width - 2.0 * PAD)] {
            if !words.is_empty() {
                line += 15.5;
                self.text(x + PAD, line, FONT, "d-soft", &fitted(words, FONT, room));
            }
        }
        if scale > 0.0 {
            // The map itself, as large as it is beside the others.
            let left = x + width - PAD - scale;
            self.push(format_args!(
                "<rect class=\"d-map\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{scale:.1}\" height=\"{scale:.1}\" rx=\"1.5\"/>",
                y + PAD
            ));
        }
        let part = if placed.is_first { "stem" } else { "head" };
        if (placed.is_first || placed.is_last)
            && let Some(mark) = self.marks.at(&[part.to_owned()])
        {
            self.mark(x + width - PAD, y + 50.0, mark);
        }
    }

    fn items(&mut self, placed: &Placed) {
        let column = placed.column;
        for (index, item) in column.items.iter().enumerate() {
            let top = placed.tops[index];
            let bottom = top + item_height(item);
            let ends = Ends {
                from: (index > 0 || !placed.is_first).then_some(top),
                to: (index + 1 < column.items.len() || !placed.is_last).then_some(bottom),
            };
            match item {
                Item::Stack(stack) => self.stack(placed, stack, top, bottom, ends),
                Item::More(words) => {
                    let x = placed.middle;
                    self.push(format_args!(
                        "<path class=\"d-line\" stroke-dasharray=\"2 3\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"
                    ));
                    self.text(x + 8.0, top + 20.0, SMALL, "d-soft", &fitted(words, SMALL, placed.boxes / 2.0));
                }
            }
        }
    }

    fn stack(&mut self, placed: &Placed, stack: &Stack, top: f64, bottom: f64, ends: Ends) {
        let mut told = vec![stack.name()];
        told.extend(stack.cells.iter().map(|cell| cell.text.clone()));
        told.extend(stack.shortcut.as_ref().map(|link| format!("shortcut: {}", link_text(link))));
        told.retain(|text| !text.is_empty());
        let told = escape(&told.join(" · "));
        let button = if self.in_page && !stack.blocks.is_empty() {
            format!(" tabindex=\"0\" role=\"button\" aria-label=\"{told}\" data-name=\"{}\"", escape(&stack.name()))
        } else {
            String::new()
        };
        let parts = if self.in_page { stack.blocks.join(" ") } else { stack.name() };
        self.push(format_args!("<g class=\"d-stack\" data-parts=\"{}\"{button}>", escape(&parts)));
        self.push(format_args!("<title>{told}</title>"));
        let is_block = stack.shortcut.is_some();
        let fork = top + 4.0;
        let first = top + if is_block { 12.0 } else { 4.0 };
        let mut before = ends.from;
        let left = placed.middle - placed.boxes / 2.0;
        for (index, cell) in stack.cells.iter().enumerate() {
            let y = first + index as f64 * (BOX + BETWEEN);
            if let Some(before) = before {
                self.arrow_down(placed.middle, before, y);
            }
            if stack.times > 1 {
                let class = format!("d-ghost {}", tone(placed.column.tone, cell));
                self.shape(cell, &class, [left + 4.0, y + 4.0, placed.boxes]);
            }
            self.cell(cell, placed.column.tone, [left, y, placed.boxes], FONT);
            before = Some(y + BOX);
        }
        let end = before.unwrap_or(top);
        if let Some(link) = &stack.shortcut {
            let sum = bottom - 14.0;
            self.arrow_down(placed.middle, end, sum - PLUS);
            self.arc(placed, link, fork, sum);
            self.sum(placed, stack.after.as_deref(), sum);
        }
        if let Some(bottom) = ends.to {
            let from = if is_block { bottom - 14.0 + PLUS } else { end };
            self.push(format_args!("<path class=\"d-line\" d=\"M{:.1} {from:.1}V{bottom:.1}\"/>", placed.middle));
        }
        self.times(placed, stack, first, end);
        if let Some(mark) = self.marks.at(&stack.blocks) {
            self.mark(left - 6.0, first + 4.0, mark);
        }
        self.push(format_args!("</g>"));
    }

    /// Where two paths are added, and the activation behind that.
    fn sum(&mut self, placed: &Placed, after: Option<&str>, sum: f64) {
        let (x, arm) = (placed.middle, PLUS / 2.0);
        self.push(format_args!("<circle class=\"d-sum\" cx=\"{x:.1}\" cy=\"{sum:.1}\" r=\"{PLUS}\"/>"));
        self.push(format_args!(
            "<path class=\"d-line\" d=\"M{:.1} {sum:.1}h{PLUS}M{x:.1} {:.1}v{PLUS}\"/>",
            x - arm,
            sum - arm
        ));
        if let Some(after) = after {
            let right = x - PLUS - 5.0;
            let after = fitted(after, SMALL, right - placed.x - PAD);
            self.text(right, sum + 3.5, SMALL, "d-soft\" text-anchor=\"end", &after);
        }
    }

    /// How many findings there are of a part, in the colour of the worst; its right edge at `x`.
    fn mark(&mut self, x: f64, y: f64, (count, level): (usize, Level)) {
        let text = count.to_string();
        let wide = width(&text, SMALL) + 10.0;
        let left = x - wide;
        self.push(format_args!("<g class=\"d-mark d-{level}\"><title>{}</title>", plural(count, "finding")));
        self.push(format_args!(
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"15\" rx=\"7.5\"/>",
            y - 7.5
        ));
        self.text(left + wide / 2.0, y + 3.5, SMALL, "d-mark-text\" text-anchor=\"middle\" font-weight=\"600", &text);
        self.push(format_args!("</g>"));
    }

    /// How often a stack is there, on its left.
    fn times(&mut self, placed: &Placed, stack: &Stack, first: f64, last: f64) {
        if stack.times > 1 {
            let left = placed.middle - placed.boxes / 2.0;
            self.push(format_args!("<path class=\"d-line\" d=\"M{:.1} {first:.1}h-4V{last:.1}h4\"/>", left - 6.0));
            let middle = (first + last) / 2.0 + 4.0;
            self.text(
                left - 14.0,
                middle,
                12.0,
                "d-ink\" font-weight=\"600\" text-anchor=\"end",
                &format!("×{}", stack.times),
            );
        }
    }

    fn arc(&mut self, placed: &Placed, link: &Shortcut, fork: f64, sum: f64) {
        let (name, tip) = match link.kind {
            ShortcutKind::Identity => ("", "d-tip"),
            ShortcutKind::Projection => (" d-projection", "d-projection-tip"),
            ShortcutKind::Pad => (" d-pad", "d-pad-tip"),
            ShortcutKind::Pool => (" d-pool", "d-pool-tip"),
            ShortcutKind::Unknown => (" d-ghost", "d-tip"),
        };
        let edge = placed.middle + placed.boxes / 2.0;
        let lane = edge + 14.0 + if link.cells.is_empty() { 0.0 } else { placed.link_boxes / 2.0 };
        let (end, radius) = (placed.middle + PLUS, 9.0);
        self.push(format_args!(
            "<path class=\"d-link{name}\" d=\"M{:.1} {fork:.1}H{:.1}q{radius} 0 {radius} {radius}V{:.1}q0 {radius} -{radius} {radius}H{:.1}\"/>",
            placed.middle,
            lane - radius,
            sum - radius,
            end + 5.0
        ));
        self.push(format_args!("<path class=\"{tip}\" d=\"M{end:.1} {sum:.1}l6 -3.2v6.4z\"/>"));
        let count = link.cells.len() as f64;
        let first = (fork + sum) / 2.0 - (count * (BOX + BETWEEN) - BETWEEN) / 2.0;
        for (index, cell) in link.cells.iter().enumerate() {
            let y = first + index as f64 * (BOX + BETWEEN);
            self.cell(cell, placed.column.tone, [lane - placed.link_boxes / 2.0, y, placed.link_boxes], SMALL);
        }
    }

    /// The outline of a box.
    fn shape(&mut self, cell: &Cell, class: &str, [x, y, width]: [f64; 3]) {
        if cell.strided {
            let (right, lean) = (x + width, slant(cell));
            self.push(format_args!(
                "<polygon class=\"d-box {class}\" stroke-linejoin=\"round\" points=\"{x:.1},{y:.1} {right:.1},{y:.1} {:.1},{below:.1} {:.1},{below:.1}\"/>",
                right - lean,
                x + lean,
                below = y + BOX
            ));
            return;
        }
        let round = match cell.kind {
            CellKind::Weighted(_) | CellKind::Other => 5.0,
            CellKind::Pool | CellKind::Gate | CellKind::End => BOX / 2.0,
        };
        self.push(format_args!(
            "<rect class=\"d-box {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BOX}\" rx=\"{round}\"/>"
        ));
    }

    fn cell(&mut self, cell: &Cell, of: Tone, [x, y, width]: [f64; 3], size: f64) {
        self.shape(cell, &tone(of, cell), [x, y, width]);
        let strip = match cell.kind {
            CellKind::Weighted(Bound::Before) => Some(y + 1.6),
            CellKind::Weighted(Bound::Behind) => Some(y + BOX - 3.6),
            CellKind::Weighted(Bound::Nowhere) | CellKind::Pool | CellKind::Gate | CellKind::End | CellKind::Other => {
                None
            }
        };
        if let Some(strip) = strip {
            self.push(format_args!(
                "<rect class=\"d-bound\" x=\"{:.1}\" y=\"{strip:.1}\" width=\"{:.1}\" height=\"2\" rx=\"1\"/>",
                x + INSET + slant(cell),
                width - 2.0 * (INSET + slant(cell))
            ));
        }
        let text = fitted(&cell.text, size, width - 2.0 * slant(cell) - INSET);
        let (x, y) = (x + width / 2.0, y + BOX / 2.0 + size * 0.34);
        self.text(x, y, size, "d-ink\" text-anchor=\"middle", &text);
    }

    /// What lines and strips mean, as far as the drawing has them; then what it leaves out.
    fn legend(&mut self, diagram: &Diagram, layout: &Layout) {
        let mut y = layout.height - 34.0 - 16.0 * diagram.notes.len() as f64;
        let mut x = MARGIN;
        let stacks = || {
            diagram.columns.iter().flat_map(|column| &column.items).filter_map(|item| match item {
                Item::Stack(stack) => Some(stack),
                Item::More(_) => None,
            })
        };
        let mut entries: Vec<(String, String)> = Vec::new();
        let lines = [
            (ShortcutKind::Identity, "d-link"),
            (ShortcutKind::Projection, "d-link d-projection"),
            (ShortcutKind::Pad, "d-link d-pad"),
            (ShortcutKind::Pool, "d-link d-pool"),
            (ShortcutKind::Unknown, "d-link d-ghost"),
        ];
        for (kind, class) in lines {
            if stacks().any(|stack| stack.shortcut.as_ref().is_some_and(|link| link.kind == kind)) {
                let line = format!("<path class=\"{class}\" d=\"M0 -4h24\"/>");
                entries.push((line, format!("{} shortcut", blocks::shortcut(kind))));
            }
        }
        for (bound, at, words) in
            [(Bound::Before, -11.0, "norm and activation before"), (Bound::Behind, -1.0, "norm or activation behind")]
        {
            if stacks().flat_map(|stack| &stack.cells).any(|cell| cell.kind == CellKind::Weighted(bound)) {
                let line = format!(
                    "<rect class=\"d-box d-plain\" y=\"-13\" width=\"24\" height=\"15\" rx=\"3\"/><rect class=\"d-bound\" x=\"4\" y=\"{at}\" width=\"16\" height=\"2\" rx=\"1\"/>"
                );
                entries.push((line, words.to_owned()));
            }
        }
        if stacks().flat_map(|stack| &stack.cells).any(|cell| cell.strided) {
            let shape = "<polygon class=\"d-box d-plain\" points=\"0,-13 24,-13 19,2 5,2\"/>".to_owned();
            entries.push((shape, "fewer pixels".to_owned()));
        }
        if diagram.columns.iter().any(|column| column.scale.is_some()) {
            let map = "<rect class=\"d-map\" x=\"6\" y=\"-11\" width=\"12\" height=\"12\" rx=\"1.5\"/>".to_owned();
            entries.push((map, "size of the maps, beside the image's".to_owned()));
        }
        for (sign, words) in entries {
            let across = 30.0 + width(&words, FONT) + 18.0;
            if x + across > layout.width && x > MARGIN {
                (x, y) = (MARGIN, y + 18.0);
            }
            self.push(format_args!("<g transform=\"translate({x:.1} {y:.1})\">{sign}</g>"));
            self.text(x + 30.0, y, FONT, "d-soft", &words);
            x += across;
        }
        for (index, note) in diagram.notes.iter().enumerate() {
            let y = layout.height - 14.0 - 16.0 * (diagram.notes.len() - 1 - index) as f64;
            self.text(MARGIN, y, FONT, "d-soft", &fitted(note, FONT, layout.width - 2.0 * MARGIN));
        }
    }
}

/// Where the line begins that leads to a stack, and where the one ends that leaves it; none at the ends of a network.
struct Ends {
    from: Option<f64>,
    to: Option<f64>,
}

/// The colour of a box.
fn tone(of: Tone, cell: &Cell) -> String {
    match (cell.kind, of) {
        (CellKind::End | CellKind::Pool | CellKind::Other, _) => "d-plain".to_owned(),
        (CellKind::Weighted(_) | CellKind::Gate, Tone::Neutral) => "d-n".to_owned(),
        (CellKind::Weighted(_) | CellKind::Gate, Tone::Stage(index)) => format!("d-{}", index % 5),
    }
}
