//! The blocks of a network as a Graphviz graph and as an SVG drawing.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;
use residua_resnet::anatomy::{Block, ShortcutKind};

use super::blocks;
use crate::summary::Summary;

/// One box of the drawing.
struct Box {
    title: String,
    detail: String,
    /// The shortcut around it, where it is a block.
    shortcut: Option<ShortcutKind>,
}

fn of_block(block: &Block) -> Box {
    let mut detail = format!("{}, {}-activation", blocks::kind(block.kind), blocks::order(block.activation));
    if let Some(outputs) = block.outputs {
        let _ = write!(detail, ", {outputs} channels");
    }
    if block.stride > 1 {
        let _ = write!(detail, ", stride {}", block.stride);
        if let Some(on) = &block.stride_on {
            let _ = write!(detail, " on {on}");
        }
    }
    Box { title: block.name.clone(), detail, shortcut: Some(block.shortcut) }
}

fn interface(values: &[crate::summary::Interface], what: &str) -> Box {
    let text = |value: &crate::summary::Interface| format!("{} {}", value.name, value.text);
    Box { title: what.to_owned(), detail: values.iter().map(text).collect::<Vec<_>>().join("; "), shortcut: None }
}

fn boxes(summary: &Summary) -> Vec<Box> {
    let ends = (interface(&summary.inputs, "input"), interface(&summary.outputs, "output"));
    let mut all = vec![ends.0];
    all.extend(summary.blocks.iter().map(of_block));
    all.push(ends.1);
    all
}

/// Writes the blocks for Graphviz.
pub(crate) fn dot(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    writeln!(out, "digraph {} {{", quoted(summary.name))?;
    writeln!(out, "  rankdir = TB;\n  node [shape = box, style = rounded, fontname = \"Helvetica\"];")?;
    let boxes = boxes(summary);
    for (index, item) in boxes.iter().enumerate() {
        writeln!(
            out,
            "  n{index} [label = {}];",
            quoted(&format!("{}\n{}", item.title, item.detail)).replace('\n', "\\n")
        )?;
    }
    for (index, pair) in boxes.windows(2).enumerate() {
        writeln!(out, "  n{index} -> n{};", index + 1)?;
        if let Some(kind) = pair[1].shortcut {
            let label = quoted(blocks::shortcut(kind));
            writeln!(out, "  n{index} -> n{} [style = dashed, label = {label}];", index + 1)?;
        }
    }
    writeln!(out, "}}")?;
    Ok(())
}

const WIDTH: usize = 560;
const LEFT: usize = 40;
const BOX_WIDTH: usize = 400;
const BOX_HEIGHT: usize = 44;
const STEP: usize = 70;
const TOP: usize = 56;

/// Writes the blocks as a drawing: boxes from top to bottom, shortcuts as arcs on their right.
pub(crate) fn svg(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    let boxes = boxes(summary);
    let height = TOP + boxes.len() * STEP;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"Helvetica, Arial, sans-serif\">"
    )?;
    writeln!(out, "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>")?;
    let title = summary.architecture.map_or(summary.name, |architecture| &architecture.name);
    writeln!(out, "<text x=\"{LEFT}\" y=\"32\" font-size=\"18\" font-weight=\"bold\">{}</text>", escape(title))?;
    for (index, item) in boxes.iter().enumerate() {
        write_box(out, item, TOP + index * STEP, index > 0)?;
    }
    writeln!(out, "</svg>")?;
    Ok(())
}

fn write_box(out: &mut dyn Write, item: &Box, y: usize, joined: bool) -> Result<()> {
    let fill = match item.shortcut {
        None => "#f2f2f2",
        Some(ShortcutKind::Identity) => "#e8f1fb",
        Some(ShortcutKind::Projection | ShortcutKind::Pad | ShortcutKind::Pool) => "#fdf0e1",
    };
    let middle = LEFT + BOX_WIDTH / 2;
    if joined {
        let above = y + BOX_HEIGHT - STEP;
        writeln!(out, "<line x1=\"{middle}\" y1=\"{above}\" x2=\"{middle}\" y2=\"{y}\" stroke=\"#555555\"/>")?;
    }
    writeln!(
        out,
        "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\" fill=\"{fill}\" stroke=\"#555555\"/>"
    )?;
    let text = |out: &mut dyn Write, x: usize, y: usize, size: u8, weight: &str, text: &str| {
        let text = escape(text);
        writeln!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" font-weight=\"{weight}\">{text}</text>")
    };
    text(out, LEFT + 12, y + 19, 13, "bold", &item.title)?;
    text(out, LEFT + 12, y + 35, 11, "normal", &item.detail)?;
    if let Some(kind) = item.shortcut {
        let (from, to) = (y - (STEP - BOX_HEIGHT) / 2, y + BOX_HEIGHT + (STEP - BOX_HEIGHT) / 3);
        let edge = LEFT + BOX_WIDTH;
        writeln!(
            out,
            "<path d=\"M {middle} {from} H {} V {to} H {middle}\" fill=\"none\" stroke=\"#2b6cb0\"/>",
            edge + 16
        )?;
        text(out, edge + 24, y + BOX_HEIGHT / 2 + 4, 11, "normal", blocks::shortcut(kind))?;
    }
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
