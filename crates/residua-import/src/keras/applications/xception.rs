//! Xception: separable convolutions with shortcuts around each two or three of them.

use super::net::{Net, Walk};
use crate::error::{Error, Result};

/// Keras's epsilon where none is given.
const EPSILON: f64 = 1e-3;

pub(super) fn write(net: &mut Net) -> Result<String> {
    // Shortcuts have the names that Keras makes up, numbered from wherever its session was.
    let (convs, norms) = (net.shapes().numbered("conv2d"), net.shapes().numbered("batch_normalization"));
    let mut shortcuts = convs.into_iter().zip(norms);
    let mut x = net.image("block1_conv1", None)?;
    for (name, stride) in [("block1_conv1", 2), ("block1_conv2", 1)] {
        x = net.conv(&x, name, Walk::valid(stride))?;
        x = net.norm(&x, &format!("{name}_bn"), EPSILON)?;
        x = net.activation(&x, &format!("{name}_act"), "relu")?;
    }
    let blocks = (2..).take_while(|block| net.has(&format!("block{block}_sepconv1"))).count() + 1;
    for block in 2..blocks {
        let entry = x.clone();
        let convs = (1..).take_while(|n| net.has(&format!("block{block}_sepconv{n}"))).count();
        // Blocks of two convolutions halve their maps, those of three keep them.
        let shortcut = if convs == 2 {
            let (conv, norm) = shortcuts.next().ok_or_else(|| Error::MissingTensor {
                layer: format!("conv2d beside block{block}").into(),
                tensor: "kernel".into(),
                expected: "[1, 1, any, any]".into(),
                found: "nothing".into(),
            })?;
            let y = net.conv(&entry, &conv, Walk { stride: 2, ..Walk::SAME })?;
            net.norm(&y, &norm, EPSILON)?
        } else {
            entry.clone()
        };
        for n in 1..=convs {
            if (block, n) != (2, 1) {
                x = net.activation(&x, &format!("block{block}_sepconv{n}_act"), "relu")?;
            }
            x = net.separable(&x, &format!("block{block}_sepconv{n}"))?;
            x = net.norm(&x, &format!("block{block}_sepconv{n}_bn"), EPSILON)?;
        }
        if convs == 2 {
            x = net.pool(&x, "MaxPooling2D", &format!("block{block}_pool"), 3, "same")?;
        }
        x = net.join("Add", &format!("add_{block}"), &[&x, &shortcut])?;
    }
    for n in (1..).take_while(|n| net.has(&format!("block{blocks}_sepconv{n}"))).collect::<Vec<usize>>() {
        let name = format!("block{blocks}_sepconv{n}");
        x = net.separable(&x, &name)?;
        x = net.norm(&x, &format!("{name}_bn"), EPSILON)?;
        x = net.activation(&x, &format!("{name}_act"), "relu")?;
    }
    net.top(&x, "predictions")
}
