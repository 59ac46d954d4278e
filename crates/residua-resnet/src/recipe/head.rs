//! What lies behind the last block: a pool, and what makes classes of its features.

use residua_ir::Activation;

/// Pool and classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// How pixels become features.
    pub pool: HeadPool,
    /// The layer behind it; [`None`] where features are what the network gives, or where [`Head::layers`] are there.
    pub classifier: Option<Classifier>,
    /// What stands in the place of the classifier where that is no single dense layer: vectors go in and come out.
    pub layers: Vec<HeadLayer>,
}

impl Head {
    /// A pool with a layer behind it, or with none.
    #[must_use]
    pub fn new(pool: HeadPool, classifier: Option<Classifier>) -> Self {
        Self { pool, classifier, layers: Vec::new() }
    }

    /// How many numbers its last dense layer gives; [`None`] where it has none.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        let last = self.layers.iter().rev().find_map(|layer| match layer {
            HeadLayer::Dense { outputs, .. } => Some(*outputs),
            HeadLayer::BatchNorm { .. }
            | HeadLayer::LayerNorm { .. }
            | HeadLayer::Activation(_)
            | HeadLayer::PRelu { .. }
            | HeadLayer::Softmax
            | HeadLayer::LogSoftmax => None,
        });
        last.or_else(|| self.classifier.as_ref().map(|classifier| classifier.classes))
    }
}

/// A layer of a head of several; each works on `[N, features]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HeadLayer {
    /// A matrix `[outputs, features]`, and a summand each where it has a bias.
    Dense {
        /// What it gives.
        outputs: usize,
        /// Whether it has a bias.
        bias: bool,
    },
    /// Normalises each feature by stored statistics; without a factor and a summand where it is not `affine`.
    BatchNorm {
        /// Added to variances.
        epsilon: f64,
        /// Whether it has a factor and a summand for each feature.
        affine: bool,
    },
    /// Normalises over all features of an image, with a factor and a summand for each.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// A function of one number.
    Activation(Activation),
    /// A rectifier with slopes of its own, one or one for each feature.
    PRelu {
        /// How many.
        slopes: usize,
    },
    /// Over the features.
    Softmax,
    /// The logarithm of that.
    LogSoftmax,
}

/// The layer that gives classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classifier {
    /// Classes.
    pub classes: usize,
    /// Whether a softmax follows it.
    pub softmax: bool,
    /// Whether it has a bias.
    pub bias: bool,
    /// Whether its weight is that of a 1x1 convolution, `[classes, features, 1, 1]`.
    pub as_conv: bool,
}

impl Classifier {
    /// A dense layer with a bias.
    #[must_use]
    pub fn dense(classes: usize, softmax: bool) -> Self {
        Self { classes, softmax, bias: true, as_conv: false }
    }
}

/// How pixels become features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadPool {
    /// Mean over all pixels.
    Global,
    /// Mean over windows of this size, then flattened.
    Window(usize),
    /// Maximum over all pixels.
    Max,
    /// The mean of both over all pixels (timm's `avgmax`).
    MeanOfBoth,
    /// Means over all pixels, and maxima behind them: twice as many features (timm's `catavgmax`).
    Both,
    /// Maxima over all pixels, and means behind them: twice as many features (fastai's `AdaptiveConcatPool2d`).
    MaxThenMean,
}
