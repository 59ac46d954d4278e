//! Dense layers, on any number of axes.

use residua_ir::{Conv, Op, SourceOrder};

use super::activation::activated;
use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val, Weight};
use crate::keras::order;

/// `Dense`: a matrix over the last source axis. Kernel (in, out).
///
/// On images whose channels come last in the source it is a 1x1 convolution; behind a flattened image the kernel's
/// rows are viewed in the graph's order.
pub(super) fn dense(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    if fields.get("quantization_config").is_some() || fields.get("lora_rank").is_some() {
        return Err(Stop::Opaque("quantised and low-rank layers are not known".to_owned()));
    }
    let units = fields.required_usize("units")?;
    let use_bias = fields.bool_or("use_bias", true)?;
    let mut x = layer_call.input()?;
    let flattened = matches!(x.order, SourceOrder::FlattenedChannelsLast { .. });
    let on_channels = x.order == SourceOrder::channels_last();
    // A shared layer sees its input in one order, whatever its callers have.
    if layer_call.shared || !(flattened || on_channels) {
        x = layer_call.plain(&x)?;
    }
    layer_call.rank(&x)?;
    let inputs = x.source_sizes().and_then(|sizes| sizes.last().copied().flatten());
    let order = x.order.clone();
    let as_conv = order == SourceOrder::channels_last();
    let kernel = Weight::new("kernel", &[inputs, Some(units)]).view(|kernel| {
        let &[rows, columns] = kernel.shape() else { return Ok(kernel.clone()) };
        match &order {
            SourceOrder::Permuted(_) => kernel.permute(&[1, 0])?.reshape(&[columns, rows, 1, 1]),
            SourceOrder::Same => kernel.permute(&[1, 0]),
            &SourceOrder::FlattenedChannelsLast { channels, height, width } => kernel
                .reshape(&[height, width, channels, columns])?
                .permute(&[2, 0, 1, 3])?
                .reshape(&[rows, columns])?
                .permute(&[1, 0]),
        }
    });
    let mut weights = vec![kernel];
    if use_bias {
        weights.push(Weight::new("bias", &[Some(units)]));
    }
    let weights = layer_call.weight_list(weights)?;
    let operands: Vec<&Val> = std::iter::once(&x).chain(&weights).collect();
    if as_conv {
        activated(layer_call, "conv", Op::Conv(Conv::default()), &operands, order::permuted(vec![0, 2, 3, 1]))
    } else {
        activated(layer_call, "linear", Op::Linear, &operands, SourceOrder::Same)
    }
}
