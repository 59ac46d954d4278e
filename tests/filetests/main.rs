//! One file a case: a graph as text, and what a pass makes of it.
//!
//! The folder names the pass, the file says what the case shows. Above the line `---` stands the input, below it what is
//! expected; `UPDATE_EXPECTED=1` writes that. Graphs are in the text of `residua_ir::text`, models of ONNX in ONNX's own. Elements
//! that an input leaves to its names are made from these, so that what keeps its elements keeps their name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod onnx_text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use prost::Message;
use residua_emit::onnx::{OnnxOptions, draft};
use residua_formats::onnx::schema::{DataType, TensorProto};
use residua_ir::rewrite::{fold_batch_norm, fold_constants, normalise};
use residua_ir::{Checked, DType, Graph, Tensor, Typed, text, validate};

const LINE: &str = "\n---\n";

/// What is done to the input of a case.
type Pass = fn(&str) -> Result<String, String>;

const PASSES: [(&str, Pass); 6] = [
    ("import", imported),
    ("validate", validated),
    ("normalise", normalised),
    ("fold-constants", constants_folded),
    ("fold-batch-norm", norms_folded),
    ("emit", emitted),
];

fn main() {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let mut trials = Vec::new();
    for (name, pass) in PASSES {
        let cases = cases(&folder.join(name));
        assert!(!cases.is_empty(), "no case of {name}");
        for path in cases {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            trials.push(Trial::test(format!("{name}::{stem}"), move || hold(&path, pass)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.to_string_lossy()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
}

fn hold(path: &Path, pass: Pass) -> Result<(), Failed> {
    let whole = fs::read_to_string(path)?;
    let (input, expected) = whole.split_once(LINE).unwrap_or((whole.trim_end(), ""));
    if !input.starts_with("# ") {
        return Err("the first line says what the case shows, behind `# `".into());
    }
    let found = pass(input)?;
    if env::var_os("UPDATE_EXPECTED").is_some() && found != expected {
        fs::write(path, format!("{input}{LINE}{found}"))?;
        return Ok(());
    }
    if found == expected {
        return Ok(());
    }
    Err(format!("expected\n{expected}\nfound\n{found}\n(UPDATE_EXPECTED=1 takes it)").into())
}

/// Numbers between -1 and 1 that are the same for the same name.
fn numbers(name: &str, count: usize) -> Vec<f64> {
    let mut state = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from((state >> 40) as u32) / f64::from(1_u32 << 23) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn made(name: &str, dtype: DType, shape: &[usize]) -> Option<Tensor> {
    let values = numbers(name, shape.iter().product());
    dtype.is_float().then(|| Tensor::from_f64(shape.to_vec(), &values).unwrap().cast(dtype))
}

/// The graph of an input; comments are none of its lines.
fn graph(input: &str) -> Result<Graph, String> {
    text::read(input, made).map_err(told)
}

fn checked(graph: Graph) -> Result<Checked, String> {
    validate(graph).map_err(|invalid| invalid.to_string())
}

/// An error with what is behind it.
fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A graph as text. Elements that are those that a name makes have that name, others are known by a number.
fn printed(graph: &Graph) -> Result<String, String> {
    let mut failed = None;
    let printed = text::write(graph, |parameter| {
        let tensor = &parameter.tensor;
        match tensor.to_f64() {
            Ok(values) => {
                let names = graph.parameters().iter().map(|parameter| parameter.name.raw());
                let same = |name: &&str| {
                    let made = made(name, tensor.dtype(), tensor.shape());
                    made.is_some_and(|made| made.to_f64().is_ok_and(|made| made == values))
                };
                names.into_iter().find(same).map_or_else(|| digest(&values), str::to_owned)
            }
            Err(error) => {
                failed = Some(told(error));
                String::new()
            }
        }
    });
    failed.map_or_else(|| printed.map_err(told), Err)
}

/// A number for elements, to two decimals, so that another order of summation does not change it; and how many they are.
fn digest(values: &[f64]) -> String {
    let sum: f64 = values.iter().enumerate().map(|(index, value)| value * ((index % 97) as f64 + 1.0)).sum();
    format!("{} numbers, {sum:.2}", values.len())
}

fn imported(input: &str) -> Result<String, String> {
    let text: String = input.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let elements = |tensor: &TensorProto| {
        let dtype = DataType::read_as(tensor.data_type).expect("a type that has elements");
        let shape: Vec<usize> = tensor.dims.iter().map(|&size| usize::try_from(size).unwrap()).collect();
        let made = made(&tensor.name, dtype, &shape).expect("whole numbers stand in the text");
        let mut bytes = Vec::new();
        made.append_le_bytes(&mut bytes).unwrap();
        bytes
    };
    let model = onnx_text::parse(&text, elements)?;
    let folder = tempfile::tempdir().map_err(told)?;
    let path = folder.path().join("model.onnx");
    fs::write(&path, model.encode_to_vec()).map_err(told)?;
    match residua_import::load(&path) {
        Ok(graph) => printed(&graph),
        Err(error) => Ok(format!("error: {}\n", told(error).replace(&*path.to_string_lossy(), "model.onnx"))),
    }
}

/// The type of each value, and all findings.
fn validated(input: &str) -> Result<String, String> {
    let types = |model: &Typed| {
        let ids = model.graph().nodes().iter().flat_map(|node| node.outputs.clone());
        ids.map(|id| {
            let ty = model.type_of(id).map_or("?".to_owned(), |ty| format!("{}{}", ty.dtype, ty.shape));
            format!("{}: {ty}\n", model.graph().value(id).name)
        })
        .collect::<String>()
    };
    Ok(match validate(graph(input)?) {
        Ok(model) => types(&model),
        Err(invalid) => {
            let findings: String =
                invalid.findings.iter().map(|finding| format!("{}: {}\n", finding.code.id, finding.message)).collect();
            types(&invalid.typed) + &findings
        }
    })
}

fn normalised(input: &str) -> Result<String, String> {
    let Some(normalised) = normalise(&Typed::new(graph(input)?)).map_err(told)? else {
        return Ok("# nothing\n".to_owned());
    };
    let mut passes = String::new();
    for applied in &normalised.applied {
        passes += &format!("# {}, {:?}: {}\n", applied.pass, applied.change, applied.nodes.join(", "));
    }
    Ok(passes + &printed(normalised.model.graph())?)
}

/// Computes what is folded when it is asked for.
struct Computation(Checked);

impl residua_ir::LazyBytes for Computation {
    fn load(&self) -> Result<bytes::Bytes, residua_ir::TensorError> {
        let failed = |error: residua_exec::ExecError| residua_ir::TensorError::Source(error.to_string().into());
        let options = residua_exec::Options { precision: residua_exec::Precision::F64, ..Default::default() };
        let run = residua_exec::Executor::new(&self.0, &options).and_then(|executor| executor.run(&[]));
        let output = run.map_err(failed)?.outputs.remove(0);
        let dtype = self.0.type_of(self.0.graph().outputs()[0]).expect("a type").dtype;
        let mut bytes = Vec::new();
        Tensor::from_f64(vec![output.len()], &output.to_f64())?.cast(dtype).append_le_bytes(&mut bytes)?;
        Ok(bytes.into())
    }
}

fn constants_folded(input: &str) -> Result<String, String> {
    let typed = Typed::new(graph(input)?);
    match fold_constants(&typed, &|part| Arc::new(Computation(part))).map_err(told)? {
        Some(folded) => printed(&folded),
        None => Ok("# nothing\n".to_owned()),
    }
}

fn norms_folded(input: &str) -> Result<String, String> {
    let model = checked(graph(input)?)?;
    let folded = fold_batch_norm(&model).map_err(told)?;
    Ok(format!("# folded {}, kept {}\n{}", folded.folded, folded.kept, printed(&folded.graph)?))
}

/// Options of a case stand in lines such as `# opset 11`.
fn emitted(input: &str) -> Result<String, String> {
    let settings: BTreeMap<&str, &str> = input
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter_map(|line| line.split_once(' ').filter(|(_, value)| !value.contains(' ')))
        .collect();
    let mut options = OnnxOptions::default();
    if let Some(opset) = settings.get("opset") {
        options.opset = opset.parse().map_err(|_| format!("`{opset}` is no operator set"))?;
    }
    match draft(&checked(graph(input)?)?, &options) {
        Ok(model) => Ok(onnx_text::print(&model)),
        Err(error) => Ok(format!("error: {}\n", told(error))),
    }
}
