//! Descriptions of networks that are complete enough to build them.
//!
//! A [`Recipe`] is a [`Form`] with what a form leaves open (picture, head) and what the conventions of its maker settle
//! (names, epsilons, biases, padding). [`Recipe::layers`] lists the layers with their tensors and shapes, in the order
//! in which Keras lists them; [`Recipe::build`] makes the graph of them, given the tensors. One builder serves all
//! recipes: what differs is data.

mod build;
mod layers;
#[cfg(test)]
mod tests;

use residua_ir::Shape;

use crate::anatomy::{BlockKind, Order, Reads};
use crate::form::{Form, StageForm, StemForm, StrideIn};
use crate::layouts::{KERAS_APPLICATIONS_OLD, KERAS_APPLICATIONS_V1, KERAS_APPLICATIONS_V2, KERAS_AUTO, Layout};
use crate::slot::Place;

pub use build::{Bound, Wanted};
pub use layers::{Layer, LayerKind};

/// A network, described.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Name of the model.
    pub name: String,
    /// Stem, stages, blocks.
    pub form: Form,
    /// The picture.
    pub input: Input,
    /// What follows the last block; [`None`] ends the network there.
    pub head: Option<Head>,
    /// What its maker settled.
    pub conventions: Conventions,
    /// Names that layers have instead of those of the layout.
    pub names: Vec<(Place, String)>,
}

/// The picture that a network takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Channels.
    pub channels: usize,
    /// Rows and columns; [`None`] leaves them free.
    pub size: Option<[usize; 2]>,
}

impl Input {
    /// Shape in NCHW with a free batch.
    #[must_use]
    pub fn shape(&self) -> Shape {
        use residua_ir::Dim;
        let [h, w] = self.size.map_or([Dim::symbol("H"), Dim::symbol("W")], |size| size.map(Dim::Fixed));
        Shape::new(vec![Dim::symbol("N"), Dim::Fixed(self.channels), h, w])
    }
}

/// Pool and classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How pixels become features.
    pub pool: HeadPool,
    /// Classes of the dense layer.
    pub classes: usize,
    /// Whether a softmax follows it.
    pub softmax: bool,
}

/// How pixels become features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadPool {
    /// Mean over all pixels.
    Global,
    /// Mean over windows of this size, then flattened.
    Window(usize),
}

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

/// What is settled by who made the network, not by its form.
#[derive(Debug, Clone, PartialEq)]
pub struct Conventions {
    /// Names of layers.
    pub layout: &'static Layout,
    /// Added to variances.
    pub epsilon: f64,
    /// Which convolutions have a bias.
    pub biases: Biases,
    /// Whether the stem is normalised and activated.
    pub stem_norm: bool,
    /// Whether projections are normalised.
    pub shortcut_norm: bool,
    /// What projections of pre-activated blocks start from.
    pub shortcut_reads: Reads,
    /// Whether padding of strided windows is a layer of its own, and so of zeros before a pool too; otherwise it is
    /// what makes the output `ceil(n / stride)`.
    pub pad_layers: bool,
    /// Whether the source model shows its users NHWC.
    pub channels_last: bool,
}

const APPLICATIONS: Conventions = Conventions {
    layout: &KERAS_APPLICATIONS_V1,
    epsilon: 1.001e-5,
    biases: Biases::All,
    stem_norm: true,
    shortcut_norm: true,
    shortcut_reads: Reads::Raw,
    pad_layers: true,
    channels_last: true,
};

const APPLICATIONS_V2: Conventions = Conventions {
    layout: &KERAS_APPLICATIONS_V2,
    biases: Biases::BeforeSums,
    stem_norm: false,
    shortcut_norm: false,
    shortcut_reads: Reads::Preactivated,
    ..APPLICATIONS
};

const APPLICATIONS_OLD: Conventions = Conventions { layout: &KERAS_APPLICATIONS_OLD, epsilon: 1e-3, ..APPLICATIONS };

const CIFAR: Conventions = Conventions {
    layout: &KERAS_AUTO,
    epsilon: 1e-3,
    biases: Biases::All,
    stem_norm: true,
    shortcut_norm: false,
    shortcut_reads: Reads::Raw,
    pad_layers: false,
    channels_last: true,
};

/// The networks that Keras and its examples build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KerasKin {
    /// ResNet50, 101, 152 of Keras Applications.
    V1,
    /// ResNet50V2, 101V2, 152V2 of Keras Applications.
    V2,
    /// ResNet50 of the package `keras_applications`.
    Old,
    /// Version 1 of the CIFAR-10 example, 6n+2 layers.
    CifarV1,
    /// Version 2 of it, 9n+2 layers.
    CifarV2,
}

impl KerasKin {
    /// All of them, the likeliest first.
    pub const ALL: [Self; 5] = [Self::V1, Self::V2, Self::Old, Self::CifarV1, Self::CifarV2];

    /// What it is, for messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::V1 => "Keras Applications ResNet",
            Self::V2 => "Keras Applications ResNet V2",
            Self::Old => "ResNet50 of the old keras_applications package",
            Self::CifarV1 => "CIFAR ResNet v1 of the Keras example",
            Self::CifarV2 => "CIFAR ResNet v2 of the Keras example",
        }
    }

    /// Names and settled details.
    #[must_use]
    pub fn conventions(self) -> Conventions {
        match self {
            Self::V1 => APPLICATIONS,
            Self::V2 => APPLICATIONS_V2,
            Self::Old => APPLICATIONS_OLD,
            Self::CifarV1 | Self::CifarV2 => CIFAR,
        }
    }

    /// The form of its networks with these stages.
    #[must_use]
    pub fn form(self, stem_width: usize, stages: Vec<StageForm>) -> Form {
        let cifar = matches!(self, Self::CifarV1 | Self::CifarV2);
        Form {
            block: if self == Self::CifarV1 { BlockKind::Basic } else { BlockKind::Bottleneck },
            order: if matches!(self, Self::V2 | Self::CifarV2) { Order::Pre } else { Order::Post },
            stem: if cifar { StemForm::Small } else { StemForm::Large },
            stem_width,
            stages,
            stride_on: if self == Self::V2 { 2 } else { 1 },
            stride_in: if self == Self::V2 { StrideIn::Last } else { StrideIn::First },
            groups: 1,
            squeeze_excite: false,
            pooled_shortcut: false,
            blurred: false,
            group_norm: false,
        }
    }

    /// The network of this kin with these stages.
    #[must_use]
    pub fn recipe(self, name: &str, form: Form, input: Input, classes: Option<usize>) -> Recipe {
        let pool = match self {
            Self::V1 | Self::V2 | Self::Old => HeadPool::Global,
            Self::CifarV1 | Self::CifarV2 => HeadPool::Window(8),
        };
        let head = classes.map(|classes| Head { pool, classes, softmax: true });
        Recipe { name: name.to_owned(), form, input, head, conventions: self.conventions(), names: Vec::new() }
    }

    /// The standard network of a name, such as `resnet50v2` or `resnet29v2_cifar`, as Keras builds it.
    #[must_use]
    pub fn named(name: &str, input: Input, classes: Option<usize>) -> Option<Recipe> {
        let form = Form::named(name).into_iter().next()?;
        let keras = [Self::V1, Self::V2, Self::CifarV1, Self::CifarV2];
        let kin = keras.into_iter().find(|kin| kin.form(form.stem_width, form.stages.clone()) == form)?;
        Some(kin.recipe(name, form, input, classes))
    }
}
