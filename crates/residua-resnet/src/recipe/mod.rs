//! Descriptions of networks that are complete enough to build them.
//!
//! A [`Recipe`] is a [`Form`] with what a form leaves open (image, head) and what the conventions of its maker settle
//! (names, epsilons, biases, padding). [`Recipe::layers`] lists the layers with their tensors and shapes, in the order
//! in which Keras lists them; [`Recipe::build`] makes the graph of them, given the tensors. One builder serves all
//! recipes: what differs is data.

mod build;
mod head;
mod layers;
mod named;
mod own;
mod plan;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod torch_tests;

use std::collections::BTreeMap;

use residua_ir::Shape;

use crate::anatomy::{ActivationOrder, BlockKind};
use crate::form::{Form, StageForm, StemForm, StrideIn};
use crate::layouts::{APPLICATIONS, APPLICATIONS_OLD, APPLICATIONS_V2, CIFAR};
use crate::slot::Position;

pub use crate::conventions::{Biases, Conventions, Framework, Norms, PoolEdge, Projections};
pub use build::{Bound, Wanted};
pub use head::{Classifier, Head, HeadLayer, HeadPool};
pub use layers::{ConvPadding, Layer, LayerKind};
pub use named::EXAMPLES;
pub use own::{Dilations, Own, Pace, Pool};

/// A network, described.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Name of the model.
    pub name: String,
    /// Stem, stages, blocks.
    pub form: Form,
    /// Sizes that the form leaves open.
    pub sizes: Sizes,
    /// The image.
    pub input: Input,
    /// What follows the last block; [`None`] ends the network there.
    pub head: Option<Head>,
    /// What its maker settled.
    pub conventions: Conventions,
    /// Names that layers have instead of those of the layout.
    pub names: Vec<(Position, String)>,
    /// How its stages walk over pixels.
    pub pace: Pace,
    /// What single layers have otherwise than form and conventions say.
    pub own: BTreeMap<Position, Own>,
}

impl Recipe {
    /// The standard name of its form; [`None`] where single layers or stages differ from that.
    #[must_use]
    pub fn standard_name(&self) -> Option<String> {
        let plain = self.pace.strides.is_empty() && self.pace.dilations.is_empty();
        self.form.standard_name().filter(|_| plain && self.own.values().all(Own::keeps_form))
    }

    /// The same network, described without what form and conventions say of all its layers anyway.
    #[must_use]
    pub fn simplified(self) -> Self {
        let epsilon = |own: &Own| Some(Own { epsilon: Some(own.epsilon?), ..Own::default() });
        let own = self.own.iter().filter_map(|(position, own)| Some((*position, epsilon(own)?))).collect();
        let plain = Self { own, pace: Pace::default(), ..self.clone() };
        if plain.layers() == self.layers() { plain } else { self }
    }
}

/// Sizes that a form leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Channels behind the first and second convolution of a deep stem.
    pub deep_stem: [usize; 2],
    /// Channels within the gates of each stage; empty without gates.
    pub gates: Vec<usize>,
}

/// The image that a network takes.
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

/// The networks that Keras and its examples build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KerasModelClass {
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

impl KerasModelClass {
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
            order: if matches!(self, Self::V2 | Self::CifarV2) { ActivationOrder::Pre } else { ActivationOrder::Post },
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

    /// The network of this model class with these stages.
    #[must_use]
    pub fn recipe(self, name: &str, form: Form, input: Input, classes: Option<usize>) -> Recipe {
        let pool = match self {
            Self::V1 | Self::V2 | Self::Old => HeadPool::Global,
            Self::CifarV1 | Self::CifarV2 => HeadPool::Window(8),
        };
        let head = classes.map(|classes| Head::new(pool, Some(Classifier::dense(classes, true))));
        let (conventions, sizes) = (self.conventions(), Sizes::default());
        Recipe {
            name: name.to_owned(),
            form,
            sizes,
            input,
            head,
            conventions,
            names: Vec::new(),
            pace: Pace::default(),
            own: BTreeMap::new(),
        }
    }

    /// The standard network of a name, such as `resnet50v2` or `resnet29v2_cifar`, as Keras builds it.
    #[must_use]
    pub fn named(name: &str, input: Input, classes: Option<usize>) -> Option<Recipe> {
        let form = Form::named(name).into_iter().next()?;
        let keras = [Self::V1, Self::V2, Self::CifarV1, Self::CifarV2];
        let model_class =
            keras.into_iter().find(|model_class| model_class.form(form.stem_width, form.stages.clone()) == form)?;
        Some(model_class.recipe(name, form, input, classes))
    }
}
