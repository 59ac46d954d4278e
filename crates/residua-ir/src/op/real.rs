//! Real numbers of attributes in JSON, which has no word for infinity: `"inf"`, `"-inf"` and `"nan"` stand for what is not finite.
//!
//! An infinite number is no fault: a pool over maxima is padded with the lowest of them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Number(f64),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
enum Word {
    #[serde(rename = "inf")]
    Infinity,
    #[serde(rename = "-inf")]
    NegativeInfinity,
    #[serde(rename = "nan")]
    Nan,
}

impl From<f64> for Text {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Text::Number(value)
        } else if value.is_nan() {
            Text::Word(Word::Nan)
        } else if value > 0.0 {
            Text::Word(Word::Infinity)
        } else {
            Text::Word(Word::NegativeInfinity)
        }
    }
}

impl From<Text> for f64 {
    fn from(text: Text) -> Self {
        match text {
            Text::Number(value) => value,
            Text::Word(Word::Infinity) => f64::INFINITY,
            Text::Word(Word::NegativeInfinity) => f64::NEG_INFINITY,
            Text::Word(Word::Nan) => f64::NAN,
        }
    }
}

pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Text::from(*value).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Text::deserialize(deserializer).map(f64::from)
}

/// The same for a number that may be missing.
pub(super) mod option {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Text};

    pub(in super::super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Text::from).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<Text>::deserialize(deserializer).map(|text| text.map(f64::from))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Activation, Op, Pad, Pads};

    #[test]
    fn what_is_not_finite_comes_back_as_it_was() {
        for value in [f64::NEG_INFINITY, f64::INFINITY, 0.0, -0.0, 1e-310, -1.5, 1e300] {
            let pad = Op::Pad(Pad { pads: Pads::default(), channels: [0; 2], value });
            let text = serde_json::to_string(&pad).unwrap();
            assert_eq!(serde_json::from_str::<Op>(&text).unwrap(), pad, "{text}");
            let clip = Op::Activation(Activation::Clip { min: Some(value), max: None });
            let text = serde_json::to_string(&clip).unwrap();
            assert_eq!(serde_json::from_str::<Op>(&text).unwrap(), clip, "{text}");
        }
        let pad = Op::Pad(Pad { pads: Pads::default(), channels: [0; 2], value: f64::NAN });
        let text = serde_json::to_string(&pad).unwrap();
        let Op::Pad(again) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        assert!(again.value.is_nan(), "{text}");
        assert!(serde_json::from_str::<Op>(&text.replace("nan", "none")).is_err());
    }
}
