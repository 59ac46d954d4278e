//! Networks of Keras Applications that are no ResNets, known by the names of their layers.
//!
//! The common ones are written out as their functions make them ([`crate::keras::applications`]). Of the others, names say which network it
//! is, and no more: such a file is refused with what it is, and with what to do to get one that is read.

use residua_formats::NamedTensor;

use super::group::Groups;
use crate::error::Error;
use crate::keras::applications::Shapes;

/// A family, and how its layers are named.
struct Family {
    name: &'static str,
    /// Names of which each one begins the name of some layer, and one that ends the name of some.
    starts: &'static [&'static str],
    ends: &'static str,
}

/// The more special ones first.
const FAMILIES: [Family; 15] = [
    Family { name: "MobileNet", starts: &["conv_dw_1", "conv_pw_1"], ends: "" },
    Family { name: "MobileNetV2", starts: &["expanded_conv", "block_1_expand", "Conv_1"], ends: "_project_BN" },
    Family { name: "MobileNetV3", starts: &["expanded_conv_depthwise", "expanded_conv_1_expand", "conv_1"], ends: "" },
    Family { name: "DenseNet", starts: &["conv2_block1_0_bn", "conv2_block1_1_conv", "pool2_"], ends: "" },
    Family { name: "EfficientNet", starts: &["stem_conv", "block1a_"], ends: "_project_conv" },
    Family { name: "EfficientNet", starts: &["stem_conv", "block1a_"], ends: "_se_reduce" },
    Family { name: "VGG", starts: &["block1_conv1", "block1_conv2", "block5_conv"], ends: "" },
    Family { name: "Xception", starts: &["block1_conv1", "block2_sepconv1", "block14_sepconv"], ends: "" },
    Family { name: "ConvNeXt", starts: &["convnext_"], ends: "_layer_scale" },
    Family { name: "NASNet", starts: &["stem_conv1", "adjust_conv_", "separable_conv_"], ends: "" },
    Family { name: "InceptionResNetV2", starts: &["block35_1_conv", "block17_1_conv"], ends: "" },
    Family { name: "InceptionV3", starts: &["mixed0", "mixed1", "mixed10"], ends: "" },
    Family { name: "RegNet", starts: &["regnet"], ends: "_group_conv" },
    Family { name: "RegNet", starts: &["regnet"], ends: "_conv_3x3" },
    Family { name: "ResNetRS", starts: &["stem_1_stem_conv_1", "BlockGroup2_"], ends: "" },
];

/// Shapes of the weights of each layer that has a name.
pub(super) fn shapes(groups: &Groups<'_>) -> Shapes {
    // The image, which may have any name.
    let image = groups.layers.first().is_some_and(|group| group.tensors.is_empty());
    let named =
        groups.layers.iter().skip(usize::from(image)).filter_map(|group| Some((group.name.clone()?, &group.tensors)));
    let shapes = |tensors: &[&NamedTensor]| tensors.iter().map(|named| named.tensor.shape().to_vec()).collect();
    Shapes {
        layers: named.map(|(name, tensors)| (name, shapes(tensors))).collect(),
        // Files by paths of objects, which Keras 3 writes, list some of them only.
        lists_weightless: groups.lists_weightless && groups.layers.iter().all(|group| !group.path.contains('/')),
    }
}

/// The family of a file, where the names of its layers say so.
pub(super) fn of(groups: &Groups<'_>) -> Option<&'static str> {
    let names: Vec<&str> = groups.layers.iter().filter_map(|group| group.name.as_deref()).collect();
    let begins = |start: &&str| names.iter().any(|name| name.starts_with(start));
    let family = FAMILIES
        .iter()
        .find(|family| family.starts.iter().all(begins) && names.iter().any(|name| name.ends_with(family.ends)))?;
    Some(family.name)
}

/// Why a file of a family that is not written out is not read.
pub(super) fn refused(class: &str) -> Error {
    Error::Unsupported {
        what: format!("a file of weights alone, which the names of its layers say are those of {class},").into(),
        help: format!(
            "build the network in Python as it was trained, `model = keras.applications.{class}…(weights=None, …)`, then \
             `model.load_weights(…)` and `model.save(\"model.keras\")`: a whole model holds its graph"
        )
        .into(),
    }
}
