//! Runtimes that a model may be meant for, as data: what each can load, and what it would compute otherwise.
//!
//! A runtime takes ONNX models ([`Onnx`]), or tensors under the names of model code of its own ([`Takes::Weights`]). A
//! table is one file and says which version of the runtime it was read from, and how. What follows from the
//! tables is the business of the rules `R4xx`. Not known here: speed, memory, devices.

mod burn;
mod candle;
mod fault;
mod ort;
mod rten;
mod tract;
mod weights;
mod wonnx;

use std::ops::RangeInclusive;

use residua_formats::onnx::schema::DataType;

use crate::onnx::Node;
pub(crate) use fault::faults;
pub(crate) use weights::Fit;

/// A runtime.
#[derive(Debug)]
#[non_exhaustive]
pub struct Runtime {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, and the version that its table was read from.
    pub about: &'static str,
    /// What it is given.
    pub takes: Takes,
}

/// What a runtime is given.
#[derive(Debug)]
#[non_exhaustive]
pub enum Takes {
    /// Tensors under the names of this library, whose model code it has.
    Weights(&'static str),
    /// ONNX models.
    Onnx(Onnx),
}

/// Which ONNX models a runtime takes.
#[derive(Debug)]
pub struct Onnx {
    /// Versions of the format that it opens.
    pub(crate) ir: RangeInclusive<i64>,
    /// Versions of ONNX's operators that it takes.
    pub(crate) opsets: RangeInclusive<i64>,
    /// Versions that it is tested with, or promises.
    pub(crate) promised: RangeInclusive<i64>,
    /// Other operator sets that a model may use.
    pub(crate) domains: Domains,
    /// Whether it enters functions of the model.
    pub(crate) functions: bool,
    /// Operators that it has; all where there is no list.
    pub(crate) operators: Option<&'static [&'static str]>,
    /// What it has in part.
    pub(crate) limits: &'static [Limit],
    /// Element types of weights, inputs and outputs.
    pub(crate) types: &'static [(DataType, Taken)],
    /// Operators that it has no kernels of where the operand in this position is of a type.
    pub(crate) lacks: &'static [(DataType, &'static [(&'static str, usize)])],
    /// Weights in files beside the model.
    pub(crate) external: External,
    /// Inputs of free sizes.
    pub(crate) free_sizes: FreeSizes,
    /// Whether values between nodes may go without a declared type.
    pub(crate) undeclared: bool,
}

/// Operator sets beside ONNX's own.
#[derive(Debug)]
pub(crate) enum Domains {
    /// These operators of other sets, as `domain/Operator`; further sets may be declared and not be used.
    Only(&'static [&'static str]),
    /// All operators of these sets.
    All(&'static [&'static str]),
    /// No other set may so much as be declared.
    NoneDeclared,
}

/// How an element type is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// As it is.
    AsIs,
    /// In memory as another one, inputs and outputs with it.
    As(&'static str),
}

/// Weights in files beside the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum External {
    /// Are read.
    Read,
    /// Are read where these entries are written out.
    With(&'static [&'static str]),
    /// Are not.
    Refused,
}

/// Inputs of free sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FreeSizes {
    /// Are taken, and fixed when the model is loaded or run.
    Taken,
    /// Are taken, and cannot be fixed where the types of values in between have their names.
    Promised,
    /// Are refused.
    Refused,
}

/// Where an operator is had in part.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The operator; `*` for any.
    pub(crate) op: &'static str,
    /// Whether a node of a model of this operator set is concerned.
    pub(crate) concerns: fn(Node<'_>, i64) -> bool,
    /// What becomes of such a node.
    pub(crate) then: Then,
    /// What is the matter, in words that follow the operator's name.
    pub(crate) says: &'static str,
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The model is refused, when it is loaded or when it is first run.
    Refused,
    /// Something else is computed, without a word.
    Otherwise,
}

/// Any version.
const ANY: RangeInclusive<i64> = 0..=i64::MAX;

/// All runtimes, in the order in which they are listed.
pub fn all() -> impl Iterator<Item = &'static Runtime> {
    let few = [
        &candle::MODELS,
        &burn::MODELS,
        &tract::TRACT,
        &rten::RTEN,
        &wonnx::WONNX,
        &candle::ONNX,
        &burn::ONNX,
        &ort::NEWEST,
    ];
    few.into_iter().chain(&ort::RELEASES)
}

/// The runtime of a name; a third number of a release plays no part.
#[must_use]
pub fn named(name: &str) -> Option<&'static Runtime> {
    let name = name.to_ascii_lowercase();
    let patched = |release: &str| name.strip_prefix(release).and_then(|rest| rest.strip_prefix('.'));
    let is_number = |patch: &str| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    all().find(|runtime| {
        runtime.name == name || runtime.name.contains("-1.") && patched(runtime.name).is_some_and(is_number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_used_once_and_lists_of_operators_are_sorted() {
        let mut names: Vec<&str> = all().map(|runtime| runtime.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for runtime in all() {
            assert_eq!(named(runtime.name).map(|found| found.name), Some(runtime.name));
            let Takes::Onnx(onnx) = &runtime.takes else { continue };
            let operators = onnx.operators.unwrap_or_default();
            assert!(operators.is_sorted_by(|a, b| a < b), "{}", runtime.name);
            for limit in onnx.limits {
                let known = limit.op == "*" || onnx.operators.is_none_or(|all| all.contains(&limit.op));
                assert!(known, "{}: a limit of {}, which it does not have", runtime.name, limit.op);
            }
        }
    }

    #[test]
    fn weights_are_for_zoos_that_are_known() {
        for runtime in all() {
            if let Takes::Weights(library) = runtime.takes {
                assert!(residua_resnet::layouts::ModelLibrary::named(library).is_some(), "{library}");
            }
        }
    }

    #[test]
    fn a_release_is_named_with_its_patch_or_without() {
        let name = |text: &str| named(text).map(|runtime| runtime.name);
        assert_eq!(
            [name("ort-1.20.1"), name("ORT-1.20"), name("ort")],
            [Some("ort-1.20"), Some("ort-1.20"), Some("ort")]
        );
        assert_eq!([name("ort-1.2"), name("ort-1.20."), name("ort-1.200"), name("tract.1"), name("")], [None; 5]);
    }
}
