//! DenseNet121, 169, 201 and others of their names.

use super::net::{Net, Walk};
use crate::error::Result;

/// As the code has it.
const EPSILON: f64 = 1.001e-5;

pub(super) fn write(net: &mut Net) -> Result<String> {
    // The first names of the stem's layers had a slash.
    let slashed = net.has("conv1/conv");
    let stem = |part: &str| if slashed { format!("conv1/{part}") } else { format!("conv1_{part}") };
    let x = net.image(&stem("conv"), None)?;
    let x = net.pad(&x, "zero_padding2d", 3, 3)?;
    let x = net.conv(&x, &stem("conv"), Walk::valid(2))?;
    let x = net.norm(&x, &stem("bn"), EPSILON)?;
    let x = net.activation(&x, &stem("relu"), "relu")?;
    let x = net.pad(&x, "zero_padding2d_1", 1, 1)?;
    let mut x = net.pool(&x, "MaxPooling2D", "pool1", 3, "valid")?;
    for stage in (2..).take_while(|stage| net.has(&format!("conv{stage}_block1_1_conv"))).collect::<Vec<usize>>() {
        for block in
            (1..).take_while(|block| net.has(&format!("conv{stage}_block{block}_1_conv"))).collect::<Vec<usize>>()
        {
            let at = |part: &str| format!("conv{stage}_block{block}_{part}");
            let y = net.norm(&x, &at("0_bn"), EPSILON)?;
            let y = net.activation(&y, &at("0_relu"), "relu")?;
            let y = net.conv(&y, &at("1_conv"), Walk::SAME)?;
            let y = net.norm(&y, &at("1_bn"), EPSILON)?;
            let y = net.activation(&y, &at("1_relu"), "relu")?;
            let y = net.conv(&y, &at("2_conv"), Walk::SAME)?;
            x = net.join("Concatenate", &at("concat"), &[&x, &y])?;
        }
        if net.has(&format!("pool{stage}_conv")) {
            let at = |part: &str| format!("pool{stage}_{part}");
            let y = net.norm(&x, &at("bn"), EPSILON)?;
            let y = net.activation(&y, &at("relu"), "relu")?;
            let y = net.conv(&y, &at("conv"), Walk::SAME)?;
            x = net.pool(&y, "AveragePooling2D", &at("pool"), 2, "valid")?;
        }
    }
    let x = net.norm(&x, "bn", EPSILON)?;
    let x = net.activation(&x, "relu", "relu")?;
    net.top(&x, if net.has("fc1000") { "fc1000" } else { "predictions" })
}
