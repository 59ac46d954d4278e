//! JSON within limits: how much of it, and how many values it can make.

use serde_json::Value;

use crate::error::Result;
use crate::{FormatError, limits};

/// An error where the text is beyond the limits.
pub(crate) fn check(at: &str, text: &[u8]) -> Result<()> {
    FormatError::check(at, "bytes of JSON", limits::JSON_BYTES, text.len() as u64)?;
    let values = text.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    FormatError::check(at, "values in JSON", limits::JSON_VALUES, values as u64)
}

/// Parses JSON; objects keep their order, nesting is bounded by the parser (128).
pub(crate) fn parse(at: &str, text: &[u8]) -> Result<Value> {
    check(at, text)?;
    serde_json::from_slice(text).map_err(|error| FormatError::malformed(at, "JSON", error.to_string()))
}
