//! Tensors: which are there once only, which have another name, shape, type or other elements.

use std::collections::{BTreeMap, HashMap};

use crate::error::{Context, Result};
use rayon::prelude::*;
use residua_ir::{Graph, Op, Parameter, ParameterId, Role, Tensor};
use serde::Serialize;

use super::align::{Alignment, parameters};
use super::{Change, elements};

/// What differs between the tensors.
#[derive(Debug, Default, Serialize)]
pub struct Tensors {
    /// Tensors that are the same.
    pub same: usize,
    /// Those of the first model alone.
    pub only_a: Vec<Single>,
    /// Those of the second alone.
    pub only_b: Vec<Single>,
    /// The same elements under another name.
    pub renamed: Vec<Change>,
    /// Those with other contents.
    pub changed: Vec<TensorChange>,
    /// Elements of all pairs of one shape.
    pub elements: usize,
    /// Those that are not equal.
    pub differing: usize,
}

/// A tensor of one model.
#[derive(Debug, Clone, Serialize)]
pub struct Single {
    /// Its name.
    pub name: String,
    /// Its shape, in the order of the file.
    pub shape: Vec<usize>,
    /// Its element type.
    pub dtype: String,
}

/// A tensor with other elements, another shape or another type.
#[derive(Debug, Serialize)]
pub struct TensorChange {
    /// Its name in A.
    pub name: String,
    /// Its name in B.
    pub name_b: String,
    /// `shape`, `dtype` or `elements`.
    pub what: &'static str,
    /// Type and shape in the first model.
    pub a: String,
    /// And in the second.
    pub b: String,
    /// Largest difference of two elements, where the shapes are the same.
    pub max_abs: Option<f64>,
    /// The same relative to the largest element of A.
    pub max_rel: Option<f64>,
    /// Elements that are not equal.
    pub differing: Option<usize>,
    /// Elements that are infinite or NaN in one of both only.
    pub non_finite: Option<usize>,
    /// All elements.
    pub elements: usize,
}

impl Tensors {
    /// Whether nothing differs but names, where these count at all.
    pub fn is_same(&self, names: bool) -> bool {
        let Self { same: _, only_a, only_b, renamed, changed, elements: _, differing: _ } = self;
        only_a.is_empty() && only_b.is_empty() && changed.is_empty() && (!names || renamed.is_empty())
    }
}

/// Whether the file states a parameter; others a reader filled in.
fn stated(parameter: &Parameter) -> bool {
    match parameter.role {
        Role::Weight | Role::Statistic | Role::Counter => true,
        Role::Literal | Role::Default => false,
    }
}

/// Two tensors that correspond.
struct Pair<'a> {
    a: &'a Parameter,
    b: &'a Parameter,
    /// One is the transpose of the other.
    turned: bool,
}

pub(super) fn compare(a: &Graph, b: &Graph, alignment: &Alignment) -> Result<Tensors> {
    let pairs = Pairs::of(a, b, alignment);
    let compared: Vec<(Outcome, usize)> = pairs.pairs.par_iter().map(|pair| pair.compare()).collect::<Result<_>>()?;
    let mut tensors = Tensors::default();
    for (pair, (outcome, differing)) in pairs.pairs.iter().zip(compared) {
        match outcome {
            Outcome::Same => {
                let renamed = Change::between("name", pair.a.name.raw().to_owned(), pair.b.name.raw().to_owned());
                tensors.same += usize::from(renamed.is_none());
                tensors.renamed.extend(renamed);
            }
            Outcome::Changed(change) => tensors.changed.push(change),
        }
        if pair.shapes_agree() {
            tensors.elements += pair.a.tensor.len();
            tensors.differing += differing;
        }
    }
    let single = |parameter: &Parameter| Single {
        name: parameter.name.raw().to_owned(),
        shape: parameter.tensor.shape().to_vec(),
        dtype: parameter.tensor.dtype().to_string(),
    };
    let rest = |graph: &Graph, paired: &[bool]| {
        let rest = graph.parameters().iter().zip(paired).filter(|(parameter, paired)| !**paired && stated(parameter));
        rest.map(|(parameter, _)| single(parameter)).collect()
    };
    tensors.only_a = rest(a, &pairs.of_a);
    tensors.only_b = rest(b, &pairs.of_b);
    Ok(tensors)
}

enum Outcome {
    Same,
    Changed(TensorChange),
}

impl Pair<'_> {
    fn other(&self) -> Result<Tensor> {
        let tensor = &self.b.tensor;
        Ok(if self.turned { tensor.permute(&[1, 0])? } else { tensor.clone() })
    }

    fn shapes_agree(&self) -> bool {
        self.other().is_ok_and(|other| other.shape() == self.a.tensor.shape())
    }

    fn compare(&self) -> Result<(Outcome, usize)> {
        let (x, y) = (&self.a.tensor, self.other()?);
        let mut change = TensorChange {
            name: self.a.name.raw().to_owned(),
            name_b: self.b.name.raw().to_owned(),
            what: "shape",
            a: form(x),
            b: form(&y),
            max_abs: None,
            max_rel: None,
            differing: None,
            non_finite: None,
            elements: x.len(),
        };
        if x.shape() != y.shape() {
            return Ok((Outcome::Changed(change), 0));
        }
        let named = || format!("tensors `{}` and `{}`", self.a.name, self.b.name);
        let found = elements::distance(x, &y).with_context(named)?;
        let same_type = x.dtype() == y.dtype();
        if found.is_none() && same_type {
            return Ok((Outcome::Same, 0));
        }
        change.what = if same_type { "elements" } else { "dtype" };
        change.max_abs = Some(found.max_abs);
        change.max_rel = Some(if found.max_abs == 0.0 { 0.0 } else { found.max_abs / found.largest });
        change.differing = Some(found.differing);
        change.non_finite = Some(found.non_finite);
        Ok((Outcome::Changed(change), found.differing))
    }
}

/// Shape and type.
fn form(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.dtype(), tensor.shape())
}

/// Which tensor is which.
struct Pairs<'a> {
    a: &'a Graph,
    b: &'a Graph,
    pairs: Vec<Pair<'a>>,
    of_a: Vec<bool>,
    of_b: Vec<bool>,
}

impl<'a> Pairs<'a> {
    /// Those of operators that correspond, by place among their operands; then by name, then by what is in them.
    fn of(a: &'a Graph, b: &'a Graph, alignment: &Alignment) -> Self {
        let mut pairs = Self {
            a,
            b,
            pairs: Vec::new(),
            of_a: vec![false; a.parameters().len()],
            of_b: vec![false; b.parameters().len()],
        };
        for id in a.node_ids() {
            let Some(other) = alignment.in_b(id) else { continue };
            let (node, twin) = (a.node(id), b.node(other));
            let turned = matches!((&node.op, &twin.op), (Op::Linear, Op::MatMul) | (Op::MatMul, Op::Linear));
            for (place, (x, y)) in parameters(a, node).into_iter().zip(parameters(b, twin)).enumerate() {
                pairs.add(x, y, turned && place == 0);
            }
        }
        pairs.counters(alignment);
        pairs.by_name();
        pairs.by_contents(alignment);
        let places: HashMap<&str, usize> =
            a.parameters().iter().enumerate().map(|(place, parameter)| (parameter.name.raw(), place)).collect();
        pairs.pairs.sort_by_key(|pair| places.get(pair.a.name.raw()).copied());
        pairs
    }

    fn add(&mut self, x: ParameterId, y: ParameterId, turned: bool) {
        if self.of_a[x.index()] || self.of_b[y.index()] {
            return;
        }
        let (first, second) = (self.a.parameter(x), self.b.parameter(y));
        if !stated(first) && !stated(second) {
            return;
        }
        (self.of_a[x.index()], self.of_b[y.index()]) = (true, true);
        self.pairs.push(Pair { a: first, b: second, turned });
    }

    /// Counters are no operands: those of layers whose operators correspond are paired in order.
    fn counters(&mut self, alignment: &Alignment) {
        let of = |graph: &Graph, left: &[ParameterId]| {
            let mut counters: BTreeMap<usize, Vec<ParameterId>> = BTreeMap::new();
            for &id in left.iter().filter(|&&id| graph.parameter(id).role == Role::Counter) {
                counters.entry(graph.parameter(id).layer.index()).or_default().push(id);
            }
            counters
        };
        let (of_a, of_b) = (of(self.a, &self.left_a()), of(self.b, &self.left_b()));
        for id in self.a.node_ids() {
            let Some(other) = alignment.in_b(id) else { continue };
            let (own, others) = (self.a.node(id).layer.index(), self.b.node(other).layer.index());
            let (Some(own), Some(others)) = (of_a.get(&own), of_b.get(&others)) else { continue };
            for (&x, &y) in own.iter().zip(others) {
                self.add(x, y, false);
            }
        }
    }

    fn left_b(&self) -> Vec<ParameterId> {
        let left = |id: &ParameterId| !self.of_b[id.index()] && stated(self.b.parameter(*id));
        self.b.parameter_ids().filter(left).collect()
    }

    fn left_a(&self) -> Vec<ParameterId> {
        let left = |id: &ParameterId| !self.of_a[id.index()] && stated(self.a.parameter(*id));
        self.a.parameter_ids().filter(left).collect()
    }

    fn by_name(&mut self) {
        let names: BTreeMap<&str, ParameterId> =
            self.left_b().into_iter().map(|id| (self.b.parameter(id).name.raw(), id)).collect();
        for id in self.left_a() {
            if let Some(&other) = names.get(self.a.parameter(id).name.raw()) {
                self.add(id, other, false);
            }
        }
    }

    fn by_contents(&mut self, alignment: &Alignment) {
        let [samples_a, samples_b] = &alignment.samples;
        let mut left: BTreeMap<u64, Vec<ParameterId>> = BTreeMap::new();
        for id in self.left_b() {
            if let Some(sample) = samples_b[id.index()] {
                left.entry(sample).or_default().push(id);
            }
        }
        for id in self.left_a() {
            let Some(others) = samples_a[id.index()].and_then(|sample| left.get_mut(&sample)) else { continue };
            if !others.is_empty() {
                let other = others.remove(0);
                self.add(id, other, false);
            }
        }
    }
}
