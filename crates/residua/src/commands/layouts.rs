//! `layouts`: the naming layouts of safetensors outputs, and which of them can hold a model.

use anyhow::Result;
use serde::Serialize;

use crate::args::{Format, LayoutsArgs};
use crate::console::Console;
use crate::exit::Outcome;
use crate::model::Model;
use crate::render;
use crate::render::table::{self, words};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    layouts: Vec<Layout>,
}

#[derive(Serialize)]
struct Layout {
    name: &'static str,
    about: &'static str,
    /// Whether it can hold the model; null where none was given.
    holds: Option<bool>,
    reason: Option<String>,
}

pub(super) fn run(args: &LayoutsArgs, console: &mut Console) -> Result<Outcome> {
    let model = args.model.as_deref().map(|path| Model::load(path, &[])).transpose()?;
    let layouts = vec![
        Layout {
            name: "residua",
            about: "named by stage, block and place (stages.0.blocks.1.conv2.weight), kernels OIHW",
            holds: model.as_ref().map(|_| true),
            reason: None,
        },
        Layout {
            name: "keras",
            about: "the source's own names and axes",
            holds: model.as_ref().map(|_| true),
            reason: None,
        },
    ];
    match args.format {
        Format::Json => render::json(console.out(), &Document { schema: "residua.layouts/1", layouts })?,
        Format::Text => {
            let held = |layout: &Layout| match layout.holds {
                Some(true) => "yes".to_owned(),
                Some(false) => format!("no: {}", layout.reason.as_deref().unwrap_or("")),
                None => String::new(),
            };
            let mut columns = vec![words("layout"), words("what it is")];
            let mut rows: Vec<Vec<String>> =
                layouts.iter().map(|l| vec![l.name.to_owned(), l.about.to_owned()]).collect();
            if model.is_some() {
                columns.push(words("holds this model"));
                rows.iter_mut().zip(&layouts).for_each(|(row, layout)| row.push(held(layout)));
            }
            table::write(console.out(), &columns, rows)?;
        }
    }
    Ok(Outcome::Holds)
}
