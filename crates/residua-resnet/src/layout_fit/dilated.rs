//! Networks whose strides were replaced by dilations, in layouts whose code can be built so.
//!
//! (Source: torchvision 0.29, `resnet.py`, `replace_stride_with_dilation`; timm 1.0, `resnet.py`, `output_stride`.)

use crate::anatomy::{ActivationOrder, Anatomy, BlockKind};
use crate::form::Form;
use crate::layouts::{ModelClass, ModelLibrary};

/// Stages of the networks that the libraries build.
const STAGES: usize = 4;

/// Whether any block of a network dilates.
pub(super) fn is_dilated(anatomy: &Anatomy) -> bool {
    anatomy.blocks.iter().flat_map(|block| &block.convs).any(|conv| conv.dilation > 1)
}

/// The strides of the whole network that the code of a layout can keep, each with what it has to be given for that.
pub(super) fn choices(library: &ModelLibrary, form: &Form) -> Vec<(usize, String)> {
    if form.stages.len() != STAGES || form.order != ActivationOrder::Post {
        return Vec::new();
    }
    let replaced = |output: usize, stages: &str| (output, format!("`replace_stride_with_dilation=[{stages}]`"));
    match (library.name, form.block) {
        // Its basic blocks refuse a dilation.
        ("torchvision", BlockKind::Bottleneck) => {
            vec![replaced(8, "False, True, True"), replaced(16, "False, False, True"), replaced(4, "True, True, True")]
        }
        ("timm", _) => [8, 16].map(|output| (output, format!("`output_stride={output}`"))).into(),
        _ => Vec::new(),
    }
}

/// The form as a class sees it: where all strides were replaced, nothing shows which convolution had them.
pub(super) fn as_built(form: &Form, class: &ModelClass) -> Form {
    match (form.stride_on, class.can.stride_on.first()) {
        (0, Some((first, _))) => Form { stride_on: *first, ..form.clone() },
        _ => form.clone(),
    }
}
