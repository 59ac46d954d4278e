//! Writes safetensors files that hold the whole model: tensors under the names and axes asked for, and in the metadata
//! the graph that they belong to, so that the file can be read back and run.
//!
//! The format: length of the header (u64, little-endian), JSON, elements. The header is padded to 8 bytes and tensors are
//! sorted by element size and name, as the `safetensors` crate writes them; it is laid out here because elements are
//! streamed, and because the crate's order of metadata differs from run to run.
//!
//! Metadata: `residua.graph` ([`residua_ir::interchange`]), the keys that every output of ours has, and `format`.

use std::collections::HashMap;
use std::path::Path;

use ::safetensors::Dtype;
use residua_ir::interchange::{self, MAX_FILLED, Place};
use residua_ir::rewrite::cast_weights;
use residua_ir::{Checked, DType, Graph, Parameter, ParameterId, Role, Tensor, Transform};
use serde_json::{Map, Value, json};

use crate::atomic::{Stage, Staged};
use crate::sink::{self, Segment};
use crate::{EmitError, Emitted, Exactness, TensorMapping, float, metadata};

/// Key of the graph's text in the metadata.
pub const GRAPH_KEY: &str = "residua.graph";

/// Tensors of one number up to this many elements are written into the graph's text.
const FILL_FROM_TEXT: usize = 1 << 16;

/// Most bytes of a header that readers accept.
const MAX_HEADER: usize = 100_000_000;

/// Names and axes of the tensors.
#[derive(Clone, Copy)]
pub enum Layout<'a> {
    /// As the source has them: its names, its axis order.
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
#[derive(Clone, Copy)]
pub struct SafetensorsOptions<'a> {
    /// Names and axes.
    pub layout: Layout<'a>,
    /// Float type of the weights; `None` leaves each as it is.
    pub float: Option<DType>,
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// Tensors of the file, and what the graph's text says of them.
#[derive(Default)]
struct Store {
    tensors: Vec<(String, Tensor)>,
    /// What is stored under a name: path in the source and views since.
    known: HashMap<String, (String, Vec<Transform>)>,
    mapping: Vec<TensorMapping>,
    filled: usize,
}

impl Store {
    /// The number that all elements of a parameter are, where it may stand for them.
    fn fill(&mut self, parameter: &Parameter, layout: Layout<'_>) -> Option<f64> {
        let own = match (parameter.role, layout) {
            (Role::Literal, _) | (Role::Default, Layout::Source) => true,
            (Role::Default, Layout::Graph { .. }) | (Role::Weight | Role::Statistic | Role::Counter, _) => false,
        };
        let len = parameter.tensor.len();
        if !own || !parameter.tensor.dtype().is_float() || len > FILL_FROM_TEXT || self.filled + len > MAX_FILLED {
            return None;
        }
        let values = parameter.tensor.to_f64().ok()?;
        let first = *values.first()?;
        let uniform = first.is_finite() && values.iter().all(|value| value.to_bits() == first.to_bits());
        uniform.then(|| {
            self.filled += len;
            first
        })
    }

    fn place(&mut self, id: ParameterId, parameter: &Parameter, layout: Layout<'_>) -> Place {
        if let Some(number) = self.fill(parameter, layout) {
            return Place::Filled(number);
        }
        let (wanted, tensor, transforms) = match layout {
            Layout::Source => {
                let (stored, transforms) = parameter.tensor.source_view();
                (parameter.name.clone(), stored, transforms)
            }
            Layout::Graph { names, .. } => (names(id), parameter.tensor.clone(), Vec::new()),
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
                    self.mapping.push(TensorMapping::new(parameter, &name, &tensor));
                    self.known.insert(name.clone(), identity);
                    self.tensors.push((name.clone(), tensor));
                    break;
                }
            }
        }
        Place::Stored { tensor: name, transforms }
    }
}

fn header(graph: &Graph, layout: Layout<'_>, text: String, tensors: &[(String, Tensor)]) -> Result<Vec<u8>, EmitError> {
    let layout = match layout {
        Layout::Source => "source",
        Layout::Graph { name, .. } => name,
    };
    let mut about = Map::new();
    about.insert("format".to_owned(), json!("residua"));
    about.insert("residua.layout".to_owned(), json!(layout));
    for (key, value) in metadata::entries(graph) {
        about.insert(key.to_owned(), json!(value));
    }
    about.insert(GRAPH_KEY.to_owned(), Value::String(text));
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), Value::Object(about));
    let mut offset = 0;
    for (name, tensor) in tensors {
        let end = offset + tensor.byte_len();
        let kind = dtype(tensor.dtype());
        let entry = json!({ "dtype": kind, "shape": tensor.shape(), "data_offsets": [offset, end] });
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut bytes = Value::Object(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    if bytes.len() > MAX_HEADER {
        let message = format!("the header has {} bytes, readers take at most {MAX_HEADER}", bytes.len());
        return Err(EmitError::Option(message));
    }
    let mut framed = (bytes.len() as u64).to_le_bytes().to_vec();
    framed.extend(bytes);
    Ok(framed)
}

/// Writes the model beside `target`, to be read back and then [committed](Staged::commit).
///
/// # Errors
/// [`EmitError`]; a model with operators that are not known can be written, since the graph's text keeps them.
pub fn stage(model: &Checked, options: &SafetensorsOptions<'_>, target: &Path) -> Result<Staged, EmitError> {
    let graph = model.graph().clone();
    let rounded = options.float.map(float::check).transpose()?.filter(|&to| float::rounds(&graph, to));
    let graph = match options.float {
        Some(to) => cast_weights(graph, to),
        None => graph,
    };
    let mut store = Store::default();
    let text = interchange::write(&graph, |id, parameter| store.place(id, parameter, options.layout))?;
    let Store { mut tensors, mapping, .. } = store;
    tensors
        .sort_by(|(a_name, a), (b_name, b)| dtype(b.dtype()).cmp(&dtype(a.dtype())).then_with(|| a_name.cmp(b_name)));
    let mut segments = vec![Segment::Bytes(header(&graph, options.layout, text, &tensors)?)];
    segments.extend(tensors.into_iter().map(|(name, tensor)| Segment::Tensor { name, tensor }));
    let stage = Stage::new(target)?;
    let files = vec![stage.path("")];
    sink::write(&files[0], &segments)?;
    stage.finish(Emitted {
        files,
        bytes: 0,
        mapping,
        dropped: Vec::new(),
        exactness: Exactness::new(rounded, Vec::new()),
        notes: Vec::new(),
    })
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
    use ::safetensors::SafeTensors;
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
            g.parameter(Parameter { name, location, role, layer, tensor })
        };
        let one = part("gamma", Role::Default, 1.0);
        let offset = part("beta", Role::Weight, 0.5);
        let variance = part("moving_variance", Role::Statistic, 2.0);
        let y = g.node("bn", Op::BatchNorm(BatchNorm { epsilon: 1e-3 }), &[y, one, offset, offset, variance], layer);
        g.output(y);
        let count = Tensor::from_i64(vec![], &[7]).unwrap();
        let name = "bn/count".to_owned();
        g.unread_parameter(Parameter { name, location: String::new(), role: Role::Counter, layer, tensor: count });
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
        let (bytes, emitted) = written(&SafetensorsOptions { layout: Layout::Source, float: None });
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
        let layout = Layout::Graph { name: "test", names: &names };
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
        let (bytes, _) = written(&SafetensorsOptions { layout: Layout::Source, float: None });
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
        let options = SafetensorsOptions { layout: Layout::Source, float: None };
        let staged = stage(&model(), &options, &folder.path().join("m.safetensors")).unwrap();
        assert!(staged.path().is_file());
        drop(staged);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(stage(&model(), &options, folder.path()).is_err(), "a folder is no target");
    }
}
