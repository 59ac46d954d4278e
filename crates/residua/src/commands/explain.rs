//! `explain`: what a finding means; without a code, the list of codes.

use anyhow::{Result, bail};
use residua_ir::{Code, Level, Shown};
use serde::Serialize;

use crate::args::{ExplainArgs, Format};
use crate::console::{Console, Style};
use crate::exit::Outcome;
use crate::render::table::{self, words};
use crate::{render, suggest};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    codes: Vec<Explained>,
}

#[derive(Serialize)]
struct Explained {
    code: &'static str,
    name: &'static str,
    level: Level,
    explanation: String,
}

impl From<&'static Code> for Explained {
    fn from(code: &'static Code) -> Self {
        Self { code: code.id, name: code.name, level: code.level, explanation: code.explanation() }
    }
}

pub(super) fn run(args: &ExplainArgs, console: &mut Console) -> Result<Outcome> {
    let all = residua_verify::codes();
    let chosen = match &args.code {
        None => all,
        Some(wanted) => match residua_verify::code(wanted) {
            Some(code) => vec![code],
            None => {
                let names = all.iter().flat_map(|code| [code.id, code.name]);
                bail!("there is no finding `{}`{}", wanted.shown(), suggest::hint(wanted, names))
            }
        },
    };
    let style = console.style();
    match (args.format, &args.code, &chosen[..]) {
        (Format::Json, _, _) => {
            let codes = chosen.into_iter().map(Explained::from).collect();
            render::json(console.out(), &Document { schema: "residua.explain/1", codes })?;
        }
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
