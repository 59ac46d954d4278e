//! What the names beside a network tell of it: that it is the body of a segmentation or of a detection network.
//!
//! torchvision's FCN and DeepLab always have dilated bodies, in stages 3 and 4, and no tensor shows it. The names and shapes of their
//! heads are those of no other library. Detection networks have frozen norms, whose epsilon depends on which weights were
//! loaded last: that is open, and said.

use residua_formats::torch::StateDict;
use residua_ir::Hint;
use residua_resnet::anatomy::BlockKind;
use residua_resnet::recognise::{Choice, Given, Recognised, STRIDES};

use super::network::Network;

/// The part of torchvision's networks that is the body.
const BODY: &str = "backbone";

/// Rank of what is called so.
fn rank(dict: &StateDict, name: &str) -> Option<usize> {
    dict.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.tensor.shape().len())
}

/// Whether a state dict is that of torchvision's FCN or DeepLab, and which.
fn segmentation(dict: &StateDict) -> Option<&'static str> {
    let inside = |prefix: &str| dict.tensors.iter().any(|tensor| tensor.name.starts_with(prefix));
    let only = ["backbone.", "classifier.", "aux_classifier."];
    let alone = dict.tensors.iter().all(|tensor| only.iter().any(|prefix| tensor.name.starts_with(prefix)));
    if !alone || rank(dict, "classifier.4.weight") != Some(4) || !inside("backbone.layer4.") {
        return None;
    }
    match (rank(dict, "classifier.0.weight"), rank(dict, "classifier.0.convs.0.0.weight")) {
        (Some(4), None) => Some("FCN"),
        (None, Some(4)) => Some("DeepLab"),
        (Some(_) | None, Some(_) | None) => None,
    }
}

/// What is known of the network beyond what was given, from the names beside it, and how that is said.
pub(super) fn complete(chosen: &Network, given: &Given) -> Option<(Given, Choice)> {
    let bottlenecks = chosen.recognised.recipe.form.block == BlockKind::Bottleneck;
    let stages = chosen.recognised.recipe.form.stages.len();
    let which = segmentation(chosen.dict).filter(|_| bottlenecks && stages == 4 && is_body(chosen))?;
    if given.says_strides() {
        return None;
    }
    let taken = format!(
        "stride 1 and dilation in stages 3 and 4, as torchvision's {which} always has them, whose names the tensors beside the \
         network have"
    );
    let choice = Choice { taken, hints: STRIDES.to_vec() };
    Some((Given { output_stride: Some(8), ..given.clone() }, choice))
}

/// Whether the network is what lies under the name of torchvision's bodies.
fn is_body(chosen: &Network) -> bool {
    let mut bound = chosen.recognised.slots.values().filter_map(|&index| chosen.names.get(index));
    bound.all(|named| named.name.strip_prefix(BODY).is_some_and(|rest| rest.starts_with('.')))
}

/// Says of the epsilon that was taken what there is to know where the network is the body of a detection network.
pub(super) fn detection(dict: &StateDict, recognised: &mut Recognised) {
    const HEADS: [&str; 5] =
        ["rpn.", "roi_heads.", "backbone.fpn.", "proposal_generator.", "head.classification_head."];
    let beside = dict.tensors.iter().any(|tensor| {
        let name = tensor.name.trim_start_matches("module.").trim_start_matches("model.");
        HEADS.iter().any(|head| name.starts_with(head))
    });
    let counts = recognised.slots.keys().any(|slot| slot.field == residua_resnet::Field::Batches);
    for choice in
        recognised.choices.iter_mut().filter(|choice| beside && !counts && choice.hints.contains(&Hint::Epsilon))
    {
        choice.taken.push_str(
            ", though the norms are frozen ones of a detection network: torchvision's have 0 where its COCO weights were loaded, and \
             1e-5 else; detectron2's have 1e-5",
        );
    }
}
