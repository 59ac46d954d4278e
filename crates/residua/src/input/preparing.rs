//! How images are prepared in this run: what the user asks for, else what the file states, fitted to the model's size.
//!
//! Nothing is taken in silence: [`notes`] says each part with its source.

use crate::error::{Result, bail, ensure};
use residua_ir::Hint;
use residua_ir::preparation::{Channels, Crop, Filter, Middle, Preprocessing, Resize};
use residua_resnet::preprocessing::{Known, Told};

use super::geometry::Size;
use crate::options::{Aspect, ImageCrop, ImageOptions};
use crate::preparation::{geometry_by, geometry_text};

/// Height and width that a model's input is fixed to.
pub(super) type Fixed = (Option<usize>, Option<usize>);

/// Where a size is from that nothing states.
const MODELS_OWN: &str = "the model's input";

/// What is known of a file, with the user's options in its place and the sizes that the model takes.
///
/// # Errors
/// Where options contradict each other, or need a size that is not known.
pub(super) fn settle(mut known: Known, args: &ImageOptions, fixed: Fixed) -> Result<(Known, Vec<String>)> {
    let mut notes = Vec::new();
    if let Some(mode) = args.preprocess {
        known.values = Some(Told::new(mode.values(), Hint::Preprocess.to_string()));
        (known.assumed, known.reason) = (false, format!("from {}", Hint::Preprocess));
        drop_conflicts(&mut known, "values");
    }
    if let Some(filter) = args.filter {
        known.filter = Some(Told::new(filter, Hint::Interpolation.to_string()));
        drop_conflicts(&mut known, "filter");
    }
    if let Some(antialias) = args.antialias {
        known.antialias = Some(Told::new(antialias, Hint::Antialias.to_string()));
    }
    if let Some(channels) = args.channels {
        reorder(&mut known, channels);
    }
    if let Some(rule) = args.resize {
        known.resize = Some(Told::new(rule, Hint::Resize.to_string()));
        drop_conflicts(&mut known, "size");
    }
    match args.crop {
        Some(ImageCrop::Rule(crop)) => {
            known.crop = Some(Told::new(crop, Hint::Crop.to_string()));
            drop_conflicts(&mut known, "crop");
        }
        Some(ImageCrop::Share(share)) => cut_share(&mut known, share, args, fixed)?,
        None => {}
    }
    if known.resize.is_none() && known.crop.is_none() {
        notes.extend(to_the_models_own(&mut known, fixed));
    } else if let Some(note) = fit(&mut known, fixed)? {
        notes.push(note);
    }
    if let Some(aspect) = args.aspect {
        set_aspect(&mut known, aspect)?;
    }
    notes.extend(known.conflicts.iter().map(|conflict| conflict.text.clone()));
    Ok((known, notes))
}

fn drop_conflicts(known: &mut Known, part: &str) {
    known.conflicts.retain(|conflict| conflict.part != part);
}

/// The other order of channels; each colour keeps its mean and deviation.
fn reorder(known: &mut Known, channels: Channels) {
    let mut values = values(known);
    if values.channels != channels {
        values.channels = channels;
        values.mean.reverse();
        values.deviation.reverse();
    }
    let by = match &known.values {
        Some(told) if told.by != Hint::Preprocess.to_string() => format!("{} and {}", told.by, Hint::Channels),
        Some(_) => format!("{} and {}", Hint::Preprocess, Hint::Channels),
        None => Hint::Channels.to_string(),
    };
    known.reason = format!("{}, in the order of {}", known.reason, Hint::Channels);
    known.values = Some(Told::new(values, by));
}

/// Other sides for the rule that there is: as long as they were to each other, whatever they were, or with fill beside them.
fn set_aspect(known: &mut Known, aspect: Aspect) -> Result<()> {
    let told = known.resize.as_ref().map(|told| (told.value, told.by.as_str()));
    let (height, width, by) = match told {
        Some((
            Resize::Exact { height, width } | Resize::Cover { height, width } | Resize::Within { height, width },
            by,
        )) => (height, width, by),
        Some((Resize::Shortest { edge }, by)) => (edge, edge, by),
        Some((Resize::Keep | Resize::Between { .. }, _)) | None => {
            bail!("{} is about images that are brought to a size: {} says which", Hint::Aspect, Hint::Resize)
        }
    };
    let rule = match aspect {
        Aspect::Keep if height == width => Resize::Shortest { edge: height },
        Aspect::Keep => Resize::Cover { height, width },
        Aspect::Squash => Resize::Exact { height, width },
        Aspect::Pad => Resize::Within { height, width },
    };
    known.resize = Some(Told::new(rule, format!("{by} and {}", Hint::Aspect)));
    let cuts = known.crop.as_ref().is_some_and(|told| told.value != Crop::All);
    if !cuts && aspect != Aspect::Squash {
        let crop = Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] };
        known.crop = Some(Told::new(crop, Hint::Aspect.to_string()));
    }
    Ok(())
}

/// `--crop 0.875`: the shorter side becomes the model's over the share, and the middle is cut out.
fn cut_share(known: &mut Known, share: f64, args: &ImageOptions, fixed: Fixed) -> Result<()> {
    let size = match fixed {
        (Some(height), Some(width)) => Some((height, width)),
        (_, _) => result(known),
    };
    let Some((height, width)) = size else {
        let crop = Hint::Crop;
        bail!(
            "{crop} {share} is a share of the model's input, whose size is free: fix it with {}, or give pixels, such as \
             {} 256 {crop} 224",
            Hint::InputShapes,
            Hint::Resize
        );
    };
    if args.resize.is_none() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "sizes of images over a share above 0.1"
        )]
        let before = |side: usize| (side as f64 / share).floor() as usize;
        let (rows, columns) = (before(height), before(width));
        let rule = match rows == columns {
            true => Resize::Shortest { edge: rows },
            false => Resize::Cover { height: rows, width: columns },
        };
        known.resize = Some(Told::new(rule, Hint::Crop.to_string()));
        drop_conflicts(known, "size");
    }
    let crop = Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] };
    known.crop = Some(Told::new(crop, Hint::Crop.to_string()));
    drop_conflicts(known, "crop");
    Ok(())
}

/// Height and width of what a preparation gives, where they do not depend on the image.
fn result(known: &Known) -> Option<Size> {
    match (known.crop.as_ref().map(|crop| crop.value), known.resize.as_ref().map(|resize| resize.value)) {
        (Some(Crop::Center { height, width, .. }), _) => Some((height, width)),
        (Some(Crop::All) | None, Some(Resize::Exact { height, width })) => Some((height, width)),
        (Some(Crop::All) | None, _) => None,
    }
}

/// Where nothing is said of sizes, images are squeezed into the model's.
fn to_the_models_own(known: &mut Known, fixed: Fixed) -> Option<String> {
    let (Some(height), Some(width)) = fixed else {
        return match fixed {
            (None, None) => Some(format!(
                "nothing says the size of images, and the model takes any: they keep their own; {} and {} say otherwise",
                Hint::Resize,
                Hint::Crop
            )),
            (_, _) => None,
        };
    };
    known.resize = Some(Told::new(Resize::Exact { height, width }, MODELS_OWN));
    known.crop = Some(Told::new(Crop::All, MODELS_OWN));
    None
}

/// Brings what a file states to the size that the model is fixed to, if it is another; what was done then.
fn fit(known: &mut Known, fixed: Fixed) -> Result<Option<String>> {
    let Some((height, width)) = result(known) else { return Ok(None) };
    let (rows, columns) = (fixed.0.unwrap_or(height), fixed.1.unwrap_or(width));
    if (rows, columns) == (height, width) {
        return Ok(None);
    }
    let by: Vec<&str> = [known.resize.as_ref().map(|told| &told.by), known.crop.as_ref().map(|told| &told.by)]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let options = [Hint::Resize, Hint::Crop].map(|hint| hint.to_string());
    if let Some(option) = by.iter().find(|by| options.iter().any(|option| option == *by)) {
        bail!("{option} gives images of {height}x{width}, the model takes {rows}x{columns}");
    }
    let stated = by.first().copied().unwrap_or_default().to_owned();
    let least = rows.min(columns);
    // The same share is cut off as of the size that is stated.
    let scaled = |side: usize, own: usize, now: usize| (side * now / own).max(1);
    if let Some(told) = &mut known.resize {
        told.value = match told.value {
            Resize::Keep => Resize::Keep,
            Resize::Shortest { edge } | Resize::Between { edge, .. } if rows == columns => {
                Resize::Shortest { edge: scaled(edge, height.min(width), least) }
            }
            Resize::Shortest { edge } | Resize::Between { edge, .. } => {
                let own = height.min(width);
                Resize::Cover { height: scaled(edge, own, rows), width: scaled(edge, own, columns) }
            }
            Resize::Exact { height: h, width: w } => {
                Resize::Exact { height: scaled(h, height, rows), width: scaled(w, width, columns) }
            }
            Resize::Cover { height: h, width: w } => {
                Resize::Cover { height: scaled(h, height, rows), width: scaled(w, width, columns) }
            }
            Resize::Within { height: h, width: w } => {
                Resize::Within { height: scaled(h, height, rows), width: scaled(w, width, columns) }
            }
        };
    }
    if let Some(told) = &mut known.crop
        && let Crop::Center { rounding, fill, .. } = told.value
    {
        told.value = Crop::Center { height: rows, width: columns, rounding, fill };
    }
    Ok(Some(format!(
        "{stated} prepares images of {height}x{width}, the model takes {rows}x{columns}: brought to that, with the same \
         share cut off; {} and {} say otherwise",
        Hint::Resize,
        Hint::Crop
    )))
}

/// Holds the size of a prepared image against the model's.
///
/// # Errors
/// Where it is another.
pub(super) fn hold((height, width): Size, known: &Known, fixed: Fixed) -> Result<()> {
    let (rows, columns) = (fixed.0.unwrap_or(height), fixed.1.unwrap_or(width));
    let kept =
        known.resize.as_ref().is_some_and(|told| told.value == Resize::Keep && told.by == Hint::Resize.to_string());
    ensure!(
        (rows, columns) == (height, width) || !kept,
        "it is {width}x{height}, the model takes {columns}x{rows}, and {} none was given",
        Hint::Resize
    );
    ensure!(
        (rows, columns) == (height, width),
        "prepared it is {height}x{width}, the model takes {rows}x{columns}; {} and {} say how images are brought to its \
         size",
        Hint::Resize,
        Hint::Crop
    );
    Ok(())
}

/// The filter that is taken, stated or not.
pub(super) fn filter(known: &Known) -> Filter {
    known.filter.as_ref().map_or(Filter::Bilinear, |told| told.value)
}

/// Whether it is stretched where an image gets smaller.
pub(super) fn antialias(known: &Known) -> bool {
    known.antialias.as_ref().is_none_or(|told| told.value)
}

/// The values that are taken: as they are where nothing tells.
pub(super) fn values(known: &Known) -> residua_ir::preparation::Values {
    known.values.as_ref().map_or_else(|| Preprocessing::Raw.values(), |told| told.value)
}

/// Sentences for the user: what is done to images, and from where.
pub(super) fn notes(known: &Known) -> Vec<String> {
    let values = values(known);
    let name = values.mode().map_or("custom", Preprocessing::name);
    let what = format!("`{name}` ({})", values.describe());
    let hint = Hint::Preprocess;
    let mut notes = vec![match (&known.values, known.assumed) {
        (Some(_), true) => format!(
            "nothing in the file says how images are prepared; taken: {what}, {}; {hint} says otherwise",
            known.reason
        ),
        (Some(_), false) => format!("images are prepared as {what}: {}", known.reason),
        (None, _) => format!("images are prepared as {what}: {}; {hint} says otherwise", known.reason),
    }];
    let by = geometry_by(known);
    if let Some(text) = geometry_text(known).filter(|_| by != [MODELS_OWN]) {
        notes.push(format!("size of images: {text}: from {}", by.join(" and ")));
    }
    notes
}

/// A sentence about an image whose size nothing says a rule for, where it has another size than the model.
pub(super) fn squeezed(known: &Known, image: Size) -> Option<String> {
    let told = known.resize.as_ref().filter(|told| told.by == MODELS_OWN)?;
    let Resize::Exact { height, width } = told.value else { return None };
    ((height, width) != image).then(|| {
        format!(
            "images are brought to the model's {height}x{width} by {}, whatever the ratio of their sides; {} and {} say \
             otherwise",
            filter(known).name(),
            Hint::Resize,
            Hint::Crop
        )
    })
}
