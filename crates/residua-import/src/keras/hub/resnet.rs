//! `ResNetBackbone`: v1, v2 and vd, with basic blocks or bottlenecks.

use serde_json::{Value, json};

use super::super::functional::Layers;
use super::Arguments;
use crate::error::Result;

/// KerasHub's epsilon for every norm.
const EPSILON: f64 = 1e-5;

/// Where channels are, which no argument says: where the shape of images has a number of channels.
pub(super) fn data_format(shape: Option<&Value>) -> &'static str {
    let size = |at: usize| shape.and_then(|shape| shape.get(at)).and_then(Value::as_u64);
    let channels = |at| matches!(size(at), Some(1 | 3 | 4));
    if channels(0) && !channels(2) { "channels_first" } else { "channels_last" }
}

/// The kind of a block.
#[derive(Clone, Copy)]
struct Kind {
    bottleneck: bool,
    /// A mean before the projection instead of a stride on it.
    vd: bool,
    pre_activation: bool,
}

/// What the constructor makes of its arguments.
pub(super) fn backbone(arguments: Arguments<'_>) -> Result<Value> {
    let stem = (arguments.sizes("input_conv_filters")?, arguments.sizes("input_conv_kernel_sizes")?);
    let [filters, blocks, strides] =
        ["stackwise_num_filters", "stackwise_num_blocks", "stackwise_num_strides"].map(|key| arguments.sizes(key));
    let (filters, blocks, strides) = (filters?, blocks?, strides?);
    if stem.0.len() != stem.1.len() {
        return Err(arguments.wrong("input_conv_kernel_sizes", "one for each of input_conv_filters"));
    }
    if filters.len() != blocks.len() || filters.len() != strides.len() {
        return Err(arguments.wrong("stackwise_num_blocks", "one for each of stackwise_num_filters"));
    }
    let pre_activation = arguments.flag("use_pre_activation")?;
    let kind = |bottleneck, vd| Kind { bottleneck, vd, pre_activation };
    let kind = match arguments.get("block_type").and_then(Value::as_str) {
        Some("basic_block") => kind(false, false),
        Some("bottleneck_block") => kind(true, false),
        Some("basic_block_vd") => kind(false, true),
        Some("bottleneck_block_vd") => kind(true, true),
        Some(_) | None => {
            let known = "basic_block, bottleneck_block, basic_block_vd or bottleneck_block_vd";
            return Err(arguments.wrong("block_type", known));
        }
    };
    let shape = arguments.get("image_shape");
    let mut net = Net(Layers::new(arguments.get("dtype").cloned(), data_format(shape)));
    let x = net.0.input("input_layer", shape.cloned())?;
    let mut x = net.stem(x, &stem.0, &stem.1, pre_activation)?;
    for (stack, ((&filters, &blocks), &stride)) in filters.iter().zip(&blocks).zip(&strides).enumerate() {
        for block in 0..blocks {
            let first = block == 0;
            // Only stages of plain basic blocks begin without a projection, and only the first.
            let projects = first && (kind.bottleneck || kind.vd || stack > 0);
            let stride = if first { stride } else { 1 };
            x = net.block(&x, kind, filters, stride, projects, &format!("stack{stack}_block{block}"))?;
        }
    }
    if pre_activation {
        x = net.norm(&x, "post_bn")?;
        x = net.relu(&x, "post_relu")?;
    }
    Ok(net.0.model_of(arguments.name(), "input_layer", &x))
}

struct Net(Layers);

impl Net {
    fn conv(&mut self, x: &str, name: &str, filters: u64, kernel: u64, stride: u64, padding: &str) -> Result<String> {
        let keys = json!({
            "filters": filters, "kernel_size": [kernel, kernel], "strides": [stride, stride], "padding": padding,
            "use_bias": false, "activation": "linear", "data_format": self.0.format,
        });
        self.0.add("Conv2D", name, keys, &[x])
    }

    /// A convolution that pads as PyTorch does where it has a stride.
    fn strided(&mut self, x: &str, name: &str, filters: u64, kernel: u64, stride: u64) -> Result<String> {
        if stride == 1 {
            return self.conv(x, name, filters, kernel, 1, "same");
        }
        let x = self.pad(x, &name.replace("_conv", "_pad"), (kernel - 1) / 2)?;
        self.conv(&x, name, filters, kernel, stride, "valid")
    }

    fn pad(&mut self, x: &str, name: &str, by: u64) -> Result<String> {
        let keys = json!({ "padding": [[by, by], [by, by]], "data_format": self.0.format });
        self.0.add("ZeroPadding2D", name, keys, &[x])
    }

    fn norm(&mut self, x: &str, name: &str) -> Result<String> {
        let axis = if self.0.format == "channels_first" { 1 } else { -1 };
        let keys = json!({ "axis": axis, "epsilon": EPSILON, "center": true, "scale": true });
        self.0.add("BatchNormalization", name, keys, &[x])
    }

    fn relu(&mut self, x: &str, name: &str) -> Result<String> {
        self.0.add("Activation", name, json!({ "activation": "relu" }), &[x])
    }

    fn pool(&mut self, class: &str, x: &str, name: &str, size: u64, stride: u64, padding: &Value) -> Result<String> {
        let keys = json!({
            "pool_size": [size, size], "strides": [stride, stride], "padding": padding, "data_format": self.0.format,
        });
        self.0.add(class, name, keys, &[x])
    }

    fn stem(&mut self, x: String, filters: &[u64], kernels: &[u64], pre_activation: bool) -> Result<String> {
        let mut x = x;
        for (at, (&filters, &kernel)) in filters.iter().zip(kernels).enumerate() {
            let name = |part: &str| format!("conv{}_{part}", at + 1);
            x = if at == 0 {
                let padded = self.pad(&x, &name("pad"), (kernel - 1) / 2)?;
                self.conv(&padded, &name("conv"), filters, kernel, 2, "valid")?
            } else {
                self.conv(&x, &name("conv"), filters, kernel, 1, "same")?
            };
            if at + 1 < kernels.len() || !pre_activation {
                x = self.norm(&x, &name("bn"))?;
                x = self.relu(&x, &name("relu"))?;
            }
        }
        if pre_activation {
            // KerasHub puts −∞ around the image, which is what the windows of a pool have beyond it.
            return self.pool("MaxPooling2D", &x, "pool1_pool", 3, 2, &json!([[1, 1], [1, 1]]));
        }
        let padded = self.pad(&x, "pool1_pad", 1)?;
        self.pool("MaxPooling2D", &padded, "pool1_pool", 3, 2, &json!("valid"))
    }

    /// One block. Its projection stands before its last convolution, where Keras lists it.
    fn block(&mut self, x: &str, kind: Kind, filters: u64, stride: u64, projects: bool, name: &str) -> Result<String> {
        let part = |part: &str| format!("{name}_{part}");
        let before = if kind.pre_activation {
            let normed = self.norm(x, &part("pre_activation_bn"))?;
            self.relu(&normed, &part("pre_activation_relu"))?
        } else {
            x.to_owned()
        };
        let (outputs, last) = if kind.bottleneck { (filters.saturating_mul(4), 3) } else { (filters, 2) };
        let mut y = if kind.bottleneck {
            self.conv(&before, &part("1_conv"), filters, 1, 1, "valid")?
        } else {
            self.strided(&before, &part("1_conv"), filters, 3, stride)?
        };
        y = self.norm(&y, &part("1_bn"))?;
        y = self.relu(&y, &part("1_relu"))?;
        if kind.bottleneck {
            y = self.strided(&y, &part("2_conv"), filters, 3, stride)?;
            y = self.norm(&y, &part("2_bn"))?;
            y = self.relu(&y, &part("2_relu"))?;
        }
        let shortcut = if projects { self.projection(x, &before, kind, outputs, stride, name)? } else { x.to_owned() };
        let kernel = if kind.bottleneck { 1 } else { 3 };
        y = self.conv(&y, &part(&format!("{last}_conv")), outputs, kernel, 1, "same")?;
        if kind.pre_activation {
            return self.0.add("Add", &part("out"), json!({}), &[&shortcut, &y]);
        }
        y = self.norm(&y, &part(&format!("{last}_bn")))?;
        let sum = self.0.add("Add", &part("add"), json!({}), &[&shortcut, &y])?;
        self.relu(&sum, &part("out"))
    }

    /// The shortcut where the shape changes. Of pre-activated blocks it strides in itself only where they are not vd's, as the code has it.
    fn projection(
        &mut self,
        x: &str,
        before: &str,
        kind: Kind,
        outputs: u64,
        stride: u64,
        name: &str,
    ) -> Result<String> {
        let conv = format!("{name}_0_conv");
        if kind.pre_activation {
            return self.conv(before, &conv, outputs, 1, if kind.vd { 1 } else { stride }, "valid");
        }
        let projected = if kind.vd {
            let pooled = match stride {
                1 => x.to_owned(),
                stride => self.pool("AveragePooling2D", x, &format!("{name}_0_pool"), 2, stride, &json!("same"))?,
            };
            self.conv(&pooled, &conv, outputs, 1, 1, "valid")?
        } else {
            self.conv(x, &conv, outputs, 1, stride, "valid")?
        };
        self.norm(&projected, &format!("{name}_0_bn"))
    }
}
