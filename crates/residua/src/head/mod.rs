//! Surgery: the top of a network off, another on, with everything below proved to be as it was.
//!
//! What is kept is copied operator by operator and tensor by tensor, as views on the bytes of the source. That it is the
//! source's own, for all inputs, is shown by structure ([`crate::proof::structure`]), not assumed.

mod copy;
mod top;

use std::collections::BTreeSet;
use std::path::Path;

use residua_ir::budget::Limit;
use residua_ir::{
    Activation, Dim, GlobalPool, Graph, GraphBuilder, IdentityReason, Op, Parameter, PoolKind, Role, Shape, Shown,
    Tensor, ValueId, files, validate,
};

use crate::error::{Context, Result, bail, ensure};
use crate::initial::{Initial, kernel};
use crate::model::Model;
use crate::proof::{Identical, Structure, structure};

pub use top::{Part, Squash, parse_head};

/// What becomes of a network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head {
    /// Where the network ends that is kept.
    pub cut: Cut,
    /// How maps become features.
    pub pool: Option<PoolKind>,
    /// What is put on.
    pub parts: Vec<Part>,
    /// Names of the classes; none where nobody names them.
    pub labels: Vec<String>,
    /// Where new weights come from.
    pub seed: u64,
}

/// Where a network is cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere: what is put on follows its output.
    #[default]
    Nowhere,
    /// Behind its last map of features: the pool and what follows are dropped.
    Top,
    /// Behind the layer of this name.
    Behind(String),
}

/// A network that was made of another, and what was proved of it.
#[derive(Debug)]
pub struct Made {
    /// The network.
    pub model: Model,
    /// That what was kept is the source's, for all inputs.
    pub base: Box<Identical>,
    /// The layer that it ends with.
    pub cut: String,
    /// What was put on, a line each.
    pub added: Vec<String>,
    /// What to tell the user.
    pub notes: Vec<String>,
}

impl Head {
    /// The network that becomes of `model`.
    ///
    /// # Errors
    /// Where there is no such layer, it has several outputs or gives what nothing can be put on, or what was kept cannot
    /// be shown to be the source's.
    pub fn put(&self, model: &Model) -> Result<Made> {
        let checked = model.graph();
        let graph = checked.graph();
        let end = match &self.cut {
            Cut::Nowhere => match graph.outputs() {
                [only] => *only,
                outputs => bail!("the network has {} outputs: say with a layer's name where it is cut", outputs.len()),
            },
            Cut::Top => top::before(checked)
                .context("the network has no top that could be dropped: no map of features leads to its output")?,
            Cut::Behind(layer) => crate::run::tap(graph, layer)?,
        };
        ensure!(graph.as_parameter(end).is_none(), "`{}` is a tensor, not a layer", graph.value(end).name);
        let shape = checked.shape_of(end).context("what the network is cut behind has no shape")?.clone();
        let cut = graph.value(end).name.raw().to_owned();
        let mut source = graph.source().clone();
        (source.labels, source.architecture, source.onnx) = (self.labels.clone(), None, None);
        source.notes.push(format!("cut behind `{cut}`, with a new head from seed {}", self.seed));
        let (mut g, values) = copy::until(graph, end, source)?;
        let base_end = values.get(end.index()).copied().flatten().context("what is cut behind was not copied")?;
        let mut adding = Adding {
            g: &mut g,
            value: base_end,
            shape,
            seed: self.seed,
            place: 0,
            added: Vec::new(),
            notes: Vec::new(),
        };
        adding.pool(self.pool, !self.parts.is_empty())?;
        for part in &self.parts {
            adding.part(part)?;
        }
        let Adding { value, shape, added, notes, .. } = adding;
        if !self.labels.is_empty() {
            let classes = shape.dims().last().and_then(Dim::fixed);
            ensure!(
                classes == Some(self.labels.len()),
                "there are {} names of classes, and the network gives {shape}",
                self.labels.len()
            );
        }
        g.output(value);
        let made = g.finish()?;
        let base = untouched(graph, end, &made, base_end)?;
        Ok(Made { model: Model::from_graph(model.path(), made)?, base, cut, added, notes })
    }
}

/// Names of classes, one a line; empty lines at the end count for nothing.
///
/// # Errors
/// Where the file cannot be read, or a name is there twice or empty.
pub fn read_classes(path: &Path) -> Result<Vec<String>> {
    let cannot = || format!("cannot read the names of classes {}", path.shown());
    let text = String::from_utf8(files::read(path, Limit::SettingsBytes).with_context(cannot)?).with_context(cannot)?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    let mut seen = BTreeSet::new();
    for (at, name) in names.iter().enumerate() {
        ensure!(!name.is_empty(), "{}, line {}: expected the name of a class, found none", path.shown(), at + 1);
        ensure!(seen.insert(name), "{}, line {}: `{}` is there twice", path.shown(), at + 1, name.shown());
    }
    ensure!(!names.is_empty(), "{} names no class", path.shown());
    Ok(names)
}

/// Shows that what was kept is what it was.
fn untouched(source: &Graph, end: ValueId, made: &Graph, base: ValueId) -> Result<Box<Identical>> {
    // Both through the same copy, so that inputs which nothing reads are in neither.
    let part = |graph: &Graph, end: ValueId| -> Result<Graph> {
        let (mut g, values) = copy::until(graph, end, graph.source().clone())?;
        g.output(values.get(end.index()).copied().flatten().context("an end that was not copied")?);
        Ok(g.finish()?)
    };
    let what = "what was kept does not hold together";
    let (before, after) = (validate(part(source, end)?).context(what)?, validate(part(made, base)?).context(what)?);
    match structure(&before, &after, None)? {
        Structure::Identical(identical) => Ok(identical),
        Structure::Unlike(unalike) => bail!("what was kept is not what it was: {}", unalike.sentence()),
    }
}

/// Puts layers on.
struct Adding<'g> {
    g: &'g mut GraphBuilder,
    value: ValueId,
    shape: Shape,
    seed: u64,
    place: u64,
    added: Vec<String>,
    notes: Vec<String>,
}

impl Adding<'_> {
    /// A name that no layer has yet, as Keras numbers them: `dense`, `dense_1`.
    fn name(&self, base: &str) -> String {
        let taken = |name: &str| {
            let graph = self.g.graph();
            graph.layers().iter().any(|layer| layer.name == name)
                || graph.values().iter().any(|value| value.name == name)
        };
        let numbered = (1..).map(|number| format!("{base}_{number}"));
        std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    fn node(&mut self, base: &str, kind: &str, op: Op) {
        let name = self.name(base);
        let layer = self.g.layer(name.as_str(), kind, true);
        self.value = self.g.node(&name, op, &[self.value], layer);
    }

    fn pool(&mut self, pool: Option<PoolKind>, followed: bool) -> Result<()> {
        let maps = self.shape.rank() == 4;
        ensure!(maps || pool.is_none(), "there are no maps to pool: the network gives {} there", self.shape);
        let kind = match pool {
            Some(kind) => kind,
            None if maps && followed => {
                self.notes.push("maps become features by their mean, since dense layers take features".to_owned());
                PoolKind::Mean
            }
            None => return Ok(()),
        };
        let (name, class) = match kind == PoolKind::Max {
            true => ("global_max_pooling2d", "GlobalMaxPooling2D"),
            false => ("global_average_pooling2d", "GlobalAveragePooling2D"),
        };
        self.node(name, class, Op::GlobalPool(GlobalPool { kind, keep_dims: false }));
        self.shape = Shape::new(self.shape.dims().iter().take(2).cloned().collect());
        self.added.push(format!("{class}: {}", self.shape));
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<()> {
        match *part {
            Part::Dropout(share) => {
                // It acts in training only; what it is stays in its name for whoever trains.
                self.node("dropout", "Dropout", Op::Identity(IdentityReason::Dropout));
                self.added.push(format!("Dropout {share}: nothing when it is run"));
                Ok(())
            }
            Part::Activation(activation) => {
                self.activation(activation);
                Ok(())
            }
            Part::Dense(units, activation) => {
                self.dense(units)?;
                if let Some(activation) = activation {
                    self.activation(activation);
                }
                Ok(())
            }
        }
    }

    fn activation(&mut self, activation: Squash) {
        let (name, op) = match activation {
            Squash::Softmax => ("softmax", Op::Softmax { axis: self.shape.rank().saturating_sub(1) }),
            Squash::Relu => ("re_lu", Op::Activation(Activation::RELU)),
            Squash::Sigmoid => ("sigmoid", Op::Activation(Activation::Sigmoid)),
            Squash::Tanh => ("tanh", Op::Activation(Activation::Tanh)),
        };
        self.node(name, "Activation", op);
        self.added.push(format!("{name}: {}", self.shape));
    }

    fn dense(&mut self, units: usize) -> Result<()> {
        let inputs = match self.shape.dims() {
            [_, features] => features.fixed(),
            _ => None,
        };
        let inputs =
            inputs.with_context(|| format!("a dense layer takes features, the network gives {} there", self.shape))?;
        let name = self.name("dense");
        let layer = self.g.layer(name.as_str(), "Dense", true);
        self.place += 1;
        let weight = kernel(Initial::Glorot, &[units, inputs], self.seed, self.place)?;
        let bias = Tensor::from_f32(vec![units], &vec![0.0; units])?;
        let mut parameter = |end: &str, tensor: Tensor| {
            let name = format!("{name}/{end}");
            self.g.parameter(Parameter {
                name: name.as_str().into(),
                location: String::new().into(),
                role: Role::Weight,
                layer,
                tensor,
            })
        };
        let (weight, bias) = (parameter("kernel", weight), parameter("bias", bias));
        self.value = self.g.node(&name, Op::Linear, &[self.value, weight, bias], layer);
        let batch = self.shape.dims().first().cloned().unwrap_or(Dim::symbol("N"));
        self.shape = Shape::new(vec![batch, Dim::Fixed(units)]);
        self.added.push(format!("Dense: {}, {} parameters", self.shape, (inputs + 1).saturating_mul(units)));
        Ok(())
    }
}
