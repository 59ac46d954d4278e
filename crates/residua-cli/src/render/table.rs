//! Tables for a terminal: a head, rows, numbers to the right.

use std::io::{IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
use residua::ir::Name;
use residua::render::table::Column;

/// Spaces behind a column.
const PADDING: u16 = 2;

const RULED: TableStyle = NOTHING.header_separator(LineStyle::none().fill('─'));

fn table(columns: &[Column], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.set_header(columns.iter().map(|column| column.name)).add_rows(rows);
    for (column, wanted) in table.column_iter_mut().zip(columns) {
        column.set_cell_alignment(if wanted.numeric { CellAlignment::Right } else { CellAlignment::Left });
    }
    table
}

/// Columns of the terminal that stdout is, if it is one.
pub(crate) fn terminal_width() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| Table::new().width()).flatten().map(usize::from)
}

/// Characters that a table takes across, its last column aside.
pub(crate) fn width_before_last(columns: &[Column], rows: &[Vec<String>]) -> usize {
    let widest = |(index, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(column.name.chars().count()) + usize::from(PADDING)
    };
    columns.iter().enumerate().take(columns.len().saturating_sub(1)).map(widest).sum()
}

/// What the last column must have to be worth wrapping.
pub(crate) const LEAST: usize = 16;

/// Writes a table for reading, without the columns that are empty in every row. On a terminal the last column is wrapped
/// where the table is too wide; elsewhere, and where that would not do, lines are as long as they need be. Nothing but
/// names beyond all measure is ever cut.
pub(crate) fn write(out: &mut dyn Write, columns: &[Column], rows: Vec<Vec<String>>) -> std::io::Result<()> {
    let shown = |row: Vec<String>| row.into_iter().map(|cell| Name::from(cell).to_string()).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().map(shown).collect();
    let widest = |index: usize| rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| match widest(index).unwrap_or(0) {
            0 if index > 0 => 0,
            width => width.max(column.name.chars().count()) + usize::from(PADDING),
        })
        .collect();
    let mut table = table(columns, rows);
    table.load_style(RULED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, PADDING));
        if widths[index] == 0 {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
    let last = widths.iter().rposition(|&width| width > 0).unwrap_or(0);
    let terminal = terminal_width().unwrap_or(usize::MAX);
    let others = widths.iter().sum::<usize>() - widths[last];
    if others + widths[last] > terminal && others + LEAST <= terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        for (index, column) in table.column_iter_mut().enumerate().filter(|(index, _)| widths[*index] > 0) {
            let width =
                u16::try_from(if index == last { terminal - others } else { widths[index] }).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use residua::render::table::{numbers, words};

    use super::*;

    const COLUMNS: [Column; 2] = [words("name"), numbers("parameters")];

    fn rows() -> Vec<Vec<String>> {
        vec![vec!["a,b".to_owned(), "1,000".to_owned()], vec!["c|d".to_owned(), "1".to_owned()]]
    }

    #[test]
    fn numbers_are_to_the_right_and_lines_have_no_trailing_space() {
        let mut out = Vec::new();
        write(&mut out, &COLUMNS, rows()).unwrap();
        let expected = "name  parameters\n──────────────────\na,b        1,000\nc|d            1\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
