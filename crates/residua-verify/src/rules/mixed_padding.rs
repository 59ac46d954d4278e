//! Convolutions that pad otherwise than those of the same kind.

use std::collections::BTreeMap;

use residua_ir::shape::window::{Window, same_upper};
use residua_ir::{Finding, NodeId, Op, Padding, Pads};
use residua_resnet::anatomy::{Block, ConvNormAct, Step};

use crate::Subject;
use crate::majority::few;

residua_ir::code! {
    /// One convolution pads otherwise than the others of the same kernel and stride: not at all, on one side only, by
    /// another amount.
    ///
    /// ## Why it matters
    ///
    /// TensorFlow's SAME pads a convolution with a stride on one side only where the size is even, PyTorch pads both
    /// sides alike. Both give the same size and read other pixels: the image is shifted by one.
    ///
    /// ## Example
    ///
    /// `layer3.0.conv2: pads 0 at the top and 1 at the bottom; the other 2 of 3x3 with stride 2 pad 1 on each side`
    ///
    /// ## How to fix it
    ///
    /// Give it the padding that the others have.
    pub(super) static CODE = Topology Warning R214 "mixed-padding";
}

/// How a convolution pads. What pads half of its kernel on each side may at the same time be SAME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Half,
    Same,
    Amounts([usize; 4]),
}

/// A convolution and how it pads.
struct Padded {
    node: NodeId,
    pads: Option<Pads>,
    ways: Vec<Way>,
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    // Networks that were searched for pad as it came; too few blocks to have a dominant pattern are of one pattern all the same.
    if subject.dominant().is_some() && subject.judged_dominant().is_none() {
        return;
    }
    let mut groups: BTreeMap<([usize; 2], usize, usize), Vec<Padded>> = BTreeMap::new();
    for block in &subject.anatomy.blocks {
        for conv in block.convs.iter().filter(|conv| conv.is_wide()) {
            let Some(padded) = padded(subject, block, conv) else { continue };
            groups.entry((conv.kernel, conv.stride, conv.dilation)).or_default().push(padded);
        }
    }
    for ((kernel, stride, _), convs) in groups {
        let mut counts: BTreeMap<Way, usize> = BTreeMap::new();
        for way in convs.iter().flat_map(|conv| &conv.ways) {
            *counts.entry(*way).or_default() += 1;
        }
        let Some((&usual, &count)) = counts.iter().rev().max_by_key(|(_, count)| **count) else { continue };
        let odd = convs.len() - count;
        let one_of_three = odd == 1 && convs.len() == 3;
        if !one_of_three && !few(odd, convs.len()) {
            continue;
        }
        for conv in convs.iter().filter(|conv| !conv.ways.contains(&usual)) {
            let message = format!(
                "pads {}; the other {count} of {}x{} with stride {stride} pad {}",
                conv.pads.map_or_else(|| "as much as SAME asks for".to_owned(), amounts),
                kernel[0],
                kernel[1],
                text(usual)
            );
            let help = "give it the padding that the others have";
            findings.push(Finding::new(&CODE, message, help).at(subject.layer(conv.node)));
        }
    }
}

fn text(way: Way) -> String {
    match way {
        Way::Half => "half of the kernel on each side".to_owned(),
        Way::Same => "as much as SAME asks for".to_owned(),
        Way::Amounts([top, left, bottom, right]) => amounts(Pads { top, left, bottom, right }),
    }
}

fn amounts(pads: Pads) -> String {
    let Pads { top, left, bottom, right } = pads;
    if top == left && pads.is_symmetric() {
        return if top == 0 { "nothing".to_owned() } else { format!("{top} on each side") };
    }
    format!("{top} at the top, {left} at the left, {bottom} at the bottom, {right} at the right")
}

/// [`None`] where what is directly before the convolution is not known: it may pad.
fn padded(subject: &Subject, block: &Block, conv: &ConvNormAct) -> Option<Padded> {
    let before = layer_before(subject, block, conv)?;
    let pads = match conv.padding {
        Padding::Explicit(own) => Some(Pads {
            top: own.top + before.top,
            left: own.left + before.left,
            bottom: own.bottom + before.bottom,
            right: own.right + before.right,
        }),
        Padding::SameUpper | Padding::SameLower => None,
    };
    let Some(pads) = pads else { return Some(Padded { node: conv.node, pads, ways: vec![Way::Same] }) };
    let windows = conv.kernel.map(|kernel| Window { kernel, stride: conv.stride, dilation: conv.dilation });
    let half = conv.kernel.map(|kernel| kernel.saturating_sub(1) * conv.dilation / 2);
    let mut ways = vec![Way::Amounts([pads.top, pads.left, pads.bottom, pads.right])];
    if pads.is_symmetric() && [pads.top, pads.left] == half {
        ways.push(Way::Half);
    }
    let graph = subject.model.graph();
    let size = graph.node(conv.node).inputs.first().and_then(|&x| {
        let dims = subject.model.shape_of(x)?.dims();
        let size = [dims.get(2)?.fixed()?, dims.get(3)?.fixed()?];
        Some([size[0].checked_sub(before.top + before.bottom)?, size[1].checked_sub(before.left + before.right)?])
    });
    let same = size.and_then(|[h, w]| Some((same_upper(h, windows[0])?, same_upper(w, windows[1])?)));
    if same == Some(((pads.top, pads.bottom), (pads.left, pads.right))) {
        ways.push(Way::Same);
    }
    Some(Padded { node: conv.node, pads: Some(pads), ways })
}

/// What a layer of its own pads directly before the convolution; [`None`] where that is not known.
fn layer_before(subject: &Subject, block: &Block, conv: &ConvNormAct) -> Option<Pads> {
    let at = block.main.iter().position(|&node| node == conv.node);
    let before = at.and_then(|at| at.checked_sub(1));
    let op = before.and_then(|at| Some(&subject.model.graph().node(*block.main.get(at)?).op));
    match (op, before.and_then(|at| block.steps.get(at))) {
        (_, Some(Step::Unknown)) => None,
        (Some(Op::Pad(pad)), Some(Step::Pad)) => Some(pad.pads),
        (Some(_) | None, _) => Some(Pads::default()),
    }
}
