//! Names of tensors in a layout, and tensors as it stores them.

use residua_ir::{Tensor, TensorError};

use super::{Axes, NamingLayout};
use crate::slot::{Component, Field, Position, Slot};

impl NamingLayout {
    /// Name of a tensor; [`None`] where the layout has none for it.
    #[must_use]
    pub fn tensor(&self, slot: Slot) -> Option<String> {
        if !self.has(slot.position) {
            return None;
        }
        let (_, field) = self.axes.fields(slot.position).iter().find(|(field, _)| *field == slot.field)?;
        Some(format!("{}{}{field}", self.layer(slot.position)?, self.axes.separator()))
    }

    /// A name as a model is saved that gives its last map (without `head`): without what stands before all names.
    #[must_use]
    pub fn saved(&self, name: String, head: bool) -> String {
        match name.strip_prefix(self.optional) {
            Some(bare) if !head => bare.to_owned(),
            Some(_) | None => name,
        }
    }

    /// The tensor of a name; [`None`] for a name that is not of this layout. Keras's names may end in `:0`, and may be
    /// joined by dots.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        let (layer, field) = match self.axes {
            Axes::Torch | Axes::TorchGateMatrices | Axes::Burn => name.rsplit_once('.')?,
            Axes::Keras => name.strip_suffix(":0").unwrap_or(name).rsplit_once(['/', '.'])?,
        };
        let position = self.position(layer)?;
        let (field, _) = self.axes.fields(position).iter().find(|(_, name)| *name == field)?;
        Some(Slot { position, field: *field })
    }

    /// How a tensor of so many axes lies in files: axis `i` there is axis `order[i]` here, where convolutions are OIHW and
    /// matrices `[out, in]`. [`None`] where both are the same.
    fn stored_order(&self, field: Field, rank: usize) -> Option<&'static [usize]> {
        match field {
            Field::Weight => {}
            Field::Bias | Field::Scale | Field::Offset | Field::Mean | Field::Variance | Field::Batches => return None,
        }
        match (self.axes, rank) {
            (Axes::Keras, 4) => Some(&[2, 3, 1, 0]),
            (Axes::Keras | Axes::Burn, 2) => Some(&[1, 0]),
            (Axes::Torch | Axes::TorchGateMatrices | Axes::Keras | Axes::Burn, _) => None,
        }
    }

    /// A tensor as the layout stores it, from one in this project's order: OIHW, `[out, in]`.
    ///
    /// # Errors
    /// [`TensorError::View`] for a tensor of another rank than its slot has.
    pub fn stored(&self, slot: Slot, tensor: &Tensor) -> Result<Tensor, TensorError> {
        if let (Axes::TorchGateMatrices, true, &[out, taken, 1, 1]) = (self.axes, is_gate(slot), tensor.shape()) {
            return tensor.reshape(&[out, taken]);
        }
        match self.stored_order(slot.field, tensor.shape().len()) {
            Some(order) => tensor.permute(order),
            None => Ok(tensor.clone()),
        }
    }

    /// A tensor in this project's order, from one as the layout stores it.
    ///
    /// # Errors
    /// [`TensorError::View`] for a tensor of another rank than its slot has.
    pub fn read(&self, slot: Slot, tensor: &Tensor) -> Result<Tensor, TensorError> {
        if let (true, &[out, taken]) = (is_gate(slot), tensor.shape()) {
            return tensor.reshape(&[out, taken, 1, 1]);
        }
        match self.stored_order(slot.field, tensor.shape().len()) {
            Some(order) => tensor.permute(&inverse(order)),
            None => Ok(tensor.clone()),
        }
    }

    /// Shape in this project's order of a tensor that the layout stores in this one.
    #[must_use]
    pub fn shape(&self, slot: Slot, stored: &[usize]) -> Vec<usize> {
        if let (true, &[out, taken]) = (is_gate(slot), stored) {
            return vec![out, taken, 1, 1];
        }
        match self.stored_order(slot.field, stored.len()) {
            Some(order) => inverse(order).iter().map(|&axis| stored[axis]).collect(),
            None => stored.to_vec(),
        }
    }
}

/// Whether a tensor is the kernel of a gate: of a 1x1 convolution, which may be stored as a matrix.
fn is_gate(slot: Slot) -> bool {
    slot.field == Field::Weight && matches!(slot.position, Position::Block { component: Component::Gate(_), .. })
}

/// The permutation that undoes another.
fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (at, &axis) in order.iter().enumerate() {
        inverse[axis] = at;
    }
    inverse
}
