//! How images are prepared, in words.

use residua_ir::preparation::{Crop, Filter, Resize};
use residua_resnet::preprocessing::Known;

/// What becomes of the size, for people; [`None`] where nothing is said of it.
#[must_use]
pub fn geometry_text(known: &Known) -> Option<String> {
    let resize = known.resize.as_ref().map(|told| match told.value {
        Resize::Keep => "size as it is".to_owned(),
        Resize::Shortest { edge } => format!("shorter side to {edge}"),
        Resize::Between { edge, longest } => format!("shorter side to {edge}, the longer to at most {longest}"),
        Resize::Exact { height, width } => format!("to {height}x{width}"),
        Resize::Cover { height, width } => format!("to cover {height}x{width}"),
        Resize::Within { height, width } => format!("to fit into {height}x{width}"),
    });
    let resizes = known.resize.as_ref().is_some_and(|told| told.value != Resize::Keep);
    let filter = known.filter.as_ref().filter(|_| resizes || known.resize.is_none());
    let crop = known.crop.as_ref().and_then(|told| match told.value {
        Crop::Center { height, width, .. } => Some(format!("then the middle {height}x{width}")),
        Crop::All => None,
    });
    let plain = known.antialias.as_ref().is_some_and(|told| !told.value);
    let by = match (filter.map(|told| told.value.name()), plain) {
        (Some(name), false) => Some(format!("by {name}")),
        (name, true) if resizes => Some(format!("by {} without antialiasing", name.unwrap_or(Filter::Bilinear.name()))),
        (_, _) => None,
    };
    let first = [resize, by].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let parts: Vec<String> = [Some(first).filter(|first| !first.is_empty()), crop].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The places that size, crop and filter are from, each once.
#[must_use]
pub fn geometry_by(known: &Known) -> Vec<&str> {
    let by = [
        known.resize.as_ref().map(|told| told.by.as_str()),
        known.crop.as_ref().map(|told| told.by.as_str()),
        known.filter.as_ref().map(|told| told.by.as_str()),
        known.antialias.as_ref().map(|told| told.by.as_str()),
    ];
    let mut places = Vec::new();
    for place in by.into_iter().flatten() {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}
