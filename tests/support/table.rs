//! Tests that a table describes: each case is a test of its own, which can be run by its name.
//!
//! A file of such tests has `harness = false`, and a `main` that runs a [`Table`].

use libtest_mimic::{Arguments, Failed, Trial};

use crate::Fixture;

/// Tests of one file.
#[derive(Default)]
pub struct Table(Vec<Trial>);

impl Table {
    /// No tests.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A test that stands in no table: a function that panics where its claim does not hold.
    #[must_use]
    pub fn test(mut self, name: &str, claim: fn()) -> Self {
        self.0.push(Trial::test(name, move || {
            claim();
            Ok(())
        }));
        self
    }

    /// One case of a claim, as `claim::case`, with `_` for all that would need quotes in a shell.
    #[must_use]
    pub fn case<E: Into<Failed>>(
        mut self,
        claim: &str,
        case: &str,
        holds: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.:/".contains(c) { c } else { '_' };
        let name = format!("{claim}::{}", case.chars().map(plain).collect::<String>());
        self.0.push(Trial::test(name, move || holds().map_err(Into::into)));
        self
    }

    /// A claim about each of many fixtures.
    #[must_use]
    pub fn fixtures(
        self,
        claim: &str,
        fixtures: impl IntoIterator<Item = &'static Fixture>,
        holds: fn(&'static Fixture) -> Result<(), String>,
    ) -> Self {
        fixtures.into_iter().fold(self, |table, fixture| table.case(claim, &fixture.label(), move || holds(fixture)))
    }

    /// Runs what the arguments ask for, and ends the process.
    pub fn run(self) -> ! {
        libtest_mimic::run(&Arguments::from_args(), self.0).exit()
    }
}
