//! One run: the values that live, and buffers to use again.

use std::collections::BTreeMap;
use std::sync::Arc;

use pulp::Arch;
use residua_ir::ValueId;

use crate::array::{Array, Data};
use crate::buffer::{Buffer, FreeList};
use crate::element::Element;
use crate::error::ExecError;

/// Values that do not depend on the inputs, read as they are.
pub(crate) type Constants<T> = BTreeMap<ValueId, Vec<T>>;

/// One run: the values that live, and buffers to use again.
pub(crate) struct Run<'a, T> {
    pub(crate) arch: Arch,
    pub(crate) shapes: Arc<[Vec<usize>]>,
    slots: Vec<Option<Arc<Buffer<T>>>>,
    free: FreeList<T>,
    constants: &'a Constants<T>,
}

impl<'a, T: Element> Run<'a, T> {
    /// A run of values of these shapes, with these buffers at hand.
    pub(crate) fn new(arch: Arch, shapes: Arc<[Vec<usize>]>, free: FreeList<T>, constants: &'a Constants<T>) -> Self {
        let slots = vec![None; shapes.len()];
        Self { arch, shapes, slots, free, constants }
    }

    /// Keeps what a step gave.
    pub(crate) fn put(&mut self, id: ValueId, values: Arc<Buffer<T>>) {
        self.slots[id.index()] = Some(values);
    }

    /// Takes an array instead of what a step gave.
    pub(crate) fn replace(&mut self, id: ValueId, array: &Array) -> Result<(), ExecError> {
        if array.shape() != self.shape(id) {
            return Err(ExecError::Compare { reference: self.shape(id).to_vec(), other: array.shape().to_vec() });
        }
        // Its own buffer is taken again: one that came from elsewhere would stay for the rest of the run, for each value.
        self.release(id);
        let mut values = self.buffer(array.len());
        match array.data() {
            Data::F32(from) => values.iter_mut().zip(from).for_each(|(value, &from)| *value = T::from_f32(from)),
            Data::F64(from) => values.iter_mut().zip(from).for_each(|(value, &from)| *value = T::from_f64(from)),
        }
        self.put(id, Arc::new(values));
        Ok(())
    }

    /// Elements of a value that lives.
    pub(crate) fn values(&self, id: ValueId) -> &[T] {
        match &self.slots[id.index()] {
            Some(values) => values,
            None => self.constants.get(&id).map_or(&[], Vec::as_slice),
        }
    }

    /// Its sizes.
    pub(crate) fn shape(&self, id: ValueId) -> &[usize] {
        &self.shapes[id.index()]
    }

    /// A buffer of this many elements of any value.
    pub(crate) fn buffer(&mut self, len: usize) -> Buffer<T> {
        let Some(mut used) = self.free.take(len) else { return Buffer::new(len) };
        // What is not written shows in every test.
        if cfg!(debug_assertions) {
            used.fill(T::from_f64(f64::NAN));
        }
        used
    }

    /// Gives a buffer back.
    pub(crate) fn recycle(&mut self, buffer: Buffer<T>) {
        self.free.push(buffer);
    }

    /// The value itself, to pass on.
    pub(crate) fn share(&mut self, id: ValueId) -> Arc<Buffer<T>> {
        match &self.slots[id.index()] {
            Some(values) => values.clone(),
            None => Arc::new(self.values(id).to_vec().into()),
        }
    }

    /// The elements of a value, to be changed: its own buffer where it is not read again, a copy otherwise.
    pub(crate) fn take(&mut self, id: ValueId, dead: &[ValueId]) -> Buffer<T> {
        if dead.contains(&id)
            && let Some(values) = self.slots[id.index()].take()
        {
            match Arc::try_unwrap(values) {
                Ok(values) => return values,
                Err(shared) => self.slots[id.index()] = Some(shared),
            }
        }
        let mut copy = self.buffer(self.values(id).len());
        copy.copy_from_slice(self.values(id));
        copy
    }

    /// Takes the buffer of a value that is not read again.
    pub(crate) fn release(&mut self, id: ValueId) {
        if let Some(buffer) = self.slots[id.index()].take().and_then(|values| Arc::try_unwrap(values).ok()) {
            self.free.push(buffer);
        }
    }

    /// Buffers that are free once it has ended.
    pub(crate) fn into_free(self) -> FreeList<T> {
        self.free
    }

    /// A value as an array of its own.
    pub(crate) fn array(&self, id: ValueId) -> Result<Array, ExecError> {
        Array::new(self.shape(id).to_vec(), T::into_data(self.values(id).to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use residua_ir::{GraphBuilder, Shape};

    use super::*;

    #[test]
    fn values_that_are_replaced_take_no_buffers_of_their_own() {
        let x = GraphBuilder::new("g").input("x", Shape::batch(&[8]));
        let constants = Constants::new();
        let shapes = vec![vec![1, 8]; x.index() + 1];
        let mut run = Run::<f32>::new(Arch::new(), shapes.into(), FreeList::default(), &constants);
        for number in 0..5 {
            let computed = run.buffer(8);
            run.put(x, Arc::new(computed));
            run.replace(x, &Array::new(vec![1, 8], vec![f64::from(number); 8]).unwrap()).unwrap();
            assert_eq!(run.values(x), [number as f32; 8]);
            run.release(x);
        }
        let mut free = run.into_free();
        assert!(free.take(8).is_some() && free.take(8).is_none());
    }
}
