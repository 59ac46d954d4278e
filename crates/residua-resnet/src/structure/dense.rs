//! Densely connected networks (Huang et al. 2017): each layer adds channels to all that was there before it.

use residua_ir::Op;

use super::flow::Flow;
use super::parts::{DenseBlocks, Step};
use super::path::conv_unit;

/// Fewer layers that add channels are no network of this kind.
const LEAST: usize = 4;

/// The blocks, where all paths meet in concatenations and every wide convolution behind the stem adds as many channels.
pub(super) fn find(flow: &Flow) -> Option<DenseBlocks> {
    let mut found = DenseBlocks { layers: vec![0], growth: 0, convs: 0, stem: Vec::new(), blurred: false };
    for node in flow.graph.node_ids().filter(|&node| flow.is_live(node)) {
        let step = flow.step(node);
        let is_concat = |node| matches!(flow.graph.node(node).op, Op::Concat { .. });
        if matches!(step, Step::Join | Step::Gate) || (step == Step::Merge && !is_concat(node)) {
            return None;
        }
        let last = found.layers.last_mut()?;
        found.blurred |= step == Step::Blur;
        if step == Step::Pool && *last > 0 {
            found.layers.push(0);
        } else if step == Step::Conv {
            found.convs += 1;
            let unit = conv_unit(flow, node);
            let readers = flow.real_readers(flow.output(node));
            if unit.is_wide() && !readers.is_empty() && readers.into_iter().all(is_concat) {
                if found.growth != 0 && found.growth != unit.outputs {
                    return None;
                }
                found.growth = unit.outputs;
                *last += 1;
            } else if unit.is_wide() && found.growth != 0 {
                return None;
            } else if unit.is_wide() {
                found.stem.push(unit.kernel);
            }
        }
    }
    found.layers.retain(|&layers| layers > 0);
    (found.layers.iter().sum::<usize>() >= LEAST).then_some(found)
}
