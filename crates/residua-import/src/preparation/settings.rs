//! Settings of a JSON object by their keys: numbers, sizes, means, each with an error that names file and key.
//!
//! A key that is not there and one whose value is `null` are the same, as in Python's `get`.

use residua_ir::Text;
use residua_ir::preparation::{Filter, MAX_SIDE};
use serde_json::Value;

use crate::error::{Error, Result};

/// An object in a file.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) file: &'a str,
    pub(super) value: &'a Value,
}

impl<'a> Settings<'a> {
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(self, key: &str, expected: impl Into<Text>, found: &Value) -> Error {
        let found: String = found.to_string().chars().take(64).collect();
        Error::Config { at: format!("{}, `{key}`", self.file).into(), expected: expected.into(), found: found.into() }
    }

    pub(super) fn flag(self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(key, "`true` or `false`", value))
    }

    pub(super) fn text(self, key: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(key, "a text", value))
    }

    pub(super) fn number(self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, "a number", value))
    }

    /// A share of an image that is cut out, above 0. Above 1 it is more than there is; timm has such too.
    pub(super) fn share(self, key: &str) -> Result<Option<f64>> {
        let Some(share) = self.number(key)? else { return Ok(None) };
        let fits = (0.01..=2.0).contains(&share);
        fits.then_some(Some(share)).ok_or_else(|| self.wrong(key, "a number from 0.01 to 2", &share.into()))
    }

    /// A side of an image, in pixels.
    pub(super) fn side(self, key: &str, value: &Value) -> Result<usize> {
        // Whole numbers are written as floats by some.
        let number = value.as_u64().or_else(|| {
            let float = value.as_f64().filter(|float| float.fract() == 0.0 && (1.0..=1e6).contains(float))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number within bounds")]
            Some(float as u64)
        });
        number
            .and_then(|side| usize::try_from(side).ok())
            .filter(|side| (1..=MAX_SIDE).contains(side))
            .ok_or_else(|| self.wrong(key, format!("a size from 1 to {MAX_SIDE} pixels"), value))
    }

    /// A number for each of three channels; one number stands for all of them. [`None`] where there are as many as the
    /// network has `channels`, and these are neither 1 nor 3.
    pub(super) fn triple(self, key: &str, channels: Option<usize>) -> Result<Option<Triple>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let wrong = || self.wrong(key, "a number, or one for each of 3 channels", value);
        let number = |value: &Value| value.as_f64().filter(|number| number.is_finite());
        let list: Vec<f64> = match value {
            Value::Array(items) => items.iter().map(number).collect::<Option<_>>().ok_or_else(wrong)?,
            other => vec![number(other).ok_or_else(wrong)?],
        };
        match list[..] {
            [one] => Ok(Some(Triple::Of([one; 3]))),
            [a, b, c] => Ok(Some(Triple::Of([a, b, c]))),
            _ if channels == Some(list.len()) => Ok(Some(Triple::Other(list.len()))),
            _ => Err(wrong()),
        }
    }

    /// The filter of Pillow of this name.
    pub(super) fn filter(self, key: &str) -> Result<Option<Filter>> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        let names = Filter::ALL.map(Filter::name).join("`, `");
        Filter::named(name).map(Some).ok_or_else(|| self.wrong(key, format!("`{names}`"), &name.into()))
    }
}

/// Numbers for the channels of an image.
pub(super) enum Triple {
    /// For red, green and blue.
    Of([f64; 3]),
    /// For so many channels, which no image has.
    Other(usize),
}
