//! The drawing as SVG, in the manner of the ResNet papers: each block a stack of boxes, its shortcut an arc beside it.
//!
//! It is readable in light and dark, whichever the reader prefers, and refers to nothing outside itself.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;

use crate::error::Result;
use maud::{Markup, PreEscaped, html as template};
use residua_ir::Level;
use residua_resnet::anatomy::ShortcutKind;

use super::layout::{
    BETWEEN, BOX, FONT, GUTTER, HEAD, INSET, Layout, MARGIN, PAD, PLUS, Placed, SMALL, TITLE, item_height, slant,
};
use super::measure::{fitted, width};
use super::{link_text, subtitle, title};
use crate::render::markup::Line;
use crate::render::{blocks, plural};
use crate::summary::Summary;
use crate::summary::diagram::{Bound, Cell, CellKind, Column, Diagram, Item, Shortcut, Stack, Tone};

const STYLE: &str = include_str!("drawing.css");
const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif";

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
    let drawing = Drawing { marks, in_page: place == Place::Page };
    let (width, height) = (layout.width, layout.height - top);
    // A page shrinks it a little where that saves scrolling; its blocks are buttons, which an image cannot hold.
    let (shrinks, role) = match place {
        Place::File => (None, "img"),
        Place::Page => (Some(format!("min-width:{:.0}px", width * 0.8)), "group"),
    };
    let room = width - 2.0 * MARGIN;
    let [(title, _), (subtitle, _)] = &words;
    let drawn = template! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 " (top) " " (width) " " (height) } width=(width)
            height=(height) style=[shrinks] role=(role) aria-labelledby="d-title d-desc" font-family=(FONTS) {
            title id="d-title" { (Line(title)) }
            desc id="d-desc" { (Line(&described(summary, diagram))) }
            style { (PreEscaped(STYLE)) }
            rect class="d-bg" y=(top) width=(width) height=(height) {}
            @if heading {
                (TITLE_TEXT.at(MARGIN, 30.0, &fitted(title, 18.0, room)))
                (Text { size: 12.0, ..NOTE }.at(MARGIN, 50.0, &fitted(subtitle, 12.0, room)))
            }
            @for column in &layout.columns { (drawing.panel(column)) }
            @for pair in layout.columns.windows(2) { (joined(&pair[0], &pair[1])) }
            @for column in &layout.columns { (drawing.items(column)) }
            (legend(diagram, &layout))
        }
    };
    out.write_all(lines(&drawn.into_string()).as_bytes())?;
    Ok(())
}

/// One element a line, as XML: what has no content ends in its own tag. Between tags there is no text with a `<`.
fn lines(markup: &str) -> String {
    let leaves = ["circle", "path", "polygon", "rect"];
    let ended = leaves.iter().fold(markup.to_owned(), |text, leaf| text.replace(&format!("></{leaf}>"), "/>"));
    ended.replace("><", ">\n<") + "\n"
}

/// A length as it is written: to a tenth of a pixel.
fn px(length: f64) -> String {
    format!("{length:.1}")
}

/// How words are set.
#[derive(Clone, Copy)]
struct Text {
    size: f64,
    class: &'static str,
    weight: Option<&'static str>,
    anchor: Option<&'static str>,
}

/// What is said beside the drawing.
const NOTE: Text = Text { size: FONT, class: "d-soft", weight: None, anchor: None };
const TITLE_TEXT: Text = Text { size: 18.0, class: "d-ink", weight: Some("600"), anchor: None };

impl Text {
    fn at(self, x: f64, y: f64, words: &str) -> Markup {
        let Self { size, class, weight, anchor } = self;
        template! {
            text x=(px(x)) y=(px(y)) font-size=(size) class=(class) font-weight=[weight] text-anchor=[anchor] {
                (Line(words))
            }
        }
    }
}

/// A line of the network.
fn line(path: &str) -> Markup {
    template! { path class="d-line" d=(path) {} }
}

fn arrow_down(x: f64, from: f64, to: f64) -> Markup {
    template! {
        (line(&format!("M{x:.1} {from:.1}V{:.1}", to - 3.0)))
        path class="d-head" d=(format!("M{:.1} {:.1}h6l-3 5z", x - 3.0, to - 5.0)) {}
    }
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
    marks: Marks<'a>,
    /// Whether scripts of a page make parts of it buttons.
    in_page: bool,
}

impl Drawing<'_> {
    /// The ground of a column, with what is said of all in it.
    fn panel(&self, placed: &Placed) -> Markup {
        let Placed { column, x, y, width, height, .. } = *placed;
        let scale = column.scale.map_or(0.0, |scale| 22.0 * scale.clamp(0.0, 1.0).sqrt());
        let room = width - 2.0 * PAD - if scale > 0.0 { 30.0 } else { 0.0 };
        let said = [(&column.what, room), (&column.map, width - 2.0 * PAD)];
        let said = said.into_iter().filter(|(words, _)| !words.is_empty());
        let part = if placed.is_first { "stem" } else { "head" };
        let mark = if placed.is_first || placed.is_last { self.marks.at(&[part.to_owned()]) } else { None };
        template! {
            rect class="d-panel" x=(px(x)) y=(px(y)) width=(px(width)) height=(px(height)) rx="10" {}
            (Text { size: 13.0, ..TITLE_TEXT }.at(x + PAD, y + 21.0, &fitted(&column.name, 13.5, room)))
            @for (index, (words, room)) in said.enumerate() {
                (NOTE.at(x + PAD, y + 21.0 + 15.5 * (index + 1) as f64, &fitted(words, FONT, room)))
            }
            @if scale > 0.0 {
                // The map itself, as large as it is beside the others.
                rect class="d-map" x=(px(x + width - PAD - scale)) y=(px(y + PAD)) width=(px(scale)) height=(px(scale))
                    rx="1.5" {}
            }
            @if let Some(mark) = mark { (marked(x + width - PAD, y + 50.0, mark)) }
        }
    }

    fn items(&self, placed: &Placed) -> Markup {
        let column = placed.column;
        let ends = |index: usize, top: f64, bottom: f64| Ends {
            from: (index > 0 || !placed.is_first).then_some(top),
            to: (index + 1 < column.items.len() || !placed.is_last).then_some(bottom),
        };
        template! {
            @for (index, (item, &top)) in column.items.iter().zip(&placed.tops).enumerate() {
                @let bottom = top + item_height(item);
                @match item {
                    Item::Stack(stack) => { (self.stack(placed, stack, [top, bottom], ends(index, top, bottom))) }
                    Item::More(words) => {
                        path class="d-line" stroke-dasharray="2 3"
                            d=(format!("M{:.1} {top:.1}V{bottom:.1}", placed.middle)) {}
                        (Text { size: SMALL, ..NOTE }.at(
                            placed.middle + 8.0,
                            top + 20.0,
                            &fitted(words, SMALL, placed.boxes / 2.0),
                        ))
                    }
                }
            }
        }
    }

    fn stack(&self, placed: &Placed, stack: &Stack, [top, bottom]: [f64; 2], ends: Ends) -> Markup {
        let mut told = vec![stack.name()];
        told.extend(stack.cells.iter().map(|cell| cell.text.clone()));
        told.extend(stack.shortcut.as_ref().map(|link| format!("shortcut: {}", link_text(link))));
        told.retain(|text| !text.is_empty());
        let told = told.join(" · ");
        let is_button = self.in_page && !stack.blocks.is_empty();
        let parts = if self.in_page { stack.blocks.join(" ") } else { stack.name() };
        let name = stack.name();
        let middle = placed.middle;
        let left = middle - placed.boxes / 2.0;
        let first = top + if stack.shortcut.is_some() { 12.0 } else { 4.0 };
        let step = BOX + BETWEEN;
        let end = match stack.cells.len() {
            0 => ends.from.unwrap_or(top),
            count => first + (count - 1) as f64 * step + BOX,
        };
        let sum = bottom - 14.0;
        let leaves = if stack.shortcut.is_some() { sum + PLUS } else { end };
        template! {
            g class="d-stack" data-parts=(Line(&parts)) tabindex=[is_button.then_some("0")]
                role=[is_button.then_some("button")] aria-label=[is_button.then_some(Line(&told))]
                data-name=[is_button.then_some(Line(&name))] {
                title { (Line(&told)) }
                @for (index, cell) in stack.cells.iter().enumerate() {
                    @let y = first + index as f64 * step;
                    @let before = if index == 0 { ends.from } else { Some(y - BETWEEN) };
                    @if let Some(before) = before { (arrow_down(middle, before, y)) }
                    @if stack.times > 1 {
                        @let class = format!("d-ghost {}", tone(placed.column.tone, cell));
                        (outline(cell, &class, [left + 4.0, y + 4.0, placed.boxes]))
                    }
                    (boxed(cell, placed.column.tone, [left, y, placed.boxes], FONT))
                }
                @if let Some(link) = &stack.shortcut {
                    (arrow_down(middle, end, sum - PLUS))
                    (arc(placed, link, top + 4.0, sum))
                    (plus(placed, stack.after.as_deref(), sum))
                }
                @if let Some(bottom) = ends.to { (line(&format!("M{middle:.1} {leaves:.1}V{bottom:.1}"))) }
                @if stack.times > 1 { (times(placed, stack, first, end)) }
                @if let Some(mark) = self.marks.at(&stack.blocks) { (marked(left - 6.0, first + 4.0, mark)) }
            }
        }
    }
}

/// The line from one column to the next.
fn joined(from: &Placed, to: &Placed) -> Markup {
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
    template! { path class="d-line" stroke-linejoin="round" d=(path) {} }
}

/// Where two paths are added, and the activation behind that.
fn plus(placed: &Placed, after: Option<&str>, sum: f64) -> Markup {
    let (x, arm) = (placed.middle, PLUS / 2.0);
    let right = x - PLUS - 5.0;
    template! {
        circle class="d-sum" cx=(px(x)) cy=(px(sum)) r=(PLUS) {}
        (line(&format!("M{:.1} {sum:.1}h{PLUS}M{x:.1} {:.1}v{PLUS}", x - arm, sum - arm)))
        @if let Some(after) = after {
            (Text { size: SMALL, anchor: Some("end"), ..NOTE }.at(
                right,
                sum + 3.5,
                &fitted(after, SMALL, right - placed.x - PAD),
            ))
        }
    }
}

/// How many findings there are of a part, in the colour of the worst; its right edge at `x`.
fn marked(x: f64, y: f64, (count, level): (usize, Level)) -> Markup {
    let text = count.to_string();
    let wide = width(&text, SMALL) + 10.0;
    let left = x - wide;
    let style = Text { size: SMALL, class: "d-mark-text", weight: Some("600"), anchor: Some("middle") };
    template! {
        g class={ "d-mark d-" (level) } {
            title { (plural(count, "finding")) }
            rect x=(px(left)) y=(px(y - 7.5)) width=(px(wide)) height="15" rx="7.5" {}
            (style.at(left + wide / 2.0, y + 3.5, &text))
        }
    }
}

/// How often a stack is there, on its left.
fn times(placed: &Placed, stack: &Stack, first: f64, last: f64) -> Markup {
    let left = placed.middle - placed.boxes / 2.0;
    let style = Text { size: 12.0, anchor: Some("end"), ..TITLE_TEXT };
    template! {
        (line(&format!("M{:.1} {first:.1}h-4V{last:.1}h4", left - 6.0)))
        (style.at(left - 14.0, (first + last) / 2.0 + 4.0, &format!("×{}", stack.times)))
    }
}

fn arc(placed: &Placed, link: &Shortcut, fork: f64, sum: f64) -> Markup {
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
    let count = link.cells.len() as f64;
    let first = (fork + sum) / 2.0 - (count * (BOX + BETWEEN) - BETWEEN) / 2.0;
    let path = format!(
        "M{:.1} {fork:.1}H{:.1}q{radius} 0 {radius} {radius}V{:.1}q0 {radius} -{radius} {radius}H{:.1}",
        placed.middle,
        lane - radius,
        sum - radius,
        end + 5.0
    );
    template! {
        path class={ "d-link" (name) } d=(path) {}
        path class=(tip) d=(format!("M{end:.1} {sum:.1}l6 -3.2v6.4z")) {}
        @for (index, cell) in link.cells.iter().enumerate() {
            @let y = first + index as f64 * (BOX + BETWEEN);
            (boxed(cell, placed.column.tone, [lane - placed.link_boxes / 2.0, y, placed.link_boxes], SMALL))
        }
    }
}

/// The outline of a box.
fn outline(cell: &Cell, class: &str, [x, y, width]: [f64; 3]) -> Markup {
    if cell.strided {
        let (right, lean, below) = (x + width, slant(cell), y + BOX);
        let (narrow, inner) = (right - lean, x + lean);
        let points = format!("{x:.1},{y:.1} {right:.1},{y:.1} {narrow:.1},{below:.1} {inner:.1},{below:.1}");
        return template! { polygon class={ "d-box " (class) } stroke-linejoin="round" points=(points) {} };
    }
    let round = match cell.kind {
        CellKind::Weighted(_) | CellKind::Other => 5.0,
        CellKind::Pool | CellKind::Gate | CellKind::End => BOX / 2.0,
    };
    template! { rect class={ "d-box " (class) } x=(px(x)) y=(px(y)) width=(px(width)) height=(BOX) rx=(round) {} }
}

fn boxed(cell: &Cell, of: Tone, [x, y, width]: [f64; 3], size: f64) -> Markup {
    let strip = match cell.kind {
        CellKind::Weighted(Bound::Before) => Some(y + 1.6),
        CellKind::Weighted(Bound::Behind) => Some(y + BOX - 3.6),
        CellKind::Weighted(Bound::Nowhere) | CellKind::Pool | CellKind::Gate | CellKind::End | CellKind::Other => None,
    };
    let inset = INSET + slant(cell);
    let text = fitted(&cell.text, size, width - 2.0 * slant(cell) - INSET);
    let style = Text { size, class: "d-ink", weight: None, anchor: Some("middle") };
    template! {
        (outline(cell, &tone(of, cell), [x, y, width]))
        @if let Some(strip) = strip {
            rect class="d-bound" x=(px(x + inset)) y=(px(strip)) width=(px(width - 2.0 * inset)) height="2" rx="1" {}
        }
        (style.at(x + width / 2.0, y + BOX / 2.0 + size * 0.34, &text))
    }
}

/// Signs of the legend with what they mean, as far as the drawing has them.
fn entries(diagram: &Diagram) -> Vec<(Markup, String)> {
    let stacks = || {
        diagram.columns.iter().flat_map(|column| &column.items).filter_map(|item| match item {
            Item::Stack(stack) => Some(stack),
            Item::More(_) => None,
        })
    };
    let mut entries = Vec::new();
    let lines = [
        (ShortcutKind::Identity, "d-link"),
        (ShortcutKind::Projection, "d-link d-projection"),
        (ShortcutKind::Pad, "d-link d-pad"),
        (ShortcutKind::Pool, "d-link d-pool"),
        (ShortcutKind::Unknown, "d-link d-ghost"),
    ];
    for (kind, class) in lines {
        if stacks().any(|stack| stack.shortcut.as_ref().is_some_and(|link| link.kind == kind)) {
            let sign = template! { path class=(class) d="M0 -4h24" {} };
            entries.push((sign, format!("{} shortcut", blocks::shortcut(kind))));
        }
    }
    let strips =
        [(Bound::Before, -11.0, "norm and activation before"), (Bound::Behind, -1.0, "norm or activation behind")];
    for (bound, at, words) in strips {
        if stacks().flat_map(|stack| &stack.cells).any(|cell| cell.kind == CellKind::Weighted(bound)) {
            let sign = template! {
                rect class="d-box d-plain" y="-13" width="24" height="15" rx="3" {}
                rect class="d-bound" x="4" y=(at) width="16" height="2" rx="1" {}
            };
            entries.push((sign, words.to_owned()));
        }
    }
    if stacks().flat_map(|stack| &stack.cells).any(|cell| cell.strided) {
        let sign = template! { polygon class="d-box d-plain" points="0,-13 24,-13 19,2 5,2" {} };
        entries.push((sign, "fewer pixels".to_owned()));
    }
    if diagram.columns.iter().any(|column| column.scale.is_some()) {
        let sign = template! { rect class="d-map" x="6" y="-11" width="12" height="12" rx="1.5" {} };
        entries.push((sign, "size of the maps, beside the image's".to_owned()));
    }
    entries
}

/// What lines and strips mean; then what the drawing leaves out.
fn legend(diagram: &Diagram, layout: &Layout) -> Markup {
    let mut y = layout.height - 34.0 - 16.0 * diagram.notes.len() as f64;
    let mut x = MARGIN;
    let mut placed = Vec::new();
    for (sign, words) in entries(diagram) {
        let across = 30.0 + width(&words, FONT) + 18.0;
        if x + across > layout.width && x > MARGIN {
            (x, y) = (MARGIN, y + 18.0);
        }
        placed.push((x, y, sign, words));
        x += across;
    }
    template! {
        @for (x, y, sign, words) in placed {
            g transform={ "translate(" (px(x)) " " (px(y)) ")" } { (sign) }
            (NOTE.at(x + 30.0, y, &words))
        }
        @for (index, note) in diagram.notes.iter().enumerate() {
            @let y = layout.height - 14.0 - 16.0 * (diagram.notes.len() - 1 - index) as f64;
            (NOTE.at(MARGIN, y, &fitted(note, FONT, layout.width - 2.0 * MARGIN)))
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
