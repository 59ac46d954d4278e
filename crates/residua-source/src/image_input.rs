//! `src/preprocess.rs`: how an image becomes an input, as the file or the architecture has it.

use residua_ir::preparation::{Channels, Crop, Filter, Middle, Resize, Values};

use crate::ident::real;

/// How images are prepared, each part decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageInput {
    /// The rule for the size.
    pub resize: Resize,
    /// What is cut out.
    pub crop: Crop,
    /// How samples in between are found.
    pub filter: Filter,
    /// What becomes of the values.
    pub values: Values,
    /// Channels of the network's input, 1 or 3.
    pub channels: usize,
}

impl ImageInput {
    /// Whether the crate `image` has the filter.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        filter(self.filter).is_some()
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let gray = self.channels == 1;
        let pick = |values: [f64; 3]| {
            let values = match gray {
                true => vec![values.iter().sum::<f64>() / 3.0],
                false => values.to_vec(),
            };
            format!("[{}]", values.into_iter().map(real).collect::<Vec<_>>().join(", "))
        };
        let order = match (gray, self.values.channels) {
            (true, _) => "[0]",
            (false, Channels::Rgb) => "[0, 1, 2]",
            (false, Channels::Bgr) => "[2, 1, 0]",
        };
        let text = include_str!("text/preprocess.rs.in")
            .replace("@FILTER@", filter(self.filter).unwrap_or("Triangle"))
            .replace("@FACTOR@", &real(self.values.factor))
            .replace("@MEAN@", &pick(self.values.mean))
            .replace("@DEVIATION@", &pick(self.values.deviation))
            .replace("@ORDER@", order)
            .replace("@CHANNELS@", &self.channels.to_string())
            .replace("@GRAY@", if gray { ".grayscale()" } else { "" });
        text + &size(self.resize) + &crop(self.crop)
    }
}

/// The filter as the crate `image` calls it.
fn filter(filter: Filter) -> Option<&'static str> {
    match filter {
        Filter::Nearest => Some("Nearest"),
        Filter::Bilinear => Some("Triangle"),
        Filter::Bicubic => Some("CatmullRom"),
        Filter::Lanczos => Some("Lanczos3"),
        Filter::Box | Filter::Hamming => None,
    }
}

fn size(rule: Resize) -> String {
    let ratio = |rows: usize, columns: usize, pick: &str| {
        format!(
            "    let ratio = (f64::from(height) / {rows}.0).{pick}(f64::from(width) / {columns}.0);
    let side = |own: u32| ((f64::from(own) / ratio).round_ties_even() as u32).max(1);
    (side(width), side(height))
"
        )
    };
    let (about, names, body) = match rule {
        Resize::Keep => ("It keeps its size.", "width: u32, height: u32", "    (width, height)\n".to_owned()),
        Resize::Exact { height, width } => {
            ("It is always the same.", "_: u32, _: u32", format!("    ({width}, {height})\n"))
        }
        Resize::Shortest { edge } => (
            "The shorter side becomes so many pixels, the other follows.",
            "width: u32, height: u32",
            format!(
                "    let (short, long) = (width.min(height).max(1), width.max(height));
    let other = (u64::from(long) * {edge} / u64::from(short)).max(1) as u32;
    if width <= height {{
        ({edge}, other)
    }} else {{
        (other, {edge})
    }}
"
            ),
        ),
        Resize::Between { edge, longest } => (
            "The shorter side becomes so many pixels, unless the longer one would be too long.",
            "width: u32, height: u32",
            format!(
                "    let (short, long) = (width.min(height).max(1), width.max(height));
    let ratio = f64::from(long) / f64::from(short);
    let exact = ({edge}.0f64).min({longest}.0 / ratio);
    let edge = (exact.round_ties_even() as u32).max(1);
    let other = ((exact * ratio) as u32).max(1);
    if short == edge {{
        (width, height)
    }} else if height < width {{
        (other, edge)
    }} else {{
        (edge, other)
    }}
"
            ),
        ),
        Resize::Cover { height, width } => (
            "The smallest size of the same ratio that covers the network's.",
            "width: u32, height: u32",
            ratio(height, width, "min"),
        ),
        Resize::Within { height, width } => (
            "The largest size of the same ratio within the network's.",
            "width: u32, height: u32",
            ratio(height, width, "max"),
        ),
    };
    format!(
        "\n/// Width and height that an image is brought to. {about}\nfn size({names}) -> (u32, u32) {{\n{body}}}\n"
    )
}

fn crop(rule: Crop) -> String {
    let Crop::Center { height, width, rounding, fill } = rule else {
        return "\n/// The part that the network is given: all of it.
fn crop(image: &RgbImage) -> RgbImage {
    image.clone()
}
"
        .to_owned();
    };
    let (skip, before) = match rounding {
        Middle::HalfToEven => ("over / 2 + u32::from(over % 4 == 3)", "under / 2"),
        Middle::CutOff => ("over / 2", "under.div_ceil(2)"),
    };
    let [red, green, blue] = fill;
    format!(
        "\n/// The part that the network is given: the middle, in the middle of a border where an image is smaller.
fn crop(image: &RgbImage) -> RgbImage {{
    let place = |own: u32, wanted: u32| {{
        let (over, under) = (own.saturating_sub(wanted), wanted.saturating_sub(own));
        ({skip}, {before})
    }};
    let (skip_x, x) = place(image.width(), {width});
    let (skip_y, y) = place(image.height(), {height});
    let mut part = RgbImage::from_pixel({width}, {height}, image::Rgb([{red}, {green}, {blue}]));
    let (width, height) = (image.width().min({width}), image.height().min({height}));
    let middle = imageops::crop_imm(image, skip_x, skip_y, width, height);
    imageops::replace(&mut part, &*middle, i64::from(x), i64::from(y));
    part
}}
"
    )
}
