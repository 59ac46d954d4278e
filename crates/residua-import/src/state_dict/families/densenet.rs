//! DenseNets: in a block, every layer takes what all before it gave, and adds its own channels.
//!
//! Sources: torchvision 0.24, `densenet.py` (timm 1.0 has its names); gpleiss/efficient_densenet_pytorch, `densenet.py`, whose networks for
//! small images have no pool; andreasveit/densenet-pytorch, `densenet.py`.

use super::writer::{Features, Walk, Writer};
use super::{Known, head};
use crate::error::{Error, Result};

/// torchvision's, timm's and gpleiss's.
pub(super) fn write(w: &mut Writer, known: &Known) -> Result<Features> {
    let mut x = stem(w)?;
    let blocks = w.count(1, |block| format!("features.denseblock{block}"));
    for block in 1..=blocks {
        let path = format!("features.denseblock{block}");
        let layers = w.count(1, |layer| format!("{path}.denselayer{layer}"));
        for layer in 1..=layers {
            x = dense(w, x, &format!("{path}.denselayer{layer}"))?;
        }
        let path = format!("features.transition{block}");
        if block < blocks {
            let y = w.norm(x, &format!("{path}.norm"))?;
            let y = w.relu(y, &format!("{path}.relu"));
            let y = w.conv(y, &format!("{path}.conv"), Walk::PLAIN)?;
            x = w.mean_pool(y, &format!("{path}.pool"), [2, 2, 0], false, false);
        }
    }
    let last = if w.has_module("features.norm_final") { "features.norm_final" } else { "features.norm5" };
    let x = w.norm(x, last)?;
    let x = w.relu(x, "relu");
    head::classify(w, x, "classifier", known)
}

/// One convolution of 7x7, or three of 3x3, and a pool; one of 3x3 alone for small images.
fn stem(w: &mut Writer) -> Result<Features> {
    let Some(&[_, channels, size, _]) = w.shape("features.conv0.weight") else {
        return Err(Writer::missing("features.conv0", "weight", "[any, channels, size, size]"));
    };
    let x = w.input(channels, None);
    if !w.has_module("features.norm0") {
        w.takes(format!("the {size}x{size} of the stem with stride 1 and no pool behind it"), &[]);
        return w.conv(x, "features.conv0", Walk::PLAIN);
    }
    w.takes(format!("the {size}x{size} of the stem with stride 2 and a pool of 3x3 with stride 2 behind it"), &[]);
    let mut x = w.conv(x, "features.conv0", Walk::stride(2))?;
    let convs = w.count(0, |n| format!("features.conv{n}"));
    for n in 0..convs {
        if n > 0 {
            x = w.conv(x, &format!("features.conv{n}"), Walk::PLAIN)?;
        }
        x = w.norm(x, &format!("features.norm{n}"))?;
        x = w.relu(x, &format!("features.relu{n}"));
    }
    Ok(w.max_pool(x, "features.pool0", 3, 2, 1))
}

/// A layer of a block: what it takes, with its own channels behind. Files of before 2018 number its parts behind a dot.
fn dense(w: &mut Writer, x: Features, path: &str) -> Result<Features> {
    let dotted = w.has_module(&format!("{path}.norm.1"));
    let at = |part: &str, n: usize| format!("{path}.{part}{}{n}", if dotted { "." } else { "" });
    let y = w.norm(x, &at("norm", 1))?;
    let y = w.relu(y, &at("relu", 1));
    let mut y = w.conv(y, &at("conv", 1), Walk::PLAIN)?;
    if w.has_module(&at("norm", 2)) {
        y = w.norm(y, &at("norm", 2))?;
        y = w.relu(y, &at("relu", 2));
        y = w.conv(y, &at("conv", 2), Walk::PLAIN)?;
    }
    Ok(w.concat(&[x, y], &format!("{path}.concat")))
}

/// andreasveit's, for images of 32 pixels.
pub(super) fn write_small(w: &mut Writer, known: &Known) -> Result<Features> {
    let Some(&[_, channels, ..]) = w.shape("conv1.weight") else {
        return Err(Writer::missing("conv1", "weight", "[any, channels, 3, 3]"));
    };
    let x = w.input(channels, None);
    let mut x = w.conv(x, "conv1", Walk::PLAIN)?;
    let blocks = w.count(1, |block| format!("block{block}"));
    for block in 1..=blocks {
        let layers = w.count(0, |layer| format!("block{block}.layer.{layer}"));
        for layer in 0..layers {
            x = normed_first(w, x, &format!("block{block}.layer.{layer}"))?;
        }
        if block < blocks {
            let path = format!("trans{block}");
            let y = w.norm(x, &format!("{path}.bn1"))?;
            let y = w.relu(y, &format!("{path}.relu"));
            let y = w.conv(y, &format!("{path}.conv1"), Walk::PLAIN)?;
            x = w.mean_pool(y, &format!("{path}.pool"), [2, 2, 0], false, false);
        }
    }
    w.takes("the 3x3 of the stem with stride 1 and no pool behind it", &[]);
    let x = w.norm(x, "bn1")?;
    let x = w.relu(x, "relu");
    head::classify(w, x, "fc", known)
}

fn normed_first(w: &mut Writer, x: Features, path: &str) -> Result<Features> {
    let mut y = x;
    let convs = w.count(1, |n| format!("{path}.conv{n}"));
    if convs == 0 {
        let problem = "has no convolution";
        return Err(Error::Misfit { layer: path.into(), kind: "BasicBlock".into(), problem: problem.into() });
    }
    for n in 1..=convs {
        y = w.norm(y, &format!("{path}.bn{n}"))?;
        y = w.relu(y, &format!("{path}.relu{n}"));
        y = w.conv(y, &format!("{path}.conv{n}"), Walk::PLAIN)?;
    }
    Ok(w.concat(&[x, y], &format!("{path}.concat")))
}
