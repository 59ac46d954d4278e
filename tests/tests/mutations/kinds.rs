//! Kinds of single changes, and the places at which one of them can be made.

use std::collections::HashMap;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Bit,
    Attribute,
    Edge,
    Operands,
    Dropped,
    Doubled,
    Exchanged,
    Inputs,
    Outputs,
    InputShape,
    InputType,
    TensorType,
    Names,
    Nodes,
    Tensors,
    Commuted,
    Unread,
}

impl Kind {
    pub(crate) const ALL: [Self; 17] = [
        Self::Bit,
        Self::Attribute,
        Self::Edge,
        Self::Operands,
        Self::Dropped,
        Self::Doubled,
        Self::Exchanged,
        Self::Inputs,
        Self::Outputs,
        Self::InputShape,
        Self::InputType,
        Self::TensorType,
        Self::Names,
        Self::Nodes,
        Self::Tensors,
        Self::Commuted,
        Self::Unread,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bit => "one bit of one element of a tensor",
            Self::Attribute => "an attribute",
            Self::Edge => "an edge",
            Self::Operands => "two operands that do not commute exchanged",
            Self::Dropped => "a node dropped",
            Self::Doubled => "a node doubled",
            Self::Exchanged => "two tensors of one shape exchanged",
            Self::Inputs => "another order of inputs",
            Self::Outputs => "another order of outputs",
            Self::InputShape => "another shape of an input",
            Self::InputType => "another element type of an input",
            Self::TensorType => "another element type of a tensor",
            Self::Names => "other names",
            Self::Nodes => "another order of nodes",
            Self::Tensors => "another order of tensors",
            Self::Commuted => "two operands that commute exchanged",
            Self::Unread => "a copy of a node that nothing reads",
        }
    }

    /// Whether it leaves the function as it is.
    pub(crate) fn is_harmless(self) -> bool {
        match self {
            Self::Names | Self::Nodes | Self::Tensors | Self::Commuted | Self::Unread => true,
            Self::Bit
            | Self::Attribute
            | Self::Edge
            | Self::Operands
            | Self::Dropped
            | Self::Doubled
            | Self::Exchanged
            | Self::Inputs
            | Self::Outputs
            | Self::InputShape
            | Self::InputType
            | Self::TensorType => false,
        }
    }
}

/// A change at one place of a file `F`: what is changed, and how. Nothing is copied until it is made.
pub(crate) struct Place<F> {
    pub(crate) what: String,
    pub(crate) make: Box<dyn FnOnce(&mut F)>,
}

impl<F> Place<F> {
    pub(crate) fn new(what: impl Into<String>, make: impl FnOnce(&mut F) + 'static) -> Self {
        Self { what: what.into(), make: Box::new(make) }
    }
}

/// A file that was decoded once, and can be changed.
pub(crate) trait File: Clone {
    /// Where a change of a kind can be made.
    fn places(&self, kind: Kind) -> Vec<Place<Self>>;

    fn encode(&self) -> Vec<u8>;
}

/// Values by what they are made of: those of one number are one function.
#[derive(Default)]
pub(crate) struct Numbering {
    numbers: HashMap<String, usize>,
    values: HashMap<String, usize>,
}

impl Numbering {
    /// A value that is made like this.
    pub(crate) fn put(&mut self, value: &str, made: String) {
        let next = self.numbers.len();
        let number = *self.numbers.entry(made).or_insert(next);
        self.values.insert(value.to_owned(), number);
    }

    /// A value that is another one.
    pub(crate) fn same(&mut self, value: &str, as_what: &str) {
        let number = self.of(as_what);
        self.values.insert(value.to_owned(), number);
    }

    pub(crate) fn of(&self, value: &str) -> usize {
        self.values.get(value).copied().unwrap_or(usize::MAX)
    }
}

/// The lowest bit of an element in the middle; nothing where there is no element.
pub(crate) fn flipped(data: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut data = data.to_vec();
    let middle = data.len() / size / 2 * size;
    *data.get_mut(middle)? ^= 1;
    Some(data)
}

/// The same numbers as f64.
pub(crate) fn widened(data: &[u8]) -> Vec<u8> {
    let (elements, _) = data.as_chunks::<4>();
    elements.iter().flat_map(|&bytes| f64::from(f32::from_le_bytes(bytes)).to_le_bytes()).collect()
}
