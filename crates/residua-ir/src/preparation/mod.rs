//! How images become a network's input, as a file or a user states it.
//!
//! A [`Preparation`] is data: a rule for the size, a part that is cut out, the filter of resizing, and what becomes of a
//! pixel's values. A place that states it may leave parts open. What a network takes where nothing is stated, and the
//! resizing itself, are not here.
//!
//! Invariant: what was deserialised has passed [`Preparation::check`]: sizes are bounded, numbers finite, deviations
//! above 0.

mod values;

use serde::{Deserialize, Serialize};

use crate::name::Text;

pub use values::{Channels, Preprocessing, Values};

/// Longest side that an image may be brought to.
pub const MAX_SIDE: usize = 1 << 14;

/// How images are prepared; what is not said is [`None`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Preparation {
    /// The rule for the size, which comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// What is cut out of the resized image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// How samples in between are found when it is resized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// What becomes of the values of pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
}

/// A [`Preparation`] as it was written, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    resize: Option<Resize>,
    crop: Option<Crop>,
    filter: Option<Filter>,
    values: Option<Values>,
}

impl TryFrom<Unchecked> for Preparation {
    type Error = PreparationError;

    fn try_from(written: Unchecked) -> Result<Self, PreparationError> {
        let Unchecked { resize, crop, filter, values } = written;
        let preparation = Self { resize, crop, filter, values };
        preparation.check()?;
        Ok(preparation)
    }
}

/// A rule for the size of an image; sizes are in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Resize {
    /// It keeps its size.
    Keep,
    /// The shorter side becomes `edge`, the other follows and is cut off to a whole number (torchvision's `Resize(edge)`).
    Shortest {
        /// Length of the shorter side.
        edge: usize,
    },
    /// As `Shortest`, but the longer side becomes at most `longest`, as `DETR`'s image processor does it.
    Between {
        /// Length of the shorter side.
        edge: usize,
        /// Greatest length of the longer side.
        longest: usize,
    },
    /// Exactly this size, whatever the ratio of its sides was.
    Exact {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The smallest size of the same ratio that covers this one (timm's `ResizeKeepRatio`).
    Cover {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The largest size of the same ratio within this one (timm's `ResizeKeepRatio(longest=1)`).
    Within {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

/// What is cut out of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Crop {
    /// Nothing: all of it stays.
    All,
    /// The middle; where the image is smaller, it is put into the middle of the fill.
    Center {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Where the middle is when the difference is odd.
        #[serde(default, skip_serializing_if = "is_default")]
        rounding: Middle,
        /// Samples around an image that is smaller: red, green, blue.
        #[serde(default, skip_serializing_if = "is_default")]
        fill: [u8; 3],
    },
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where the middle of an odd difference is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Middle {
    /// Half to even when cutting, the smaller border first when filling: torchvision and timm.
    #[default]
    HalfToEven,
    /// Cut off when cutting, the larger border first when filling: transformers.
    CutOff,
}

/// How resizing weighs the samples of an image: the filters of Pillow, stretched where the image gets smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The nearest sample alone.
    Nearest,
    /// The mean of the samples that a pixel covers.
    Box,
    /// A triangle.
    Bilinear,
    /// A raised cosine over a sinc, as sharp as bilinear and less blurred.
    Hamming,
    /// A cubic with a = −0.5.
    Bicubic,
    /// A sinc windowed by its main lobe, over three samples to each side.
    Lanczos,
}

impl Filter {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Nearest, Self::Box, Self::Bilinear, Self::Hamming, Self::Bicubic, Self::Lanczos];

    /// Its name, as Pillow, torchvision and timm have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Box => "box",
            Self::Bilinear => "bilinear",
            Self::Hamming => "hamming",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }

    /// The filter of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// Pillow's number of it, `PIL.Image.Resampling`.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Nearest => 0,
            Self::Lanczos => 1,
            Self::Bilinear => 2,
            Self::Bicubic => 3,
            Self::Box => 4,
            Self::Hamming => 5,
        }
    }
}

/// Why a preparation is none that can be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: expected {expected}, found {found}")]
pub struct PreparationError {
    /// The part: `resize`, `values.deviation`.
    pub at: Text,
    /// What it can be.
    pub expected: Text,
    /// What it is.
    pub found: Text,
}

impl PreparationError {
    fn new(at: &str, expected: impl Into<Text>, found: impl Into<Text>) -> Self {
        Self { at: at.into(), expected: expected.into(), found: found.into() }
    }
}

impl Preparation {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// A size of 0 or above [`MAX_SIDE`], a number that is not finite or out of all proportion, a deviation that is not
    /// above 0.
    pub fn check(&self) -> Result<(), PreparationError> {
        let sides = |at: &str, sides: &[usize]| match sides.iter().find(|side| !(1..=MAX_SIDE).contains(*side)) {
            Some(side) => {
                Err(PreparationError::new(at, format!("sizes from 1 to {MAX_SIDE} pixels"), side.to_string()))
            }
            None => Ok(()),
        };
        match self.resize {
            Some(Resize::Shortest { edge }) => sides("resize", &[edge])?,
            Some(Resize::Between { edge, longest }) => sides("resize", &[edge, longest])?,
            Some(
                Resize::Exact { height, width } | Resize::Cover { height, width } | Resize::Within { height, width },
            ) => sides("resize", &[height, width])?,
            Some(Resize::Keep) | None => {}
        }
        match self.crop {
            Some(Crop::Center { height, width, .. }) => sides("crop", &[height, width])?,
            Some(Crop::All) | None => {}
        }
        self.values.map_or(Ok(()), |values| values.check())
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As metadata have it: the name of a mode where that is all that is said, else JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { resize, crop, filter, values } = self;
        match values.and_then(Values::mode) {
            Some(mode) if resize.is_none() && crop.is_none() && filter.is_none() => mode.name().to_owned(),
            Some(_) | None => serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default(),
        }
    }

    /// What [`Preparation::to_text`] wrote.
    ///
    /// # Errors
    /// Where it is neither the name of a mode nor such JSON.
    pub fn from_text(text: &str) -> Result<Self, PreparationError> {
        if let Some(mode) = Preprocessing::named(text) {
            return Ok(Self { values: Some(mode.values()), ..Self::default() });
        }
        serde_json::from_str(text).map_err(|error| {
            let names: Vec<&str> = Preprocessing::ALL.iter().map(|mode| mode.name()).collect();
            let expected = format!("`{}` or a preparation in JSON", names.join("`, `"));
            let found: String = text.chars().take(40).collect();
            PreparationError::new("preparation", expected, format!("`{found}` ({error})"))
        })
    }
}

/// A preparation, and the place that states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stated {
    /// The place, for people: `preprocessor_config.json`.
    pub by: String,
    /// Whether no place stated the values when the file was written: then they are those of the architecture.
    #[serde(default, skip_serializing_if = "is_default")]
    pub assumed: bool,
    /// What it says.
    pub preparation: Preparation,
}

/// What follows the name of a place where it is known from a file that was written since.
const RECORDED: &str = " (recorded in the file)";
/// What an assumption begins with in metadata.
const ASSUMED: &str = "assumed, ";

impl Stated {
    /// What a place states.
    pub fn new(by: impl Into<String>, preparation: Preparation) -> Self {
        Self { by: by.into(), assumed: false, preparation }
    }

    /// The same, as a file has it that was written since.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        if !self.by.ends_with(RECORDED) {
            self.by.push_str(RECORDED);
        }
        self
    }

    /// The place as metadata have it.
    #[must_use]
    pub fn origin(&self) -> String {
        let by = self.by.strip_suffix(RECORDED).unwrap_or(&self.by);
        if self.assumed { format!("{ASSUMED}{by}") } else { by.to_owned() }
    }

    /// What metadata have: [`Preparation::to_text`], and the [`Stated::origin`] where it is written.
    ///
    /// # Errors
    /// Those of [`Preparation::from_text`].
    pub fn from_metadata(text: &str, origin: Option<&str>) -> Result<Self, PreparationError> {
        /// Of a place that is named; what is longer is none.
        const LONGEST: usize = 200;
        let origin: String =
            origin.unwrap_or("the file's metadata").chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        let preparation = Preparation::from_text(text)?;
        let (by, assumed) = match origin.strip_prefix(ASSUMED) {
            Some(reason) => (reason.to_owned(), true),
            None => (origin, false),
        };
        Ok(Self { by, assumed, preparation }.recorded())
    }
}

/// What older files of ours have in place of a list: nothing, or the name of a mode.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    List(Vec<Stated>),
    Name(String),
    Nothing(()),
}

/// Reads what is stated about preparing images in the text of a graph.
///
/// # Errors
/// Those of the deserialiser, and of [`Preparation::from_text`].
pub(crate) fn stated<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Stated>, D::Error> {
    Ok(match Written::deserialize(deserializer)? {
        Written::List(stated) => stated,
        Written::Name(name) => {
            let preparation = Preparation::from_text(&name).map_err(serde::de::Error::custom)?;
            vec![Stated::new("the file's metadata", preparation)]
        }
        Written::Nothing(()) => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Preparation {
        Preparation {
            resize: Some(Resize::Shortest { edge: 54 }),
            crop: Some(Crop::Center { height: 48, width: 40, rounding: Middle::CutOff, fill: [1, 2, 3] }),
            filter: Some(Filter::Bicubic),
            values: Some(Values {
                channels: Channels::Rgb,
                factor: 1.0 / 255.0,
                mean: [0.1, 0.2, 0.3],
                deviation: [0.4, 0.5, 0.6],
            }),
        }
    }

    #[test]
    fn text_gives_back_what_was_written() {
        let rules = [
            Resize::Keep,
            Resize::Between { edge: 8, longest: 12 },
            Resize::Exact { height: 3, width: 4 },
            Resize::Cover { height: 3, width: 4 },
            Resize::Within { height: 3, width: 4 },
        ];
        let others = rules.map(|resize| Preparation { resize: Some(resize), ..Preparation::default() });
        for preparation in [full()].into_iter().chain(others) {
            assert_eq!(Preparation::from_text(&preparation.to_text()), Ok(preparation));
        }
        for mode in Preprocessing::ALL {
            let preparation = Preparation { values: Some(mode.values()), ..Preparation::default() };
            assert_eq!(preparation.to_text(), mode.name());
            assert_eq!(Preparation::from_text(mode.name()), Ok(preparation));
        }
    }

    #[test]
    fn a_place_survives_being_written_more_than_once() {
        for assumed in [false, true] {
            let stated = Stated { assumed, ..Stated::new("config.json", full()) };
            let mut read = stated.clone();
            for _ in 0..2 {
                read = Stated::from_metadata(&read.preparation.to_text(), Some(&read.origin())).unwrap();
            }
            assert_eq!(read, stated.recorded());
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let bad = [
            r#"{"resize":{"rule":"shortest","edge":0}}"#,
            r#"{"resize":{"rule":"exact","height":3,"width":1000000}}"#,
            r#"{"crop":{"rule":"center","height":0,"width":3}}"#,
            r#"{"resize":{"rule":"shortest","edge":-4}}"#,
            r#"{"resize":{"rule":"twice"}}"#,
            r#"{"scale":2}"#,
            r#"{"values":{"channels":"rgb","factor":1,"mean":[0,0,0],"deviation":[1,0,1]}}"#,
            r#"{"values":{"channels":"rgb","factor":1,"mean":[0,0,0],"deviation":[1,-1,1]}}"#,
            r#"{"values":{"channels":"rgb","factor":0,"mean":[0,0,0],"deviation":[1,1,1]}}"#,
            r#"{"values":{"channels":"rgb","factor":1,"mean":[0,1e30,0],"deviation":[1,1,1]}}"#,
            "torhc",
        ];
        for text in bad {
            assert!(Preparation::from_text(text).is_err(), "{text}");
        }
        let mut values = full().values.unwrap();
        values.mean[1] = f64::NAN;
        let error = Preparation { values: Some(values), ..Preparation::default() }.check().unwrap_err();
        assert_eq!((error.at.raw(), error.found.raw()), ("values.mean", "NaN"));
    }
}
