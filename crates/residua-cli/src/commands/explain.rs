//! `explain`: what a finding means; without a code, the list of codes.

use anyhow::Result;
use residua::explain;
use residua::ir::Code;
use residua::render::json;
use residua::render::table::words;

use crate::args::{ExplainArgs, Format};
use crate::console::{Console, Style};
use crate::exit::Outcome;
use crate::render::table;

pub(super) fn run(args: &ExplainArgs, console: &mut Console) -> Result<Outcome> {
    let chosen = explain::codes(args.code.as_deref())?;
    let style = console.style();
    match (args.format, &args.code, &chosen[..]) {
        (Format::Json, _, codes) => json(console.out(), &explain::document(codes))?,
        (Format::Text, Some(_), [code]) => {
            writeln!(console.out(), "{}\n\n{}", title(code, style), wrapped(&code.explanation(), style))?;
        }
        (Format::Text, _, codes) => {
            let row = |code: &&Code| vec![code.id.to_owned(), code.level.to_string(), code.name.to_owned()];
            let columns = [words("code"), words("level"), words("name")];
            table::write(console.out(), &columns, codes.iter().map(row).collect())?;
        }
    }
    Ok(Outcome::Holds)
}

fn title(code: &Code, style: Style) -> String {
    format!("{} {} ({})", style.bold(code.id), style.bold(code.name), code.level)
}

/// Paragraphs in lines of at most 80 characters; headings as they stand out here.
fn wrapped(text: &str, style: Style) -> String {
    let paragraph = |paragraph: &str| {
        if let Some(heading) = paragraph.strip_prefix("## ") {
            return style.bold(heading);
        }
        let mut lines: Vec<String> = vec![String::new()];
        for word in paragraph.split_whitespace() {
            match lines.last_mut() {
                Some(line) if line.is_empty() => line.push_str(word),
                Some(line) if line.chars().count() + 1 + word.chars().count() <= 80 => {
                    line.push(' ');
                    line.push_str(word);
                }
                Some(_) | None => lines.push(word.to_owned()),
            }
        }
        lines.join("\n")
    };
    text.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n")
}
