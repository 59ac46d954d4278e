//! A network as it was written in one format, and what its proof says of other bytes in the place of the file.

use residua::convert::{Convert, Onnx, Output, Safetensors};
use residua::emit::InMemory;
use residua::layouts::Fit;
use residua::options::Layout;
use residua::proof::Verdict;
use residua::{Conversion, Model};
use residua_tests::Fixture;

/// What the proof says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It holds the source's function.
    Same,
    /// It is another one.
    Different,
    /// It cannot be read, or not be run.
    Refused,
}

/// A network that was written, with its source.
pub(crate) struct Network {
    pub(crate) what: String,
    pub(crate) written: Written,
    /// Whether the file as it was written is shown to be the source by what it is made of.
    pub(crate) by_structure: bool,
    conversion: Conversion<InMemory>,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Onnx,
    /// Weights with a graph in the metadata.
    Graph,
    /// Weights under names that a library's code reads.
    Weights,
}

impl Network {
    /// The network of a fixture in each format that holds it, one after the other.
    pub(crate) fn each(fixture: &Fixture, mut seen: impl FnMut(&Self)) {
        // What cannot be read or written at all has tests of its own.
        let Ok(model) = Model::open(fixture.path.as_path()) else { return };
        let weights = |layout| Output::Safetensors(Safetensors { layout: Some(layout) });
        let fitting = Layout::all()
            .map(|(layout, ..)| layout)
            .find(|&layout| Fit::of(&model, layout).is_ok_and(|fit| fit.fitted().is_some()));
        let targets = [
            Some((Written::Onnx, "onnx", Output::Onnx(Onnx::default()))),
            Some((Written::Graph, "safetensors", weights(Layout::Residua))),
            fitting.map(|layout| (Written::Weights, layout.name(), weights(layout))),
        ];
        for (written, named, to) in targets.into_iter().flatten() {
            let file = if written == Written::Onnx { "model.onnx" } else { "model.safetensors" };
            let Ok(conversion) = model.convert_in_memory(file, Convert::from(to)) else { continue };
            let network =
                Self { what: format!("{} as {named}", fixture.label()), written, by_structure: false, conversion };
            let Ok(verification) = network.conversion.prove_other(network.bytes().to_vec(), true) else {
                // What is not known cannot be proved.
                assert!(model.graph().opaque_nodes().next().is_some(), "{}", network.what);
                continue;
            };
            // What does not hold is not written; that all others do has tests of its own.
            if verification.verdict == Verdict::Different {
                continue;
            }
            seen(&Self { by_structure: verification.identical.is_some(), ..network });
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.conversion.bytes()
    }

    /// Proves other bytes in the place of the file.
    pub(crate) fn hold(&self, bytes: Vec<u8>) -> Found {
        match self.conversion.prove_other(bytes, true).map(|verification| verification.verdict) {
            Ok(Verdict::Same) => Found::Same,
            Ok(Verdict::Different) => Found::Different,
            Err(_) => Found::Refused,
        }
    }
}
