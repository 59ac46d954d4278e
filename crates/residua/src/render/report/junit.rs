//! JUnit XML: a test suite a model, a test case for each kind of finding that was looked for.
//!
//! The form is what Jenkins's schema (`junit-10.xsd`) and the readers of other CI systems have in common. A kind of
//! finding is a failure where one of its findings fails the model; findings that do not are in the test case's output.
//! It is written here since `quick-junit` 0.8 gives `testsuites` an attribute `skipped`, which that schema does not have.

use std::io::Write;

use crate::error::Result;
use residua_ir::{Code, Finding};

use super::super::markup::{escape, escape_lines};
use super::super::{finding, plural};
use crate::check::Report;
use crate::error::messages;
use crate::paths;

/// Writes a test suite a model.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut dyn Write, reports: &[Report]) -> Result<()> {
    let suites: Vec<Suite> = reports.iter().map(Suite::of).collect();
    let tests: usize = suites.iter().map(Suite::tests).sum();
    let failures: usize = suites.iter().map(Suite::failures).sum();
    let errors: usize = suites.iter().map(Suite::errors).sum();
    let seconds: f64 = reports.iter().map(|report| report.seconds).sum();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="residua check" tests="{tests}" failures="{failures}" errors="{errors}" time="{seconds:.3}">"#
    )?;
    for suite in &suites {
        suite.write(out)?;
    }
    writeln!(out, "</testsuites>")?;
    Ok(())
}

struct Suite<'a> {
    report: &'a Report,
    cases: Vec<Case<'a>>,
}

/// A kind of finding.
struct Case<'a> {
    code: &'static Code,
    /// Those that fail the model.
    failing: Vec<&'a Finding>,
    /// Those that do not.
    others: Vec<&'a Finding>,
    /// How many a baseline hides.
    known: usize,
}

impl<'a> Suite<'a> {
    fn of(report: &'a Report) -> Self {
        let case = |&code: &&'static Code| {
            let of_code = report.findings.iter().filter(|finding| finding.code == code);
            let (failing, others) = of_code.partition(|finding| report.fail_on.fails(finding.level));
            let known = report.known.iter().filter(|finding| finding.code == code).count();
            Case { code, failing, others, known }
        };
        let cases = if report.problem.is_some() { Vec::new() } else { report.applied.iter().map(case).collect() };
        Self { report, cases }
    }

    fn tests(&self) -> usize {
        // Reading it is the first.
        1 + self.cases.len()
    }

    fn failures(&self) -> usize {
        self.cases.iter().filter(|case| !case.failing.is_empty()).count()
    }

    /// Those with nothing but findings that are known.
    fn skipped(&self) -> usize {
        self.cases.iter().filter(|case| case.is_skipped()).count()
    }

    fn errors(&self) -> usize {
        usize::from(self.report.problem.is_some())
    }

    fn write(&self, out: &mut dyn Write) -> Result<()> {
        let report = self.report;
        let file = paths::in_repository(&report.file);
        writeln!(
            out,
            r#"  <testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3}">"#,
            escape(&file),
            self.tests(),
            self.failures(),
            self.errors(),
            self.skipped(),
            report.seconds
        )?;
        if let Some(architecture) = &report.architecture {
            writeln!(out, "    <properties>")?;
            writeln!(out, r#"      <property name="architecture" value="{}"/>"#, escape(architecture))?;
            writeln!(out, "    </properties>")?;
        }
        let class = class_name(&file);
        match &report.problem {
            None => writeln!(out, r#"    <testcase classname="{class}" name="read" time="{:.3}"/>"#, report.seconds)?,
            Some(problem) => {
                let lines = messages(problem);
                let first = lines.first().map(String::as_str).unwrap_or_default();
                writeln!(out, r#"    <testcase classname="{class}" name="read" time="{:.3}">"#, report.seconds)?;
                writeln!(
                    out,
                    r#"      <error type="unreadable" message="{}">{}</error>"#,
                    escape(first),
                    escape_lines(&lines.join("\n"))
                )?;
                writeln!(out, "    </testcase>")?;
            }
        }
        for case in &self.cases {
            case.write(out, &class)?;
        }
        writeln!(out, "  </testsuite>")?;
        Ok(())
    }
}

impl Case<'_> {
    fn is_skipped(&self) -> bool {
        self.known > 0 && self.failing.is_empty() && self.others.is_empty()
    }

    fn write(&self, out: &mut dyn Write, class: &str) -> Result<()> {
        let Code { id, name, .. } = self.code;
        let head = format!(r#"    <testcase classname="{class}" name="{id} {name}" time="0""#);
        if self.failing.is_empty() && self.others.is_empty() && self.known == 0 {
            writeln!(out, "{head}/>")?;
            return Ok(());
        }
        writeln!(out, "{head}>")?;
        if self.is_skipped() {
            let known = plural(self.known, "known finding");
            writeln!(out, r#"      <skipped message="{known}, accepted in the baseline"/>"#)?;
        }
        if let Some(first) = self.failing.first() {
            let message = match self.failing.len() {
                1 => finding::headline(first),
                count => format!("{} (and {} more)", finding::headline(first), plural(count - 1, "finding")),
            };
            writeln!(
                out,
                r#"      <failure type="{id}" message="{}">{}</failure>"#,
                escape(&message),
                escape_lines(&listed(&self.failing))
            )?;
        }
        if !self.others.is_empty() {
            writeln!(out, "      <system-out>{}</system-out>", escape_lines(&listed(&self.others)))?;
        }
        writeln!(out, "    </testcase>")?;
        Ok(())
    }
}

fn listed(findings: &[&Finding]) -> String {
    findings.iter().map(|found| format!("{}: {}", found.level, finding::in_full(found))).collect::<Vec<_>>().join("\n")
}

/// A path as a class: `models/a.onnx` is the class `a_onnx` in the package `residua.models`.
fn class_name(file: &str) -> String {
    let parts = file.split('/').filter(|part| !part.is_empty() && *part != "..").map(|part| part.replace('.', "_"));
    let parts: Vec<String> = std::iter::once("residua".to_owned()).chain(parts).collect();
    escape(&parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_class_in_a_package() {
        assert_eq!(class_name("models/v1.5/resnet50.onnx"), "residua.models.v1_5.resnet50_onnx");
        assert_eq!(class_name("../a&b.h5"), "residua.a&amp;b_h5");
    }
}
