//! The tensors of an output, and the names that they and everything else in it have.
//!
//! Invariant: every name is given once.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use residua_ir::tensor::element_count;
use residua_ir::{DType, Endian, Metadata, Tensor, TensorError};

use crate::EmitError;

/// A tensor of the output.
#[derive(Debug)]
pub(crate) struct Initializer {
    pub(crate) name: String,
    pub(crate) tensor: Tensor,
    pub(crate) metadata: Metadata,
}

/// See the [module](self).
pub(crate) struct Tensors {
    taken: HashSet<String>,
    /// The numbers that were last put behind names.
    counts: HashMap<String, usize>,
    /// Names in subgraphs.
    inner: HashSet<String>,
    initializers: Vec<Initializer>,
}

impl Tensors {
    /// None yet, where these names are taken.
    pub(crate) fn new(taken: HashSet<String>) -> Self {
        Self { taken, counts: HashMap::new(), inner: HashSet::new(), initializers: Vec::new() }
    }

    /// Those there are, in the order in which they were made.
    pub(crate) fn initializers(&self) -> &[Initializer] {
        &self.initializers
    }

    /// As [`Tensors::initializers`].
    pub(crate) fn into_initializers(self) -> Vec<Initializer> {
        self.initializers
    }

    /// A name that no value has yet.
    pub(crate) fn fresh(&mut self, wanted: &str) -> String {
        if self.taken.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        // The next of this name need not count again.
        let mut count = self.counts.get(wanted).copied().unwrap_or(1);
        let name = loop {
            count += 1;
            let name = format!("{wanted}_{count}");
            if self.taken.insert(name.clone()) {
                break name;
            }
        };
        self.counts.insert(wanted.to_owned(), count);
        name
    }

    /// A name for what stands in a subgraph: its own, unless something of the graph has it. Subgraphs beside each other may
    /// use the same names.
    pub(crate) fn inner_name(&mut self, wanted: &str) -> String {
        if self.inner.contains(wanted) {
            return wanted.to_owned();
        }
        let name = self.fresh(wanted);
        self.inner.insert(name.clone());
        name
    }

    /// A tensor under a name that is its own already.
    pub(crate) fn add(&mut self, initializer: Initializer) {
        self.initializers.push(initializer);
    }

    /// A constant of the output's own.
    pub(crate) fn constant(&mut self, name: &str, tensor: Result<Tensor, TensorError>) -> Result<String, EmitError> {
        let name = self.fresh(name);
        let tensor = tensor.map_err(|source| EmitError::Tensor { tensor: name.clone().into(), source })?;
        self.initializers.push(Initializer { name: name.clone(), tensor, metadata: Metadata::default() });
        Ok(name)
    }

    /// Takes a constant of the output's own back, whose only reader has it as an attribute.
    pub(crate) fn take_constant(&mut self, name: &str) -> Option<Tensor> {
        let at = self.initializers.iter().rposition(|initializer| initializer.name == name)?;
        Some(self.initializers.remove(at).tensor)
    }

    /// Size of a tensor of the output along an axis.
    pub(crate) fn size_of(&self, name: &str, axis: usize) -> Option<usize> {
        let tensor = self.initializers.iter().rfind(|initializer| initializer.name == name)?;
        tensor.tensor.shape().get(axis).copied()
    }

    /// Numbers of f32, whatever the float type of the output.
    #[expect(clippy::cast_possible_truncation, reason = "these operands are f32")]
    pub(crate) fn f32s(&mut self, name: &str, values: &[f64]) -> Result<String, EmitError> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        self.constant(name, Tensor::from_f32(vec![values.len()], &values))
    }

    /// Zeros of this type.
    pub(crate) fn zeros(&mut self, name: &str, dtype: DType, shape: Vec<usize>) -> Result<String, EmitError> {
        if dtype.is_float() {
            return self.constant(name, Tensor::filled(dtype, shape, 0.0));
        }
        let bytes = element_count(&shape).map(|count| count * dtype.size());
        let zeros = bytes.and_then(|len| Tensor::from_bytes(dtype, Endian::Little, shape, Bytes::from(vec![0; len])));
        self.constant(name, zeros)
    }
}
