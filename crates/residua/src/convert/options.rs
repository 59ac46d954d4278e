//! What is written, and what is proved of it.

use std::path::PathBuf;

use residua_emit::onnx::InputLayout;
use residua_ir::preparation::Preprocessing;

use crate::options::{Dtype, Layout};
use crate::watch::Watch;

/// What is written. An [`Onnx`] or [`Safetensors`] alone is one with nothing else asked for.
///
/// ```
/// use residua::options::Dtype;
/// use residua::{Convert, Model, Proof, Safetensors};
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let half = Convert { dtype: Some(Dtype::F16), ..Safetensors::default().into() };
/// let conversion = Model::open(digits)?.convert_in_memory("digits.safetensors", half)?;
/// let (output, _) = conversion.prove(&Proof::default())?.into_memory()?;
/// let wide = std::fs::metadata(digits).unwrap().len();
/// assert!((output.bytes.len() as u64) < wide);
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Convert {
    /// The format, and what is asked of it.
    pub to: Output,
    /// Float type of the written weights, in ONNX of everything; by default the source's types in safetensors and from
    /// ONNX, f32 in ONNX from others.
    pub dtype: Option<Dtype>,
    /// Whether batch norms are folded into the convolutions before them.
    pub fold_batch_norms: bool,
    /// Whether the batch is made free where an exporter froze it.
    pub free_batch: bool,
    /// How images are scaled, recorded in the output; by default what the source says.
    pub preprocess: Option<Preprocessing>,
    /// Where to write which tensor became which, with a SHA-256 of each on both sides.
    pub manifest: Option<PathBuf>,
    /// Who watches.
    pub watch: Watch,
}

/// A format with what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// ONNX.
    Onnx(Onnx),
    /// safetensors.
    Safetensors(Safetensors),
}

/// What is asked of an ONNX output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onnx {
    /// Operator set; by default that of an ONNX source, or 17.
    pub opset: Option<u32>,
    /// Axis order of image inputs; NCHW by default.
    pub input_layout: Option<InputLayout>,
    /// Whether inputs and outputs stay f32 behind casts where the float type is another.
    pub keep_io_types: bool,
    /// Whether weights are written beside the model whatever their size.
    pub external_data: bool,
}

/// What is asked of a safetensors output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Safetensors {
    /// Names and axes of the tensors, and the model code that is to read them; by default that of residua, and for
    /// PyTorch's files and plain safetensors the source's.
    pub layout: Option<Layout>,
}

impl From<Output> for Convert {
    fn from(to: Output) -> Self {
        Self {
            to,
            dtype: None,
            fold_batch_norms: false,
            free_batch: false,
            preprocess: None,
            manifest: None,
            watch: Watch::default(),
        }
    }
}

impl From<Onnx> for Convert {
    fn from(onnx: Onnx) -> Self {
        Output::Onnx(onnx).into()
    }
}

impl From<Safetensors> for Convert {
    fn from(safetensors: Safetensors) -> Self {
        Output::Safetensors(safetensors).into()
    }
}

impl From<&Onnx> for Convert {
    fn from(onnx: &Onnx) -> Self {
        onnx.clone().into()
    }
}

impl From<&Safetensors> for Convert {
    fn from(safetensors: &Safetensors) -> Self {
        safetensors.clone().into()
    }
}

impl From<&Convert> for Convert {
    fn from(convert: &Convert) -> Self {
        convert.clone()
    }
}

/// What is proved of an output before it is put in its place.
///
/// ```
/// use residua::{Model, Onnx, Proof};
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// # let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.golden.npz");
/// // The source must give what Keras gave, and the output what the source gives.
/// let proof = Proof { golden: Some(golden.into()), ..Proof::default() };
/// let conversion = Model::open(digits)?.convert_in_memory("digits.onnx", Onnx::default())?.prove(&proof)?;
/// assert!(conversion.holds() && conversion.golden().len() == 1);
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Proof {
    /// Whether what was written is read back and run against the source.
    pub against_source: bool,
    /// Whether both are run also where what was written has the graph of the source.
    pub numeric: bool,
    /// Inputs and outputs that the source's framework computed, which the source must reproduce.
    pub golden: Option<PathBuf>,
    /// Absolute tolerance, instead of the bound derived from the model's own rounding noise.
    pub tolerance: Option<f64>,
    /// Threads to run on; all processors where it is `None`.
    pub threads: Option<usize>,
}

impl Default for Proof {
    fn default() -> Self {
        Self { against_source: true, numeric: false, golden: None, tolerance: None, threads: None }
    }
}
