//! Sizes that a model leaves free, and whether its graph holds at more than one of them.
//!
//! A size is free where an input declares a name for it. The graph may contradict that: a reshape to `[1, 2048]` holds for
//! a batch of 1 alone. Here sizes are tried: those at which the graph holds are what the size is in truth. Very large ones
//! are tried first, since a graph that holds there is free; a graph that holds at some multiples only is free as well.
//!
//! Not judged: sizes that hold in combinations only that are not tried, and what lies behind operators that are not known.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::budget::{Limit, Meter, Overrun};
use crate::graph::{NodeId, ValueId, ValueKind};
use crate::name::Name;
use crate::op::Op;
use crate::shape::{Dim, Shape, TensorType, infer};
use crate::validate::Typed;

/// Sizes that hold for whatever is free: multiples of the patches, windows and strides of networks, and their neighbours.
const LARGE: [usize; 4] = [26_880, 53_760, 26_881, 26_879];

/// All sizes up to here are tried, every eighth up to the next, every 32nd up to the last.
const STEPS: [(usize, usize); 3] = [(64, 1), (512, 8), (2048, 32)];

/// More sizes than this are a choice, whatever their limits.
const MANY: usize = 48;

/// Larger sizes are looked for one by one up to here where none holds otherwise.
const ONE_BY_ONE: usize = 1024;

/// Height to width of the images that are tried where both are free.
const RATIOS: [[usize; 2]; 5] = [[1, 1], [2, 1], [1, 2], [3, 4], [4, 3]];

/// Sides of images at which other sizes are tried.
const SIDES: [usize; 8] = [224, 64, 32, 96, 128, 256, 299, 512];

/// What a file declares one size of an output to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredSize {
    /// A number.
    Fixed(usize),
    /// A name, which inputs may have as well.
    Named(Name),
    /// Nothing.
    Open,
}

/// A free size that the graph contradicts.
#[derive(Debug, Clone)]
pub struct Contradiction {
    /// Its name; both, where a height and a width hold together only.
    pub names: Vec<String>,
    /// The input that declares it.
    pub input: ValueId,
    /// Axes of it, in the order of this crate.
    pub axes: Vec<usize>,
    /// What it is in truth, in the order of `axes`.
    pub holds: Vec<Sizes>,
    /// The node that contradicts it.
    pub node: NodeId,
    /// What is wrong there at another size.
    pub reason: String,
}

/// What came of trying the free sizes of a model.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Those that the graph contradicts.
    pub found: Vec<Contradiction>,
    /// The limit at which trying ended before it was through; whatever is not among `found` then may be free or not.
    pub given_up: Option<Overrun>,
}

/// Sizes at which a graph holds, in runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes(Vec<[usize; 2]>);

impl Sizes {
    /// The least of them.
    #[must_use]
    pub fn least(&self) -> Option<usize> {
        self.0.first().map(|[least, _]| *least)
    }

    /// The one of the first run that was probably meant: that which can be halved most often.
    #[must_use]
    pub fn usual(&self) -> Option<usize> {
        let &[least, most] = self.0.first()?;
        // Of equals the first.
        (least..=most).rev().max_by_key(|size| size.trailing_zeros())
    }

    fn of(sizes: &BTreeSet<usize>) -> Self {
        let mut runs: Vec<[usize; 2]> = Vec::new();
        for &size in sizes {
            match runs.last_mut() {
                Some([_, last]) if *last + 1 == size => *last = size,
                Some(_) | None => runs.push([size, size]),
            }
        }
        Self(runs)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = |[least, most]: &[usize; 2]| match most - least {
            0 => least.to_string(),
            _ => format!("{least} to {most}"),
        };
        let runs: Vec<String> = self.0.iter().map(run).collect();
        f.write_str(&runs.join(" or "))
    }
}

/// The free sizes of a model that its graph contradicts; `outputs` is what the file declares of the model's outputs.
#[must_use]
pub fn contradictions(model: &Typed, outputs: &[(ValueId, Vec<DeclaredSize>)]) -> Tried {
    let mut trial = Trial { model, outputs, types: Meter::new(Limit::SizeTrials), given_up: None };
    let found = trial.all();
    Tried { found, given_up: trial.given_up }
}

/// A name and the size that it is.
type Given = (Arc<str>, usize);

fn with(sizes: &[Given], given: &[Given]) -> Vec<Given> {
    sizes.iter().chain(given).cloned().collect()
}

/// A free size, where it is declared first.
struct Free {
    symbol: Arc<str>,
    input: ValueId,
    axis: usize,
}

fn free(model: &Typed) -> Vec<Free> {
    let graph = model.graph();
    let mut found: Vec<Free> = Vec::new();
    for &id in graph.inputs() {
        let ValueKind::Input(input) = &graph.value(id).kind else { continue };
        for (axis, dim) in input.shape.dims().iter().enumerate() {
            if let Dim::Symbolic { symbol, offset: 0, divisor: 1 } = dim
                && !found.iter().any(|other| other.symbol == *symbol)
            {
                found.push(Free { symbol: symbol.clone(), input: id, axis });
            }
        }
    }
    found
}

/// What does not hold at some size.
struct Fault {
    node: NodeId,
    reason: String,
}

/// Tries sizes.
struct Trial<'m> {
    model: &'m Typed,
    outputs: &'m [(ValueId, Vec<DeclaredSize>)],
    /// Types that are inferred.
    types: Meter,
    /// Set where there were too many.
    given_up: Option<Overrun>,
}

impl Trial<'_> {
    fn all(&mut self) -> Vec<Contradiction> {
        let free = free(self.model);
        let (mut found, mut undecided): (Vec<Contradiction>, Vec<&Free>) = (Vec::new(), Vec::new());
        // What the sizes that are decided are in truth.
        let mut given: Vec<Given> = Vec::new();
        for size in &free {
            match self.alone(size, &[]) {
                Some(contradiction) => {
                    given.extend(contradiction.holds[0].least().map(|least| (size.symbol.clone(), least)));
                    found.push(contradiction);
                }
                None => undecided.push(size),
            }
        }
        // Each alone may be anything as long as others are free; what a flatten leads to has a fixed size all the same.
        let (sides, others): (Vec<&Free>, Vec<&Free>) = undecided.into_iter().partition(|size| size.axis > 1);
        if let [height, width] = sides[..]
            && height.input == width.input
        {
            let given: Vec<Given> =
                given.iter().cloned().chain(others.iter().map(|other| (other.symbol.clone(), 1))).collect();
            found.extend(RATIOS.iter().find_map(|ratio| self.together([height, width], *ratio, &given)));
        }
        for size in others {
            let at = |side: usize| -> Vec<Given> {
                let sides = sides.iter().map(|other| (other.symbol.clone(), side));
                given.iter().cloned().chain(sides).collect()
            };
            let fitting =
                SIDES.iter().map(|&side| at(side)).find(|given| self.holds(&with(&[(size.symbol.clone(), 1)], given)));
            found.extend(fitting.filter(|given| !given.is_empty()).and_then(|given| self.alone(size, &given)));
        }
        found
    }

    fn alone(&mut self, size: &Free, given: &[Given]) -> Option<Contradiction> {
        let (holds, fault) = self.tried(&|n| with(&[(size.symbol.clone(), n)], given))?;
        Some(Contradiction {
            names: vec![size.symbol.to_string()],
            input: size.input,
            axes: vec![size.axis],
            holds: vec![Sizes::of(&holds)],
            node: fault.node,
            reason: fault.reason,
        })
    }

    fn together(&mut self, sizes: [&Free; 2], ratio: [usize; 2], given: &[Given]) -> Option<Contradiction> {
        let at = |n: usize| [n.saturating_mul(ratio[0]), n.saturating_mul(ratio[1])];
        let (holds, fault) = self.tried(&|n| {
            let [height, width] = at(n);
            with(&[(sizes[0].symbol.clone(), height), (sizes[1].symbol.clone(), width)], given)
        })?;
        let scaled = |by: usize| Sizes::of(&holds.iter().map(|n| n.saturating_mul(by)).collect());
        Some(Contradiction {
            names: sizes.iter().map(|size| size.symbol.to_string()).collect(),
            input: sizes[0].input,
            axes: sizes.iter().map(|size| size.axis).collect(),
            holds: ratio.iter().map(|&by| scaled(by)).collect(),
            node: fault.node,
            reason: fault.reason,
        })
    }

    /// The few sizes at which the graph holds, and what is wrong at another; [`None`] where the size is free, or holds
    /// nowhere that was tried.
    fn tried(&mut self, of: &dyn Fn(usize) -> Vec<Given>) -> Option<(BTreeSet<usize>, Fault)> {
        if LARGE.iter().any(|&n| self.holds(&of(n))) {
            return None;
        }
        let mut holds = BTreeSet::new();
        let mut from = 1;
        for (to, step) in STEPS {
            holds.extend((from..=to).step_by(step).filter(|&n| self.holds(&of(n))));
            from = to + step;
        }
        if holds.is_empty() {
            holds.extend((1..=ONE_BY_ONE).filter(|&n| self.holds(&of(n))));
        }
        if holds.len() > MANY {
            return None;
        }
        for around in holds.clone() {
            holds.extend((1..around).rev().take_while(|&n| self.holds(&of(n))));
            holds.extend((around + 1..around.saturating_mul(2)).take_while(|&n| self.holds(&of(n))));
        }
        let (&least, &most) = (holds.first()?, holds.last()?);
        // A table of so many places bounds a size from above, and leaves it free below.
        let bounded = holds.len() <= 2 || (least > 1 && most < least.saturating_mul(2));
        let other = (least + 1..=most + 1).find(|n| !holds.contains(n))?;
        let fault = self.fault(&of(other))?;
        (bounded && self.given_up.is_none()).then_some((holds, fault))
    }

    fn holds(&mut self, sizes: &[Given]) -> bool {
        self.given_up.is_some() || self.fault(sizes).is_none()
    }

    /// The first thing that is wrong where these names are these sizes.
    fn fault(&mut self, sizes: &[Given]) -> Option<Fault> {
        let graph = self.model.graph();
        // The types that change; behind operators that are not known there are none.
        let mut changed: Vec<Option<Option<TensorType>>> = vec![None; graph.values().len()];
        for &id in graph.inputs() {
            if let Some(ty) = self.model.type_of(id) {
                changed[id.index()] = Some(Some(TensorType { dtype: ty.dtype, shape: fixed(&ty.shape, sizes) }));
            }
        }
        for id in graph.node_ids() {
            let node = graph.node(id);
            if node.inputs.iter().all(|input| changed[input.index()].is_none()) {
                continue;
            }
            if let Err(overrun) = self.types.spend(1) {
                self.given_up = Some(overrun);
                return None;
            }
            let type_of = |value: &ValueId| match &changed[value.index()] {
                Some(ty) => ty.clone(),
                None => self.model.type_of(*value).cloned(),
            };
            let operands: Option<Vec<TensorType>> = node.inputs.iter().map(type_of).collect();
            let results = match operands.filter(|_| !matches!(node.op, Op::Opaque(_))) {
                Some(operands) => match infer(&node.op, &operands) {
                    Ok(results) => results.into_iter().map(Some).collect(),
                    Err(error) => return Some(Fault { node: id, reason: format!("{}: {error}", node.op.name()) }),
                },
                None => vec![None; node.outputs.len()],
            };
            for (output, ty) in node.outputs.iter().zip(results) {
                changed[output.index()] = Some(ty);
            }
        }
        self.outputs.iter().find_map(|(output, declared)| {
            let ty = changed[output.index()].as_ref()?.as_ref()?;
            declares_otherwise(declared, &ty.shape, sizes)
                .then(|| graph.producer(*output))
                .flatten()
                .map(|node| Fault { node, reason: undeclared(graph.value(*output).name.raw(), declared, &ty.shape) })
        })
    }
}

/// A shape where these names are these sizes.
fn fixed(shape: &Shape, sizes: &[Given]) -> Shape {
    let dims = shape.dims().iter().map(|dim| match dim {
        Dim::Symbolic { symbol, offset: 0, divisor: 1 } => {
            sizes.iter().find(|(name, _)| name == symbol).map_or_else(|| dim.clone(), |(_, size)| Dim::Fixed(*size))
        }
        Dim::Fixed(_) | Dim::Symbolic { .. } | Dim::Unknown => dim.clone(),
    });
    Shape::new(dims.collect())
}

/// Whether an output is not what is declared of it, where these names are these sizes.
fn declares_otherwise(declared: &[DeclaredSize], shape: &Shape, sizes: &[Given]) -> bool {
    let differs = |(declared, dim): (&DeclaredSize, &Dim)| match (declared, dim.fixed()) {
        (DeclaredSize::Fixed(declared), Some(size)) => *declared != size,
        (DeclaredSize::Named(name), Some(size)) => {
            sizes.iter().any(|(symbol, wanted)| **symbol == *name.raw() && *wanted != size)
        }
        (DeclaredSize::Open, _) | (_, None) => false,
    };
    declared.len() == shape.rank() && declared.iter().zip(shape.dims()).any(differs)
}

fn undeclared(output: &str, declared: &[DeclaredSize], shape: &Shape) -> String {
    let size = |declared: &DeclaredSize| match declared {
        DeclaredSize::Fixed(size) => size.to_string(),
        DeclaredSize::Named(name) => name.raw().to_owned(),
        DeclaredSize::Open => "?".to_owned(),
    };
    let declared: Vec<String> = declared.iter().map(size).collect();
    format!("output `{output}` is declared [{}], and is {shape}", declared.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv, Elementwise, GraphBuilder, ReshapeDim, Tensor, validate};

    fn zeros(shape: &[usize]) -> Tensor {
        Tensor::from_f32(shape.to_vec(), &vec![0.0; shape.iter().product()]).unwrap()
    }

    fn sentences(model: &Typed, outputs: &[(ValueId, Vec<DeclaredSize>)]) -> Vec<String> {
        let told = |found: Contradiction| {
            let holds: Vec<String> = found.holds.iter().map(ToString::to_string).collect();
            let node = &model.graph().layer(model.graph().node(found.node).layer).name;
            format!("{} = {} by {node}: {}", found.names.join(", "), holds.join(", "), found.reason)
        };
        contradictions(model, outputs).found.into_iter().map(told).collect()
    }

    fn image(h: Dim, w: Dim) -> Shape {
        Shape::new(vec![Dim::symbol("N"), Dim::Fixed(4), h, w])
    }

    #[test]
    fn a_reshape_to_a_batch_of_its_own_contradicts_a_free_one() {
        for (batch, expected) in [(1, "1"), (3, "3")] {
            let mut g = GraphBuilder::new("g");
            let x = g.input("x", image(Dim::Fixed(1), Dim::Fixed(1)));
            let shape = vec![ReshapeDim::Fixed(batch), ReshapeDim::Fixed(4)];
            let y = g.add("flat", Op::Reshape { shape }, &[x]);
            g.output(y);
            let model = validate(g.finish().unwrap()).unwrap();
            let n = batch + 1;
            let reason = format!("Reshape: [{n}, 4, 1, 1] cannot be reshaped to [{batch}, 4]");
            assert_eq!(sentences(&model, &[]), [format!("N = {expected} by flat: {reason}")]);
        }
    }

    #[test]
    fn a_constant_of_several_images_and_a_declared_output_tell_the_batch() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[5]));
        let bias = g.weight("bias", zeros(&[4, 5]));
        let y = g.add("add", Op::Elementwise(Elementwise::Add), &[x, bias]);
        g.output(y);
        let model = validate(g.finish().unwrap()).unwrap();
        let fits = "Add: operands of shapes [2, 5] and [4, 5] do not fit together";
        assert_eq!(sentences(&model, &[]), [format!("N = 1 or 4 by add: {fits}")]);
        let declared = [(y, vec![DeclaredSize::Named("N".into()), DeclaredSize::Fixed(5)])];
        let found = sentences(&model, &declared);
        assert!(found[0].starts_with("N = 4 by add: Add: operands of shapes [5, 5]"), "{found:?}");
    }

    /// Behind a flatten, a matrix product has a fixed number of features.
    #[test]
    fn a_flattened_image_tells_its_sides_in_whatever_ratio() {
        for (sides, expected) in [(7 * 7, "H, W = 14 to 15, 14 to 15"), (8 * 4, "H, W = 16, 8")] {
            let mut g = GraphBuilder::new("g");
            let x = g.input("x", image(Dim::symbol("H"), Dim::symbol("W")));
            let kernel = g.weight("kernel", zeros(&[2, 4, 2, 2]));
            let y = g.add("conv", Op::Conv(Conv { strides: [2, 2], ..Conv::default() }), &[x, kernel]);
            let y = g.add("flat", Op::Flatten { axis: 1 }, &[y]);
            let weight = g.weight("weight", zeros(&[3, 2 * sides]));
            let y = g.add("fc", Op::Linear, &[y, weight]);
            g.output(y);
            let model = validate(g.finish().unwrap()).unwrap();
            let found = sentences(&model, &[]);
            assert!(found.len() == 1 && found[0].starts_with(expected) && found[0].contains(" by fc: "), "{found:?}");
        }
    }

    /// The sides have to be known for the features of a matrix product to be.
    #[test]
    fn a_batch_is_told_behind_free_sides_too() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", image(Dim::symbol("H"), Dim::symbol("W")));
        let pooled = Op::GlobalPool(crate::GlobalPool { kind: crate::PoolKind::Mean, keep_dims: true });
        let y = g.add("pool", pooled, &[x]);
        let y = g.add("flat", Op::Reshape { shape: vec![ReshapeDim::Fixed(1), ReshapeDim::Infer] }, &[y]);
        let weight = g.weight("weight", zeros(&[3, 4]));
        let y = g.add("fc", Op::Linear, &[y, weight]);
        g.output(y);
        let model = validate(g.finish().unwrap()).unwrap();
        let found = sentences(&model, &[]);
        assert!(found.len() == 1 && found[0].starts_with("N = 1 by fc: "), "{found:?}");
    }

    #[test]
    fn a_network_of_windows_is_free_and_so_is_one_that_takes_multiples_only() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", image(Dim::symbol("H"), Dim::symbol("W")));
        let kernel = g.weight("kernel", zeros(&[4, 4, 4, 4]));
        let y = g.add("conv", Op::Conv(Conv { strides: [4, 4], ..Conv::default() }), &[x, kernel]);
        g.output(y);
        let dims = [Some(4), None].map(|size| size.map_or(ReshapeDim::Infer, ReshapeDim::Fixed));
        let y = g.add("patches", Op::Reshape { shape: [vec![ReshapeDim::Copy(0)], dims.to_vec()].concat() }, &[y]);
        let y = g.add("windows", Op::Reshape { shape: vec![ReshapeDim::Infer, ReshapeDim::Fixed(49)] }, &[y]);
        g.output(y);
        let model = validate(g.finish().unwrap()).unwrap();
        assert_eq!(sentences(&model, &[]), Vec::<String>::new());
    }
}
