//! A network with what is known of it: [`Model`], from a file to a checked graph and its anatomy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Context, Result, bail};
#[cfg(feature = "readers")]
use residua_import::{ModelSource, Opened};
use residua_ir::preparation::Values;
use residua_ir::rewrite::{Applied, Change, Freed, Normalised, RewriteError, free_batch, normalise};
use residua_ir::{Checked, Format, Graph, Hint, Shape, SourceOrder, ValueId, ValueKind, validate};
use residua_resnet::preprocessing::{Known, preprocessing_for};
use residua_resnet::{Anatomy, anatomy};

use crate::options::{InputShape, OpenOptions};
use crate::suggest;

/// A model that holds together.
///
/// ```
/// use residua::Model;
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let model = Model::open(digits)?;
/// assert_eq!(model.anatomy().blocks.len(), 9);
/// // Shapes are [N, C, H, W] here; the source's own order is kept beside them.
/// let input = model.graph().graph().inputs()[0];
/// assert_eq!(model.graph().shape_of(input).unwrap().to_string(), "[N, 1, 32, 32]");
/// assert_eq!(model.graph().source_shape_of(input).unwrap().to_string(), "[N, 32, 32, 1]");
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// The network.
    pub(crate) checked: Checked,
    /// What it is made of.
    pub(crate) anatomy: Anatomy,
    /// What it was before it was exported; [`None`] where it is that already.
    normal: Arc<Result<Option<Normalised>, RewriteError>>,
    /// The file that it was read from, if it was.
    #[cfg(feature = "readers")]
    pub(crate) opened: Option<Arc<Opened>>,
    /// Which published weights that file is, where somebody asked.
    #[cfg(feature = "known")]
    pub(crate) identity: Option<Box<crate::known::Identity>>,
}

impl Model {
    /// Reads and validates the network in a file, a folder, or bytes in memory.
    ///
    /// # Errors
    /// What the reader says, or [`residua_ir::Invalid`] with all findings.
    #[cfg(feature = "readers")]
    pub fn open(source: impl Into<ModelSource>) -> Result<Self> {
        Self::open_with(source, &OpenOptions::default())
    }

    /// As [`Model::open`], with what the caller knows besides. Options that mean nothing to this file change nothing; see
    /// [`Model::open_strict`].
    ///
    /// # Errors
    /// As [`Model::open`], and where a size or a free batch cannot be had.
    #[cfg(feature = "readers")]
    pub fn open_with(source: impl Into<ModelSource>, options: &OpenOptions) -> Result<Self> {
        Self::of_opened(Arc::new(Opened::open(source)?), options)
    }

    /// Reads and validates the network in bytes in memory. `name` stands where messages name the file. Files that belong to
    /// it can be given with [`ModelSource::with_companions`].
    ///
    /// # Errors
    /// As [`Model::open`].
    #[cfg(feature = "readers")]
    pub fn from_bytes(name: &str, bytes: impl Into<bytes::Bytes>) -> Result<Self> {
        Self::open(ModelSource::bytes(name, bytes))
    }

    /// The network of what was opened, as [`Model::open_with`] gives it.
    ///
    /// # Errors
    /// As [`Model::open_with`].
    #[cfg(feature = "readers")]
    pub fn of_opened(opened: Arc<Opened>, options: &OpenOptions) -> Result<Self> {
        let graph = opened.graph(&options.load_options())?;
        Self::read(opened, graph, options)
    }

    /// The same file read with other options, and something to say of that.
    ///
    /// # Errors
    /// As [`Model::open_with`]; and where this network was made in memory.
    #[cfg(feature = "engine")]
    pub(crate) fn again_noting(&self, options: &OpenOptions, note: String) -> Result<Self> {
        let opened = self.opened.clone().context("the network was not read from a file")?;
        let mut graph = opened.graph(&options.load_options())?;
        graph.source_mut().notes.push(note);
        Self::read(opened, graph, options)
    }

    /// As [`Model::open_with`], and refuses options that would change nothing whatever they said.
    ///
    /// # Errors
    /// As [`Model::open_with`], and where an option means nothing to this file.
    #[cfg(feature = "readers")]
    pub fn open_strict(source: impl Into<ModelSource>, options: &OpenOptions) -> Result<Self> {
        let opened = Arc::new(Opened::open(source)?);
        let graph = opened.graph(&options.load_options())?;
        refuse_idle_in(options, &[(&opened, &graph)])?;
        Self::read(opened, graph, options)
    }

    /// Reads and validates two models; each option has to mean something to one of them. Sizes are not fixed.
    ///
    /// # Errors
    /// As [`Model::open_strict`].
    #[cfg(feature = "readers")]
    pub fn open_both(
        a: impl Into<ModelSource>,
        b: impl Into<ModelSource>,
        options: &OpenOptions,
    ) -> Result<(Self, Self)> {
        let load = options.load_options();
        let open = |source: ModelSource| -> Result<(Arc<Opened>, Graph)> {
            let opened = Arc::new(Opened::open(source)?);
            let graph = opened.graph(&load)?;
            Ok((opened, graph))
        };
        let ((a, first), (b, second)) = (open(a.into())?, open(b.into())?);
        refuse_idle_in(options, &[(&a, &first), (&b, &second)])?;
        let free = options.without_sizes();
        Ok((Self::read(a, first, &free)?, Self::read(b, second, &free)?))
    }

    #[cfg(feature = "readers")]
    fn read(opened: Arc<Opened>, graph: Graph, options: &OpenOptions) -> Result<Self> {
        let model = Self::of(opened.source().name(), graph, options)?;
        Ok(Self { opened: Some(opened), ..model })
    }

    /// What it was read from; nothing where it was made in memory.
    #[cfg(feature = "readers")]
    #[must_use]
    pub fn opened(&self) -> Option<&Arc<Opened>> {
        self.opened.as_ref()
    }

    /// A network that is in memory already, under a name for messages.
    ///
    /// # Errors
    /// [`residua_ir::Invalid`] with all findings.
    pub fn from_graph(name: impl Into<PathBuf>, graph: Graph) -> Result<Self> {
        Self::of(&name.into(), graph, &OpenOptions::default())
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The network: operators, tensors and shapes that hold together.
    #[must_use]
    pub fn graph(&self) -> &Checked {
        &self.checked
    }

    /// What it is made of: stem, stages, blocks and head, and what it is called.
    #[must_use]
    pub fn anatomy(&self) -> &Anatomy {
        &self.anatomy
    }

    /// Makes a batch free that is frozen; what was done, and the model with the batch that it had.
    ///
    /// # Errors
    /// Where it is free, or something in the graph mixes images or is not known.
    pub(crate) fn make_batch_free(&mut self) -> Result<(Applied, Checked)> {
        let Freed { graph, frozen, changed } = free_batch(&self.checked).context(Hint::FreeBatch)?;
        self.put(validate(graph).context("with a free batch, the model does not hold together")?);
        let what = "the batch is free: sizes of it that were written out are computed";
        let frozen = validate(frozen).context("with the batch that it has, the model does not hold together")?;
        Ok((Applied { pass: "free-batch", what, change: Change::Nothing, nodes: changed }, frozen))
    }

    /// Undoes what an exporter did: gives the network that it was before; what was done. Models of frameworks are that already.
    pub fn undo_export(&mut self) -> Result<Vec<Applied>> {
        if self.checked.graph().source().format != Format::Onnx {
            return Ok(Vec::new());
        }
        let undone = Arc::new(Ok(None));
        let normal = std::mem::replace(&mut self.normal, undone);
        let normal = Arc::unwrap_or_clone(normal).context("cannot undo what the exporter did")?;
        let Some(normal) = normal else { return Ok(Vec::new()) };
        let source = self.checked.graph().source().clone();
        self.checked = normal.model.check().context("what was made of the export does not hold together")?;
        // What was noted since belongs to the network in every form.
        *self.checked.source_mut() = source;
        self.anatomy = anatomy::analyse_as_it_is(&self.checked);
        Ok(normal.applied)
    }

    fn of(path: &Path, graph: Graph, options: &OpenOptions) -> Result<Self> {
        if !options.free_batch {
            return Self::sized(path, graph, &options.input_shapes);
        }
        let mut model = Self::sized(path, graph, &[])?;
        model.make_batch_free()?;
        Self::sized(path, model.checked.into_graph(), &options.input_shapes)
    }

    fn sized(path: &Path, graph: Graph, input_shapes: &[InputShape]) -> Result<Self> {
        let shapes = shapes_for(&graph, input_shapes)?;
        let checked = validate(graph.with_input_shapes(&shapes)?)?;
        let (normal, anatomy) = analysed(&checked);
        Ok(Self {
            path: path.to_owned(),
            checked,
            anatomy,
            normal,
            #[cfg(feature = "readers")]
            opened: None,
            #[cfg(feature = "known")]
            identity: None,
        })
    }

    /// Puts another graph in the place of the network's.
    pub(crate) fn put(&mut self, checked: Checked) {
        (self.normal, self.anatomy) = analysed(&checked);
        self.checked = checked;
    }

    /// What of it would have run code elsewhere; nothing of it was run.
    #[must_use]
    pub fn dangers(&self) -> &[String] {
        &self.checked.graph().source().dangers
    }

    /// How the network was told, and what was taken where the file leaves it open.
    #[must_use]
    pub fn told(&self) -> &[String] {
        let source = self.checked.graph().source();
        // A file that holds its graph leaves nothing open.
        let holds_graph = source.holds_graph();
        if holds_graph { &[] } else { &source.notes }
    }
}

/// What a network was before it was exported, and what it is made of.
fn analysed(model: &Checked) -> (Arc<Result<Option<Normalised>, RewriteError>>, Anatomy) {
    let normal = normalise(model);
    let anatomy = anatomy::analyse_normalised(model, normal.as_ref().map(Option::as_ref));
    (Arc::new(normal), anatomy)
}

/// Refuses an option that would change nothing in any of these models; those that cannot be read have no say.
///
/// # Errors
/// Where there is one.
#[cfg(feature = "readers")]
pub fn refuse_idle(options: &OpenOptions, paths: &[&Path]) -> Result<()> {
    if options.with_each_changed().is_empty() {
        return Ok(());
    }
    let load = |&path: &&Path| {
        let opened = Opened::open(path).ok()?;
        let graph = opened.graph(&options.load_options()).ok()?;
        Some((opened, graph))
    };
    let models: Vec<(Opened, Graph)> = paths.iter().filter_map(load).collect();
    let readable: Vec<(&Opened, &Graph)> = models.iter().map(|(opened, graph)| (opened, graph)).collect();
    if readable.is_empty() { Ok(()) } else { refuse_idle_in(options, &readable) }
}

/// Refuses an option that would change nothing whatever it said: none of the files leaves open what it is about.
#[cfg(feature = "readers")]
fn refuse_idle_in(options: &OpenOptions, files: &[(&Opened, &Graph)]) -> Result<()> {
    use residua_ir::Shown;

    for (option, changed) in options.with_each_changed() {
        let load = changed.load_options();
        if files.iter().all(|(opened, graph)| opened.gives(graph, &load)) {
            let names: Vec<String> =
                files.iter().map(|(opened, _)| opened.source().name().shown().to_string()).collect();
            bail!("{option} has no effect on how {} is read", names.join(" and "));
        }
    }
    Ok(())
}

impl Model {
    /// How images are prepared, and how that is known.
    #[must_use]
    pub fn preprocessing(&self) -> Known {
        preprocessing_for(&self.checked, &self.anatomy)
    }

    /// The values that a prepared image has, where its preparation is known.
    #[must_use]
    pub fn input_range(&self) -> Option<(f32, f32)> {
        self.preprocessing().values.map(|told| range(told.value))
    }

    /// Height and width of the images that the architecture was published with; none for what is not standard.
    #[must_use]
    pub fn usual_size(&self) -> Option<usize> {
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
pub fn shapes_for(graph: &Graph, wanted: &[InputShape]) -> Result<Vec<Option<Vec<usize>>>> {
    let mut shapes = vec![None; graph.inputs().len()];
    let mut unnamed = 0;
    for InputShape { name, shape } in wanted {
        let index = match name {
            Some(name) => input_named(graph, name)?,
            None => {
                unnamed += 1;
                unnamed - 1
            }
        };
        let Some(&id) = graph.inputs().get(index) else {
            bail!("{} was given {unnamed} times, the model has {} inputs", Hint::InputShapes, graph.inputs().len());
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
            bail!(
                "{}: input `{name}` is declared {declared}, it cannot be {}",
                Hint::InputShapes,
                Shape::fixed(&shape)
            );
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
        let image = InputType { dtype: DType::F32, shape };
        let x = g.input_with("image", image, SourceOrder::channels_last());
        let y = g.input("extra", Shape::batch(&[7]));
        g.output(x);
        g.output(y);
        g.finish().unwrap()
    }

    fn named(name: Option<&str>, shape: &[usize]) -> InputShape {
        InputShape { name: name.map(str::to_owned), shape: shape.to_vec() }
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
        assert_eq!(error, "input_shapes: input `image` is declared [N, H, W, 3], it cannot be [1, 3, 32, 32]");
        let error = shapes_for(&graph(), &[named(Some("images"), &[1])]).unwrap_err().to_string();
        assert_eq!(error, "the model has no input `images`; did you mean `image`?");
    }
}
