//! What stands behind the last map.

use residua_ir::Hint;
use residua_resnet::layouts::Headless;

use super::Known;
use super::writer::{Features, Writer};
use crate::error::Result;

/// The mean of a map through a matrix of this name; without one, the mean, or the map.
pub(super) fn classify(w: &mut Writer, x: Features, layer: &str, known: &Known) -> Result<Features> {
    if w.has(&format!("{layer}.weight")) {
        let x = w.mean(x, "avgpool", false);
        return w.linear(x, layer);
    }
    if known.headless == Some(Headless::Map) {
        return Ok(x);
    }
    says_features(w, known);
    Ok(w.mean(x, "avgpool", false))
}

/// Says what is given where there is no classifier, unless that was asked for.
pub(super) fn says_features(w: &mut Writer, known: &Known) {
    if known.headless.is_none() {
        w.takes("no classifier: the network gives the mean of the last map", &[Hint::Pooling]);
    }
}
