//! From MODEL on the command line to a checked graph and its anatomy.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use residua_ir::preparation::Values;
use residua_ir::rewrite::{Applied, Change, Freed, free_batch, normalise};
use residua_ir::{Checked, Graph, Shape, Shown, SourceOrder, ValueId, ValueKind, validate};
use residua_resnet::preprocessing::{Known, preprocessing_for};
use residua_resnet::{Anatomy, anatomy};

use crate::args::{ModelArgs, NamedShape, SourceArgs};
use crate::console::Console;
use crate::suggest;

/// A model that holds together.
pub(crate) struct Model {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// The network.
    pub(crate) checked: Checked,
    /// What it is made of.
    pub(crate) anatomy: Anatomy,
}

impl Model {
    /// Reads and validates a model.
    ///
    /// # Errors
    /// What the reader says, or [`residua_ir::Invalid`] with all findings; an option of `source` that means nothing to
    /// this file.
    pub(crate) fn load(path: &Path, input_shapes: &[NamedShape], source: &SourceArgs) -> Result<Self> {
        let graph = residua_import::load_with(path, &source.load_options())?;
        refuse_idle(source, &[(path, &graph)])?;
        Self::of(path, graph, input_shapes)
    }

    /// As [`Model::load`], where options of `source` hold for many files and need not mean something to this one.
    pub(crate) fn read(path: &Path, input_shapes: &[NamedShape], source: &SourceArgs) -> Result<Self> {
        Self::of(path, residua_import::load_with(path, &source.load_options())?, input_shapes)
    }

    /// As [`Model::read`], with something to say of how it was read.
    pub(crate) fn read_noting(
        path: &Path,
        input_shapes: &[NamedShape],
        source: &SourceArgs,
        note: String,
    ) -> Result<Self> {
        let mut graph = residua_import::load_with(path, &source.load_options())?;
        graph.source_mut().notes.push(note);
        Self::of(path, graph, input_shapes)
    }

    /// Reads and validates two models; an option of `source` has to mean something to one of them.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub(crate) fn load_both(a: &Path, b: &Path, source: &SourceArgs) -> Result<(Self, Self)> {
        let options = source.load_options();
        let (first, second) = (residua_import::load_with(a, &options)?, residua_import::load_with(b, &options)?);
        refuse_idle(source, &[(a, &first), (b, &second)])?;
        Ok((Self::of(a, first, &[])?, Self::of(b, second, &[])?))
    }

    /// As [`Model::load`], from the options that most commands share.
    pub(crate) fn from_args(args: &ModelArgs) -> Result<Self> {
        if !args.free_batch {
            return Self::load(&args.path, &args.input_shape, &args.source);
        }
        let mut model = Self::load(&args.path, &[], &args.source)?;
        model.free_batch()?;
        Self::of(&args.path, model.checked.into_graph(), &args.input_shape)
    }

    /// Makes a batch free that is frozen; what was done, and the model with the batch that it had.
    ///
    /// # Errors
    /// Where it is free, or something in the graph mixes pictures or is not known.
    pub(crate) fn free_batch(&mut self) -> Result<(Applied, Checked)> {
        let Freed { graph, frozen, changed } = free_batch(&self.checked).context("--free-batch")?;
        self.checked = validate(graph).context("with a free batch, the model does not hold together")?;
        self.anatomy = anatomy::analyse(&self.checked);
        let what = "the batch is free: sizes of it that were written out are computed";
        let frozen = validate(frozen).context("with the batch that it has, the model does not hold together")?;
        Ok((Applied { pass: "free-batch", what, change: Change::Nothing, nodes: changed }, frozen))
    }

    /// Makes of an exported model the network that it was before; what was done. Models of frameworks are that already.
    pub(crate) fn as_it_was(&mut self) -> Result<Vec<Applied>> {
        if self.checked.graph().source().format != "onnx" {
            return Ok(Vec::new());
        }
        let Some(normal) = normalise(&self.checked).context("cannot undo what the exporter did")? else {
            return Ok(Vec::new());
        };
        self.checked =
            validate(normal.model.into_graph()).context("what was made of the export does not hold together")?;
        self.anatomy = anatomy::analyse_as_it_is(&self.checked);
        Ok(normal.applied)
    }

    fn of(path: &Path, graph: Graph, input_shapes: &[NamedShape]) -> Result<Self> {
        let shapes = shapes_for(&graph, input_shapes)?;
        let checked = validate(graph.with_input_shapes(&shapes)?)?;
        let anatomy = anatomy::analyse(&checked);
        Ok(Self { path: path.to_owned(), checked, anatomy })
    }

    /// Says on stderr what was taken where the file leaves it open, and what in it would have run code elsewhere.
    pub(crate) fn tell(&self, console: &Console) {
        for danger in &self.checked.graph().source().dangers {
            console.warn(format!("{}: {danger}", self.path.shown()));
        }
        for note in self.told() {
            console.note(note);
        }
    }

    /// How the network was told, and what was taken where the file leaves it open.
    pub(crate) fn told(&self) -> &[String] {
        let source = self.checked.graph().source();
        // A file that holds its graph leaves nothing open.
        let holds_graph = source.format == "onnx" || source.notes.iter().any(|note| note.starts_with("written from "));
        if holds_graph { &[] } else { &source.notes }
    }
}

/// Refuses an option that would change nothing in any of these models; those that cannot be read have no say.
///
/// # Errors
/// Where there is one.
pub(crate) fn refuse_idle_in_all(source: &SourceArgs, paths: &[&Path]) -> Result<()> {
    if source.with_each_changed().is_empty() {
        return Ok(());
    }
    let load = |&path: &&Path| residua_import::load_with(path, &source.load_options()).ok();
    let graphs: Vec<Option<Graph>> = paths.iter().map(load).collect();
    let readable = paths.iter().zip(&graphs).filter_map(|(&path, graph)| Some((path, graph.as_ref()?)));
    let readable: Vec<(&Path, &Graph)> = readable.collect();
    if readable.is_empty() { Ok(()) } else { refuse_idle(source, &readable) }
}

/// Refuses an option that would change nothing whatever it said: none of the files leaves open what it is about.
fn refuse_idle(source: &SourceArgs, files: &[(&Path, &Graph)]) -> Result<()> {
    for (option, changed) in source.with_each_changed() {
        let options = changed.load_options();
        let idle = |(path, graph): &(&Path, &Graph)| {
            residua_import::load_with(path, &options).is_ok_and(|other| other.to_string() == graph.to_string())
        };
        if files.iter().all(idle) {
            let names: Vec<String> = files.iter().map(|(path, _)| path.shown().to_string()).collect();
            bail!("{option} has no effect on how {} is read", names.join(" and "));
        }
    }
    Ok(())
}

impl Model {
    /// How pictures are prepared, and how that is known.
    pub(crate) fn preprocessing(&self) -> Known {
        preprocessing_for(&self.checked, &self.anatomy)
    }

    /// The values that a prepared picture has, where its preparation is known.
    pub(crate) fn input_range(&self) -> Option<(f32, f32)> {
        self.preprocessing().values.map(|told| range(told.value))
    }

    /// Height and width of the pictures that the architecture was published with; none for what is not standard.
    pub(crate) fn usual_size(&self) -> Option<usize> {
        let name = self.anatomy.standard_name()?;
        Some(if name.ends_with("_cifar") { 32 } else { 224 })
    }
}

/// Least and largest value that a pixel can become.
#[expect(clippy::cast_possible_truncation, reason = "networks take f32")]
fn range(values: Values) -> (f32, f32) {
    let ends = (0..3).flat_map(|channel| {
        let (factor, summand) = values.affine(Some(channel));
        [summand as f32, (255.0 * factor + summand) as f32]
    });
    ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)))
}

/// The declared shape of an input in the source's axis order.
pub(crate) fn input_shape(graph: &Graph, input: ValueId) -> Shape {
    let value = graph.value(input);
    match &value.kind {
        ValueKind::Input(ty) => value.order.source_shape(&ty.shape),
        ValueKind::Parameter(_) | ValueKind::Computed { .. } => Shape::new(Vec::new()),
    }
}

/// Sizes for each input in the order of this workspace, from sizes in the order of the source.
///
/// Shapes without a name go to the inputs in order. A shape that lacks the batch gets a batch of 1.
///
/// # Errors
/// Where an input is not there, or cannot have this shape.
pub(crate) fn shapes_for(graph: &Graph, wanted: &[NamedShape]) -> Result<Vec<Option<Vec<usize>>>> {
    let mut shapes = vec![None; graph.inputs().len()];
    let mut unnamed = 0;
    for NamedShape { name, shape } in wanted {
        let index = match name {
            Some(name) => input_named(graph, name)?,
            None => {
                unnamed += 1;
                unnamed - 1
            }
        };
        let Some(&id) = graph.inputs().get(index) else {
            bail!("--input-shape was given {unnamed} times, the model has {} inputs", graph.inputs().len());
        };
        let declared = input_shape(graph, id);
        let mut shape = shape.clone();
        if shape.len() + 1 == declared.rank() {
            shape.insert(0, 1);
        }
        let fits = shape.len() == declared.rank()
            && declared.dims().iter().zip(&shape).all(|(dim, &size)| dim.fixed().is_none_or(|fixed| fixed == size));
        if !fits {
            let name = &graph.value(id).name;
            bail!("--input-shape: input `{name}` is declared {declared}, it cannot be {}", Shape::fixed(&shape));
        }
        shapes[index] = Some(to_internal(&graph.value(id).order, &shape));
    }
    Ok(shapes)
}

/// Sizes in the order of the source, in the order of this workspace.
fn to_internal(order: &SourceOrder, shape: &[usize]) -> Vec<usize> {
    match order {
        SourceOrder::Permuted(perm) if perm.len() == shape.len() => {
            let mut moved = shape.to_vec();
            for (&axis, &size) in perm.iter().zip(shape) {
                moved[axis] = size;
            }
            moved
        }
        SourceOrder::Same | SourceOrder::Permuted(_) | SourceOrder::FlattenedChannelsLast { .. } => shape.to_vec(),
    }
}

/// Place of the input of this name.
///
/// # Errors
/// Where there is none.
pub(crate) fn input_named(graph: &Graph, name: &str) -> Result<usize> {
    let names = || graph.inputs().iter().map(|&id| graph.value(id).name.raw());
    match names().position(|input| input == name) {
        Some(index) => Ok(index),
        None => bail!("the model has no input `{name}`{}", suggest::hint(name, names())),
    }
}

#[cfg(test)]
mod tests {
    use residua_ir::preparation::Preprocessing;
    use residua_ir::{DType, Dim, GraphBuilder, InputType};

    use super::*;

    fn graph() -> Graph {
        let mut g = GraphBuilder::new("g");
        let free = |name: &str| Dim::symbol(name);
        let shape = Shape::new(vec![free("N"), Dim::Fixed(3), free("H"), free("W")]);
        let picture = InputType { dtype: DType::F32, shape };
        let x = g.input_with("picture", picture, SourceOrder::channels_last());
        let y = g.input("extra", Shape::batch(&[7]));
        g.output(x);
        g.output(y);
        g.finish().unwrap()
    }

    fn named(name: Option<&str>, shape: &[usize]) -> NamedShape {
        NamedShape { name: name.map(str::to_owned), shape: shape.to_vec() }
    }

    #[test]
    fn shapes_are_given_as_the_source_orders_axes() {
        let shapes = shapes_for(&graph(), &[named(None, &[2, 32, 48, 3])]).unwrap();
        assert_eq!(shapes, [Some(vec![2, 3, 32, 48]), None]);
        let shapes = shapes_for(&graph(), &[named(Some("extra"), &[7]), named(None, &[32, 48, 3])]).unwrap();
        assert_eq!(shapes, [Some(vec![1, 3, 32, 48]), Some(vec![1, 7])]);
    }

    #[test]
    fn prepared_pixels_lie_in_the_range_of_their_mode() {
        assert_eq!(range(Preprocessing::Raw.values()), (0.0, 255.0));
        assert_eq!(range(Preprocessing::Tf.values()), (-1.0, 1.0));
        let (least, most) = range(Preprocessing::Caffe.values());
        assert!((least + 123.68).abs() < 1e-4 && (most - 151.061).abs() < 1e-4);
    }

    #[test]
    fn a_shape_that_contradicts_the_model_is_refused_in_the_sources_order() {
        let error = shapes_for(&graph(), &[named(None, &[1, 3, 32, 32])]).unwrap_err().to_string();
        assert_eq!(error, "--input-shape: input `picture` is declared [N, H, W, 3], it cannot be [1, 3, 32, 32]");
        let error = shapes_for(&graph(), &[named(Some("pictures"), &[1])]).unwrap_err().to_string();
        assert_eq!(error, "the model has no input `pictures`; did you mean `picture`?");
    }
}
