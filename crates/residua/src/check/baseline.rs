//! Findings that were accepted: what is known stays quiet, what is new does not.
//!
//! A baseline keeps the findings of each model by its path from the baseline's folder. A finding is known where its
//! fingerprint is there, as often as it is there, and at most as bad as it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, bail};
use residua_emit::place::Pending;
use residua_ir::budget::Limit;
use residua_ir::{Finding, Hint, Level, Name, Shown, files};
use serde::{Deserialize, Serialize};

use super::{Report, fingerprint};
use crate::{output, paths, render};

const SCHEMA: &str = "residua.baseline/1";

/// Accepted findings.
#[derive(Debug)]
pub struct Baseline {
    path: PathBuf,
    models: BTreeMap<String, Vec<Entry>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    /// By path from the folder of the baseline, with `/`.
    models: BTreeMap<String, Vec<Entry>>,
}

/// A finding that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is told by.
    pub fingerprint: String,
    /// The rest is for people.
    pub code: String,
    /// Its level when it was accepted.
    pub level: Level,
    /// The layer that it is about.
    pub node: Option<String>,
    /// What it says.
    pub message: String,
    /// How often it was there.
    pub count: usize,
}

impl Baseline {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none, or is not there.
    pub fn read(path: &Path) -> Result<Self> {
        let named = || format!("baseline {}", path.shown());
        if !path.exists() {
            bail!("{}: there is no such file; {} makes it of what is found now", named(), Hint::Baseline);
        }
        Self::parse(path, &files::read(path, Limit::SettingsBytes).with_context(named)?)
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let named = || format!("baseline {}", path.shown());
        let document: Document = serde_json::from_slice(text).with_context(named)?;
        if document.schema != SCHEMA {
            bail!("{}: expected the schema {SCHEMA}, found `{}`", named(), document.schema);
        }
        Ok(Self { path: path.to_owned(), models: document.models })
    }

    /// The one at a path that will be written anew, empty where there is none yet.
    ///
    /// # Errors
    /// Where what is there is none.
    pub fn read_or_new(path: &Path) -> Result<Self> {
        let named = || format!("baseline {}", path.shown());
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { path: path.to_owned(), models: BTreeMap::new() })
            }
            Err(error) => Err(error).with_context(named),
            // This is the one file that a command reads and replaces, so it is no input.
            Ok(about) => {
                Limit::SettingsBytes.check(about.len()).with_context(named)?;
                Self::parse(path, &fs::read(path).with_context(named)?)
            }
        }
    }

    fn key(&self, report: &Report) -> Result<String> {
        paths::relative(paths::folder(&self.path), &report.file)
    }

    /// Takes what is known out of a report's findings, and says which entries have no finding any more.
    ///
    /// # Errors
    /// Where the folder of the baseline cannot be found.
    pub fn sift(&self, report: &mut Report) -> Result<()> {
        let key = self.key(report)?;
        let entries = self.models.get(&key).map(Vec::as_slice).unwrap_or_default();
        let mut left: BTreeMap<&str, (usize, Level)> =
            entries.iter().map(|entry| (entry.fingerprint.as_str(), (entry.count, entry.level))).collect();
        let mut is_known = |finding: &Finding| match left.get_mut(fingerprint(finding).as_str()) {
            Some((count, level)) if *count > 0 && finding.level <= *level => {
                *count -= 1;
                true
            }
            Some(_) | None => false,
        };
        let findings = std::mem::take(&mut report.findings);
        (report.known, report.findings) = findings.into_iter().partition(|finding| is_known(finding));
        // What was not looked for may still be there.
        let looked_for = |entry: &Entry| report.problem.is_none() && report.applied.iter().any(|c| c.id == entry.code);
        let gone = entries.iter().filter_map(|entry| match left.get(entry.fingerprint.as_str()) {
            Some(&(count, _)) if count > 0 && looked_for(entry) => Some(Entry { count, ..entry.clone() }),
            Some(_) | None => None,
        });
        report.gone = gone.collect();
        report.baseline = Some(self.path.clone());
        Ok(())
    }

    /// Accepts the findings of a report in place of those that were accepted of its model before; of what was not looked
    /// for, what was accepted stays.
    ///
    /// # Errors
    /// Where the folder of the baseline cannot be found.
    pub fn accept(&mut self, report: &Report) -> Result<()> {
        if report.problem.is_some() {
            return Ok(());
        }
        let key = self.key(report)?;
        let before = self.models.remove(&key).unwrap_or_default();
        let mut entries: Vec<Entry> =
            before.into_iter().filter(|entry| report.applied.iter().all(|code| code.id != entry.code)).collect();
        for finding in report.known.iter().chain(&report.findings) {
            let print = fingerprint(finding);
            match entries.iter_mut().find(|entry| entry.fingerprint == print) {
                Some(entry) => {
                    entry.count += 1;
                    entry.level = entry.level.max(finding.level);
                }
                None => entries.push(Entry {
                    fingerprint: print,
                    code: finding.code.id.to_owned(),
                    level: finding.level,
                    node: finding.node.as_ref().map(|node| Name::raw(node).to_owned()),
                    message: finding.message.raw().to_owned(),
                    count: 1,
                }),
            }
        }
        entries.sort_by(|a, b| (&a.code, &a.node, &a.fingerprint).cmp(&(&b.code, &b.node, &b.fingerprint)));
        if !entries.is_empty() {
            self.models.insert(key, entries);
        }
        Ok(())
    }

    /// Writes it beside the place where it was read, to be moved there.
    ///
    /// # Errors
    /// Where that fails.
    pub fn stage(self) -> Result<Pending> {
        let document = Document { schema: SCHEMA.to_owned(), models: self.models };
        output::stage(&self.path, |file| render::json(file, &document))
    }
}
