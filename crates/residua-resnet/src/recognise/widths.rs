//! Widths and groups of single convolutions, read off their kernels: networks whose channels were pruned have others in each
//! block.

use std::collections::BTreeMap;

use crate::anatomy::BlockKind;
use crate::form::Form;
use crate::recipe::Own;
use crate::slot::{Component, Position};

/// What the convolutions within blocks give, and their groups, where that is not as the first block of their stage has it.
pub(super) fn own(
    form: &Form,
    gates: &[usize],
    kernel: &dyn Fn(Position) -> Option<[usize; 4]>,
) -> BTreeMap<Position, Own> {
    let mut all = BTreeMap::new();
    let last = if form.block == BlockKind::Basic { 2 } else { 3 };
    let mut enters = form.stem_width;
    for (stage, sizes) in form.stages.iter().enumerate() {
        for block in 0..sizes.blocks {
            let position = |component: Component| Position::Block { stage, block, component };
            let mut takes = enters;
            // Of a network without groups, a kernel for some of the channels is a mistake and no group.
            let grouped = form.groups > 1;
            for n in 1..=last {
                let Some([gives, per_group, rows, _]) = kernel(position(Component::Conv(n))) else { continue };
                let own = Own {
                    gives: (n < last && gives != sizes.width).then_some(gives),
                    groups: groups(takes, per_group, gives)
                        .filter(|&groups| grouped && rows > 1 && groups != form.groups),
                    ..Own::default()
                };
                if own != Own::default() {
                    all.insert(position(Component::Conv(n)), own);
                }
                takes = gives;
            }
            let gate = kernel(position(Component::Gate(1))).map(|[width, ..]| width);
            if let Some(width) = gate.filter(|width| gates.get(stage) != Some(width)) {
                all.insert(position(Component::Gate(1)), Own { gives: Some(width), ..Own::default() });
            }
            enters = sizes.outputs;
        }
    }
    all
}

/// Groups of a kernel; [`None`] where none fit.
fn groups(takes: usize, per_group: usize, gives: usize) -> Option<usize> {
    let groups = takes.checked_div(per_group).filter(|groups| groups.checked_mul(per_group) == Some(takes))?;
    (groups > 0 && gives.is_multiple_of(groups)).then_some(groups)
}
