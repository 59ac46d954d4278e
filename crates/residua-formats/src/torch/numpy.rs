//! Arrays of numpy in pickles. (Source: numpy's `ndarray.__reduce__` and `__setstate__`, `dtype.__reduce__`.)

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::tensor::element_count;
use residua_ir::{DType, Endian, Tensor, TensorError};

use super::rebuilt::{Rebuilt, place};
use crate::FormatError;
use crate::error::Result;
use crate::npy::number;
use crate::pickle::{Id, Object, Pickle, Value};

const RECONSTRUCT: [&str; 2] = ["numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"];
const FROM_BUFFER: [&str; 2] = ["numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"];

/// Whether what a global would give is an array.
pub(super) fn is_array(name: &str) -> bool {
    RECONSTRUCT.contains(&name) || FROM_BUFFER.contains(&name)
}

/// The array that an object is; [`None`] for what is none. `spend` is told of its bytes before they are decoded.
pub(super) fn array(
    pickle: &Pickle,
    object: &Object,
    at: &str,
    spend: &dyn Fn(u64) -> Result<()>,
) -> Result<Option<Rebuilt>> {
    let Some(name) = pickle.global(object.callable) else { return Ok(None) };
    let (shape, dtype, fortran, data) = match name {
        name if RECONSTRUCT.contains(&name) => {
            let state = object.state.and_then(|state| pickle.sequence(state));
            let Some(&[_, shape, dtype, fortran, data]) = state else { return Ok(None) };
            (shape, dtype, matches!(pickle.get(fortran), Value::Bool(true) | Value::Int(1)), data)
        }
        name if FROM_BUFFER.contains(&name) => {
            let Some(&[data, dtype, shape, order]) = pickle.sequence(object.args) else { return Ok(None) };
            (shape, dtype, pickle.text(order) == Some("F"), data)
        }
        _ => return Ok(None),
    };
    let malformed = |expected: &str, found: String| FormatError::malformed(place(at), expected, found);
    let sizes = pickle.sequence(shape).filter(|items| items.len() <= Limit::Rank.most_here());
    let sizes = sizes.map(|items| items.iter().map(|&item| usize::try_from(pickle.int(item)?).ok()));
    let Some(shape) = sizes.and_then(Iterator::collect::<Option<Vec<usize>>>) else {
        return Err(malformed("the shape of an array", pickle.describe(shape)));
    };
    let Some((dtype, endian)) = element_type(pickle, dtype) else {
        return Ok(Some(Rebuilt::Not(
            "an array of elements that are no numbers, or of a type that is not read".to_owned(),
        )));
    };
    let failed = |error: TensorError| malformed("as many bytes as the shape needs", error.to_string());
    let expected = element_count(&shape).map_err(failed)? * dtype.size();
    spend(expected as u64)?;
    let Some(bytes) = bytes_of(pickle, data, expected) else {
        return Ok(Some(Rebuilt::Not("an array whose elements are objects".to_owned())));
    };
    // Columns first is the transpose of rows first.
    let tensor = if fortran && shape.len() > 1 {
        if bytes.len() != expected {
            return Err(malformed(&format!("{expected} bytes"), bytes.len().to_string()));
        }
        let steps = shape.iter().scan(1usize, |step, &dim| {
            let stride = *step;
            *step = step.saturating_mul(dim);
            Some(stride)
        });
        let strides: Vec<usize> = steps.collect();
        Tensor::from_strided(dtype, endian, shape, &strides, 0, &bytes).map_err(failed)?
    } else {
        Tensor::from_bytes(dtype, endian, shape, bytes).map_err(failed)?
    };
    Ok(Some(Rebuilt::Tensor(tensor, at.to_owned())))
}

/// `numpy.dtype("f4", …)` with its state, whose second item is the byte order.
fn element_type(pickle: &Pickle, id: Id) -> Option<(DType, Endian)> {
    let object = pickle.object(id).filter(|object| pickle.global(object.callable) == Some("numpy.dtype"))?;
    let code = pickle.text(*pickle.sequence(object.args)?.first()?)?;
    let order = object.state.and_then(|state| pickle.text(*pickle.sequence(state)?.get(1)?));
    let (order, code) = match code.strip_prefix(['<', '>', '|', '=']) {
        Some(rest) => (code.get(..1), rest),
        None => (order, code),
    };
    let dtype = number(code)?;
    Some((dtype, if order == Some(">") { Endian::Big } else { Endian::Little }))
}

/// Bytes, as every protocol writes them; those of a text that is far from the length that is expected are none.
fn bytes_of(pickle: &Pickle, id: Id, expected: usize) -> Option<Bytes> {
    let latin1 = |text: &str| if text.len() / 2 <= expected { latin1(text) } else { None };
    match pickle.get(id) {
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Text(text) => latin1(text),
        Value::Object(object) => {
            let name = pickle.global(object.callable)?;
            let first = *pickle.sequence(object.args)?.first()?;
            match (name, pickle.get(first)) {
                ("_codecs.encode", Value::Text(text)) => latin1(text),
                ("builtins.bytearray" | "__builtin__.bytearray", Value::Bytes(bytes)) => Some(bytes.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A text whose characters are bytes.
fn latin1(text: &str) -> Option<Bytes> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>().map(Bytes::from)
}
