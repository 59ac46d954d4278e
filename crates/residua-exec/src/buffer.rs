//! Buffers that are used again and again, aligned for vectors.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut, Range};

/// Bytes of a cache line, and of the widest vector.
const CACHE_LINE: usize = 64;

/// So many elements, of which the first lies at the start of a cache line.
///
/// What lies behind them is kept when a buffer is used for less, so nothing is written only to make it longer again.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    elements: Vec<T>,
    used: Range<usize>,
}

impl<T: Copy + Default> Buffer<T> {
    /// A buffer of zeros.
    pub(crate) fn new(len: usize) -> Self {
        let slack = CACHE_LINE / size_of::<T>();
        let elements = vec![T::default(); len.saturating_add(slack)];
        let start = elements.as_ptr().align_offset(CACHE_LINE).min(slack);
        Self { elements, used: start..start + len }
    }

    /// How many elements it can be used for.
    pub(crate) fn capacity(&self) -> usize {
        self.elements.len() - self.used.start
    }

    /// The same buffer for another number of elements, at most its capacity. They have any value.
    pub(crate) fn with_len(mut self, len: usize) -> Self {
        self.used.end = self.used.start + len.min(self.capacity());
        self
    }
}

/// Buffers that nothing is in, by their capacity.
#[derive(Debug)]
pub(crate) struct FreeList<T>(BTreeMap<usize, Vec<Buffer<T>>>);

impl<T> Default for FreeList<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy + Default> FreeList<T> {
    /// The smallest buffer that holds so many elements, which have any value.
    pub(crate) fn take(&mut self, len: usize) -> Option<Buffer<T>> {
        let (&capacity, buffers) = self.0.range_mut(len..).next()?;
        let found = buffers.pop();
        if buffers.is_empty() {
            self.0.remove(&capacity);
        }
        found.map(|buffer| buffer.with_len(len))
    }

    /// Gives a buffer back.
    pub(crate) fn push(&mut self, buffer: Buffer<T>) {
        self.0.entry(buffer.capacity()).or_default().push(buffer);
    }
}

impl<T: Copy> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        self.to_vec().into()
    }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(elements: Vec<T>) -> Self {
        let used = 0..elements.len();
        Self { elements, used }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements[self.used.clone()]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.elements[self.used.clone()]
    }
}
