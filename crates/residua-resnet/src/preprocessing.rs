//! How images become a network's input: what its file states, else what its architecture was trained with.
//!
//! Each part of a preparation (size, crop, filter, values) has a source of its own. What a file leaves open is not
//! filled in here, but for the values of pixels, which are those of the architecture's own training, and said to be.

use residua_ir::preparation::{Crop, Filter, Resize, Stated, Values};
use residua_ir::{Checked, Framework, NodeId, Op};
use serde::Serialize;

pub use residua_ir::preparation::Preprocessing;

use crate::anatomy::{ActivationOrder, Anatomy};
use crate::form::Family;

/// A part of a preparation, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told<T> {
    /// What it is.
    pub value: T,
    /// The place that states it, for people: `preprocessor_config.json`, `--crop`.
    pub by: String,
}

impl<T> Told<T> {
    /// A part that this place states.
    pub fn new(value: T, by: impl Into<String>) -> Self {
        Self { value, by: by.into() }
    }
}

/// How images are prepared, and how each part of it is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Known {
    /// The rule for the size, where it is stated.
    pub resize: Option<Told<Resize>>,
    /// What is cut out, where it is stated.
    pub crop: Option<Told<Crop>>,
    /// The filter of resizing, where it is stated.
    pub filter: Option<Told<Filter>>,
    /// Whether that is stretched where an image gets smaller, where somebody says it; it is where nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub antialias: Option<Told<bool>>,
    /// What becomes of the values of pixels; [`None`] where nothing tells.
    pub values: Option<Told<Values>>,
    /// Whether the values are those of the architecture's training, since nothing states them.
    pub assumed: bool,
    /// What several places say differently, and which of them counts.
    pub conflicts: Vec<Conflict>,
    /// How the values are known, or why they are not; for people.
    #[serde(skip)]
    pub reason: String,
}

/// Two places that do not say the same of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The part: `size`, `crop`, `filter` or `values`.
    pub part: &'static str,
    /// Who says what, and what is taken; for people.
    pub text: String,
}

impl Known {
    /// The mode that the values are, if they are one.
    #[must_use]
    pub fn mode(&self) -> Option<Preprocessing> {
        self.values.as_ref().and_then(|values| values.value.mode())
    }

    /// Its name: that of a mode, `custom` for other values; [`None`] where they are not known.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        let values = self.values.as_ref()?;
        Some(values.value.mode().map_or("custom", Preprocessing::name))
    }
}

/// How images are prepared for a network: what the file says, else what its architecture was trained with.
#[must_use]
pub fn preprocessing_for(model: &Checked, anatomy: &Anatomy) -> Known {
    let stated = &model.graph().source().preprocessing;
    let mut known = merge(stated);
    let scales = scales_itself(model, anatomy);
    match (&known.values, scales) {
        (Some(values), _) if known.assumed => known.reason.clone_from(&values.by),
        (Some(values), false) => known.reason = format!("from {}", values.by),
        (Some(values), true) => {
            known.reason = format!("from {}", values.by);
            if values.value.mode() != Some(Preprocessing::Raw) {
                let text = format!(
                    "the network scales its input itself, and {} says that images are scaled before: taken is what it \
                     says",
                    values.by
                );
                known.conflicts.push(Conflict { part: "values", text });
            }
        }
        (None, _) => {
            let (mode, reason) = of_architecture(model, anatomy, scales);
            known.assumed = mode.is_some() && !scales;
            known.values = mode.map(|mode| Told::new(mode.values(), &reason));
            known.reason = reason;
        }
    }
    known
}

/// For each part the first place that states it, and what later ones say differently.
fn merge(stated: &[Stated]) -> Known {
    let mut conflicts = Vec::new();
    let resize = first(stated, "size", |s| s.preparation.resize, |a, b| a == b, &mut conflicts);
    let crop = first(stated, "crop", |s| s.preparation.crop, |a, b| a == b, &mut conflicts);
    let filter = first(stated, "filter", |s| s.preparation.filter, |a, b| a == b, &mut conflicts);
    // An assumption that was written down contradicts nobody, and gives way to whoever states something.
    let mut values = |assumed| {
        let of = |s: &Stated| s.preparation.values.filter(|_| s.assumed == assumed);
        first(stated, "values", of, |a, b| a.same(*b), &mut conflicts)
    };
    let said = values(false);
    let assumed = said.is_none();
    let values = said.or_else(|| values(true));
    let assumed = assumed && values.is_some();
    Known { resize, crop, filter, antialias: None, values, assumed, conflicts, reason: String::new() }
}

fn first<T: Copy>(
    stated: &[Stated],
    part: &'static str,
    of: impl Fn(&Stated) -> Option<T>,
    same: impl Fn(&T, &T) -> bool,
    conflicts: &mut Vec<Conflict>,
) -> Option<Told<T>> {
    let mut all = stated.iter().filter_map(|place| Some((of(place)?, &place.by)));
    let (value, by) = all.next()?;
    let differing = all.filter(|(other, _)| !same(&value, other));
    conflicts.extend(differing.map(|(_, other)| {
        let text =
            format!("{by} and {other} say differently how images are prepared ({part}): taken is what {by} says");
        Conflict { part, text }
    }));
    Some(Told::new(value, by))
}

/// Whether the network begins with arithmetic on its input that takes the place of a preparation.
fn scales_itself(model: &Checked, anatomy: &Anatomy) -> bool {
    // A batch norm on the input, as MXNet's nets begin with, comes behind a preparation of its own.
    let keras = model.graph().source().framework == Framework::Keras;
    let scales = |&node: &NodeId| keras || !matches!(model.graph().node(node).op, Op::BatchNorm(_));
    anatomy.stem.scaling.iter().any(scales)
}

/// The mode that networks of this architecture were trained with, and whose training that is.
fn of_architecture(model: &Checked, anatomy: &Anatomy, scales: bool) -> (Option<Preprocessing>, String) {
    let known = |mode: Preprocessing, reason: &str| (Some(mode), reason.to_owned());
    let unknown = |reason: &str| (None, reason.to_owned());
    if scales {
        return known(Preprocessing::Raw, "the network scales its input itself");
    }
    let Some(architecture) = &anatomy.architecture else {
        return unknown("the network is none whose training is known");
    };
    // A thin network of the form is trained as the form is.
    let base = architecture.name.strip_suffix("-custom").unwrap_or(&architecture.name);
    if base.ends_with("_cifar") {
        return known(
            Preprocessing::Unit,
            "CIFAR networks take 0 to 1; the Keras example also subtracts a mean that no file holds",
        );
    }
    let strided_last =
        anatomy.blocks.iter().any(|b| b.stride > 1 && b.activation == ActivationOrder::Pre && b.index > 0);
    match (architecture.family, model.graph().source().framework.name()) {
        (Family::V1, _) if base.ends_with("v1") => {
            known(Preprocessing::Caffe, "as Keras Applications and Caffe train it")
        }
        (Family::V2, _) if strided_last => known(Preprocessing::Tf, "as Keras Applications trains it"),
        (Family::V1 | Family::V15, _) => known(Preprocessing::Torch, "as torchvision and timm train it"),
        (Family::V2 | Family::Residual | Family::Dense | Family::Plain, _) => {
            unknown("networks of this kind are trained in several ways")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::analyse;
    use crate::testing::Net;
    use residua_ir::Elementwise;
    use residua_ir::preparation::Preparation;

    #[test]
    fn a_network_that_scales_its_input_takes_raw_pixels() {
        let (mut net, x) = Net::new(3);
        let factor = net.tensor(&[]);
        let x = net.op(Op::Elementwise(Elementwise::Mul), &[x, factor]);
        let x = net.conv_bn_relu(x, 16, 3, 1);
        let x = net.basic(x, 16, 1);
        let model = net.classifier(x, 10);
        let known = preprocessing_for(&model, &analyse(&model));
        assert_eq!((known.mode(), known.assumed), (Some(Preprocessing::Raw), false));
    }

    #[test]
    fn each_part_is_from_the_first_place_that_states_it() {
        let place = |by: &str, preparation| Stated::new(by, preparation);
        let keep = Some(Resize::Keep);
        let edge = Some(Resize::Shortest { edge: 8 });
        let values = |mode: Preprocessing| Some(mode.values());
        let known = merge(&[
            place("a", Preparation { resize: edge, ..Preparation::default() }),
            place("b", Preparation { resize: keep, values: values(Preprocessing::Tf), ..Preparation::default() }),
            place("c", Preparation { resize: edge, values: values(Preprocessing::Tf), ..Preparation::default() }),
        ]);
        assert_eq!(known.resize, Some(Told::new(Resize::Shortest { edge: 8 }, "a")));
        assert_eq!(known.values.map(|values| values.by), Some("b".to_owned()));
        let texts: Vec<&str> = known.conflicts.iter().map(|conflict| conflict.text.as_str()).collect();
        assert_eq!(texts, ["a and b say differently how images are prepared (size): taken is what a says"]);
    }
}
