//! Which published weights a file is, told by its bytes: a table of hashes with what was published of each.
//!
//! Keras Applications names the MD5 of each of its downloads, torchvision the first eight digits of SHA-256 in the file's
//! name. `data/known_weights.csv` has them, with preparation and accuracy, each from its source; the script beside it
//! makes it. Only those bytes are told: the same weights in another container have another hash. Eight digits are 32 bits:
//! enough to tell files apart, and none to prove anything to somebody who made the file on purpose.

mod hash;
mod identity;
mod of_model;

use std::sync::LazyLock;

use residua_ir::Shown;
use residua_ir::preparation::{Crop, Filter, Middle, Preparation, Preprocessing, Resize, Stated};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result, bail};
use crate::options::parse;

pub use hash::Hashes;
#[cfg(feature = "more-images")]
pub(crate) use hash::{hex, sha256};
pub use identity::{Identity, NotThose};

static TABLE: &str = include_str!("../../data/known_weights.csv");

/// The columns of a table.
const COLUMNS: [&str; 15] = [
    "library",
    "version",
    "name",
    "file",
    "hash",
    "address",
    "top1",
    "top5",
    "figures",
    "resize",
    "crop",
    "interpolation",
    "preprocess",
    "stated",
    "classes",
];

/// How the publisher tells its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hash", content = "digits", rename_all = "snake_case")]
pub enum Digest {
    /// All 32 digits of MD5.
    Md5(String),
    /// The first digits of SHA-256.
    Sha256(String),
}

impl Digest {
    /// Its name and digits, for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Md5(digits) => format!("MD5 {digits}"),
            Self::Sha256(digits) => format!("SHA-256 {digits}…"),
        }
    }
}

/// Accuracy over ImageNet's validation set, as it was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Percent of images whose best class is the right one.
    pub top1: f64,
    /// Percent of images whose right class is among the five best.
    pub top5: f64,
    /// The address that says so.
    pub by: String,
}

/// Weights that somebody published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownWeights {
    /// Who: `keras`, `torchvision`.
    pub library: String,
    /// The version of the library whose source this is from.
    pub version: String,
    /// What it calls them.
    pub name: String,
    /// The name of the file.
    pub file: String,
    /// What the bytes are told by.
    pub digest: Digest,
    /// Where the file can be had.
    pub address: String,
    /// How well they do.
    pub published: Option<Published>,
    /// How images are prepared for them, as far as the library says it.
    pub preparation: Option<Stated>,
    /// What the outputs are: `imagenet` for its thousand classes; none for a network without a top.
    pub classes: Option<String>,
}

impl KnownWeights {
    /// Library and name, for people.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} of {} ({})", self.name, self.library, self.version)
    }

    /// Whether a file is called so, also where a download was numbered or its ending changed.
    fn is_called(&self, file: &str) -> bool {
        let stem = self.file.rsplit_once('.').map_or(self.file.as_str(), |(stem, _)| stem);
        let rest = file.strip_prefix(stem);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ', '(', '-']))
    }
}

/// Published weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    weights: Vec<KnownWeights>,
}

impl Table {
    /// Those that this library knows of.
    #[must_use]
    pub fn standard() -> &'static Self {
        // A test reads it; in a program a table that cannot be read knows of nothing.
        static STANDARD: LazyLock<Table> = LazyLock::new(|| Table::parse(TABLE).unwrap_or_default());
        &STANDARD
    }

    /// A table as CSV with the columns of `data/known_weights.csv`, without quotes.
    ///
    /// # Errors
    /// Where columns are others, or a cell is not what its column holds.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        if head != COLUMNS {
            bail!("expected the columns {}, found {}", COLUMNS.join(","), head.join(",").shown());
        }
        let line = |(at, line): (usize, &str)| row(line).with_context(|| format!("line {} of known weights", at + 2));
        Ok(Self { weights: lines.enumerate().map(line).collect::<Result<_>>()? })
    }

    /// All of them.
    #[must_use]
    pub fn weights(&self) -> &[KnownWeights] {
        &self.weights
    }
}

fn row(line: &str) -> Result<KnownWeights> {
    let cells: Vec<&str> = line.split(',').collect();
    let Ok(
        [
            library,
            version,
            name,
            file,
            hash,
            address,
            top1,
            top5,
            figures,
            resize,
            crop,
            filter,
            values,
            stated,
            classes,
        ],
    ) = <[&str; 15]>::try_from(cells.as_slice())
    else {
        bail!("expected {} cells, found {}", COLUMNS.len(), cells.len());
    };
    Ok(KnownWeights {
        library: library.to_owned(),
        version: version.to_owned(),
        name: name.to_owned(),
        file: file.to_owned(),
        digest: digest(hash)?,
        address: address.to_owned(),
        published: published(top1, top5, figures)?,
        preparation: preparation([resize, crop, filter, values], &format!("{stated} ({library} {version})"))?,
        classes: given(classes).map(str::to_owned),
    })
}

fn given(cell: &str) -> Option<&str> {
    Some(cell).filter(|cell| !cell.is_empty())
}

fn digest(text: &str) -> Result<Digest> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    match text.len() {
        32 if digits => Ok(Digest::Md5(text.to_owned())),
        8 if digits => Ok(Digest::Sha256(text.to_owned())),
        _ => bail!("expected 32 digits of MD5 or 8 of SHA-256, found `{}`", text.shown()),
    }
}

fn published(top1: &str, top5: &str, by: &str) -> Result<Option<Published>> {
    let percent = |cell: &str| -> Result<f64> {
        let share = cell.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share));
        share.with_context(|| format!("expected a share in percent, found `{}`", cell.shown()))
    };
    given(top1).map(|top1| Ok(Published { top1: percent(top1)?, top5: percent(top5)?, by: by.to_owned() })).transpose()
}

fn preparation([resize, crop, filter, values]: [&str; 4], by: &str) -> Result<Option<Stated>> {
    let wrong = |what: &str, cell: &str| format!("expected {what}, found `{}`", cell.shown());
    let rule = |cell: &str| -> Result<Resize> { parse::resize(cell).ok().with_context(|| wrong("a size", cell)) };
    let middle = |cell: &str| -> Result<Crop> {
        let side = cell.parse().ok().with_context(|| wrong("a side of the crop", cell))?;
        Ok(Crop::Center { height: side, width: side, rounding: Middle::HalfToEven, fill: [0; 3] })
    };
    let preparation = Preparation {
        resize: given(resize).map(rule).transpose()?,
        crop: given(crop).map(middle).transpose()?,
        filter: given(filter).map(|cell| Filter::named(cell).with_context(|| wrong("a filter", cell))).transpose()?,
        values: given(values)
            .map(|cell| Preprocessing::named(cell).with_context(|| wrong("a mode", cell)))
            .transpose()?
            .map(Preprocessing::values),
    };
    preparation.check().ok().context("its preparation cannot be followed")?;
    Ok((!preparation.is_empty()).then(|| Stated::new(by, preparation)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> &'static KnownWeights {
        Table::standard().weights().iter().find(|known| known.name == name).unwrap()
    }

    #[test]
    fn the_table_is_what_the_libraries_say() {
        assert_eq!(Table::parse(TABLE).unwrap().weights().len(), 45);
        let torch = known("resnet50.IMAGENET1K_V1");
        assert_eq!(torch.digest, Digest::Sha256("0676ba61".to_owned()));
        let published = torch.published.as_ref().unwrap();
        assert_eq!((published.top1.to_bits(), published.top5.to_bits()), (76.13_f64.to_bits(), 92.862_f64.to_bits()));
        let stated = torch.preparation.as_ref().unwrap();
        assert_eq!(stated.by, "the transforms of ResNet50_Weights.IMAGENET1K_V1 (torchvision 0.29.1)");
        assert_eq!(stated.preparation.resize, Some(Resize::Shortest { edge: 256 }));
        let keras = known("resnet50v2");
        assert_eq!(keras.digest, Digest::Md5("3ef43a0b657b3be2300d5770ece849e0".to_owned()));
        let values = keras.preparation.as_ref().unwrap().preparation.values.unwrap();
        assert_eq!(values.mode(), Some(Preprocessing::Tf));
        assert_eq!((known("resnext50").preparation.as_ref(), known("resnext50").published.as_ref()), (None, None));
    }

    /// Names of files begin with the digits that they are told by, and no two files have the same.
    #[test]
    fn hashes_are_those_of_the_files_names_and_used_once() {
        let mut digests: Vec<String> = Vec::new();
        for known in Table::standard().weights() {
            if let Digest::Sha256(digits) = &known.digest {
                assert!(known.file.ends_with(&format!("-{digits}.pth")), "{}", known.file);
            }
            assert!(known.address.starts_with("https://") && known.address.ends_with(&known.file), "{}", known.file);
            assert!(!digests.contains(&known.digest.text()), "{}", known.file);
            digests.push(known.digest.text());
        }
    }

    #[test]
    fn names_are_told_with_what_browsers_put_behind_them() {
        let (whole, top) = (known("resnet50"), known("resnet50.IMAGENET1K_V1"));
        let notop = Table::standard()
            .weights()
            .iter()
            .find(|known| known.file.starts_with("resnet50_") && known.classes.is_none());
        assert!(whole.is_called("resnet50_weights_tf_dim_ordering_tf_kernels.h5"));
        assert!(whole.is_called("resnet50_weights_tf_dim_ordering_tf_kernels (1).h5"));
        assert!(!whole.is_called("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"));
        assert!(notop.unwrap().is_called("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"));
        assert!(top.is_called("resnet50-0676ba61.pth.tar") && !top.is_called("resnet50-0676ba61x.pth"));
        assert!(!top.is_called("my_resnet50-0676ba61.pth"));
    }

    #[test]
    fn a_table_that_is_none_is_told_with_its_line() {
        let table = |row: &str| {
            let error = Table::parse(&format!("{}\n{row}\n", COLUMNS.join(","))).unwrap_err();
            crate::error::messages(&error).join(": ")
        };
        let row = "a,1,b,c.pth,0676ba61,https://c.pth,76,93,x,256,224,bilinear,torch,s,imagenet";
        assert!(Table::parse(&format!("{}\n{row}\n", COLUMNS.join(","))).is_ok());
        assert!(table("a,b").contains("line 2 of known weights: expected 15 cells, found 2"));
        for (from, to, says) in [
            ("0676ba61", "0676BA61", "8 of SHA-256"),
            ("76,", "176,", "a share in percent"),
            ("256", "0", "a size"),
            ("224", "wide", "a side of the crop"),
            ("bilinear", "cubic", "a filter"),
            ("torch", "torhc", "a mode"),
        ] {
            let said = table(&row.replace(from, to));
            assert!(said.contains(says), "{said}");
        }
        assert!(Table::parse("a,b\n").is_err());
    }
}
