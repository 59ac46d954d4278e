//! What is only written with other names, axes and containers is shown to be the source's function by what it is made of,
//! without a run; where arithmetic changed, all but that is: for every fixture, in every format.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is how a test fails")]

use residua::convert::{Convert, Onnx, Output, Safetensors};
use residua::emit::Exactness;
use residua::emit::onnx::InputLayout;
use residua::options::{Dtype, Layout};
use residua::proof::Verdict;
use residua::{Model, Proof};
use residua_ir::Framework;
use residua_ir::rewrite::Change;
use residua_tests::{Fixture, Table};

/// Networks of which a part goes by numbers though it has the same bits: what is computed from tensors alone is a tensor in the
/// file, axes are reshaped in another order, sizes stand for scales, a layer for a product of matrices.
const BY_NUMBERS: [&str; 10] = [
    "adaptive_pools",
    "dot",
    "normalization",
    "reshapes",
    "resizing",
    "resizing_aspect",
    "resizing_k2",
    "time_distributed",
    "unit_normalization",
    "up_sampling",
];

/// Folded networks that are run as a whole: parts of these that correspond are not found.
fn may_be_whole(fixture: &Fixture) -> bool {
    fixture.name.contains("activation")
        || fixture.name.contains("se_block")
        || ["dynamo", "legacy"].iter().any(|form| fixture.encoding.contains(form))
}

/// How something was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Structure,
    /// In part; the rest by numbers.
    Parts,
    /// By numbers, as a whole.
    Whole,
}

/// Converts a model and says what of its proof is not as expected.
fn fault(model: &Model, fixture: &Fixture, what: &str, to: Convert) -> Option<String> {
    let folds = to.fold_batch_norms;
    // What cannot be written at all has tests of its own, and what cannot be run is not proved.
    let conversion = model.convert_in_memory("model", to).ok()?;
    let conversion = match conversion.prove(&Proof::default()) {
        Ok(conversion) => conversion,
        Err(_) if model.graph().opaque_nodes().next().is_some() => return None,
        Err(error) => return Some(format!("{what}: {error:?}")),
    };
    let verification = conversion.verification().unwrap();
    let by = match (&verification.identical, &verification.in_parts) {
        (Some(_), _) => By::Structure,
        (None, Some(_)) => By::Parts,
        (None, None) => By::Whole,
    };
    let found = format!("{what}: {by:?}: {} {:?} {:?}", verification.found, verification.reason, verification.unlike);
    if verification.verdict != Verdict::Same {
        // What f16 does not hold is refused.
        return (what != "f16").then_some(found);
    }
    let (_, converted) = conversion.into_memory().unwrap();
    let rearranged = match &converted.emitted().exactness {
        Exactness::Identical => false,
        Exactness::Rearranged { .. } => true,
        Exactness::Rounded { nodes, .. } => !nodes.is_empty(),
    };
    let rounds = folds || converted.passes().iter().any(|applied| applied.change == Change::Rounding);
    let expected = if what == "nhwc" || BY_NUMBERS.contains(&&*fixture.name) || rearranged {
        // Transposes at inputs and outputs are not always taken out again; what is written as several operators goes by
        // parts where these can be told apart.
        By::Whole
    } else if rounds {
        if may_be_whole(fixture) { By::Whole } else { By::Parts }
    } else {
        By::Structure
    };
    (by > expected).then_some(found)
}

fn every_conversion(fixture: &Fixture) -> Result<(), String> {
    let Ok(model) = Model::open(fixture.path.as_path()) else { return Ok(()) };
    let keras = model.graph().graph().source().framework == Framework::Keras;
    let onnx =
        |layout, opset| Convert::from(Output::Onnx(Onnx { opset, input_layout: Some(layout), ..Onnx::default() }));
    let safetensors = |layout| Convert::from(Output::Safetensors(Safetensors { layout: Some(layout) }));
    let mut targets = vec![
        ("nchw", onnx(InputLayout::Nchw, None)),
        ("nhwc", onnx(InputLayout::Nhwc, None)),
        ("opset 21", onnx(InputLayout::Nchw, Some(21))),
        ("f16", Convert { dtype: Some(Dtype::F16), ..onnx(InputLayout::Nchw, None) }),
        ("folded", Convert { fold_batch_norms: true, ..onnx(InputLayout::Nchw, None) }),
        ("own names", safetensors(Layout::Residua)),
    ];
    if keras {
        targets.push(("names and axes of the source", safetensors(Layout::Source)));
    }
    let faults: Vec<String> = targets.into_iter().filter_map(|(what, to)| fault(&model, fixture, what, to)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn main() {
    let all = residua_tests::all().iter().chain(residua_tests::torch()).chain(residua_tests::onnx());
    Table::new().fixtures("what_is_only_renamed_is_identical", all, every_conversion).run()
}
