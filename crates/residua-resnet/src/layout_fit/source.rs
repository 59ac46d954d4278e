//! The tensors of a network by their place, with the moves that another model's conventions ask for.

use std::collections::BTreeMap;

use residua_ir::{
    Activation, Checked, DType, Elementwise, Graph, LayerId, NodeId, Op, ParameterId, Role, Tensor, ValueKind,
};

use super::Problem;
use crate::anatomy::{ActivationOrder, Anatomy};
use crate::naming::positions;
use crate::recipe::{Biases, Norms, Recipe, Wanted};
use crate::slot::{Component, Field, Position, Slot};

/// A tensor in this project's order, and where it is from.
pub(super) struct Found {
    pub(super) tensor: Tensor,
    pub(super) from: Vec<ParameterId>,
    pub(super) moves: Vec<String>,
}

impl Found {
    fn plain(tensor: Tensor, from: ParameterId) -> Self {
        Self { tensor, from: vec![from], moves: Vec::new() }
    }

    fn made(tensor: Tensor, how: &str) -> Self {
        Self { tensor, from: Vec::new(), moves: vec![how.to_owned()] }
    }
}

/// The nodes of a network by their place.
pub(super) struct Tensors<'m> {
    graph: &'m Graph,
    order: ActivationOrder,
    nodes: BTreeMap<Position, NodeId>,
    /// Number of the last convolution of a block.
    last: usize,
}

impl<'m> Tensors<'m> {
    pub(super) fn new(model: &'m Checked, anatomy: &Anatomy) -> Self {
        let nodes = positions(anatomy).into_iter().map(|(node, position)| (position, node)).collect();
        let first = anatomy.blocks.first();
        Self {
            graph: model.graph(),
            order: first.map_or(ActivationOrder::Post, |block| block.activation),
            nodes,
            last: first.map_or(0, |block| block.convs.len()),
        }
    }

    /// Groups of the first group norm.
    pub(super) fn norm_groups(&self) -> Option<usize> {
        self.nodes.values().find_map(|&node| match &self.graph.node(node).op {
            Op::GroupNorm(norm) => Some(norm.groups),
            _ => None,
        })
    }

    /// Activation of the stem, or of a block where stems have none, of those that a configuration can name.
    pub(super) fn activation(&self) -> Option<Activation> {
        let in_block = Position::Block { stage: 0, block: 0, component: Component::Activation(self.last) };
        let position =
            if self.order == ActivationOrder::Pre { in_block } else { Position::Stem(Component::Activation(0)) };
        let node = self.node(position)?;
        match node.op {
            Op::Activation(
                activation @ (Activation::Gelu { tanh_approximation: false }
                | Activation::Silu
                | Activation::Tanh
                | Activation::Mish),
            ) => Some(activation),
            _ => None,
        }
    }

    /// The tensor that a layer of a recipe wants.
    pub(super) fn find(&self, recipe: &Recipe, wanted: &Wanted) -> Result<Found, Problem> {
        let Slot { position, field } = wanted.slot;
        let found = match field {
            Field::Weight => self.weight(recipe, position)?,
            Field::Bias => match self.bias(position)? {
                Some(found) => found,
                None => Found::made(Tensor::filled(DType::F32, wanted.shape.to_vec(), 0.0)?, "zeros: it has no bias"),
            },
            Field::Scale | Field::Offset | Field::Mean | Field::Variance => {
                self.norm(recipe, position, field, wanted.shape)?
            }
            Field::Batches => return Err(Problem::Reason(format!("{} is no operand", wanted.slot))),
        };
        let shape = found.tensor.shape();
        if shape == wanted.shape {
            return Ok(found);
        }
        // A classifier is a matrix here and a 1x1 kernel there.
        let matrix = |shape: &[usize]| shape.iter().skip(2).all(|&size| size == 1);
        if matches!(position, Position::Dense(_))
            && matrix(shape)
            && matrix(wanted.shape)
            && shape[..2] == wanted.shape[..2]
        {
            return Ok(Found { tensor: found.tensor.reshape(wanted.shape)?, ..found });
        }
        Err(Problem::Reason(format!(
            "its {} has shape {shape:?} where the layout's code makes {:?}",
            wanted.slot, wanted.shape
        )))
    }

    fn node(&self, position: Position) -> Option<&'m residua_ir::Node> {
        self.nodes.get(&position).map(|&node| self.graph.node(node))
    }

    /// Operand `index` of a node, which has to be a parameter.
    fn operand(&self, position: Position, index: usize) -> Result<Option<(ParameterId, &'m Tensor)>, Problem> {
        let Some(&value) = self.node(position).and_then(|node| node.inputs.get(index)) else { return Ok(None) };
        match self.graph.value(value).kind {
            ValueKind::Parameter(id) => Ok(Some((id, &self.graph.parameter(id).tensor))),
            ValueKind::Input(_) | ValueKind::Computed { .. } => {
                Err(Problem::Reason(format!("a tensor of its {position} is computed when it runs")))
            }
        }
    }

    fn weight(&self, recipe: &Recipe, position: Position) -> Result<Found, Problem> {
        let (id, tensor) = self
            .operand(position, 1)?
            .ok_or_else(|| Problem::Reason(format!("it has no {position}, which the layout's code has")))?;
        if self.node(position).is_some_and(|node| matches!(node.op, Op::MatMul)) {
            return Ok(Found::plain(tensor.permute(&[1, 0])?, id));
        }
        let standardised = tensor.before_standardisation();
        let wanted = recipe.conventions.standardised.filter(|_| {
            !matches!(position, Position::Dense(_) | Position::Block { component: Component::Gate(_), .. })
        });
        match (standardised, wanted) {
            (None, None) => Ok(Found::plain(tensor.clone(), id)),
            (Some((raw, has)), Some(wants)) if has.to_bits() == wants.to_bits() => Ok(Found::plain(raw, id)),
            (Some((_, has)), Some(wants)) => Err(Problem::Reason(format!(
                "its kernels are standardised with epsilon {has:e}, the layout's code does it with {wants:e}"
            ))),
            (None, Some(_)) => Err(Problem::Reason(
                "the layout's code standardises its kernels when it runs, this network's are used as they are"
                    .to_owned(),
            )),
            (Some(_), None) => {
                let moves = vec!["standardised, as the source does when it runs".to_owned()];
                Ok(Found { tensor: tensor.clone(), from: vec![id], moves })
            }
        }
    }

    /// The bias of a convolution or dense layer.
    fn bias(&self, position: Position) -> Result<Option<Found>, Problem> {
        if let Some((id, tensor)) = self.operand(position, 2)? {
            return Ok(Some(Found::plain(tensor.clone(), id)));
        }
        let Some(node) = self.node(position).filter(|node| matches!(node.op, Op::MatMul)) else { return Ok(None) };
        // A matrix product with a sum behind it, as some exporters write a dense layer.
        let adds = |other: &residua_ir::Node| {
            matches!(other.op, Op::Elementwise(Elementwise::Add)) && other.inputs.contains(&node.outputs[0])
        };
        let sum = self.graph.nodes().iter().find(|other| adds(other));
        let operands = sum.into_iter().flat_map(|sum| sum.inputs.iter());
        let mut parameters = operands.filter_map(|&value| match self.graph.value(value).kind {
            ValueKind::Parameter(id) if self.graph.parameter(id).tensor.shape().len() == 1 => Some(id),
            _ => None,
        });
        Ok(parameters.next().map(|id| Found::plain(self.graph.parameter(id).tensor.clone(), id)))
    }

    /// The convolution whose output a norm takes, where nothing lies between them.
    fn convolution_before(&self, norm: Position) -> Option<Position> {
        match norm {
            Position::Stem(component) => Some(Position::Stem(convolution_of(component)?)),
            Position::Block { stage, block, component: Component::Norm(n) } if self.order == ActivationOrder::Pre => {
                let before = n.checked_sub(1).filter(|n| *n > 0)?;
                Some(Position::Block { stage, block, component: Component::Conv(before) })
            }
            Position::Block { stage, block, component } => {
                Some(Position::Block { stage, block, component: convolution_of(component)? })
            }
            Position::Input
            | Position::PoolPad
            | Position::Pool
            | Position::FinalNorm
            | Position::FinalActivation
            | Position::HeadPool
            | Position::Flatten
            | Position::Dense(_)
            | Position::Head(_)
            | Position::OneHeadPool(_) => None,
        }
    }

    /// The bias that has to go into a norm, since the other convolution has none.
    fn moved_bias(&self, recipe: &Recipe, norm: Position) -> Result<Option<(ParameterId, Vec<f64>)>, Problem> {
        let Some(conv) = self.convolution_before(norm) else { return Ok(None) };
        let keeps = match recipe.conventions.biases {
            Biases::All => true,
            Biases::None => false,
            Biases::BeforeSums => {
                !matches!(conv, Position::Block { component: Component::Conv(n), .. } if n < self.last)
            }
        };
        if keeps {
            return Ok(None);
        }
        let Some((id, tensor)) = self.operand(conv, 2)? else { return Ok(None) };
        let values = tensor.to_f64()?;
        Ok(values.iter().any(|value| *value != 0.0).then_some((id, values)))
    }

    fn norm(&self, recipe: &Recipe, position: Position, field: Field, shape: &[usize]) -> Result<Found, Problem> {
        let epsilon = recipe.conventions.epsilon;
        let bias = self.moved_bias(recipe, position)?;
        let index = match field {
            Field::Scale => 1,
            Field::Offset => 2,
            Field::Mean => 3,
            Field::Variance => 4,
            Field::Weight | Field::Bias | Field::Batches => {
                return Err(Problem::Reason(format!("its {position} has no {field} as an operand")));
            }
        };
        let own = match self.node(position).map(|node| &node.op) {
            None => return absent(field, shape, epsilon, bias),
            Some(Op::BatchNorm(norm)) if matches!(recipe.conventions.norms, Norms::Batch) => norm.epsilon,
            Some(Op::GroupNorm(norm)) => return self.group_norm(recipe, position, index, *norm, bias.is_some()),
            Some(op) => {
                return Err(Problem::Reason(format!("its {position} is a {}, the layout has another norm", op.name())));
            }
        };
        let operand = |index: usize| {
            self.operand(position, index)?.ok_or_else(|| Problem::Reason(format!("its {position} lacks a tensor")))
        };
        let (id, tensor) = operand(index)?;
        let plain = Found::plain(tensor.clone(), id);
        match (field, bias) {
            (Field::Mean, Some((bias, values))) => {
                let moved = tensor.to_f64()?.iter().zip(&values).map(|(mean, bias)| mean - bias).collect();
                let name = &self.graph.parameter(bias).name;
                computed(tensor, moved, vec![id, bias], format!("minus the bias `{name}`"))
            }
            (Field::Scale | Field::Variance, _) if own.to_bits() != epsilon.to_bits() => {
                let (variance_id, variance) = operand(4)?;
                let variances = variance.to_f64()?;
                // Where the variance would become negative, the factor takes the difference.
                let fits = |variance: f64| variance + (own - epsilon) >= 0.0;
                let how = || format!("epsilon {own:e} to {epsilon:e}");
                if field == Field::Variance {
                    let moved = variances.iter().map(|&v| if fits(v) { v + (own - epsilon) } else { v }).collect();
                    return computed(variance, moved, vec![variance_id], how());
                }
                if variances.iter().all(|&v| fits(v)) {
                    return Ok(plain);
                }
                let factor = |v: f64| if fits(v) { 1.0 } else { ((v + epsilon) / (v + own)).sqrt() };
                let moved = tensor.to_f64()?.iter().zip(&variances).map(|(scale, &v)| scale * factor(v)).collect();
                computed(tensor, moved, vec![id, variance_id], how())
            }
            (Field::Scale | Field::Offset | Field::Mean | Field::Variance, _)
            | (Field::Weight | Field::Bias | Field::Batches, _) => Ok(plain),
        }
    }

    fn group_norm(
        &self,
        recipe: &Recipe,
        position: Position,
        index: usize,
        norm: residua_ir::GroupNorm,
        biased: bool,
    ) -> Result<Found, Problem> {
        let epsilon = recipe.conventions.epsilon;
        let Norms::Group(groups) = recipe.conventions.norms else {
            return Err(Problem::Reason(format!("its {position} is a group norm, the layout has batch norms")));
        };
        if norm.groups != groups {
            let reason = format!("its group norms have {} groups, the layout's code has {groups}", norm.groups);
            return Err(Problem::Reason(reason));
        }
        if norm.epsilon.to_bits() != epsilon.to_bits() {
            let reason = format!(
                "its group norms have epsilon {:e}, the layout's code has {epsilon:e}, and group norms store no variance \
                 that could take the difference",
                norm.epsilon
            );
            return Err(Problem::Reason(reason));
        }
        if biased {
            return Err(Problem::Reason(format!(
                "its convolution before {position} has a bias, which no group norm can take"
            )));
        }
        let found = self.operand(position, index)?;
        found
            .map(|(id, tensor)| Found::plain(tensor.clone(), id))
            .ok_or_else(|| Problem::Reason(format!("its {position} lacks a tensor")))
    }

    /// Counters of batch norms, where the source has them.
    pub(super) fn counters(&self) -> BTreeMap<Position, (Tensor, Vec<ParameterId>)> {
        let by_layer: BTreeMap<LayerId, ParameterId> = self
            .graph
            .parameter_ids()
            .filter(|&id| {
                let parameter = self.graph.parameter(id);
                parameter.role == Role::Counter && parameter.tensor.shape().is_empty()
            })
            .map(|id| (self.graph.parameter(id).layer, id))
            .collect();
        let counter = |(&position, &node): (&Position, &NodeId)| {
            let id = *by_layer.get(&self.graph.node(node).layer)?;
            Some((position, (self.graph.parameter(id).tensor.clone(), vec![id])))
        };
        self.nodes.iter().filter_map(counter).collect()
    }
}

/// The convolution that a norm belongs to.
fn convolution_of(norm: Component) -> Option<Component> {
    match norm {
        Component::Norm(n) => Some(Component::Conv(n)),
        Component::ShortcutNorm => Some(Component::ShortcutConv),
        Component::Conv(_)
        | Component::Activation(_)
        | Component::Pad(_)
        | Component::ShortcutPool
        | Component::ShortcutPad
        | Component::ShortcutConv
        | Component::GatePool
        | Component::Gate(_)
        | Component::GateActivation(_)
        | Component::GateProduct
        | Component::Add
        | Component::Output => None,
    }
}

/// A norm that the source does not have (it was folded away): one that does nothing but add the bias.
fn absent(
    field: Field,
    shape: &[usize],
    epsilon: f64,
    bias: Option<(ParameterId, Vec<f64>)>,
) -> Result<Found, Problem> {
    let fill = |value: f64| Tensor::filled(DType::F32, shape.to_vec(), value);
    let how = "a norm that does nothing: the source has none";
    Ok(match (field, bias) {
        (Field::Offset, Some((id, values))) => {
            let tensor = Tensor::from_f32(shape.to_vec(), &narrow(&values))?;
            Found { tensor, from: vec![id], moves: vec!["from the convolution's bias".to_owned()] }
        }
        (Field::Scale, _) => Found::made(fill(1.0)?, how),
        (Field::Variance, _) => Found::made(fill(1.0 - epsilon)?, how),
        (Field::Offset, None) | (Field::Mean, _) => Found::made(fill(0.0)?, how),
        (Field::Weight | Field::Bias | Field::Batches, _) => {
            return Err(Problem::Reason(format!("a norm has no {field} as an operand")));
        }
    })
}

fn computed(like: &Tensor, values: Vec<f64>, from: Vec<ParameterId>, how: String) -> Result<Found, Problem> {
    let shape = like.shape().to_vec();
    // Vectors that were narrow are written wide: what was computed is not rounded a second time.
    let tensor = match like.dtype() {
        DType::F64 => Tensor::from_f64(shape, &values)?,
        _ => Tensor::from_f32(shape, &narrow(&values))?,
    };
    Ok(Found { tensor, from, moves: vec![how] })
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is wanted")]
fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
