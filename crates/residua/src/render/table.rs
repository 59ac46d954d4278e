//! Tables: a head, rows, numbers to the right.

use std::io::{IsTerminal, Write};

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

use residua_ir::Name;
use residua_ir::name::printable;

use super::markdown::{self, Inline};

/// Spaces behind a column.
const PADDING: u16 = 2;

const RULED: TableStyle = NOTHING.header_separator(LineStyle::none().fill('─'));

/// A column.
pub(crate) struct Column {
    name: &'static str,
    alignment: CellAlignment,
}

impl Column {
    /// Its head.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

/// A column of words.
pub(crate) const fn words(name: &'static str) -> Column {
    Column { name, alignment: CellAlignment::Left }
}

/// A column of numbers.
pub(crate) const fn numbers(name: &'static str) -> Column {
    Column { name, alignment: CellAlignment::Right }
}

fn table(columns: &[Column], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.set_header(columns.iter().map(|column| column.name)).add_rows(rows);
    for (column, wanted) in table.column_iter_mut().zip(columns) {
        column.set_cell_alignment(wanted.alignment);
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

/// Writes a table as Markdown.
pub(crate) fn markdown(out: &mut dyn Write, columns: &[Column], rows: Vec<Vec<Inline>>) -> std::io::Result<()> {
    let mut table = table(columns, rows.into_iter().map(|row| row.iter().map(markdown::cell).collect()).collect());
    table.load_style(ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Disabled);
    writeln!(out, "{table}")
}

/// Cells of Markdown, of text.
pub(crate) fn inline(rows: Vec<Vec<String>>) -> Vec<Vec<Inline>> {
    rows.into_iter().map(|row| row.iter().map(|cell| markdown::text(cell)).collect()).collect()
}

/// Writes a table as CSV (RFC 4180), a line a row, no cell of which is a formula to a spreadsheet.
pub(crate) fn csv(out: &mut dyn Write, names: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
    let quote = |cell: String| match cell.contains([',', '"', ';']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
    writeln!(out, "{}", names.join(","))?;
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quote(no_formula(&printable(cell)))).collect();
        writeln!(out, "{}", cells.join(","))?;
    }
    Ok(())
}

/// What a spreadsheet computes where it begins a cell; the wide forms are the same to some.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Text with an apostrophe before what would begin a formula, as spreadsheets write text that looks like one; where they
/// divide cells at semicolons, that may be within a cell of ours.
fn no_formula(cell: &str) -> String {
    if cell.parse::<f64>().is_ok() && cell.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return cell.to_owned();
    }
    let part = |part: &str| {
        let text = part.trim_start();
        let indent = &part[..part.len() - text.len()];
        if text.starts_with(FORMULA) { format!("{indent}'{text}") } else { part.to_owned() }
    };
    cell.split(';').map(part).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn markdown_and_csv_quote_what_would_break_them() {
        let mut out = Vec::new();
        csv(&mut out, &["name", "parameters"], &rows()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "name,parameters\n\"a,b\",\"1,000\"\nc|d,1\n");
        let mut out = Vec::new();
        markdown(&mut out, &COLUMNS, inline(rows())).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("c\\|d"));
    }

    #[test]
    fn no_cell_of_csv_is_a_formula() {
        let cells = ["=1+1", "+a", "-a", "@a", "\t=a", "\n=b", " =c", "＝d", "a;=1", "a=b", "-1.5e3", "-inf", "::x"];
        let expected = [
            "'=1+1",
            "'+a",
            "'-a",
            "'@a",
            "\\t=a",
            "\\n=b",
            " '=c",
            "'＝d",
            "a;'=1",
            "a=b",
            "-1.5e3",
            "'-inf",
            "\\u{3a}:x",
        ];
        let written = |cell: &&str| no_formula(&printable(cell));
        assert_eq!(cells.iter().map(written).collect::<Vec<_>>(), expected);
    }
}
