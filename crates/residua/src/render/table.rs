//! Tables as data: a head, rows, numbers to the right; as Markdown and as CSV.

use std::io::Write;

use residua_ir::name::printable;
use unicode_width::UnicodeWidthStr;

use super::markdown::{self, Inline};

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its head.
    pub name: &'static str,
    /// Whether it holds numbers, which are aligned to the right.
    pub numeric: bool,
}

/// A column of words.
#[must_use]
pub const fn words(name: &'static str) -> Column {
    Column { name, numeric: false }
}

/// A column of numbers.
#[must_use]
pub const fn numbers(name: &'static str) -> Column {
    Column { name, numeric: true }
}

/// Writes a table as Markdown, its source aligned for reading.
///
/// # Errors
/// Those of the writer.
pub fn markdown(out: &mut dyn Write, columns: &[Column], rows: Vec<Vec<Inline>>) -> std::io::Result<()> {
    let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.iter().map(markdown::cell).collect()).collect();
    let width = |(index, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.width());
        cells.max().unwrap_or(0).max(column.name.width())
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut text = String::from("|");
        for ((column, &width), cell) in columns.iter().zip(&widths).zip(cells) {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            let (left, right) = if column.numeric { (space.as_str(), "") } else { ("", space.as_str()) };
            text.push_str(&format!(" {left}{cell}{right} |"));
        }
        text
    };
    writeln!(out, "{}", line(columns.iter().map(|column| column.name).collect()))?;
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    writeln!(out, "|{}|", rules.join("|"))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(row.iter().map(String::as_str).collect())))
}

/// Cells of Markdown, of text.
pub fn inline(rows: Vec<Vec<String>>) -> Vec<Vec<Inline>> {
    rows.into_iter().map(|row| row.iter().map(|cell| markdown::text(cell)).collect()).collect()
}

/// Writes a table as CSV (RFC 4180), a line a row, no cell of which is a formula to a spreadsheet.
pub fn csv(out: &mut dyn Write, names: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
    writeln!(out, "{}", names.join(","))?;
    csv_rows(out, rows)
}

/// Rows of CSV, as [`csv`] writes them, where the head is written already.
pub fn csv_rows(out: &mut dyn Write, rows: &[Vec<String>]) -> std::io::Result<()> {
    let quote = |cell: String| match cell.contains([',', '"', ';']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
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
