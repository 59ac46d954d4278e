//! `layouts`: the naming layouts of safetensors outputs, and which of them can hold a model.

use anyhow::Result;
use residua::layouts::Layout;
use residua::model::Model;
use residua::render::json;
use residua::render::table::words;

use crate::args::{Format, LayoutsArgs};
use crate::console::Console;
use crate::exit::Outcome;
use crate::render::table;

/// The lines of its row behind its name: whether it holds the model, and what there is to say about that.
fn lines(layout: &Layout) -> Vec<String> {
    let said = match layout.holds {
        None => vec![layout.about.to_owned()],
        Some(false) => layout.reasons.clone(),
        Some(true) => {
            let computed = layout.moves.iter().map(|how| format!("computed: {how}"));
            layout.settings.iter().cloned().chain(computed).chain(layout.notes.clone()).collect()
        }
    };
    if said.is_empty() { vec![String::new()] } else { said }
}

pub(super) fn run(args: &LayoutsArgs, console: &mut Console) -> Result<Outcome> {
    let options = args.source.options();
    let model = args.model.as_deref().map(|path| Model::open_strict(path, &options)).transpose()?;
    if let Some(model) = &model {
        console.tell(model);
    }
    let document = residua::layouts(model.as_ref())?;
    let layouts = &document.layouts;
    match args.format {
        Format::Json => json(console.out(), &document)?,
        Format::Text if model.is_none() => {
            let rows = layouts.iter().map(|layout| vec![layout.name.to_owned(), layout.about.to_owned()]);
            table::write(console.out(), &[words("layout"), words("what it is")], rows.collect())?;
        }
        Format::Text => {
            let mut rows = Vec::new();
            for layout in layouts {
                let holds = if layout.holds == Some(true) { "yes" } else { "no" };
                for (index, line) in lines(layout).into_iter().enumerate() {
                    let first = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
                    rows.push(vec![first(layout.name), first(holds), line]);
                }
            }
            let columns = [words("layout"), words("holds this model"), words("how, or why not")];
            table::write(console.out(), &columns, rows)?;
        }
    }
    Ok(Outcome::Holds)
}
