//! Networks of Keras Applications that are no ResNets, from the names and shapes of their weights: each is written out as the functional
//! model that its function makes, with the layers and names that it gives them.
//!
//! Widths, depths and whether there is a top follow from the weights; strides, paddings, activations and epsilons are the function's. Every
//! tensor of the file must be bound, or reading fails.
//!
//! Source: Keras 3.15, `applications/vgg16.py`, `vgg19.py`, `mobilenet.py`, `mobilenet_v2.py`, `densenet.py`, `xception.py`,
//! `efficientnet.py`; the names are those of tf-keras too.

mod densenet;
mod efficientnet;
mod mobilenet;
mod net;
mod vgg;
mod xception;

use residua_ir::Hint;
use residua_resnet::layouts::Headless;
use residua_resnet::recognise::{Given, GivenStem};
use serde_json::Value;

use crate::error::{Error, Result};
use net::Net;
pub(crate) use net::Shapes;

/// A network that was written out.
pub(crate) struct Written {
    /// Its configuration.
    pub(crate) config: Value,
    /// What was told and taken.
    pub(crate) notes: Vec<String>,
}

/// What stands behind the last map of a network without its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    None,
    Mean,
    Max,
}

/// The network of a family; [`None`] for a family that is not written out here.
pub(crate) fn written(family: &str, shapes: &Shapes, given: &Given) -> Option<Result<Written>> {
    let write: fn(&mut Net) -> Result<String> = match family {
        "VGG" => vgg::write,
        "MobileNet" => mobilenet::write,
        "MobileNetV2" => mobilenet::write_v2,
        "DenseNet" => densenet::write,
        "Xception" => xception::write,
        // Version 2 begins with other blocks.
        "EfficientNet" if shapes.has("block1a_dwconv") => efficientnet::write,
        _ => return None,
    };
    Some(refuse_settings(family, given).and_then(|()| {
        let mut net = Net::new(shapes, pooling(shapes, given));
        let output = write(&mut net)?;
        if let Some(unlike) = net.unlike() {
            let problem =
                format!("names of its layers are those of {family} of Keras Applications, but the file {unlike}");
            return Err(Error::Weights { problem: problem.into(), tried: Vec::new() });
        }
        let (model, mut notes) = net.finish(family, &output);
        let config = serde_json::json!({ "class_name": "Functional", "module": "keras", "config": model });
        notes.insert(0, format!("network found from names of layers: {family} of Keras Applications"));
        Ok(Written { config, notes })
    }))
}

/// What is asked for, or what a file that lists layers without weights says.
fn pooling(shapes: &Shapes, given: &Given) -> Pooling {
    match given.headless {
        Some(Headless::Features) => Pooling::Mean,
        Some(Headless::Map) => Pooling::None,
        None if ["global_average_pooling2d", "avg_pool"].iter().any(|name| shapes.lists(name)) => Pooling::Mean,
        None if ["global_max_pooling2d", "max_pool"].iter().any(|name| shapes.lists(name)) => Pooling::Max,
        None => Pooling::None,
    }
}

/// Settings that a function of Keras Applications does not have are refused, not ignored.
fn refuse_settings(family: &str, given: &Given) -> Result<()> {
    let refused = [
        (Hint::Strides, given.strides.is_some()),
        (Hint::Activation, given.activation.is_some()),
        (Hint::Dilations, given.dilations.is_some()),
        (Hint::OutputStride, given.output_stride.is_some()),
        (Hint::Stem, given.stem != GivenStem::default()),
        (Hint::StrideOn, given.stride_on.is_some()),
        (Hint::Epsilon, given.epsilon.is_some()),
        (Hint::NormGroups, given.norm_groups.is_some()),
    ];
    match refused.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Error::Config {
            at: option.to_string().into(),
            expected: "it for residual networks only".into(),
            found: format!("{family} of Keras Applications, whose function has one way of it").into(),
        }),
        None => Ok(()),
    }
}
