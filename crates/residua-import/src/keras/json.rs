//! Typed access to the objects of a configuration, with errors that name the layer and the key.
//!
//! A key that is `null` counts as absent, as it does in Keras. Numbers may be wrapped the way Keras serialises numpy
//! scalars and arrays; nothing else of an object's class is looked at here.

use residua_ir::Text;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Nesting of lists in a constant; no tensor has more axes.
const MAX_RANK: usize = 8;

/// The object of one layer or model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    /// Whose object it is, for errors.
    at: &'a str,
    map: &'a Map<String, Value>,
}

/// A number or nested lists of numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

/// An error about a value in the configuration.
pub(super) fn unexpected(at: impl Into<Text>, expected: &str, found: Option<&Value>) -> Error {
    const LONGEST: usize = 80;
    let found = found.map_or_else(
        || "nothing".to_owned(),
        |value| {
            let text = value.to_string();
            match text.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        },
    );
    Error::Config { at: at.into(), expected: expected.into(), found: found.into() }
}

/// The value itself, or the value within the object that Keras wraps a numpy scalar or array in.
fn unwrapped(value: &Value) -> &Value {
    match value.get("class_name").and_then(Value::as_str) {
        Some("__numpy__" | "__tensor__") => value.pointer("/config/value").unwrap_or(value),
        Some(_) | None => value,
    }
}

impl Constant {
    pub(super) fn scalar(value: f64) -> Self {
        Self { shape: Vec::new(), values: vec![value] }
    }

    /// `None` where the value is no number and no rectangular nest of lists of numbers.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        fn walk(value: &Value, axis: usize, shape: &mut Vec<usize>, values: &mut Vec<f64>) -> Option<()> {
            match value {
                Value::Number(number) => {
                    values.push(number.as_f64()?);
                    (shape.len() == axis).then_some(())
                }
                Value::Array(items) if axis < MAX_RANK => {
                    if shape.len() == axis && values.is_empty() {
                        shape.push(items.len());
                    }
                    if shape.get(axis) != Some(&items.len()) {
                        return None;
                    }
                    items.iter().try_for_each(|item| walk(item, axis + 1, shape, values))
                }
                Value::Array(_) | Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => None,
            }
        }
        let (mut shape, mut values) = (Vec::new(), Vec::new());
        walk(unwrapped(value), 0, &mut shape, &mut values)?;
        (shape.iter().product::<usize>() == values.len()).then_some(Self { shape, values })
    }

    /// Whether every element is this number.
    pub(super) fn is_all(&self, number: f64) -> bool {
        self.values.iter().all(|&value| value == number)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn new(at: &'a str, map: &'a Map<String, Value>) -> Self {
        Self { at, map }
    }

    /// The value of a key, unless it is absent or `null`.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn error(&self, key: &str, expected: &str) -> Error {
        unexpected(format!("layer `{}`, key `{key}`", self.at), expected, self.map.get(key))
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(unwrapped(value)).map(Some).ok_or_else(|| self.error(key, expected)),
        }
    }

    pub(super) fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        let read = |value: &Value| value.as_bool().or_else(|| value.as_u64().map(|number| number != 0));
        Ok(self.typed(key, "true or false", read)?.unwrap_or(default))
    }

    pub(super) fn f64(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(super) fn f64_or(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.f64(key)?.unwrap_or(default))
    }

    pub(super) fn i64(&self, key: &str) -> Result<Option<i64>> {
        self.typed(key, "an integer", integer)
    }

    pub(super) fn usize(&self, key: &str) -> Result<Option<usize>> {
        self.typed(key, "an integer of at least 0", size)
    }

    pub(super) fn required_usize(&self, key: &str) -> Result<usize> {
        self.usize(key)?.ok_or_else(|| self.error(key, "an integer of at least 0"))
    }

    pub(super) fn str(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, "a string", Value::as_str)
    }

    /// A size for both spatial axes, or one for each: (vertical, horizontal).
    pub(super) fn pair(&self, key: &str) -> Result<Option<[usize; 2]>> {
        self.typed(key, "an integer of at least 0, or two of them", pair)
    }

    pub(super) fn pair_or(&self, key: &str, default: [usize; 2]) -> Result<[usize; 2]> {
        Ok(self.pair(key)?.unwrap_or(default))
    }

    /// Amounts before and after on both spatial axes: one for all, one for each axis, or `[[t, b], [l, r]]`.
    pub(super) fn margins(&self, key: &str) -> Result<Option<[[usize; 2]; 2]>> {
        let read = |value: &Value| {
            if let Some([rows, cols]) = pair(value) {
                return Some([[rows; 2], [cols; 2]]);
            }
            let [rows, cols] = value.as_array()?.as_slice() else { return None };
            Some([pair(rows)?, pair(cols)?])
        };
        self.typed(key, "an integer, two integers, or two pairs of integers", read)
    }

    /// One integer or a list of them.
    pub(super) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        let read = |value: &Value| match value {
            Value::Array(items) => items.iter().map(integer).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                integer(value).map(|number| vec![number])
            }
        };
        self.typed(key, "an integer or a list of integers", read)
    }

    pub(super) fn constant(&self, key: &str) -> Result<Option<Constant>> {
        self.typed(key, "a number or lists of numbers", Constant::parse)
    }
}

/// An integer, also where it is written as a float without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "only floats that are small integers get there")]
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 1e15).map(|x| x as i64))
}

fn size(value: &Value) -> Option<usize> {
    integer(value).and_then(|number| usize::try_from(number).ok())
}

fn pair(value: &Value) -> Option<[usize; 2]> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [one] => size(one).map(|size| [size; 2]),
            [first, second] => Some([size(first)?, size(second)?]),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            size(value).map(|size| [size; 2])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with<T>(value: Value, read: impl FnOnce(Fields<'_>) -> T) -> T {
        read(Fields::new("conv", value.as_object().unwrap()))
    }

    #[test]
    fn an_error_names_the_layer_the_key_and_what_is_there() {
        let error = with(json!({"strides": "two"}), |fields| fields.pair("strides").unwrap_err());
        assert_eq!(
            error.to_string(),
            "layer `conv`, key `strides`: expected an integer of at least 0, or two of them, found \"two\""
        );
    }

    #[test]
    fn null_is_absent_and_numpy_scalars_are_unwrapped() {
        with(json!({"a": null, "b": {"class_name": "__numpy__", "config": {"value": 6.0}}}), |fields| {
            assert_eq!(fields.f64("a").unwrap(), None);
            assert_eq!(fields.f64("b").unwrap(), Some(6.0));
        });
    }

    #[test]
    fn padding_is_one_amount_two_or_four() {
        let margins = |value| with(json!({ "padding": value }), |fields| fields.margins("padding").ok().flatten());
        assert_eq!(margins(json!(2)), Some([[2, 2], [2, 2]]));
        assert_eq!(margins(json!([1, 2])), Some([[1, 1], [2, 2]]));
        assert_eq!(margins(json!([[0, 1], [2, 3]])), Some([[0, 1], [2, 3]]));
        assert_eq!(margins(json!([[0, -1], [2, 3]])), None);
    }

    #[test]
    fn constants_are_rectangular() {
        let parse = |value| Constant::parse(&value);
        assert_eq!(parse(json!(2)), Some(Constant::scalar(2.0)));
        assert_eq!(parse(json!([[1, 2], [3, 4]])), Some(Constant { shape: vec![2, 2], values: vec![1., 2., 3., 4.] }));
        assert_eq!(parse(json!([[1, 2], [3]])), None);
        assert_eq!(parse(json!([1, [2]])), None);
        assert_eq!(parse(json!("x")), None);
        assert_eq!(parse(json!([[[[[[[[[1]]]]]]]]])), None);
    }
}
