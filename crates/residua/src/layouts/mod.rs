//! The naming layouts of safetensors outputs, and which of them can hold a model.

mod fit;

use serde::Serialize;

use crate::error::Result;
use crate::model::Model;
use crate::options::Layout as Name;
pub(crate) use fit::is_plain;
pub use fit::{Fit, moves, names};

/// The document of them; the schema is `residua.layouts/1`.
#[derive(Debug, Serialize)]
pub struct Document {
    schema: &'static str,
    /// A layout each.
    pub layouts: Vec<Layout>,
}

/// A layout, and how it holds a model.
#[derive(Debug, Serialize)]
pub struct Layout {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether it can hold the model; null where none was given.
    pub holds: Option<bool>,
    /// Every reason why it cannot.
    pub reasons: Vec<String>,
    /// The same in one text.
    pub reason: Option<String>,
    /// What whoever builds the model in the layout's framework has to set.
    pub settings: Vec<String>,
    /// What is computed on the way.
    pub moves: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

impl Layout {
    fn of(model: Option<&Model>, (layout, name, about): (Name, &'static str, &'static str)) -> Self {
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
                let held = fit.fitted();
                let settings = held.map_or_else(Vec::new, |held| held.settings.clone());
                let notes = held.map_or_else(Vec::new, |held| held.notes.clone());
                Self { holds: Some(true), settings, notes, moves: held.map_or_else(Vec::new, moves), ..plain }
            }
            Err(reasons) => Self { holds: Some(false), reason: Some(reasons.join("; ")), reasons, ..plain },
        }
    }
}

/// All layouts; for a model, whether each can hold it as [`Model::convert`] would write it.
///
/// # Errors
/// Where what an exporter did to the model cannot be undone.
///
/// ```
/// use residua::Model;
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let document = residua::layouts(Some(&Model::open(digits)?))?;
/// // Ours holds every network, torchvision's those that its code builds.
/// assert!(document.layouts.iter().any(|layout| layout.name == "residua" && layout.holds == Some(true)));
/// assert!(document.layouts.iter().any(|layout| layout.name == "torchvision" && layout.holds == Some(false)));
/// # Ok::<(), residua::Error>(())
/// ```
pub fn layouts(model: Option<&Model>) -> Result<Document> {
    let mut model = model.cloned();
    if let Some(model) = &mut model {
        model.undo_export()?;
    }
    let layouts = Name::all().map(|layout| Layout::of(model.as_ref(), layout)).collect();
    Ok(Document { schema: "residua.layouts/1", layouts })
}
