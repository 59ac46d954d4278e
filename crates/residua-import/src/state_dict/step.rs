//! A layer of a head that stands behind a network, with its tensors.

use residua_formats::NamedTensor;
use residua_resnet::Field;
use residua_resnet::recipe::HeadLayer;

/// See the [module](self).
pub(super) struct Step<'a> {
    /// Its module.
    pub(super) path: String,
    pub(super) layer: HeadLayer,
    pub(super) tensors: Vec<(Field, &'a NamedTensor)>,
    /// What it is, in words.
    pub(super) text: String,
}
