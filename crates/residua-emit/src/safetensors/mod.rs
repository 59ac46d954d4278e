//! Writes safetensors files: of the whole model ([`stage`]), and ordinary checkpoints for the model code of a library
//! ([`checkpoint`]).
//!
//! A file of the whole model has tensors under the names and axes asked for, and in the metadata the graph that they
//! belong to, so that it can be read back and run: `residua.graph` ([`residua_ir::interchange`]), the keys that every
//! output of ours has, and `format`.

pub mod checkpoint;
mod config;
mod file;
mod processor;
mod timm;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use residua_ir::budget::Limit;
use residua_ir::interchange::{self, Place};
use residua_ir::rewrite::cast_weights;
use residua_ir::{Checked, DType, Graph, Name, Parameter, ParameterId, Role, Tensor, Transform};
use serde_json::{Map, Value, json};

use crate::place::{Stage, Staged, With};
use crate::sink::Segment;
use crate::{EmitError, Emitted, Exactness, InMemory, TensorMapping, float, memory, metadata};

/// Key of the graph's text in the metadata.
pub const GRAPH_KEY: &str = "residua.graph";

/// Tensors of one number up to this many elements are written into the graph's text.
const FILL_FROM_TEXT: usize = 1 << 16;

/// Names and axes of the tensors.
#[derive(Clone, Copy, Default)]
pub enum TensorLayout<'a> {
    /// As the source has them: its names, its axis order.
    #[default]
    Source,
    /// As the graph has them, OIHW, under these names.
    Graph {
        /// What the layout is called, for the metadata.
        name: &'a str,
        /// Name of each parameter.
        names: &'a dyn Fn(ParameterId) -> String,
    },
}

/// How to write.
#[derive(Clone, Copy, Default)]
pub struct SafetensorsOptions<'a> {
    /// Names and axes.
    pub layout: TensorLayout<'a>,
    /// Float type of the weights; `None` leaves each as it is.
    pub float: Option<DType>,
}

/// Tensors of the file, and what the graph's text says of them.
#[derive(Default)]
struct Store {
    tensors: Vec<(String, Tensor)>,
    /// What is stored under a name: path in the source and views since.
    known: HashMap<String, (Name, Vec<Transform>)>,
    mapping: Vec<TensorMapping>,
    /// Bytes of tensors that the text describes by one number.
    filled: u64,
}

impl Store {
    /// The number that all elements of a parameter are, where it may stand for them.
    fn fill(&mut self, parameter: &Parameter, layout: TensorLayout<'_>) -> Option<f64> {
        let own = match (parameter.role, layout) {
            (Role::Literal, _) | (Role::Default, TensorLayout::Source) => true,
            (Role::Default, TensorLayout::Graph { .. }) | (Role::Weight | Role::Statistic | Role::Counter, _) => false,
        };
        let (len, bytes) = (parameter.tensor.len(), parameter.tensor.byte_len() as u64);
        // The file has to be read where no limit is raised.
        let within = self.filled.saturating_add(bytes) <= Limit::DecodedBytes.default();
        if !own || !parameter.tensor.dtype().is_float() || len > FILL_FROM_TEXT || !within {
            return None;
        }
        let values = parameter.tensor.to_f64().ok()?;
        let first = *values.first()?;
        let uniform = first.is_finite() && values.iter().all(|value| value.to_bits() == first.to_bits());
        uniform.then(|| {
            self.filled += bytes;
            first
        })
    }

    fn place(&mut self, graph: &Graph, id: ParameterId, layout: TensorLayout<'_>) -> Place {
        let parameter = graph.parameter(id);
        if let Some(number) = self.fill(parameter, layout) {
            return Place::Filled(number);
        }
        let (wanted, tensor, transforms) = match layout {
            TensorLayout::Source => {
                let (stored, transforms) = parameter.tensor.source_view();
                (parameter.name.raw().to_owned(), stored, transforms)
            }
            TensorLayout::Graph { names, .. } => (names(id), parameter.tensor.clone(), Vec::new()),
        };
        let identity = (parameter.location.clone(), tensor.transforms().to_vec());
        let (mut name, mut count) = (wanted.clone(), 1);
        loop {
            match self.known.get(&name) {
                // One tensor of the source that is used twice is stored once.
                Some(other) if *other == identity && !identity.0.is_empty() => break,
                Some(_) => {
                    count += 1;
                    name = format!("{wanted}_{count}");
                }
                None => {
                    self.mapping.push(TensorMapping::new(graph, &[id], &name, &tensor));
                    self.known.insert(name.clone(), identity);
                    self.tensors.push((name.clone(), tensor));
                    break;
                }
            }
        }
        Place::Stored { tensor: name, transforms }
    }
}

/// The metadata of a file that holds the whole model.
fn about(graph: &Graph, layout: TensorLayout<'_>, text: String) -> Map<String, Value> {
    let layout = match layout {
        TensorLayout::Source => "source",
        TensorLayout::Graph { name, .. } => name,
    };
    let mut about = Map::new();
    about.insert("format".to_owned(), json!("residua"));
    about.insert("residua.layout".to_owned(), json!(layout));
    for (key, value) in metadata::entries(graph) {
        about.insert(key.to_owned(), json!(value));
    }
    about.insert(GRAPH_KEY.to_owned(), Value::String(text));
    about
}

/// A file of these tensors, whose names are unique.
pub(crate) fn segments(about: Map<String, Value>, tensors: Vec<(String, Tensor)>) -> Result<Vec<Segment>, EmitError> {
    file::segments(about, tensors)
}

/// Writes the model beside `target`, to be read back and then [committed](Staged::commit).
///
/// # Errors
/// [`EmitError`]; a model with operators that are not known can be written, since the graph's text keeps them.
pub fn stage(model: &Checked, options: &SafetensorsOptions<'_>, target: &Path) -> Result<Staged, EmitError> {
    let (segments, emitted) = contents(model, options)?;
    let stage = Stage::new(target)?;
    stage.write("", &segments)?;
    stage.finish(With::Nothing, emitted)
}

/// Writes the model into memory, as a file called `name`.
///
/// # Errors
/// [`EmitError`], as [`stage`] has it but for what the disk says; or where there is no memory.
pub fn to_memory(model: &Checked, options: &SafetensorsOptions<'_>, name: &str) -> Result<InMemory, EmitError> {
    let (segments, emitted) = contents(model, options)?;
    InMemory::gather(name, &segments, Vec::new(), emitted)
}

/// Writes the model into a writer, from front to back.
///
/// # Errors
/// [`EmitError`], as [`stage`] has it; what the writer says.
pub fn write_to(model: &Checked, options: &SafetensorsOptions<'_>, out: &mut dyn Write) -> Result<Emitted, EmitError> {
    let (segments, emitted) = contents(model, options)?;
    memory::write_single(out, &segments, emitted)
}

/// The file, and what is written, without its place.
fn contents(model: &Checked, options: &SafetensorsOptions<'_>) -> Result<(Vec<Segment>, Emitted), EmitError> {
    let graph = model.graph().clone();
    let rounded = options.float.map(float::check).transpose()?.filter(|&to| float::rounds(float::weights(&graph), to));
    let graph = match options.float {
        Some(to) => cast_weights(graph, to),
        None => graph,
    };
    let mut store = Store::default();
    let text = interchange::write(&graph, |id, _| store.place(&graph, id, options.layout))?;
    let Store { tensors, mapping, .. } = store;
    let segments = file::segments(about(&graph, options.layout, text), tensors)?;
    let emitted = Emitted {
        files: Vec::new(),
        bytes: 0,
        mapping,
        dropped: Vec::new(),
        exactness: Exactness::new(rounded, Vec::new()),
        notes: Vec::new(),
    };
    Ok((segments, emitted))
}

/// Writes the model to `target`, without a chance to look at it first.
///
/// # Errors
/// As [`stage`] and [`Staged::commit`].
pub fn write(model: &Checked, options: &SafetensorsOptions<'_>, target: &Path) -> Result<Emitted, EmitError> {
    stage(model, options, target)?.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::safetensors::{Dtype, SafeTensors};
    use residua_ir::{BatchNorm, Conv, GraphBuilder, Op, Shape, validate};

    fn model() -> Checked {
        let mut g = GraphBuilder::new("tiny");
        let x = g.input("x", Shape::batch(&[2, 8, 8]));
        let values: Vec<f32> = (0..72).map(|i| i as f32).collect();
        let kernel = Tensor::from_f32(vec![3, 3, 2, 4], &values).unwrap().permute(&[3, 2, 0, 1]).unwrap();
        let kernel = g.weight("conv/kernel", kernel);
        let y = g.add("conv", Op::Conv(Conv::default()), &[x, kernel]);
        let layer = g.layer("bn", "BatchNormalization", true);
        let mut part = |name: &str, role, value| {
            let tensor = Tensor::filled(DType::F32, vec![4], value).unwrap();
            let (name, location) = (format!("bn/{name}"), format!("/bn/{name}:0"));
            g.parameter(Parameter { name: name.into(), location: location.into(), role, layer, tensor })
        };
        let one = part("gamma", Role::Default, 1.0);
        let offset = part("beta", Role::Weight, 0.5);
        let variance = part("moving_variance", Role::Statistic, 2.0);
        let y = g.node("bn", Op::BatchNorm(BatchNorm { epsilon: 1e-3 }), &[y, one, offset, offset, variance], layer);
        g.output(y);
        let count = Tensor::from_i64(vec![], &[7]).unwrap();
        let name = "bn/count".to_owned();
        g.unread_parameter(Parameter {
            name: name.into(),
            location: String::new().into(),
            role: Role::Counter,
            layer,
            tensor: count,
        });
        validate(g.finish().unwrap()).unwrap()
    }

    fn written(options: &SafetensorsOptions<'_>) -> (Vec<u8>, Emitted) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("m.safetensors");
        let emitted = write(&model(), options, &target).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        (std::fs::read(target).unwrap(), emitted)
    }

    #[test]
    fn the_source_layout_is_what_the_source_stored() {
        let (bytes, emitted) = written(&SafetensorsOptions { layout: TensorLayout::Source, float: None });
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.sort_unstable();
        assert_eq!(names, ["bn/beta", "bn/count", "bn/moving_variance", "conv/kernel"]);
        let kernel = file.tensor("conv/kernel").unwrap();
        assert_eq!((kernel.dtype(), kernel.shape()), (Dtype::F32, &[3, 3, 2, 4][..]));
        assert_eq!(kernel.data()[4..8], 1f32.to_le_bytes());
        assert_eq!(emitted.exactness, Exactness::Identical);
        assert!(emitted.mapping.iter().all(|tensor| tensor.transforms.is_empty()));
    }

    #[test]
    fn the_graphs_layout_has_its_names_and_axes_and_rounded_weights() {
        let names = |id: ParameterId| format!("p{}", id.index());
        let layout = TensorLayout::Graph { name: "test", names: &names };
        let (bytes, emitted) = written(&SafetensorsOptions { layout, float: Some(DType::F16) });
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let kernel = file.tensor("p0").unwrap();
        assert_eq!((kernel.dtype(), kernel.shape()), (Dtype::F16, &[4, 2, 3, 3][..]));
        assert_eq!(file.tensor("p4").unwrap().dtype(), Dtype::I64);
        assert_eq!(emitted.mapping[0].transforms, ["permute(3,2,0,1)", "cast(f16)"]);
        assert_eq!(emitted.exactness, Exactness::Rounded { dtype: DType::F16, nodes: Vec::new() });
    }

    #[test]
    fn the_file_is_laid_out_as_the_crate_would() {
        let (bytes, _) = written(&SafetensorsOptions { layout: TensorLayout::Source, float: None });
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let again = ::safetensors::serialize(file.tensors(), None).unwrap();
        let ours = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
        let theirs = u64::from_le_bytes(again[..8].try_into().unwrap()) as usize + 8;
        assert_eq!(ours % 8, 0);
        assert_eq!(bytes[ours..], again[theirs..]);
        assert!(header.metadata().as_ref().unwrap().contains_key(GRAPH_KEY));
    }

    #[test]
    fn what_is_staged_and_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let options = SafetensorsOptions { layout: TensorLayout::Source, float: None };
        let staged = stage(&model(), &options, &folder.path().join("m.safetensors")).unwrap();
        assert!(staged.path().is_file());
        drop(staged);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(stage(&model(), &options, folder.path()).is_err(), "a folder is no target");
    }
}
