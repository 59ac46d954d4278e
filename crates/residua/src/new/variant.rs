//! Networks that another one becomes: without its shortcuts, or with blocks that survive with a probability.

use residua_ir::rewrite::{Edits, Expr};
use residua_ir::{Checked, Elementwise, Graph, NodeId, Op, Parameter, Role, Tensor, ValueId};
use residua_resnet::Anatomy;

use crate::error::{Context, Result, bail};

/// The sums of all blocks, each with its shortcut and its main path, in this order.
fn sums(model: &Checked, anatomy: &Anatomy) -> Result<Vec<(NodeId, ValueId, ValueId)>> {
    let graph = model.graph();
    let of = |add: NodeId| match graph.node(add).inputs[..] {
        // So a recipe builds them.
        [shortcut, main] => Ok((add, shortcut, main)),
        _ => bail!("a block does not end in a sum of two"),
    };
    anatomy.blocks.iter().map(|block| of(block.add)).collect()
}

/// The same layers in a chain: shortcuts and what is on them are gone (the plain networks of He et al. 2015).
///
/// # Errors
/// Where a block ends in no sum.
pub(super) fn without_shortcuts(model: &Checked, anatomy: &Anatomy) -> Result<Graph> {
    let mut edits = Edits::new(model);
    for (add, _, main) in sums(model, anatomy)? {
        edits.replace(add, Expr::Old(main));
    }
    Ok(edits.apply().context("cannot take the shortcuts out")?.0)
}

/// Each main path times the probability with which its block survived in training, as Huang et al. 2016 test: it falls
/// linearly, to `last` at the last block.
///
/// # Errors
/// Where a block ends in no sum.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "numbers of blocks; weights are f32")]
pub(super) fn surviving(model: &Checked, anatomy: &Anatomy, last: f64) -> Result<Graph> {
    let sums = sums(model, anatomy)?;
    let count = sums.len() as f64;
    let mut edits = Edits::new(model);
    for (at, (add, shortcut, main)) in sums.into_iter().enumerate() {
        let survives = 1.0 - (at + 1) as f64 / count * (1.0 - last);
        let node = model.graph().node(add);
        let probability = Parameter {
            name: format!("{}.survival", model.graph().value(main).name.raw()).into(),
            location: String::new().into(),
            role: Role::Literal,
            layer: node.layer,
            tensor: Tensor::from_f32(Vec::new(), &[survives as f32])?,
        };
        let scaled = Expr::step("survival", Op::Elementwise(Elementwise::Mul), vec![main.into(), probability.into()]);
        edits.replace(add, Expr::made(Op::Elementwise(Elementwise::Add), vec![shortcut.into(), scaled]));
    }
    Ok(edits.apply().context("cannot scale the main paths")?.0)
}
