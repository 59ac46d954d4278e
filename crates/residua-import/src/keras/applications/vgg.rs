//! VGG16 and VGG19: stages of 3x3 convolutions with a pool behind each.

use serde_json::json;

use super::net::{Net, Walk};
use crate::error::{Error, Result};

pub(super) fn write(net: &mut Net) -> Result<String> {
    let stages = (1..).take_while(|stage| net.has(&format!("block{stage}_conv1"))).count();
    let mut x = net.image("block1_conv1", side(net, stages)?)?;
    for stage in 1..=stages {
        let convs = (1..).take_while(|conv| net.has(&format!("block{stage}_conv{conv}"))).count();
        for conv in 1..=convs {
            x = net.conv(&x, &format!("block{stage}_conv{conv}"), Walk { activation: "relu", ..Walk::SAME })?;
        }
        x = net.pool(&x, "MaxPooling2D", &format!("block{stage}_pool"), 2, "valid")?;
    }
    if !net.has("fc1") {
        return net.without_top(&x);
    }
    x = net.layer(&x, "Flatten", "flatten", json!({ "data_format": "channels_last" }))?;
    x = net.dense(&x, "fc1", "relu")?;
    x = net.dense(&x, "fc2", "relu")?;
    net.taken_softmax("predictions");
    net.dense(&x, "predictions", "softmax")
}

/// Rows and columns of the images, where the first dense layer tells them.
fn side(net: &Net, stages: usize) -> Result<Option<usize>> {
    if !net.has("fc1") {
        return Ok(None);
    }
    let convs = (1..).take_while(|conv| net.has(&format!("block{stages}_conv{conv}"))).count();
    let [_, _, _, channels] = net.kernel(&format!("block{stages}_conv{convs}"))?;
    let [features, _] = net.matrix("fc1")?;
    let pixels = features.checked_div(channels).filter(|pixels| pixels * channels == features);
    let side = pixels.map(usize::isqrt).filter(|&side| side > 0 && Some(side * side) == pixels);
    let image = side
        .and_then(|side| side.checked_mul(1usize.checked_shl(u32::try_from(stages).ok()?)?))
        .filter(|&image| image <= 1 << 16);
    image.map(Some).ok_or_else(|| Error::Misfit {
        layer: "fc1".into(),
        kind: "Dense".into(),
        problem: format!("it takes {features} features, which are no square map of {channels} channels").into(),
    })
}
