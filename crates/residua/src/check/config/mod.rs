//! `residua.toml`: what a repository asks of its models.
//!
//! The nearest file counts: that in the folder of a model, or in one of the folders above it, up to the root of the
//! repository. Paths in it are relative to it. General settings hold for all models, those of a `[[model]]` for the files
//! that its patterns match, later ones over earlier ones; the command line wins over all of them.

mod document;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use residua_ir::budget::Limit;
use residua_ir::files;

use super::Check;
use crate::paths;
use document::Section;
use residua_ir::Shown;

/// Its name.
const NAME: &str = "residua.toml";

/// A file that was read.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    general: Section,
    models: Vec<Section>,
}

impl Config {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none; with the line.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot read {}", path.shown());
        let text =
            String::from_utf8(files::read(path, Limit::SettingsBytes).with_context(cannot)?).with_context(cannot)?;
        let (general, models) = document::parse(&text).map_err(|error| error.at(path))?;
        Ok(Self { path: path.to_owned(), general, models })
    }

    /// What it asks of a model.
    pub fn settings(&self, model: &Path) -> Check {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        // A model that is not there is told of when it is read.
        let place =
            paths::relative(paths::folder(&self.path), model).unwrap_or_else(|_| model.to_string_lossy().into_owned());
        let mut settings = Check { config: Some(self.path.clone()), ..Check::default() };
        let of_model = self.models.iter().filter(|section| section.matches(&place));
        for section in std::iter::once(&self.general).chain(of_model) {
            section.apply(&mut settings, folder, model);
        }
        settings
    }
}

/// The files of a run: each is read once.
#[derive(Debug, Default)]
pub struct Configs {
    read: BTreeMap<PathBuf, Config>,
}

impl Configs {
    /// The file at a path.
    ///
    /// # Errors
    /// Where it is none.
    pub fn at(&mut self, path: &Path) -> Result<&Config> {
        if !self.read.contains_key(path) {
            self.read.insert(path.to_owned(), Config::read(path)?);
        }
        self.read.get(path).context("a file that was just read")
    }

    /// The one that holds for a model, if there is one.
    ///
    /// # Errors
    /// Where it is there and none.
    pub fn of(&mut self, model: &Path) -> Result<Option<&Config>> {
        match find(model) {
            Some(path) => self.at(&path).map(Some),
            None => Ok(None),
        }
    }
}

/// The nearest file above a model, not beyond the root of its repository.
fn find(model: &Path) -> Option<PathBuf> {
    let folder = if model.is_dir() { model } else { paths::folder(model) };
    let place = folder.canonicalize().ok()?;
    let root = paths::repository(&place);
    let within = place.ancestors().take_while(|above| root.as_deref().is_none_or(|root| above.starts_with(root)));
    let found = within.map(|above| above.join(NAME)).find(|path| path.is_file())?;
    Some(paths::from_here(found))
}
