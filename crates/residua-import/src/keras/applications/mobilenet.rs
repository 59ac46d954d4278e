//! MobileNet and MobileNetV2: depthwise convolutions between 1x1 ones.

use serde_json::json;

use super::net::{Net, Walk};
use crate::error::Result;

/// Keras's epsilon where none is given.
const EPSILON: f64 = 1e-3;

/// MobileNet.
pub(super) fn write(net: &mut Net) -> Result<String> {
    let x = net.image("conv1", None)?;
    let x = net.conv(&x, "conv1", Walk { stride: 2, ..Walk::SAME })?;
    let x = net.norm(&x, "conv1_bn", EPSILON)?;
    let mut x = net.relu6(&x, "conv1_relu")?;
    for block in (1..).take_while(|block| net.has(&format!("conv_dw_{block}"))).collect::<Vec<usize>>() {
        let name = format!("conv_dw_{block}");
        x = if matches!(block, 2 | 4 | 6 | 12) {
            x = net.pad(&x, &format!("conv_pad_{block}"), 0, 1)?;
            net.depthwise(&x, &name, Walk::valid(2))?
        } else {
            net.depthwise(&x, &name, Walk::SAME)?
        };
        x = net.norm(&x, &format!("conv_dw_{block}_bn"), EPSILON)?;
        x = net.relu6(&x, &format!("conv_dw_{block}_relu"))?;
        x = net.conv(&x, &format!("conv_pw_{block}"), Walk::SAME)?;
        x = net.norm(&x, &format!("conv_pw_{block}_bn"), EPSILON)?;
        x = net.relu6(&x, &format!("conv_pw_{block}_relu"))?;
    }
    if !net.has("conv_preds") {
        return net.without_top(&x);
    }
    let [_, _, _, classes] = net.kernel("conv_preds")?;
    let x = net.mean(&x, "global_average_pooling2d", true)?;
    let x = net.conv(&x, "conv_preds", Walk::SAME)?;
    let x = net.layer(&x, "Reshape", "reshape_2", json!({ "target_shape": [classes] }))?;
    net.taken_softmax("conv_preds");
    net.activation(&x, "predictions", "softmax")
}

/// MobileNetV2, which pads strided convolutions as the padding `same` does for each size.
pub(super) fn write_v2(net: &mut Net) -> Result<String> {
    let x = net.image("Conv1", None)?;
    let x = net.conv(&x, "Conv1", Walk { stride: 2, ..Walk::SAME })?;
    let x = net.norm(&x, "bn_Conv1", EPSILON)?;
    let mut x = net.relu6(&x, "Conv1_relu")?;
    let [_, _, _, mut channels] = net.kernel("Conv1")?;
    let blocks = (1..).take_while(|block| net.has(&format!("block_{block}_depthwise"))).count();
    for block in 0..=blocks {
        let prefix = if block == 0 { "expanded_conv_".to_owned() } else { format!("block_{block}_") };
        let at = |part: &str| format!("{prefix}{part}");
        let entry = x.clone();
        if net.has(&at("expand")) {
            x = net.conv(&x, &at("expand"), Walk::SAME)?;
            x = net.norm(&x, &at("expand_BN"), EPSILON)?;
            x = net.relu6(&x, &at("expand_relu"))?;
        }
        let stride = if matches!(block, 1 | 3 | 6 | 13) { 2 } else { 1 };
        x = net.depthwise(&x, &at("depthwise"), Walk { stride, ..Walk::SAME })?;
        x = net.norm(&x, &at("depthwise_BN"), EPSILON)?;
        x = net.relu6(&x, &at("depthwise_relu"))?;
        x = net.conv(&x, &at("project"), Walk::SAME)?;
        x = net.norm(&x, &at("project_BN"), EPSILON)?;
        let [_, _, _, gives] = net.kernel(&at("project"))?;
        if gives == channels && stride == 1 {
            x = net.join("Add", &at("add"), &[&entry, &x])?;
        }
        channels = gives;
    }
    let x = net.conv(&x, "Conv_1", Walk::valid(1))?;
    let x = net.norm(&x, "Conv_1_bn", EPSILON)?;
    let x = net.relu6(&x, "out_relu")?;
    // The name of before Keras 2.3 and that of today.
    let dense = if net.has("Logits") { "Logits" } else { "predictions" };
    net.top(&x, dense)
}
