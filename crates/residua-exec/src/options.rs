//! What a run is asked for, and what it gives back and shows on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use residua_ir::budget::Limit;
use residua_ir::{DType, ValueId};

use crate::array::{Array, Elements};
use crate::error::ExecError;

/// Type that a run computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// The fast engine.
    #[default]
    F32,
    /// The reference.
    F64,
}

/// How a graph is prepared.
#[derive(Debug, Clone)]
pub struct Options {
    /// Type that is computed in.
    pub precision: Precision,
    /// Number of threads; [`None`] is one a core.
    pub threads: Option<usize>,
    /// Values that are given back besides the outputs.
    pub keep: Vec<ValueId>,
    /// Values that are rounded to a narrower type once they are computed, as a framework does that computes in it. No
    /// operators are computed as one over them.
    pub round: BTreeMap<ValueId, DType>,
    /// Values that a watcher is to see: no step passes over them. Unlike those that are kept they are given up behind their
    /// last reader.
    pub watched: Vec<ValueId>,
    /// Most bytes that the activations of one run may take at once; [`Limit::ActivationBytes`] unless it is set.
    pub memory_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            precision: Precision::default(),
            threads: None,
            keep: Vec::new(),
            round: BTreeMap::new(),
            watched: Vec::new(),
            memory_limit: Limit::ActivationBytes.most_here(),
        }
    }
}

/// What a run gives back. Axes are in the graph's order, channels first.
#[derive(Debug, Clone)]
pub struct Results {
    /// Outputs, in the graph's order.
    pub outputs: Vec<Array>,
    /// Values that were to be kept, in the order in which they were asked for.
    pub kept: Vec<(ValueId, Array)>,
}

impl Results {
    /// A value that was to be kept.
    #[must_use]
    pub fn kept(&self, value: ValueId) -> Option<&Array> {
        self.kept.iter().find(|(id, _)| *id == value).map(|(_, array)| array)
    }
}

/// Sees what steps give; what it returns is taken instead.
pub type Watch<'a> = &'a mut (dyn FnMut(ValueId, Computed<'_>) -> Option<Arc<Array>> + Send);

/// What a step gave. Axes are in the graph's order, channels first.
#[derive(Debug, Clone, Copy)]
pub struct Computed<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) elements: Elements<'a>,
}

impl Computed<'_> {
    /// Its sizes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.shape
    }

    /// Index of the first element that is infinite or NaN, row-major, and how many are.
    #[must_use]
    pub fn non_finite(&self) -> Option<(usize, usize)> {
        fn found(bad: impl Iterator<Item = bool>) -> Option<(usize, usize)> {
            let mut places = bad.enumerate().filter_map(|(at, bad)| bad.then_some(at));
            places.next().map(|first| (first, 1 + places.count()))
        }
        match self.elements {
            Elements::F32(values) => found(values.iter().map(|value| !value.is_finite())),
            Elements::F64(values) => found(values.iter().map(|value| !value.is_finite())),
        }
    }

    /// A copy of it.
    ///
    /// # Errors
    /// [`ExecError::ElementCount`], as [`Array::new`].
    pub fn to_array(&self) -> Result<Array, ExecError> {
        match self.elements {
            Elements::F32(values) => Array::new(self.shape.to_vec(), values.to_vec()),
            Elements::F64(values) => Array::new(self.shape.to_vec(), values.to_vec()),
        }
    }
}
