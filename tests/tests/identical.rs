//! What is only written with other names, axes and containers is shown to be the source's function by what it is made of,
//! without a run: for every fixture, in every format.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is how a test fails")]

use residua::convert::{Convert, Onnx, Output, Safetensors};
use residua::emit::Exactness;
use residua::emit::onnx::InputLayout;
use residua::options::Layout;
use residua::proof::Verdict;
use residua::{Model, Proof};
use residua_ir::Framework;
use residua_ir::rewrite::Change;
use residua_tests::{Fixture, Table};

fn onnx(layout: InputLayout, opset: Option<u32>) -> Output {
    Output::Onnx(Onnx { opset, input_layout: Some(layout), ..Onnx::default() })
}

/// Networks of which a part is written otherwise, though with the same bits, so that numbers decide: sums of three as sums of sums,
/// averages over windows that do not hang over the image with or without a count of what hangs over it, slices that are counted
/// from the end.
const BY_NUMBERS: [&str; 6] = ["normalization", "reshapes", "merges", "merges_broadcast", "resnet50d", "channel_order"];

/// How a conversion is to be proved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// By what it is made of, unless operators had to be written as several.
    Structure,
    /// That way or by numbers: transposes at inputs and outputs are not always taken out again.
    Either,
}

/// Converts a model and says what of its proof is not as expected.
fn fault(model: &Model, what: &str, to: Output, expected: Expected) -> Option<String> {
    // What cannot be written at all has tests of its own, and what cannot be run is not proved.
    let conversion = model.convert_in_memory("model", Convert::from(to)).ok()?;
    let conversion = match conversion.prove(&Proof::default()) {
        Ok(conversion) => conversion,
        Err(_) if model.graph().opaque_nodes().next().is_some() => return None,
        Err(error) => return Some(format!("{what}: {error:?}")),
    };
    let verification = conversion.verification().unwrap();
    let (same, identical) = (verification.verdict == Verdict::Same, verification.identical.is_some());
    let found = format!("{what}: {} {:?} {:?}", verification.found, verification.reason, verification.unlike);
    if !same {
        return Some(found);
    }
    let (_, converted) = conversion.into_memory().unwrap();
    let rearranged = converted.emitted().exactness != Exactness::Identical;
    let rounds = converted.passes().iter().any(|applied| applied.change == Change::Rounding);
    (expected == Expected::Structure && !identical && !rearranged && !rounds).then_some(found)
}

fn every_conversion(fixture: &Fixture) -> Result<(), String> {
    let Ok(model) = Model::open(fixture.path.as_path()) else { return Ok(()) };
    let structure = if BY_NUMBERS.contains(&&*fixture.name) { Expected::Either } else { Expected::Structure };
    let keras = model.graph().graph().source().framework == Framework::Keras;
    let own = Output::Safetensors(Safetensors { layout: Some(Layout::Residua) });
    let source = Output::Safetensors(Safetensors { layout: Some(Layout::Source) });
    let mut targets = vec![
        ("nchw", onnx(InputLayout::Nchw, None), structure),
        ("nhwc", onnx(InputLayout::Nhwc, None), Expected::Either),
        ("opset 21", onnx(InputLayout::Nchw, Some(21)), structure),
        ("own names", own, structure),
    ];
    if keras {
        targets.push(("names and axes of the source", source, structure));
    }
    let faults: Vec<String> =
        targets.into_iter().filter_map(|(what, to, expected)| fault(&model, what, to, expected)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn main() {
    let all = residua_tests::all().iter().chain(residua_tests::torch()).chain(residua_tests::onnx());
    Table::new().fixtures("what_is_only_renamed_is_identical", all, every_conversion).run()
}
