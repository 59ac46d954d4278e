//! The best classes of images, as text for a terminal.

use std::io::{self, Write};

use residua::ir::Shown;
use residua::predict::Predicted;
use residua::render::said;
use residua::render::table::{numbers, words};

use super::table;
use crate::console::Style;

/// Writes an image with its best classes, or the reason why there are none.
pub(crate) fn text(
    out: &mut dyn Write,
    style: Style,
    image: &Predicted,
    with_probability: bool,
    first: bool,
) -> io::Result<()> {
    if !first {
        writeln!(out)?;
    }
    writeln!(out, "{}", style.bold(&image.file.shown().to_string()))?;
    if let Some(error) = &image.error {
        return writeln!(out, "{} {}", style.error("error:"), said(error));
    }
    let mut columns = vec![numbers("class"), numbers("score")];
    if with_probability {
        columns.push(numbers("probability"));
    }
    columns.push(words("label"));
    let cells = image.top.iter().map(|best| {
        let mut cells = vec![best.class.to_string(), format!("{:.6}", best.score)];
        if with_probability {
            cells.push(format!("{:.6}", best.probability));
        }
        cells.push(best.label.clone().unwrap_or_default());
        cells
    });
    table::write(out, &columns, cells.collect())
}
