//! Face recognition's ResNet (IResNet): blocks of norm, convolution, norm, PReLU, convolution, norm, with nothing behind the sum; the last
//! map is flattened, and its embedding normalised.
//!
//! Source: deepinsight/insightface, `recognition/arcface_torch/backbones/iresnet.py`.

use super::writer::{Features, Walk, Writer};
use crate::error::{Error, Result};

/// The network, from its image to its embedding.
pub(super) fn write(w: &mut Writer) -> Result<Features> {
    let channels = match w.shape("conv1.weight") {
        Some(&[_, channels, ..]) => channels,
        Some(_) | None => return Err(Writer::missing("conv1", "weight", "[any, channels, 3, 3]")),
    };
    let stages = w.count(1, |stage| format!("layer{stage}"));
    let size = side(w, stages)?;
    let x = w.input(channels, Some([size; 2]));
    let x = w.conv(x, "conv1", Walk::PLAIN)?;
    let x = w.norm(x, "bn1")?;
    let mut x = w.prelu(x, "prelu")?;
    for stage in 1..=stages {
        let blocks = w.count(0, |block| format!("layer{stage}.{block}"));
        for at in 0..blocks {
            x = block(w, x, &format!("layer{stage}.{at}"), if at == 0 { 2 } else { 1 })?;
        }
    }
    let pixels = (size >> stages).pow(2);
    w.takes("stride 2 in the first block of each stage, on its second convolution", &[]);
    w.takes(format!("images of {size}x{size}, whose last map is flattened"), &[]);
    let x = w.norm(x, "bn2")?;
    let x = w.flatten(x, "flatten", pixels);
    let x = w.linear(x, "fc")?;
    w.norm(x, "features")
}

/// Rows and columns of the image, which the features of the last map tell.
fn side(w: &Writer, stages: usize) -> Result<usize> {
    let features = w.shape("fc.weight").and_then(|shape| shape.get(1).copied());
    let channels = w.shape("bn2.weight").and_then(|shape| shape.first().copied());
    let (Some(features), Some(channels)) = (features, channels) else {
        return Err(Writer::missing("fc", "weight", "[embedding, channels * rows * columns]"));
    };
    let pixels = features.checked_div(channels).filter(|pixels| pixels * channels == features);
    let side = pixels.map(usize::isqrt).filter(|&side| side > 0 && Some(side * side) == pixels);
    let image = side
        .and_then(|side| side.checked_mul(1usize.checked_shl(u32::try_from(stages).ok()?)?))
        .filter(|&image| image <= 1 << 16);
    image.ok_or_else(|| Error::Misfit {
        layer: "fc".into(),
        kind: "Linear".into(),
        problem: format!("takes {features} features, which are no square map of {channels} channels").into(),
    })
}

fn block(w: &mut Writer, x: Features, path: &str, stride: usize) -> Result<Features> {
    let at = |part: &str| format!("{path}.{part}");
    let y = w.norm(x, &at("bn1"))?;
    let y = w.conv(y, &at("conv1"), Walk::PLAIN)?;
    let y = w.norm(y, &at("bn2"))?;
    let y = w.prelu(y, &at("prelu"))?;
    let y = w.conv(y, &at("conv2"), Walk::stride(stride))?;
    let y = w.norm(y, &at("bn3"))?;
    let mut shortcut = x;
    if w.has_module(&at("downsample")) {
        shortcut = w.conv(x, &at("downsample.0"), Walk::stride(stride))?;
        shortcut = w.norm(shortcut, &at("downsample.1"))?;
    } else if stride > 1 {
        return Err(Writer::missing(&at("downsample.0"), "weight", "[any, any, 1, 1]"));
    }
    if shortcut.channels != y.channels {
        let problem = format!("its shortcut has {} channels, its main path {}", shortcut.channels, y.channels);
        return Err(Error::Misfit { layer: path.into(), kind: "Add".into(), problem: problem.into() });
    }
    Ok(w.add(shortcut, y, &at("add")))
}
