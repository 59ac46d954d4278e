//! The axis along which images lie, from operator to operator, and what has to be computed that was written out.

use std::collections::HashMap;

use super::Lane;
use crate::graph::{Node, NodeId, ValueId};
use crate::op::description::{Axes, Flow};
use crate::op::{Arithmetic, Extent, Op, ReshapeDim};
use crate::rewrite::{Edits, Expr};
use crate::shape::Dim;
use crate::validate::Typed;

/// What became of a node: where the images of its results lie, and what stands in its place.
struct Step {
    lane: Option<Lane>,
    instead: Option<Expr>,
}

impl Step {
    fn same(lane: Lane) -> Self {
        Self { lane: Some(lane), instead: None }
    }
}

type Result<T> = std::result::Result<T, String>;

pub(super) struct Follower<'m> {
    model: &'m Typed,
    /// An input that has the batch, of which its size is read.
    input: ValueId,
    batch: usize,
    lanes: HashMap<ValueId, Lane>,
}

impl<'m> Follower<'m> {
    pub(super) fn new(model: &'m Typed, inputs: &[ValueId], input: ValueId, batch: usize) -> Self {
        let lanes = inputs.iter().map(|&id| (id, Lane { axis: 0, factor: 1 })).collect();
        Self { model, input, batch, lanes }
    }

    /// Plans the changes; gives the nodes that are changed.
    ///
    /// # Errors
    /// The node that cannot be written for a free batch, and why.
    pub(super) fn follow(mut self, edits: &mut Edits) -> std::result::Result<Vec<NodeId>, (NodeId, String)> {
        let graph = self.model.graph();
        let mut changed = Vec::new();
        for id in graph.node_ids() {
            let node = graph.node(id);
            if !node.read().iter().any(|value| self.lanes.contains_key(value)) {
                continue;
            }
            let step = self.step(node).map_err(|reason| (id, reason))?;
            if let Some(lane) = step.lane {
                self.lanes.extend(node.outputs.iter().map(|&output| (output, lane)));
            }
            if let Some(instead) = step.instead {
                edits.replace(id, instead);
                changed.push(id);
            }
        }
        for &output in graph.outputs() {
            let lane = self.lanes.get(&output);
            if let (Some(id), Some(Lane { factor: 2.., .. })) = (graph.producer(output), lane) {
                return Err((id, format!("output `{}` has no axis of the batch alone", graph.value(output).name)));
            }
        }
        Ok(changed)
    }

    fn lane(&self, value: ValueId) -> Option<Lane> {
        self.lanes.get(&value).copied()
    }

    fn dims(&self, value: ValueId) -> Result<&'m [Dim]> {
        let name = || self.model.graph().value(value).name.clone();
        self.model
            .shape_of(value)
            .map(crate::Shape::dims)
            .ok_or_else(|| format!("the shape of `{}` is not known", name()))
    }

    fn rank(&self, value: ValueId) -> Result<usize> {
        self.dims(value).map(<[Dim]>::len)
    }

    /// The size of the batch, as an operand and an extent of the operand in this position.
    fn size(&self, position: usize) -> (Expr, Extent) {
        (Expr::Old(self.input), Extent::Of { operand: position, axis: 0 })
    }

    fn step(&self, node: &Node) -> Result<Step> {
        let lane = self.lane(*node.inputs.first().ok_or("it has no operands")?);
        match node.op.describe().flow {
            Flow::Window(_) | Flow::Spread(_) | Flow::AllPixels => self.of_images(node, lane),
            Flow::Scaled(axes) | Flow::Padded(axes) | Flow::Along(axes) => self.apart_from(node, lane, &axes),
            Flow::Resampled(axes) => self.only(node, lane, axes),
            Flow::Reduced { axes, keep } => Ok(self.only(node, lane, axes)?.without(axes, keep)),
            Flow::SamePlace if node.inputs.len() == 1 => self.only(node, lane, &[]),
            Flow::SamePlace => self.broadcast(node, 0),
            Flow::MatrixProduct => self.mat_mul(node),
            Flow::Joined { axis } => self.concat(node, axis),
            Flow::Flattened { axis } => self.flatten(node, axis),
            Flow::Reshaped(shape) => self.reshape(node, shape),
            Flow::Transposed(perm) => {
                let lane = self.alone(node, lane)?;
                let axis = perm.iter().position(|&from| from == lane.axis).ok_or("the axis of the batch is lost")?;
                Ok(Step::same(Lane { axis, ..lane }))
            }
            Flow::Squeezed(axes) => {
                let lane = self.alone(node, lane)?;
                if axes.contains(&lane.axis) {
                    return Err("it removes the axis of the batch".to_owned());
                }
                Ok(Step::same(lane).without(axes, false))
            }
            Flow::Unsqueezed(axes) => {
                let lane = self.alone(node, lane)?;
                let axis = axes.iter().fold(lane.axis, |axis, &new| if new <= axis { axis + 1 } else { axis });
                Ok(Step::same(Lane { axis, ..lane }))
            }
            Flow::Sliced { axis, step } => self.slice(node, axis, step),
            Flow::Gathered { axis } => self.gather(node, axis),
            Flow::Expanded(shape) => self.expand(node, shape),
            Flow::Tiled(repeats) => {
                let lane = self.alone(node, lane)?;
                match repeats.get(lane.axis) {
                    Some(Extent::Known(1)) => Ok(Step::same(lane)),
                    Some(_) | None => Err("it repeats images".to_owned()),
                }
            }
            Flow::SizesAlone => Ok(Step { lane: None, instead: None }),
            Flow::Everything => Err("it looks for the range of all images of a batch together".to_owned()),
            Flow::Anywhere => Err(format!("{} is not followed for a free batch", node.op.name())),
            Flow::Unknown => Err("nothing is known of this operator, nor what it does to a batch".to_owned()),
        }
    }

    /// The lane of the first operand, where no other has one.
    fn alone(&self, node: &Node, lane: Option<Lane>) -> Result<Lane> {
        let others = node.read().iter().skip(1).any(|&value| self.lane(value).is_some());
        lane.filter(|_| !others).ok_or_else(|| "weights of its own for each image".to_owned())
    }

    /// An operator on `[N, C, H, W]`.
    fn of_images(&self, node: &Node, lane: Option<Lane>) -> Result<Step> {
        let lane = self.alone(node, lane)?;
        if lane.axis != 0 {
            return Err(format!("images lie along axis {} of its operand", lane.axis));
        }
        Ok(Step::same(lane))
    }

    /// An operator that does something along these axes, and nothing along others.
    fn only(&self, node: &Node, lane: Option<Lane>, along: &[usize]) -> Result<Step> {
        let lane = self.alone(node, lane)?;
        if along.contains(&lane.axis) {
            return Err(format!("{} mixes the images of a batch", node.op.name()));
        }
        Ok(Step::same(lane))
    }

    /// The same of axes that may depend on the operand's rank.
    fn apart_from(&self, node: &Node, lane: Option<Lane>, axes: &Axes<'_>) -> Result<Step> {
        match axes {
            Axes::OfImage => self.of_images(node, lane),
            Axes::Last(count) => {
                let rank = self.rank(node.inputs[0])?;
                self.only(node, lane, &(rank.saturating_sub(*count)..rank).collect::<Vec<_>>())
            }
            Axes::These(axes) => self.only(node, lane, axes),
        }
    }

    /// Operands that are broadcast against each other, but for so many axes at their ends.
    fn broadcast(&self, node: &Node, apart: usize) -> Result<Step> {
        let ranks = node.inputs.iter().map(|&value| self.rank(value)).collect::<Result<Vec<usize>>>()?;
        let most = ranks.iter().copied().max().unwrap_or(0);
        let mut found: Option<Lane> = None;
        for (&value, rank) in node.inputs.iter().zip(&ranks) {
            let Some(lane) = self.lane(value) else { continue };
            let lane = Lane { axis: lane.axis + most - rank, ..lane };
            if found.is_some_and(|other| other != lane) || lane.axis + apart >= most {
                return Err("its operands have their images along different axes".to_owned());
            }
            found = Some(lane);
        }
        let lane = found.ok_or("it has no operand with images")?;
        for (&value, rank) in node.inputs.iter().zip(&ranks).filter(|(value, _)| self.lane(**value).is_none()) {
            let Some(axis) = (lane.axis + rank).checked_sub(most) else { continue };
            if self.dims(value)?[axis] != Dim::Fixed(1) {
                let name = &self.model.graph().value(value).name;
                return Err(format!("`{name}` holds numbers for a batch of {}", self.batch));
            }
        }
        Ok(Step::same(lane))
    }

    fn mat_mul(&self, node: &Node) -> Result<Step> {
        let [a, b] = node.inputs[..] else { return Err("it has no two operands".to_owned()) };
        match (self.lane(a), self.lane(b)) {
            // Images as rows.
            (Some(lane), None) if lane.axis + 2 == self.rank(a)? && self.rank(b)? <= 2 => Ok(Step::same(lane)),
            _ => self.broadcast(node, 2),
        }
    }

    fn concat(&self, node: &Node, axis: usize) -> Result<Step> {
        let lane = node.inputs.iter().find_map(|&value| self.lane(value)).ok_or("it has no operand with images")?;
        if lane.axis == axis {
            return Err("it joins images to a batch".to_owned());
        }
        let mut changed = false;
        let mut operands = Vec::with_capacity(node.inputs.len());
        for &value in &node.inputs {
            operands.push(match self.lane(value) {
                Some(other) if other == lane => Expr::Old(value),
                Some(_) => return Err("its operands have their images along different axes".to_owned()),
                None if lane.factor == 1 && self.dims(value)?.get(lane.axis) == Some(&Dim::Fixed(1)) => {
                    changed = true;
                    let (size, extent) = self.size(1);
                    let mut shape = vec![Extent::Known(1); self.rank(value)?];
                    shape[lane.axis] = extent;
                    Expr::step("for_each", Op::Expand { shape }, vec![Expr::Old(value), size])
                }
                None => {
                    let name = &self.model.graph().value(value).name;
                    return Err(format!("`{name}` holds numbers for a batch of {}", self.batch));
                }
            });
        }
        let instead = changed.then(|| Expr::made(node.op.clone(), operands));
        Ok(Step { lane: Some(lane), instead })
    }

    fn flatten(&self, node: &Node, axis: usize) -> Result<Step> {
        let lane = self.alone(node, self.lane(node.inputs[0]))?;
        let dims = self.dims(node.inputs[0])?;
        if lane.axis >= axis {
            // `[1, all]` of one image.
            let is_whole = axis == 0 && lane == Lane { axis: 0, factor: 1 } && self.batch == 1;
            let instead = Expr::made(Op::Flatten { axis: 1 }, vec![Expr::Old(node.inputs[0])]);
            return if is_whole {
                Ok(Step { lane: Some(lane), instead: Some(instead) })
            } else {
                Err("it makes one row of all images".to_owned())
            };
        }
        let others: Option<usize> = (0..axis).filter(|&at| at != lane.axis).map(|at| dims[at].fixed()).product();
        let before: Option<usize> = dims[..lane.axis].iter().map(Dim::fixed).product();
        match (others.and_then(|others| others.checked_mul(lane.factor)), before) {
            (Some(factor), Some(1)) => Ok(Step::same(Lane { axis: 0, factor })),
            _ => Err("it merges the axis of the batch with one before it".to_owned()),
        }
    }

    /// The batch stays where as many elements lie before it.
    fn reshape(&self, node: &Node, shape: &[ReshapeDim]) -> Result<Step> {
        let x = node.inputs[0];
        let lane = self.alone(node, self.lane(x))?;
        let lost = || "the axis of the batch is lost in it".to_owned();
        let before: usize =
            self.dims(x)?[..lane.axis].iter().map(Dim::fixed).product::<Option<usize>>().ok_or_else(lost)?;
        let target = self.dims(node.output())?;
        let (at, size) = self.place(target, before).ok_or_else(lost)?;
        let to = Lane { axis: at, factor: size / self.batch };
        let free = |dim: &ReshapeDim| matches!(dim, ReshapeDim::Infer);
        let copies = |dim: &ReshapeDim| *dim == ReshapeDim::Copy(lane.axis);
        if shape.get(at).is_some_and(|dim| free(dim) || copies(dim)) {
            return Ok(Step::same(to));
        }
        let mut shape = shape.to_vec();
        let mut operands: Vec<Expr> = node.inputs.iter().map(|&input| Expr::Old(input)).collect();
        shape[at] = if to.factor == lane.factor && !shape.iter().any(copies) {
            ReshapeDim::Copy(lane.axis)
        } else if !shape.iter().any(free) {
            ReshapeDim::Infer
        } else {
            let (operand, extent) = self.size(operands.len());
            operands.push(operand);
            let factor = Extent::from(to.factor);
            ReshapeDim::Computed(Extent::compute(Arithmetic::Mul, extent, factor).ok_or_else(lost)?)
        };
        let instead = Expr::made(Op::Reshape { shape }, operands);
        Ok(Step { lane: Some(to), instead: Some(instead) })
    }

    /// Which axis of a target has the batch, and its size: the first that is the batch alone, else one that it is merged in.
    fn place(&self, target: &[Dim], before: usize) -> Option<(usize, usize)> {
        let mut product = Some(1usize);
        let mut fitting = Vec::new();
        for (at, dim) in target.iter().enumerate() {
            let size = dim.fixed();
            if product == Some(before) {
                fitting.extend(size.map(|size| (at, size)));
            }
            product = product.and_then(|product| product.checked_mul(size?));
        }
        let alone = fitting.iter().find(|(_, size)| *size == self.batch);
        alone.or_else(|| fitting.iter().find(|(_, size)| size.is_multiple_of(self.batch) && *size > 0)).copied()
    }

    fn slice(&self, node: &Node, axis: usize, step: i64) -> Result<Step> {
        let lane = self.alone(node, self.lane(node.inputs[0]))?;
        if axis != lane.axis {
            return Ok(Step::same(lane));
        }
        if step == 1 && self.dims(node.inputs[0])?[axis] == self.dims(node.output())?[axis] {
            return Ok(Step { lane: Some(lane), instead: Some(Expr::Old(node.inputs[0])) });
        }
        Err("it takes some images of a batch".to_owned())
    }

    fn gather(&self, node: &Node, axis: usize) -> Result<Step> {
        let [x, indices] = node.inputs[..] else { return Err("it has no two operands".to_owned()) };
        match (self.lane(x), self.lane(indices)) {
            (Some(lane), None) if lane.axis < axis => Ok(Step::same(lane)),
            (Some(lane), None) if lane.axis > axis => {
                Ok(Step::same(Lane { axis: lane.axis + self.rank(indices)? - 1, ..lane }))
            }
            (None, Some(lane)) => Ok(Step::same(Lane { axis: lane.axis + axis, ..lane })),
            (Some(_), _) | (None, None) => Err("it takes some images of a batch".to_owned()),
        }
    }

    fn expand(&self, node: &Node, shape: &[Extent]) -> Result<Step> {
        let lane = self.alone(node, self.lane(node.inputs[0]))?;
        let most = self.rank(node.output())?;
        let axis = lane.axis + most - self.rank(node.inputs[0])?;
        let to = Lane { axis, ..lane };
        let Some(at) = (axis + shape.len()).checked_sub(most) else { return Ok(Step::same(to)) };
        match shape[at] {
            // Whatever is there broadcasts against 1.
            Extent::Known(1) | Extent::Of { .. } | Extent::Computed { .. } => Ok(Step::same(to)),
            Extent::Known(_) => {
                let mut shape = shape.to_vec();
                shape[at] = Extent::Known(1);
                let operands = node.inputs.iter().map(|&input| Expr::Old(input)).collect();
                Ok(Step { lane: Some(to), instead: Some(Expr::made(Op::Expand { shape }, operands)) })
            }
        }
    }
}

impl Step {
    /// The same without these axes, unless they stay with size 1.
    fn without(self, axes: &[usize], keep: bool) -> Self {
        let gone = |axis: usize| if keep { 0 } else { axes.iter().filter(|&&other| other < axis).count() };
        Self { lane: self.lane.map(|lane| Lane { axis: lane.axis - gone(lane.axis), ..lane }), ..self }
    }
}
