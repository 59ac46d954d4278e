//! Networks of Keras Applications that are known by the names of their layers and not read from weights alone.
//!
//! Names say which network it is, and not how its layers are connected, what they pad by, or which epsilons they have. So such a file is
//! refused with what it is, and with what to do to get one that is read.

use super::group::Groups;
use crate::error::Error;

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

/// What a file is, where the names of its layers say so.
pub(super) fn named(groups: &Groups<'_>) -> Option<Error> {
    let names: Vec<&str> = groups.layers.iter().filter_map(|group| group.name.as_deref()).collect();
    let begins = |start: &&str| names.iter().any(|name| name.starts_with(start));
    let family = FAMILIES
        .iter()
        .find(|family| family.starts.iter().all(begins) && names.iter().any(|name| name.ends_with(family.ends)))?;
    let class = family.name;
    Some(Error::Unsupported {
        what: format!("a file of weights alone, which the names of its layers say are those of {class},").into(),
        help: format!(
            "build the network in Python as it was trained, `model = keras.applications.{class}…(weights=None, …)`, then \
             `model.load_weights(…)` and `model.save(\"model.keras\")`: a whole model holds its graph"
        )
        .into(),
    })
}
