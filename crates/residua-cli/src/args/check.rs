//! Options of `check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use residua::options::{Dtype, FailOn, InputShape, Override, parse};
use residua::suggest;
use residua::verify::targets::Runtime;

use super::{GoldenArgs, SourceArgs, choice};

/// Whether models hold together: topology, shapes, values, and outputs that are known
///
/// Each model gets a verdict. A finding at level error fails it, or at the level that --fail-on names.
///
/// With --manifest: whether two files still are what a conversion made of what, tensor by tensor.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua check resnet50v2.h5
  residua check models/*.onnx --fail-on warning
  residua check model.onnx --expect resnet50v2 --level mixed-epsilon=off
  residua check model.keras --golden model.golden.npz
  residua check exported.onnx --against trained.keras
  residua check resnet50.h5 --target candle --target ort-1.17 --dtype f16
  residua check models/*.onnx --baseline residua-baseline.json --update-baseline
  residua check models/*.onnx --format github --report sarif=residua.sarif --report junit=residua.xml
  residua check --manifest conversion.json
  residua check --manifest conversion.json model.h5 model.onnx
  residua check model.h5 --format json | jq '.findings[] | select(.level == \"error\")'

A golden file is an .npz with the arrays input/NAME and output/NAME (or just the names of the model's inputs and \
outputs), or a folder of ONNX test_data_set_* folders.

Settings that hold for a repository stand in its residua.toml; what the command line says wins. docs/checking.md has \
all of them.

Exit status: 0 every model passes; 1 at least one fails; 2 at least one could not be checked.")]
pub(crate) struct CheckArgs {
    /// The models: files, or folders holding one; with --manifest, the source and the output of the conversion, unless
    /// they are where it says
    #[arg(value_name = "MODEL", num_args = 1.., required_unless_present = "manifest")]
    pub(crate) models: Vec<PathBuf>,
    /// Sizes for free dimensions, in the model's own axis order
    #[arg(long, value_name = "[NAME=]N,…", value_parser = parse::shape)]
    pub(crate) input_shape: Vec<InputShape>,
    /// What `convert --manifest` wrote; every tensor is held against it, and what was done to it is repeated
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["input_shape", "expect", "target", "dtype", "golden", "tolerance", "against", "baseline", "update_baseline", "config"])]
    pub(crate) manifest: Option<PathBuf>,
    /// The architecture it must be, such as resnet50v2
    #[arg(long, value_name = "NAME")]
    pub(crate) expect: Option<String>,
    /// Also report what this runtime cannot load or would compute differently: candle, burn, tract, rten, wonnx,
    /// candle-onnx, burn-onnx, ort, or a release of it such as ort-1.20; may be repeated
    #[arg(long, value_name = "RUNTIME", value_parser = parse::target)]
    pub(crate) target: Vec<&'static Runtime>,
    /// The float type that the weights are to be kept in: what it cannot hold is found
    #[arg(long, value_name = "DTYPE", value_parser = choice::<Dtype>())]
    pub(crate) dtype: Option<Dtype>,
    #[command(flatten)]
    pub(crate) golden: GoldenArgs,
    /// The model that it must be the same as: built of the same blocks, and the same function within the derived bound
    #[arg(long, value_name = "MODEL")]
    pub(crate) against: Option<PathBuf>,
    /// The least level of a finding that fails a model [default: error]
    #[arg(long, value_name = "LEVEL", value_parser = choice::<FailOn>())]
    pub(crate) fail_on: Option<FailOn>,
    /// Give all findings of a code another level, or leave them out with `off`; may be repeated
    #[arg(long, value_name = "CODE=LEVEL", value_parser = parse_override)]
    pub(crate) level: Vec<Override>,
    /// Findings that were accepted: they are counted and not listed, and fail nothing
    #[arg(long, value_name = "FILE.json")]
    pub(crate) baseline: Option<PathBuf>,
    /// Accept what is found now: write the baseline instead of failing
    #[arg(long)]
    pub(crate) update_baseline: bool,
    /// The settings to use [default: the nearest residua.toml above each model, within its repository]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// Look for no residua.toml
    #[arg(long, conflicts_with = "config")]
    pub(crate) no_config: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: CheckFormat,
    /// Also write a report to a file, such as sarif=residua.sarif; may be repeated
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_report)]
    pub(crate) report: Vec<ReportFile>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// How `check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CheckFormat {
    /// To be read
    #[default]
    Text,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML: a test suite a model, a test case a rule
    Junit,
    /// Annotations of a GitHub workflow
    Github,
    /// Tables, for the summary of a job or a comment
    Markdown,
}

/// A report that goes to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportFile {
    /// How it is written.
    pub(crate) format: CheckFormat,
    /// Where.
    pub(crate) path: PathBuf,
}

fn parse_override(text: &str) -> Result<Override, String> {
    let (code, level) = text.split_once('=').ok_or("expected CODE=LEVEL, such as mixed-epsilon=off")?;
    Override::new(parse::code(code)?, parse::level(level)?)
}

fn parse_report(text: &str) -> Result<ReportFile, String> {
    let (format, path) = text.split_once('=').ok_or("expected FORMAT=FILE, such as sarif=residua.sarif")?;
    if path.is_empty() {
        return Err("expected a file behind the `=`".to_owned());
    }
    let named = CheckFormat::from_str(format, false).map_err(|_| {
        let names = CheckFormat::value_variants().iter().filter_map(|format| format.to_possible_value());
        let names: Vec<String> = names.map(|name| name.get_name().to_owned()).collect();
        format!("there is no format `{format}`{}", suggest::hint(format, names.iter().map(String::as_str)))
    })?;
    Ok(ReportFile { format: named, path: path.into() })
}

#[cfg(test)]
mod tests {
    use residua::ir::Level;

    use super::*;

    #[test]
    fn a_code_gets_another_level_by_id_or_name() {
        let off = parse_override("mixed-epsilon=off").unwrap();
        assert_eq!((off.code.name, off.level), ("mixed-epsilon", None));
        assert_eq!(parse_override(&format!("{}=error", off.code.id)).unwrap().level, Some(Level::Error));
        let error = parse_override("mixed-epsilom=off").unwrap_err();
        assert!(error.contains("did you mean `mixed-epsilon`?"), "{error}");
        for bad in ["R301", "R301=fatal", "=off"] {
            assert!(parse_override(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_makes_a_model_impossible_to_run_cannot_be_lowered() {
        assert!(parse_override("shape-mismatch=warning").is_err());
        assert!(parse_override("shape-mismatch=error").is_ok());
        assert!(parse_override("dead-node=off").is_ok());
    }

    #[test]
    fn a_report_is_a_format_and_a_file() {
        let expected = ReportFile { format: CheckFormat::Junit, path: "a=b.xml".into() };
        assert_eq!(parse_report("junit=a=b.xml"), Ok(expected));
        assert!(parse_report("sariff=x").unwrap_err().contains("did you mean `sarif`?"));
        for bad in ["sarif", "sarif="] {
            assert!(parse_report(bad).is_err(), "{bad}");
        }
    }
}
