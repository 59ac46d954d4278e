//! The runtimes that source is written for, with the release that was asked for.

use residua_emit::place::StagedFolder;
use residua_ir::{Shown, Tensor};
use residua_source::package::{About, File, Lack};
use residua_source::{Program, burn, candle};

use super::golden::Made;
use crate::error::{Context, Result};

/// A runtime and its release.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Candle(&'static candle::Release),
    Burn(&'static burn::Release),
}

impl Target {
    pub(super) fn candle(version: Option<&str>) -> Result<Self> {
        let known: Vec<&str> = candle::RELEASES.iter().map(|release| release.version).collect();
        let at = choose("source is written for candle", &known, version)?;
        Ok(Self::Candle(&candle::RELEASES[at]))
    }

    pub(super) fn burn(version: Option<&str>) -> Result<Self> {
        let known: Vec<&str> = burn::RELEASES.iter().map(|release| release.version).collect();
        let at = choose("source is written for burn", &known, version)?;
        Ok(Self::Burn(&burn::RELEASES[at]))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Candle(_) => "candle",
            Self::Burn(_) => "burn",
        }
    }

    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Candle(release) => release.version,
            Self::Burn(release) => release.version,
        }
    }

    pub(super) fn lacks(self, program: &Program) -> Vec<Lack> {
        match self {
            Self::Candle(_) => candle::lacks(program),
            Self::Burn(_) => burn::lacks(program),
        }
    }

    /// A tensor as it is stored: burn's have at least one axis.
    pub(super) fn stored(self, tensor: Tensor) -> Result<Tensor> {
        match self {
            Self::Burn(_) if tensor.shape().is_empty() => Ok(tensor.reshape(&[1])?),
            Self::Candle(_) | Self::Burn(_) => Ok(tensor),
        }
    }

    /// A tensor that was stored, as the network has it, where its shape is this one.
    pub(super) fn read(self, tensor: Tensor, shape: Option<&[usize]>) -> Result<Tensor> {
        match self {
            Self::Burn(_) if shape == Some(&[]) && *tensor.shape() == [1] => Ok(tensor.reshape(&[])?),
            Self::Candle(_) | Self::Burn(_) => Ok(tensor),
        }
    }

    pub(super) fn files(
        self,
        program: &Program,
        about: &About,
        golden: &Made,
    ) -> std::result::Result<Vec<File>, Vec<Lack>> {
        match self {
            Self::Candle(release) => candle::files(program, about, release),
            Self::Burn(release) => burn::files(program, about, release, &golden.shapes()),
        }
    }

    /// What the golden test holds, in the form in which it is read.
    pub(super) fn write_golden(self, staged: &mut StagedFolder, golden: Made) -> Result<()> {
        match self {
            Self::Candle(_) => Ok(staged.write_tensors("tests/golden.safetensors", golden.tensors)?),
            Self::Burn(_) => golden.write_arrays(staged),
        }
    }
}

/// The place of a version that was asked for among those that are known, by default the first. A third number plays no
/// part.
pub(super) fn choose(what: &str, known: &[&str], wanted: Option<&str>) -> Result<usize> {
    let Some(wanted) = wanted else { return Ok(0) };
    known
        .iter()
        .position(|version| is_version(wanted, version))
        .with_context(|| format!("{what} {}, not {}", known.join(" and "), wanted.shown()))
}

fn is_version(wanted: &str, version: &str) -> bool {
    let patch = wanted.strip_prefix(version).and_then(|rest| rest.strip_prefix('.'));
    wanted == version || patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}
