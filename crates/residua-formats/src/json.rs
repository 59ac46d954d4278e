//! JSON within limits: how much of it, and how many values it can make.

use residua_ir::budget::Limit;
use serde_json::Value;

use crate::FormatError;
use crate::error::Result;

/// An error where the text is beyond its limits.
pub(crate) fn check(at: &str, text: &[u8]) -> Result<()> {
    FormatError::check(at, Limit::JsonBytes, text.len() as u64)?;
    let values = text.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    FormatError::check(at, Limit::JsonValues, values as u64)
}

/// Parses JSON; objects keep their order, nesting is bounded by the parser (128).
pub(crate) fn parse(at: &str, text: &[u8]) -> Result<Value> {
    check(at, text)?;
    serde_json::from_slice(text).map_err(|error| FormatError::malformed(at, "JSON", error.to_string()))
}
