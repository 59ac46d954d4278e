//! What whoever made a network settled: names, epsilons, biases, padding. Its form does not say any of it.

use residua_ir::Activation;

use crate::anatomy::Reads;
use crate::layouts::NamingLayout;

/// Which convolutions have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Biases {
    /// All.
    All,
    /// None.
    None,
    /// Those that no normalisation follows: stem, projections and the last of each block of a pre-activated network.
    BeforeSums,
}

/// Whose habits a recipe follows where names, classes and the order of layers are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    /// Layers in Keras's order, named by Keras where the layout names none; images NHWC.
    Keras,
    /// Layers in the order of the forward pass; images NCHW.
    Torch,
}

/// The normalisation of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norms {
    /// Over the batch, with stored statistics.
    Batch,
    /// Over this many groups of channels.
    Group(usize),
}

/// What the stem's pool sees beyond the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolEdge {
    /// Nothing: −∞.
    Nothing,
    /// Zeros, which compete with what is there.
    Zeros,
    /// Nothing, and only behind: the pool does not pad, and its last window may stick out.
    Ceil,
}

/// Which blocks have a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projections {
    /// Those that change channels or size.
    WhereChanged,
    /// Those, and the first of each stage of bottlenecks.
    FirstBottleneck,
    /// The first of each stage.
    FirstOfStage,
    /// None: channels of zeros are added, half of them before and half of them behind, and every second pixel is taken
    /// (option A of He et al. 2015, section 3.3).
    Pad,
}

/// What is settled by who made the network, not by its form.
#[derive(Debug, Clone, PartialEq)]
pub struct Conventions {
    /// Names of layers.
    pub layout: &'static NamingLayout,
    /// Whose habits are followed.
    pub framework: Framework,
    /// What normalises.
    pub norms: Norms,
    /// Added to variances.
    pub epsilon: f64,
    /// Activation of stem and blocks.
    pub activation: Activation,
    /// Activation between the convolutions of post-activated blocks, where it is always this one.
    pub inner_activation: Option<Activation>,
    /// Which convolutions have a bias; those of gates beside.
    pub biases: Biases,
    /// Whether the convolutions of gates have a bias.
    pub gate_biases: bool,
    /// Whether the kernels of stem and blocks are standardised when the network runs (mean 0, variance 1 per output
    /// channel, as Qiao et al. 2019), and what is added to their variance.
    pub standardised: Option<f64>,
    /// Whether the stem is normalised and activated (its last convolution, where it has several).
    pub stem_norm: bool,
    /// What the stem's pool sees beyond the edge.
    pub pool_edge: PoolEdge,
    /// Stride of the first stage.
    pub first_stride: usize,
    /// Which blocks have a projection.
    pub projections: Projections,
    /// Whether projections are normalised.
    pub shortcut_norm: bool,
    /// What projections of pre-activated blocks start from.
    pub shortcut_reads: Reads,
    /// Whether padding of strided windows is a layer of its own; otherwise it is `kernel / 2` on each side (Torch), or
    /// what makes the output `ceil(n / stride)` (Keras).
    pub pad_layers: bool,
}
