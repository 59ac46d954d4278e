//! Networks that are no recipe of residual blocks and are known by their names: each is written down as the code of its class computes it.
//!
//! What is tried here was told as nothing else. A family is known by names that all its networks have; sizes, depths and which parts blocks
//! have are read off the tensors, and a tensor that its code has no place for is an error. What no tensor says (strides, pools, activations)
//! is taken from the code, and noted; modules that state it are held against that ([`hold`]).

mod densenet;
mod head;
mod hold;
mod iresnet;
mod resnet;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{BTreeMap, BTreeSet};

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::{Activation, Framework, Graph, Hint, Source, Unused};
use residua_resnet::layouts::Headless;
use residua_resnet::recognise::{Given, GivenStem};

use super::choose;
use super::heads::module_of;
use super::network::{Asked, uncompiled};
use super::{bodies, prefix, taken};
use crate::error::{Error, Result};
use crate::preparation;
use writer::{Features, Writer};

/// A family of networks.
struct Family {
    /// Whose code it is.
    describe: &'static str,
    /// Names that all of them have.
    names: &'static [&'static str],
    /// What stands in some name; nothing where [`Family::names`] tell it alone.
    marks: &'static [&'static str],
    /// Whether strides and an activation can be given.
    settable: bool,
    write: fn(&mut Writer, &Known) -> Result<Features>,
}

const BLOCK: &[&str] = &["layer1.0.conv1.weight", "layer1.0.bn3.weight"];
const BASIC: &[&str] = &["layer1.0.conv1.weight", "layer1.0.conv2.weight"];

/// The more special ones first.
static FAMILIES: [Family; 12] = [
    Family {
        describe: "insightface's IResNet",
        names: &["prelu.weight", "layer1.0.prelu.weight", "layer1.0.bn3.weight", "features.running_var"],
        marks: &[],
        settable: false,
        write: |w, _| iresnet::write(w),
    },
    Family {
        describe: "torchvision's DenseNet",
        names: &["features.conv0.weight", "features.denseblock1.denselayer1.conv1.weight"],
        marks: &[],
        settable: false,
        write: densenet::write,
    },
    Family {
        describe: "torchvision's DenseNet under its names of before 2018",
        names: &["features.conv0.weight", "features.denseblock1.denselayer1.conv.1.weight"],
        marks: &[],
        settable: false,
        write: densenet::write,
    },
    Family {
        describe: "densenet-pytorch's DenseNet",
        names: &["conv1.weight", "block1.layer.0.conv1.weight", "trans1.conv1.weight"],
        marks: &[],
        settable: false,
        write: densenet::write_small,
    },
    Family {
        describe: "Res2Net",
        names: &["layer1.0.conv1.weight", "layer1.0.convs.0.weight", "layer1.0.bns.0.weight"],
        marks: &[],
        settable: true,
        write: resnet::write,
    },
    Family {
        describe: "ResNeSt",
        names: &["layer1.0.conv1.weight", "layer1.0.conv2.conv.weight", "layer1.0.conv2.fc2.weight"],
        marks: &[],
        settable: true,
        write: resnet::write,
    },
    of_resnet("IBN-Net's ResNet", BLOCK, &[".IN.weight"]),
    of_resnet("IBN-Net's ResNet", BASIC, &[".IN.weight"]),
    of_resnet("a ResNet with efficient channel attention (ECA-Net)", BLOCK, &[".se.conv.weight", ".eca.conv.weight"]),
    of_resnet("a ResNet with efficient channel attention (ECA-Net)", BASIC, &[".se.conv.weight", ".eca.conv.weight"]),
    of_resnet("antialiased-cnns' ResNet", BLOCK, &[".filt"]),
    of_resnet("antialiased-cnns' ResNet", BASIC, &[".filt"]),
];

const fn of_resnet(describe: &'static str, names: &'static [&'static str], marks: &'static [&'static str]) -> Family {
    Family { describe, names, marks, settable: true, write: resnet::write }
}

/// What is known of a network besides its tensors.
struct Known {
    strides: Option<Vec<usize>>,
    headless: Option<Headless>,
}

impl Known {
    /// Stride of each of so many stages.
    fn strides(&self, w: &mut Writer, stages: usize) -> Result<Vec<usize>> {
        let usual: Vec<usize> = (0..stages).map(|stage| if stage == 0 { 1 } else { 2 }).collect();
        match &self.strides {
            Some(strides) if strides.len() == stages => Ok(strides.clone()),
            Some(strides) => Err(Error::Config {
                at: Hint::Strides.to_string().into(),
                expected: format!("{stages} numbers, one for each stage of this network").into(),
                found: strides.len().to_string().into(),
            }),
            None => {
                let text: Vec<String> = usual.iter().map(ToString::to_string).collect();
                w.takes(format!("strides {} in the stages, without dilation", text.join(", ")), &[Hint::Strides]);
                Ok(usual)
            }
        }
    }
}

/// A state dict that is of a family behind a prefix.
#[derive(Clone)]
struct Found<'a> {
    dict: &'a StateDict,
    family: &'static Family,
    /// With its dot.
    prefix: String,
    /// Whether it was asked for by a path in the state dict.
    part: Option<String>,
}

/// The network of a checkpoint; [`None`] where it is of no family.
pub(super) fn network(
    dicts: &[StateDict],
    which: Option<&str>,
    asked: &Asked,
    name: &str,
    source: &Source,
    unused: &[Unused],
) -> Option<Result<Graph>> {
    if asked.given.library.is_some() || asked.head_from.is_some() {
        return None;
    }
    let dicts: Vec<&StateDict> = dicts.iter().filter(|dict| !dict.tensors.is_empty()).collect();
    let mut found = Vec::new();
    for part in choose::parts(&dicts, which).ok()? {
        found.extend(behind_prefixes(part.dict, part.path.as_deref()));
    }
    found.sort_by_key(|found| choose::rank(&found.dict.path));
    let first = found.first()?.clone();
    let own = choose::rank(&first.dict.path);
    // Averaged versions of one network come first; two networks of equal rank are two.
    if found.iter().skip(1).any(|other| choose::rank(&other.dict.path) == own) {
        let paths: Vec<String> =
            found.iter().map(|found| choose::path(&dicts, found.dict, found.prefix.trim_end_matches('.'))).collect();
        return Some(Err(choose::several("the file holds several networks", &paths)));
    }
    Some(written(&first, &dicts, asked.given, name, source, unused))
}

/// The families whose names a state dict has, with what stands before them.
fn behind_prefixes<'a>(dict: &'a StateDict, part: Option<&str>) -> Vec<Found<'a>> {
    let inside = |tensor: &&NamedTensor| part.is_none_or(|part| prefix::lies_in(tensor, part));
    let names: BTreeSet<String> = dict.tensors.iter().filter(inside).map(|tensor| uncompiled(&tensor.name)).collect();
    let mut found: Vec<Found> = Vec::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for family in &FAMILIES {
        let Some(first) = family.names.first() else { continue };
        let prefixes = names
            .iter()
            .filter_map(|name| name.strip_suffix(first).filter(|prefix| prefix.is_empty() || prefix.ends_with('.')));
        for prefix in prefixes {
            let has = |name: &&str| names.contains(&format!("{prefix}{name}"));
            // Names behind a prefix stand together: each is looked at once for each of its own prefixes.
            let behind = || names.range(prefix.to_owned()..).take_while(|name| name.starts_with(prefix));
            let marked =
                || family.marks.is_empty() || behind().any(|name| family.marks.iter().any(|mark| name.ends_with(mark)));
            if !known.contains(prefix) && family.names.iter().all(has) && marked() {
                known.insert(prefix);
                found.push(Found { dict, family, prefix: prefix.to_owned(), part: part.map(str::to_owned) });
            }
        }
    }
    found
}

/// The graph of a network, with what was taken and left out noted.
fn written(
    found: &Found,
    dicts: &[&StateDict],
    given: &Given,
    name: &str,
    source: &Source,
    unused: &[Unused],
) -> Result<Graph> {
    let Found { dict, family, prefix, part } = found;
    refuse_settings(family, given)?;
    let (mut own, mut heads): (BTreeMap<String, &NamedTensor>, BTreeMap<String, Vec<String>>) = Default::default();
    let mut unused = unused.to_vec();
    for tensor in &dict.tensors {
        let bare = uncompiled(&tensor.name);
        if let Some(reason) = prefix::by_product(&bare, tensor.tensor.shape()) {
            unused.push(Unused { location: tensor.name.clone().into(), reason: reason.to_owned() });
        } else if let Some(rest) = bare.strip_prefix(prefix.as_str()) {
            own.insert(rest.to_owned(), tensor);
        } else {
            heads.entry(module_of(&bare, prefix)).or_default().push(tensor.name.clone());
        }
    }
    let left_out = heads.iter().flat_map(|(module, names)| {
        let reason = format!("it is of the head `{module}`, which was left out");
        names.iter().map(move |name| Unused { location: name.clone().into(), reason: reason.clone() })
    });
    unused.extend(left_out);
    unused.extend(choose::of_others(dicts, dict));
    let count = own.len();
    let usual = given.activation.unwrap_or(Activation::RELU);
    let mut w = Writer::new(name, own, given.epsilon.unwrap_or(1e-5), usual);
    let known = Known { strides: given.strides.clone(), headless: given.headless };
    let last = (family.write)(&mut w, &known)?;
    let left = w.left();
    if let Some(first) = left.first() {
        return Err(Error::LeftOver {
            count: left.len(),
            first: first.name.clone().into(),
            why: format!(
                "the other {} are as in {}, whose code has no place for it",
                count - left.len(),
                family.describe
            )
            .into(),
        });
    }
    hold::all(dict, prefix, w.g.graph(), usual)?;
    if given.epsilon.is_none() {
        w.takes("epsilon 1e-5 in all norms", &[Hint::Epsilon]);
    }
    if family.settable && given.activation.is_none() {
        w.takes(format!("{} as the activation", Activation::RELU.name()), &[Hint::Activation]);
    }
    let classes = (last.channels, w.classifies());
    let mut source = source.clone();
    if let Some(part) = part {
        source.notes.push(format!("taken: the tensors under `{part}`, as asked for"));
    } else if !dict.path.is_empty() {
        source.notes.push(format!("taken: `{}` ({} tensors)", dict.path, dict.tensors.len()));
    }
    if !prefix.is_empty() {
        source.notes.push(format!("stripped from the names of tensors: `{prefix}`"));
    }
    source.notes.extend(bodies::left_out(&heads));
    let (stated, said) = preparation::of_tensors(&dict.tensors);
    source.preprocessing.extend(stated);
    source.notes.extend(said);
    source.notes.push(match classes {
        (classes, true) => format!("network found from names: {}, {classes} outputs", family.describe),
        (_, false) => format!("network found from names: {}, without a classifier", family.describe),
    });
    source.notes.extend(taken(family.describe, &w.taken));
    if source.framework == Framework::Unknown {
        source.framework = Framework::Pytorch;
    }
    w.g.source(source);
    w.g.unused(unused);
    w.g.output(last.value);
    Ok(w.g.finish()?)
}

/// Settings that a family's code does not have are refused, not ignored.
fn refuse_settings(family: &Family, given: &Given) -> Result<()> {
    let refused = [
        (Hint::Strides, given.strides.is_some() && !family.settable),
        (Hint::Activation, given.activation.is_some() && !family.settable),
        (Hint::Dilations, given.dilations.is_some()),
        (Hint::OutputStride, given.output_stride.is_some()),
        (Hint::Stem, given.stem != GivenStem::default()),
        (Hint::StrideOn, given.stride_on.is_some()),
        (Hint::NormGroups, given.norm_groups.is_some()),
    ];
    match refused.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Error::Config {
            at: option.to_string().into(),
            expected: "it for networks in the layout of a library only".into(),
            found: format!("{}, whose code has one way of it", family.describe).into(),
        }),
        None => Ok(()),
    }
}
