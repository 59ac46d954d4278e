//! An evaluation, as text for a terminal.

use std::io::Write;

use anyhow::Result;
use residua::evaluate::{Against, Document, FoundProtocol, Protocol, Share, Target};
use residua::ir::Shown;
use residua::render::table::{numbers, words};
use residua::render::{number, small};

use super::table;
use crate::console::Style;

/// Classes of which all have a row; of more, those that are told worst.
const MOST_ROWS: usize = 40;
/// Classes up to which the matrix is printed.
const MOST_COLUMNS: usize = 12;

fn percent(share: Share) -> String {
    let Share { value, low, high } = share;
    format!("{:.2} % ({:.2} to {:.2})", value * 100.0, low * 100.0, high * 100.0)
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{share:.4}"))
}

/// Writes figures, protocol, classes, matrix and so many of the worst mistakes.
pub(crate) fn text(out: &mut dyn Write, style: Style, document: &Document, mistakes: usize) -> Result<()> {
    let line = |out: &mut dyn Write, name: &str, text: &str| {
        writeln!(out, "{}{}{text}", style.dim(name), " ".repeat(14_usize.saturating_sub(name.len())))
    };
    line(out, "model", &document.file.shown().to_string())?;
    if let Some(weights) = &document.weights {
        line(out, "weights", &format!("{}, told by {}", weights.title(), weights.digest.text()))?;
    }
    let part = document.shards.as_ref().map(|shards| format!(", shard {} only", shards.join(", "))).unwrap_or_default();
    let skipped = match document.skipped.len() {
        0 => String::new(),
        skipped => format!(", {} could not be", number(skipped as u64)),
    };
    let counted = format!("{} evaluated of {}{skipped}{part}", number(document.count), number(document.total));
    line(out, "images", &counted)?;
    line(out, "top-1", &style.bold(&percent(document.top1)))?;
    if document.classes.len() > 5 {
        line(out, "top-5", &percent(document.top5))?;
    }
    if let Some(loss) = document.loss {
        line(out, "loss", &format!("{loss:.6}"))?;
    }
    if let Some(published) = document.published() {
        line(out, "published", &published)?;
    }
    line(out, "ECE", &format!("{:.6}", document.ece))?;
    line(out, "classes", &document.classes_by)?;
    protocol(out, style, &document.protocol)?;
    if let Some(found) = &document.find_protocol {
        tried(out, style, found)?;
    }
    if let Some(against) = &document.against {
        writeln!(out)?;
        other(out, style, document, against, mistakes)?;
    }
    writeln!(out)?;
    classes(out, document)?;
    matrix(out, style, document)?;
    worst(out, style, document, mistakes)
}

fn protocol(out: &mut dyn Write, style: Style, protocol: &Protocol) -> Result<()> {
    writeln!(out, "{}", style.dim("protocol"))?;
    for (name, text) in protocol.lines() {
        writeln!(out, "  {}{}{text}", style.dim(name), " ".repeat(12_usize.saturating_sub(name.len())))?;
    }
    Ok(())
}

/// The protocols that were tried, the best so many.
fn tried(out: &mut dyn Write, style: Style, found: &FoundProtocol) -> Result<()> {
    const SHOWN: usize = 12;
    let count = found.tried.len();
    let what = match &found.target {
        Some(Target { top1, by }) => format!("{count} protocols tried for a top-1 of {:.2} % ({by})", top1 * 100.0),
        None => format!("{count} protocols tried for the best top-1"),
    };
    writeln!(out, "\n{}", style.bold(&what))?;
    let columns = [numbers("top-1 %"), words("interval"), numbers("loss"), numbers("images"), words("protocol")];
    let rows = found.tried.iter().take(SHOWN).map(|tried| {
        let Share { value, low, high } = tried.top1;
        let options = if tried.options.is_empty() { "as it is by itself" } else { tried.options.as_str() };
        vec![
            format!("{:.2}", value * 100.0),
            format!("{:.2} to {:.2}", low * 100.0, high * 100.0),
            tried.loss.map(|loss| format!("{loss:.4}")).unwrap_or_default(),
            number(tried.count),
            options.to_owned(),
        ]
    });
    table::write(out, &columns, rows.collect())?;
    let dropped = found.tried.iter().filter(|tried| tried.dropped).count();
    let fitting = match (&found.target, found.fitting) {
        (Some(_), 0) => "the figure lies in the interval of none of them".to_owned(),
        (Some(_), fitting) => {
            format!("the figure lies in the intervals of {fitting} of them; the first is the nearest")
        }
        (None, 1) => "the first is told from all others".to_owned(),
        (None, fitting) => format!("the sample does not tell {fitting} of them apart (McNemar's p of at least 0.05)"),
    };
    writeln!(out, "{fitting}; {dropped} were dropped before the end of the sample")?;
    Ok(())
}

fn other(out: &mut dyn Write, style: Style, document: &Document, against: &Against, most: usize) -> Result<()> {
    writeln!(out, "{} {}", style.bold("against"), against.file.shown())?;
    writeln!(out, "  top-1       {}", percent(against.top1))?;
    if document.classes.len() > 5 {
        writeln!(out, "  top-5       {}", percent(against.top5))?;
    }
    if let Some(loss) = against.loss {
        writeln!(out, "  loss        {loss:.6}")?;
    }
    writeln!(out, "  agreement   {}", percent(against.agreement))?;
    let Against { only_first, only_second, mcnemar_p, flip_count, .. } = against;
    writeln!(out, "  right       {only_first} in the first alone, {only_second} in the other alone")?;
    writeln!(out, "  McNemar     p = {}", small(*mcnemar_p))?;
    if against.protocol != document.protocol {
        protocol(out, style, &against.protocol)?;
    }
    if *flip_count > 0 {
        writeln!(out, "\n{}", style.bold(&format!("flips, {flip_count}")))?;
        let columns = [words("file"), words("class"), words("first"), words("other")];
        let rows = against.flips.iter().take(most).map(|flip| {
            let classes = [flip.truth, flip.predicted, flip.against].map(|class| document.class(class).to_owned());
            std::iter::once(flip.file.clone()).chain(classes).collect()
        });
        table::write(out, &columns, rows.collect())?;
    }
    Ok(())
}

fn classes(out: &mut dyn Write, document: &Document) -> Result<()> {
    let mut all: Vec<_> =
        document.classes.iter().filter(|class| class.support > 0 || class.precision.is_some()).collect();
    let left = all.len().saturating_sub(MOST_ROWS);
    if left > 0 {
        all.sort_by(|a, b| a.f1.unwrap_or(0.0).total_cmp(&b.f1.unwrap_or(0.0)).then(a.index.cmp(&b.index)));
        all.truncate(MOST_ROWS);
    }
    let columns =
        [numbers("output"), words("class"), numbers("precision"), numbers("recall"), numbers("F1"), numbers("images")];
    let rows = all.into_iter().map(|class| {
        vec![
            class.index.to_string(),
            class.name.clone(),
            share(class.precision),
            share(class.recall),
            share(class.f1),
            number(class.support),
        ]
    });
    table::write(out, &columns, rows.collect())?;
    if left > 0 {
        writeln!(out, "{left} classes more, which are told better")?;
    }
    Ok(())
}

fn matrix(out: &mut dyn Write, style: Style, document: &Document) -> Result<()> {
    let Some(rows) = document.confusion.as_ref().filter(|rows| rows.len() <= MOST_COLUMNS) else { return Ok(()) };
    writeln!(out, "\n{}", style.bold("confusion: rows true, columns predicted"))?;
    let names: Vec<String> = (0..rows.len()).map(|output| output.to_string()).collect();
    let width = rows.iter().flatten().map(|count| count.to_string().len()).chain(names.iter().map(String::len)).max();
    let width = width.unwrap_or(1) + 2;
    let head: String = names.iter().map(|name| format!("{name:>width$}")).collect();
    writeln!(out, "{}{head}", " ".repeat(width))?;
    for (name, row) in names.iter().zip(rows) {
        let cells: String = row.iter().map(|count| format!("{count:>width$}")).collect();
        writeln!(out, "{name:>width$}{cells}")?;
    }
    Ok(())
}

fn worst(out: &mut dyn Write, style: Style, document: &Document, most: usize) -> Result<()> {
    if document.mistakes.is_empty() || most == 0 {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold("worst mistakes"))?;
    let columns = [words("file"), words("class"), words("predicted"), numbers("confidence"), numbers("loss")];
    let rows = document.mistakes.iter().take(most).map(|mistake| {
        vec![
            mistake.file.clone(),
            document.class(mistake.truth).to_owned(),
            document.class(mistake.predicted).to_owned(),
            format!("{:.4}", mistake.confidence),
            mistake.loss.map(|loss| format!("{loss:.4}")).unwrap_or_default(),
        ]
    });
    table::write(out, &columns, rows.collect())?;
    Ok(())
}
