//! EfficientNetB0 to B7: inverted residual blocks with gates.
//!
//! Keras pads strided convolutions by amounts that depend on whether a side is even, which is what the padding `same` does for each size.

use serde_json::json;

use super::net::{Net, Walk};
use crate::error::Result;

/// Keras's epsilon where none is given.
const EPSILON: f64 = 1e-3;
/// Deviations of ImageNet's images.
const DEVIATIONS: [f64; 3] = [0.229, 0.224, 0.225];
/// Strides of the first block of each stage.
const STRIDES: [usize; 7] = [1, 2, 2, 2, 1, 2, 1];

pub(super) fn write(net: &mut Net) -> Result<String> {
    let x = net.image("stem_conv", None)?;
    let x = prepared(net, x)?;
    let x = net.conv(&x, "stem_conv", Walk { stride: 2, ..Walk::SAME })?;
    let x = net.norm(&x, "stem_bn", EPSILON)?;
    let mut x = net.activation(&x, "stem_activation", "swish")?;
    let [_, _, _, mut channels] = net.kernel("stem_conv")?;
    for (stage, &first) in (1usize..).zip(&STRIDES) {
        for (at, letter) in ('a'..='z').enumerate() {
            let name = format!("block{stage}{letter}_");
            if !net.has(&format!("{name}dwconv")) {
                break;
            }
            let stride = if at == 0 { first } else { 1 };
            (x, channels) = block(net, &x, channels, &name, stride)?;
        }
    }
    let x = net.conv(&x, "top_conv", Walk::SAME)?;
    let x = net.norm(&x, "top_bn", EPSILON)?;
    let x = net.activation(&x, "top_activation", "swish")?;
    // Whoever took the dense layer's name from the first package has another one.
    net.top(&x, if net.has("probs") { "probs" } else { "predictions" })
}

/// Images of values to 255, normalised within the network by statistics in the file.
fn prepared(net: &mut Net, x: String) -> Result<String> {
    let Some(norm) = net.shapes().numbered("normalization").into_iter().find(|name| net.has(name)) else {
        net.note("the file has no statistics of images: the network begins behind their normalisation");
        return Ok(x);
    };
    let x = net.layer(&x, "Rescaling", "rescaling", json!({ "scale": 1.0 / 255.0, "offset": 0.0 }))?;
    let keys = json!({ "axis": [-1], "mean": null, "variance": null, "invert": false });
    let x = net.layer(&x, "Normalization", &norm, keys)?;
    if net.shapes().numbered("rescaling").len() < 2 {
        net.note(
            "not taken: that Keras divides by the roots of ImageNet's deviations once more where it loads its own download \
             (`weights=\"imagenet\"`), which the file does not list",
        );
        return Ok(x);
    }
    let scale = DEVIATIONS.map(|deviation| 1.0 / deviation.sqrt());
    net.layer(&x, "Rescaling", "rescaling_1", json!({ "scale": scale, "offset": 0.0 }))
}

fn block(net: &mut Net, entry: &str, channels: usize, name: &str, stride: usize) -> Result<(String, usize)> {
    let at = |part: &str| format!("{name}{part}");
    let mut x = entry.to_owned();
    if net.has(&at("expand_conv")) {
        x = net.conv(&x, &at("expand_conv"), Walk::SAME)?;
        x = net.norm(&x, &at("expand_bn"), EPSILON)?;
        x = net.activation(&x, &at("expand_activation"), "swish")?;
    }
    x = net.depthwise(&x, &at("dwconv"), Walk { stride, ..Walk::SAME })?;
    x = net.norm(&x, &at("bn"), EPSILON)?;
    x = net.activation(&x, &at("activation"), "swish")?;
    if net.has(&at("se_reduce")) {
        let [_, _, width, _] = net.kernel(&at("se_reduce"))?;
        let gate = net.mean(&x, &at("se_squeeze"), false)?;
        let gate = net.layer(&gate, "Reshape", &at("se_reshape"), json!({ "target_shape": [1, 1, width] }))?;
        let gate = net.conv(&gate, &at("se_reduce"), Walk { activation: "swish", ..Walk::SAME })?;
        let gate = net.conv(&gate, &at("se_expand"), Walk { activation: "sigmoid", ..Walk::SAME })?;
        x = net.join("Multiply", &at("se_excite"), &[&x, &gate])?;
    }
    x = net.conv(&x, &at("project_conv"), Walk::SAME)?;
    x = net.norm(&x, &at("project_bn"), EPSILON)?;
    let [_, _, _, gives] = net.kernel(&at("project_conv"))?;
    if stride == 1 && gives == channels {
        x = net.join("Add", &at("add"), &[&x, entry])?;
    }
    Ok((x, gives))
}
