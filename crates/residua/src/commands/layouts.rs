//! `layouts`: the naming layouts of safetensors outputs, and which of them can hold a model.

use anyhow::Result;
use serde::Serialize;

use crate::args::{Format, LayoutName, LayoutsArgs};
use crate::console::Console;
use crate::exit::Outcome;
use crate::fit::{self, Fit};
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
    /// Every reason why it cannot.
    reasons: Vec<String>,
    /// The same in one text.
    reason: Option<String>,
    /// What whoever builds the model in the layout's framework has to set.
    settings: Vec<String>,
    /// What is computed on the way.
    moves: Vec<String>,
    /// What else there is to know.
    notes: Vec<String>,
}

impl Layout {
    fn of(model: Option<&Model>, (layout, name, about): (LayoutName, &'static str, &'static str)) -> Self {
        let none = Vec::new;
        let plain = Self {
            name,
            about,
            holds: None,
            reasons: none(),
            reason: None,
            settings: none(),
            moves: none(),
            notes: none(),
        };
        let Some(model) = model else { return plain };
        match Fit::of(model, layout) {
            Ok(fit) => {
                let fitted = fit.fitted();
                let settings = fitted.map_or_else(Vec::new, |fitted| fitted.settings.clone());
                let notes = fitted.map_or_else(Vec::new, |fitted| fitted.notes.clone());
                Self { holds: Some(true), settings, notes, moves: fitted.map_or_else(Vec::new, fit::moves), ..plain }
            }
            Err(reasons) => Self { holds: Some(false), reason: Some(reasons.join("; ")), reasons, ..plain },
        }
    }

    /// The lines of its row behind its name: whether it holds the model, and what there is to say about that.
    fn lines(&self) -> Vec<String> {
        let said = match self.holds {
            None => vec![self.about.to_owned()],
            Some(false) => self.reasons.clone(),
            Some(true) => {
                let computed = self.moves.iter().map(|how| format!("computed: {how}"));
                self.settings.iter().cloned().chain(computed).chain(self.notes.clone()).collect()
            }
        };
        if said.is_empty() { vec![String::new()] } else { said }
    }
}

pub(super) fn run(args: &LayoutsArgs, console: &mut Console) -> Result<Outcome> {
    let mut model = args.model.as_deref().map(|path| Model::load(path, &[], &args.source)).transpose()?;
    if let Some(model) = &mut model {
        model.tell(console);
        // As `convert` would write it.
        model.as_it_was()?;
    }
    let layouts: Vec<Layout> = LayoutName::all().map(|layout| Layout::of(model.as_ref(), layout)).collect();
    match args.format {
        Format::Json => render::json(console.out(), &Document { schema: "residua.layouts/1", layouts })?,
        Format::Text if model.is_none() => {
            let rows = layouts.iter().map(|layout| vec![layout.name.to_owned(), layout.about.to_owned()]);
            table::write(console.out(), &[words("layout"), words("what it is")], rows.collect())?;
        }
        Format::Text => {
            let mut rows = Vec::new();
            for layout in &layouts {
                let holds = if layout.holds == Some(true) { "yes" } else { "no" };
                for (index, line) in layout.lines().into_iter().enumerate() {
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
