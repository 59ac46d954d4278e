//! A look over the bytes of an ONNX file before they are decoded.
//!
//! Decoding makes a structure of a few hundred bytes out of a message of two, so what a file would take is counted
//! first, with nothing allocated: messages and strings, bytes that are no elements of tensors, and nesting.
//!
//! Facts about the encoding are from protobuf's wire format; field numbers are from `onnx.proto`.

use residua_ir::budget::Limit;

use crate::FormatError;
use crate::error::Result;

/// The messages that can hold others, or large elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Value,
    Type,
    TensorType,
    /// What a sequence, an optional or a map holds.
    ElementType,
    Shape,
    Function,
    /// Any other message, and strings.
    Leaf,
}

impl Message {
    /// What a length-delimited field holds; None for the elements of tensors.
    fn field(self, number: u64) -> Option<Message> {
        Some(match (self, number) {
            (Message::Model, 7) | (Message::Attribute, 6 | 11) => Message::Graph,
            (Message::Model, 25) => Message::Function,
            (Message::Graph, 1) | (Message::Function, 7) => Message::Node,
            (Message::Graph, 5) | (Message::Attribute, 5 | 10) | (Message::Sparse, 1 | 2) => Message::Tensor,
            (Message::Graph, 11..=13) => Message::Value,
            (Message::Graph, 15) | (Message::Attribute, 22 | 23) => Message::Sparse,
            (Message::Node, 5) | (Message::Function, 11) => Message::Attribute,
            (Message::Value, 2) | (Message::Attribute, 14 | 15) | (Message::ElementType, 1 | 2) => Message::Type,
            (Message::Type, 1 | 8) => Message::TensorType,
            (Message::Type, 4 | 5 | 9) => Message::ElementType,
            (Message::TensorType, 2) => Message::Shape,
            // float_data, raw_data and double_data take as much in memory as in the file.
            (Message::Tensor, 4 | 9 | 10) => return None,
            _ => Message::Leaf,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Message::Model => "model",
            Message::Graph => "graph",
            Message::Node => "node",
            Message::Attribute => "attribute",
            Message::Tensor => "tensor",
            Message::Sparse => "sparse tensor",
            Message::Value => "value",
            Message::Type | Message::TensorType | Message::ElementType => "type",
            Message::Shape => "shape",
            Message::Function => "function",
            Message::Leaf => "message",
        }
    }
}

/// Looks over a whole file.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let mut count = Count::default();
    count.message(Message::Model, bytes, 0)?;
    let structure = bytes.len() as u64 - count.elements;
    FormatError::check("", Limit::OnnxStructureBytes, structure)
}

#[derive(Default)]
struct Count {
    /// Messages and strings.
    items: u64,
    /// Bytes of elements.
    elements: u64,
}

impl Count {
    fn message(&mut self, message: Message, bytes: &[u8], depth: u64) -> Result<()> {
        FormatError::check(message.name(), Limit::Nesting, depth)?;
        let mut axes = 0;
        for field in fields(bytes) {
            let Some((number, value)) = field else {
                let found = "another number, type or length";
                return Err(FormatError::malformed(message.name(), "a field that ends within its message", found));
            };
            // A size takes one byte in the file and eight in memory, so they are counted before they are read.
            if number == 1 && matches!(message, Message::Tensor | Message::Shape) {
                axes += value.map_or(1, |sizes| if message == Message::Shape { 1 } else { count_of(sizes) });
                FormatError::check(message.name(), Limit::Rank, axes)?;
            }
            let Some(bytes) = value else { continue };
            self.items += 1;
            FormatError::check(message.name(), Limit::OnnxItems, self.items)?;
            match message.field(number) {
                Some(Message::Leaf) => {}
                Some(inner) => {
                    self.message(inner, bytes, depth + 1).map_err(|error| error.within(message.name()))?;
                }
                None => self.elements += bytes.len() as u64,
            }
        }
        Ok(())
    }
}

/// The fields of a message: their number, and their bytes where they are length-delimited. None, and no more, where the
/// bytes are no message.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Option<(u64, Option<&[u8]>)>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let field = next_field(&mut bytes);
        if field.is_none() {
            bytes = &[];
        }
        Some(field)
    })
}

fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(bytes)?;
    let len = match key & 7 {
        0 => varint(bytes).map(|_| 0),
        1 => Some(8),
        2 => varint(bytes),
        5 => Some(4),
        _ => None,
    };
    let (value, rest) = bytes.split_at_checked(usize::try_from(len?).ok()?)?;
    *bytes = rest;
    // Numbers start at 1.
    (key >> 3 != 0).then_some((key >> 3, (key & 7 == 2).then_some(value)))
}

/// How many numbers lie in these bytes.
fn count_of(packed: &[u8]) -> u64 {
    packed.iter().filter(|&&byte| byte < 0x80).count() as u64
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
