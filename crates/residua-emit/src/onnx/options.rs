//! How an ONNX model is written.

use residua_ir::{DType, SourceOrder};

use super::version::PORTABLE;

/// Axis order of the model's inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputLayout {
    /// Images are NCHW, and everything else is in the order of the graph.
    #[default]
    Nchw,
    /// Images are NHWC, and everything else is in the source's order.
    Nhwc,
    /// Everything is in the source's order.
    Source,
}

impl InputLayout {
    pub(super) fn name(self) -> &'static str {
        match self {
            InputLayout::Nchw => "nchw",
            InputLayout::Nhwc => "nhwc",
            InputLayout::Source => "source",
        }
    }

    /// How an input or output of so many axes lies in the file, of which `order` says how it lies in the source.
    #[must_use]
    pub fn order_of(self, rank: usize, order: &SourceOrder) -> SourceOrder {
        match self {
            InputLayout::Nchw => SourceOrder::Same,
            InputLayout::Nhwc if rank == 4 => SourceOrder::channels_last(),
            InputLayout::Nhwc | InputLayout::Source => order.clone(),
        }
    }
}

/// Which reals of a written model have which type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatTypes {
    /// All are of one type: weights, inputs, outputs, and what is between them.
    #[default]
    One,
    /// All but those of inputs and outputs, which are f32 behind casts, or f64 where the graph's are.
    WideInterface,
    /// Each is of the type that it has in the graph, with the graph's casts between them. Only where
    /// [`own_types`](super::own_types) says that this can be.
    Own,
}

/// Where the elements of tensors go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExternalData {
    /// Into the model, unless it would have more than 2 GiB, the most a protobuf message can have.
    #[default]
    Auto,
    /// Into a file beside the model, named as the model with `.data` behind.
    Always,
    /// Into the model; one of more than 2 GiB is an error.
    Never,
}

/// How to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Operator set, [`OLDEST`](super::OLDEST) to [`NEWEST`](super::NEWEST); [`PORTABLE`] unless said otherwise.
    /// [`opset_for`](super::opset_for) finds that of the source.
    pub opset: i64,
    /// Axis order of the interface.
    pub input_layout: InputLayout,
    /// Float type of the model. f32 unless said otherwise, the one that every runtime computes in. [`natural_float`](super::natural_float) is
    /// that of the source.
    pub float: DType,
    /// Which reals have it.
    pub types: FloatTypes,
    /// Where tensors go.
    pub external_data: ExternalData,
    /// What the file says wrote it, unless an ONNX source says that something else did.
    pub producer: String,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self {
            opset: PORTABLE,
            input_layout: InputLayout::default(),
            float: DType::F32,
            types: FloatTypes::default(),
            external_data: ExternalData::default(),
            producer: "residua".to_owned(),
        }
    }
}
