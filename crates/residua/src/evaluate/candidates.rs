//! The protocols that are worth trying: what libraries do by themselves, and what people get wrong.
//!
//! What the caller settles is the same in all of them.

use residua_ir::preparation::{Channels, Crop, Filter, Middle, Preprocessing, Resize};

use crate::options::{ImageCrop, ImageOptions};

/// Filters, with whether they are stretched: Pillow's as torchvision and timm use them, the nearest sample as Keras's
/// `load_img` takes it, and bilinear as TensorFlow's `tf.image.resize` does it.
const FILTERS: [(Filter, bool); 4] =
    [(Filter::Bilinear, true), (Filter::Bicubic, true), (Filter::Nearest, true), (Filter::Bilinear, false)];
/// Shares of the shorter side that are cut out: 224 of 256, torchvision's 224 of 232, all of it.
const SHARES: [(usize, usize); 3] = [(256, 224), (232, 224), (1, 1)];

/// What an input is, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputKind {
    /// Rows and columns that the model takes, or was published for.
    pub(super) size: Option<(usize, usize)>,
    /// Whether it takes images in colour.
    pub(super) colour: bool,
}

/// All of them, what is stated first.
pub(super) fn candidates(base: &ImageOptions, input: InputKind) -> Vec<ImageOptions> {
    let mut all = vec![*base];
    for values in values(base, input.colour) {
        for sized in geometries(&values, input.size) {
            all.extend(filters(&sized));
        }
    }
    all
}

fn values(base: &ImageOptions, colour: bool) -> Vec<ImageOptions> {
    let modes = match base.preprocess {
        Some(mode) => vec![Some(mode)],
        None => Preprocessing::ALL.into_iter().map(Some).collect(),
    };
    let orders = match (base.channels, colour) {
        (Some(order), _) => vec![Some(order)],
        (None, true) => vec![Some(Channels::Rgb), Some(Channels::Bgr)],
        (None, false) => vec![None],
    };
    let with = |preprocess: Option<Preprocessing>| {
        orders.iter().map(move |&channels| ImageOptions { preprocess, channels, ..*base })
    };
    modes.into_iter().flat_map(with).collect()
}

fn geometries(base: &ImageOptions, size: Option<(usize, usize)>) -> Vec<ImageOptions> {
    let settled = base.resize.is_some() || base.crop.is_some() || base.aspect.is_some();
    let Some((height, width)) = size.filter(|_| !settled) else { return vec![*base] };
    let whole = ImageCrop::Rule(Crop::All);
    let squashed = ImageOptions { resize: Some(Resize::Exact { height, width }), crop: Some(whole), ..*base };
    let middle = Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] };
    let cut = |(of, share): (usize, usize)| {
        let side = |side: usize| side.saturating_mul(of) / share;
        let resize = match height == width {
            true => Resize::Shortest { edge: side(height) },
            false => Resize::Cover { height: side(height), width: side(width) },
        };
        ImageOptions { resize: Some(resize), crop: Some(ImageCrop::Rule(middle)), ..*base }
    };
    std::iter::once(squashed).chain(SHARES.map(cut)).collect()
}

fn filters(base: &ImageOptions) -> Vec<ImageOptions> {
    if base.resize == Some(Resize::Keep) {
        return vec![*base];
    }
    let fits = |&(filter, antialias): &(Filter, bool)| {
        base.filter.is_none_or(|own| own == filter) && base.antialias.is_none_or(|own| own == antialias)
    };
    let found: Vec<ImageOptions> = FILTERS
        .iter()
        .filter(|pair| fits(pair))
        .map(|&(filter, antialias)| ImageOptions { filter: Some(filter), antialias: Some(antialias), ..*base })
        .collect();
    // A filter that is not among those is the caller's own.
    if found.is_empty() { vec![*base] } else { found }
}

/// These options as a command line has them.
pub(super) fn text(options: &ImageOptions) -> String {
    let mut words = Vec::new();
    if let Some(mode) = options.preprocess {
        words.push(format!("--preprocess {}", mode.name()));
    }
    if let Some(channels) = options.channels {
        words.push(format!("--channels {}", if channels == Channels::Bgr { "bgr" } else { "rgb" }));
    }
    match options.resize {
        Some(Resize::Shortest { edge } | Resize::Between { edge, .. }) => words.push(format!("--resize {edge}")),
        Some(Resize::Exact { height, width } | Resize::Within { height, width }) => {
            words.push(format!("--resize {height}x{width}"));
        }
        Some(Resize::Cover { height, width }) => words.push(format!("--resize {height}x{width} --aspect keep")),
        Some(Resize::Keep) => words.push("--resize none".to_owned()),
        None => {}
    }
    match options.crop {
        Some(ImageCrop::Rule(Crop::Center { height, width, .. })) if height == width => {
            words.push(format!("--crop {height}"));
        }
        Some(ImageCrop::Rule(Crop::Center { height, width, .. })) => words.push(format!("--crop {height}x{width}")),
        Some(ImageCrop::Rule(Crop::All)) => words.push("--crop none".to_owned()),
        Some(ImageCrop::Share(share)) => words.push(format!("--crop {share}")),
        None => {}
    }
    if let Some(filter) = options.filter {
        words.push(format!("--interpolation {}", filter.name()));
    }
    if options.antialias == Some(false) {
        words.push("--antialias off".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const COLOUR: InputKind = InputKind { size: Some((224, 224)), colour: true };

    #[test]
    fn every_sensible_combination_is_there_once() {
        let all = candidates(&ImageOptions::default(), COLOUR);
        // What is stated, and 5 modes, 2 orders, 4 geometries and 4 filters.
        assert_eq!(all.len(), 1 + 5 * 2 * 4 * 4);
        let texts: BTreeSet<String> = all.iter().map(text).collect();
        assert_eq!(texts.len(), all.len());
        for known in [
            "--preprocess torch --channels rgb --resize 256 --crop 224 --interpolation bilinear",
            "--preprocess torch --channels rgb --resize 232 --crop 224 --interpolation bicubic",
            "--preprocess caffe --channels bgr --resize 224x224 --crop none --interpolation nearest",
            "--preprocess tf --channels rgb --resize 224x224 --crop none --interpolation bilinear --antialias off",
        ] {
            assert!(texts.contains(known), "{known}");
        }
    }

    #[test]
    fn what_is_settled_stays() {
        let base = ImageOptions {
            preprocess: Some(Preprocessing::Torch),
            filter: Some(Filter::Lanczos),
            resize: Some(Resize::Shortest { edge: 300 }),
            ..ImageOptions::default()
        };
        let all = candidates(&base, COLOUR);
        assert!(all.iter().all(|options| (options.preprocess, options.filter, options.resize)
            == (base.preprocess, base.filter, base.resize)));
        assert_eq!(all.len(), 1 + 2);
        let gray = candidates(&ImageOptions::default(), InputKind { size: None, colour: false });
        assert_eq!(gray.len(), 1 + 5 * 4);
    }
}
