//! What a state dict is that is no network's plain weights: quantised, computed from other tensors, in another number of dimensions, adapters; and what
//! whoever has it can do.
//!
//! It is told from the names that PyTorch's own modules, and libraries beside it, give their tensors. Only what could not be read comes here.

use residua_formats::torch::StateDict;
use residua_ir::{Hint, Shown, Unused};

use super::network::Asked;
use crate::error::Error;

/// What to do where weights do not say what is computed beside them.
pub(super) const EXPORT: &str = "export the model with `torch.onnx.export`, and give the ONNX file";

/// A kind of tensors, by what is in their names.
struct Kind {
    /// Parts of names, each of which tells it.
    parts: &'static [&'static str],
    /// What it is; `{}` is the first such name.
    what: &'static str,
    help: &'static str,
}

const QUANTISED: &str = "give the checkpoint from before it was quantised, or an ONNX file of the quantised network with QuantizeLinear and DequantizeLinear \
     (QDQ), which is read as it is";

/// In the order in which they are looked for.
const KINDS: [Kind; 10] = [
    Kind {
        parts: &["weight_fake_quant.", "activation_post_process."],
        what: "a network prepared for quantisation-aware training (PyTorch's `prepare_qat`, with fake quantisation and observers such as `{}`)",
        help: "give the checkpoint from before `prepare_qat`, or convert the trained model in Python and export it to ONNX with QuantizeLinear and \
               DequantizeLinear (QDQ), which is read as it is",
    },
    Kind {
        parts: &["lora_A.", "lora_B.", "lora_down.", "lora_up.", "hada_w1", "lora_magnitude_vector"],
        what: "a checkpoint with adapters (LoRA, as PEFT has them: `{}`)",
        help: "merge them in Python (`model.merge_and_unload()`), and save the state dict of the merged model",
    },
    Kind {
        parts: &["parametrizations.weight.original1"],
        what: "a weight that weight normalisation computes from other tensors (`{}`)",
        help: "in Python, `torch.nn.utils.parametrize.remove_parametrizations(module, \"weight\")` for each such module, and save the state dict again",
    },
    Kind {
        parts: &[".0._u", ".0._v"],
        what: "a weight that spectral normalisation computes from other tensors (`{}`)",
        help: "in Python, `torch.nn.utils.parametrize.remove_parametrizations(module, \"weight\")` for each such module, and save the state dict again",
    },
    Kind {
        parts: &["parametrizations."],
        what: "a tensor that a parametrisation computes from others (`{}`)",
        help: "in Python, `torch.nn.utils.parametrize.remove_parametrizations(module, name)` for each of them, and save the state dict again",
    },
    Kind {
        parts: &["weight_g"],
        what: "a weight that weight normalisation computes from other tensors (`{}` and `weight_v`)",
        help: "in Python, `torch.nn.utils.remove_weight_norm(module)` for each such module, and save the state dict again",
    },
    Kind {
        parts: &["weight_u"],
        what: "a weight that spectral normalisation computes from other tensors (`{}` and `weight_orig`)",
        help: "in Python, `torch.nn.utils.remove_spectral_norm(module)` for each such module, and save the state dict again",
    },
    Kind {
        parts: &["_orig"],
        what: "a tensor that is computed from others (`{}`), without the mask that pruning has beside it",
        help: "in Python, `torch.nn.utils.prune.remove(module, name)` for each of them, and save the state dict again",
    },
    Kind {
        parts: &[".SCB", ".weight.absmax", ".weight.quant_map", ".qweight", ".qzeros"],
        what: "a weight that was quantised (`{}`, as bitsandbytes, GPTQ and AWQ have them)",
        help: "dequantise the model in Python, or give the checkpoint from before it was quantised",
    },
    Kind { parts: &["attnpool."], what: "CLIP's ModifiedResNet, which pools by attention (`{}`)", help: EXPORT },
];

/// Parts of networks that are near to those that are read, by what their names hold.
const FOREIGN: [(&str, &str); 5] = [
    (".se.conv.", "efficient channel attention (ECA, as in timm's ecaresnet)"),
    (".attn.fc_reduce.", "selective kernels (as in timm's skresnet)"),
    (".conv2.fc1.", "split attention (as in timm's resnest)"),
    (".convs.0.", "convolutions over parts of the channels (as in timm's res2net)"),
    ("maxpool.0.", "a convolution in place of the stem's pool (as in timm's resnetrs)"),
];

/// What stands in the way of a state dict, where that is known. `unused` is what the file holds besides.
pub(super) fn known(dict: &StateDict, unused: &[Unused]) -> Option<Error> {
    let names = || dict.tensors.iter().map(|tensor| tensor.name.as_str());
    let called = |parts: &[&str]| names().find(|name| parts.iter().any(|part| name.contains(part)));
    // Observers stand beside quantised modules too; those say more.
    if let Some(error) = quantised(dict, unused) {
        return Some(error);
    }
    let kind = KINDS.iter().find_map(|kind| Some((kind, called(kind.parts)?)));
    if let Some((kind, name)) = kind {
        let what = kind.what.replace("{}", &name.shown().to_string());
        return Some(Error::Unsupported { what: what.into(), help: kind.help.into() });
    }
    if let Some(error) = dimensions(dict) {
        return Some(error);
    }
    let (name, what) = names().find_map(|name| {
        let (_, what) = FOREIGN.iter().find(|(part, _)| name.contains(part))?;
        Some((name, *what))
    })?;
    Some(Error::Unsupported { what: format!("{what}: `{}`", name.shown()).into(), help: EXPORT.into() })
}

/// What a file without tensors under names holds instead.
pub(super) fn nothing(asked: &Asked) -> Error {
    const NONE: &str = "the file holds no tensors under names";
    let optimizer = asked.unused.iter().find(|unused| unused.reason.contains("optimizer"));
    let problem = match (asked.dangers, optimizer) {
        ([], None) => NONE.to_owned(),
        ([], Some(unused)) => format!(
            "{NONE}, only the state of an optimizer (`{}`); give the checkpoint that has the model's state dict",
            unused.location.raw().shown()
        ),
        ([first, rest @ ..], _) => {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more such calls", rest.len()) };
            format!("{NONE}; where they should be, {first}{more}. Nothing was called. Do not load the file in Python")
        }
    };
    Error::Weights { problem: problem.into(), tried: Vec::new() }
}

/// A network that PyTorch quantised: weights of 8 bits, or packed for its kernels.
fn quantised(dict: &StateDict, unused: &[Unused]) -> Option<Error> {
    let within = |location: &str| match dict.path.as_str() {
        "" => Some(location.to_owned()),
        path => location.strip_prefix(path).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned),
    };
    let packed = dict.tensors.iter().map(|tensor| tensor.name.clone()).find(|name| name.contains("_packed_params"));
    let packed = packed.or_else(|| {
        unused.iter().filter_map(|unused| within(unused.location.raw())).find(|n| n.contains("_packed_params"))
    });
    let of_8_bits = unused.iter().filter(|unused| unused.reason.contains("quantised tensor"));
    let kernels: Vec<String> = of_8_bits
        .filter_map(|unused| within(unused.location.raw()))
        .filter(|location| location.ends_with(".weight"))
        .collect();
    let how = match (kernels.first(), &packed) {
        (Some(kernel), _) => format!(
            "a network that PyTorch quantised statically (torch.ao.quantization: {} weights of 8 bits, the first is `{}`{})",
            kernels.len(),
            kernel.shown(),
            packed.map_or_else(String::new, |name| format!("; others packed, such as `{}`", name.shown()))
        ),
        (None, Some(name)) => {
            let layer = name.split("._packed_params").next().unwrap_or(name).rsplit('.').next().unwrap_or(name);
            let layer = layer.shown();
            return Some(Error::Unsupported {
                what: format!(
                    "a network whose dense layers PyTorch quantised dynamically (`quantize_dynamic`: `{}`)",
                    name.shown()
                )
                .into(),
                help: format!("{QUANTISED}; `{} {layer}` takes the network before `{layer}`", Hint::HeadFrom).into(),
            });
        }
        (None, None) => return None,
    };
    Some(Error::Unsupported { what: how.into(), help: QUANTISED.into() })
}

/// A network whose kernels have one dimension, or three.
fn dimensions(dict: &StateDict) -> Option<Error> {
    let of_rank = |rank: usize| {
        let kernels = dict.tensors.iter().filter(move |tensor| tensor.tensor.shape().len() == rank);
        kernels.filter(|tensor| tensor.name.rsplit('.').next().is_some_and(|last| matches!(last, "weight" | "kernel")))
    };
    let (rank, what, over) = match (of_rank(3).count(), of_rank(4).count(), of_rank(5).count()) {
        (1.., 0, 0) => (3, "one dimension (Conv1d, over signals or texts", "signals"),
        (_, _, volumes) if volumes > 1 => (5, "three dimensions (Conv3d, over videos or volumes", "volumes"),
        _ => return None,
    };
    let first = of_rank(rank).next()?;
    let shape = first.tensor.shape();
    Some(Error::Unsupported {
        what: format!("a network of convolutions in {what}: `{}` has shape {shape:?})", first.name.shown()).into(),
        help: format!("networks over images are read, those over {over} are not").into(),
    })
}
