//! `config.json` of timm: from what `timm.create_model("local-dir:FOLDER", pretrained=True)`, and the hub, build the network
//! that the weights are of, and how its images are prepared.
//!
//! (Source: timm 1.0, `models/_hub.py` `_parse_model_cfg`, `models/resnet.py`, `models/resnetv2.py`,
//! `data/transforms_factory.py`.)
//!
//! A name of timm's registry is the architecture; what differs from that is in `model_args`. What its code cannot build is
//! a note, and so are images that its transforms do not prepare so. What the source does not state is not made up.

use residua_ir::preparation::{Channels, Crop, Middle, Preparation, Resize};
use residua_ir::{Activation, Graph};
use residua_resnet::anatomy::{ActivationOrder, BlockKind};
use residua_resnet::form::{Form, StageForm, StemForm};
use residua_resnet::layout_fit::Fitted;
use residua_resnet::recipe::{HeadPool, Norms, Own, Recipe};
use serde_json::{Map, Value, json};

/// Name of the weights in a folder that timm loads; only beside it does a configuration mean anything.
const WEIGHTS: &str = "model.safetensors";

/// Networks of the registry that are built without arguments in the sizes that their names stand for.
const REGISTERED: &[&str] = &[
    "resnet18",
    "resnet26",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet200",
    "resnet18d",
    "resnet26d",
    "resnet34d",
    "resnet50d",
    "resnet101d",
    "resnet152d",
    "resnet200d",
    "resnet50_gn",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "seresnet18",
    "seresnet34",
    "seresnet50",
    "seresnet101",
    "seresnet152",
    "seresnext50_32x4d",
    "seresnext101_32x4d",
    "seresnext101_32x8d",
    "seresnext101_64x4d",
    "resnetv2_18",
    "resnetv2_34",
    "resnetv2_50",
    "resnetv2_101",
    "resnetv2_152",
    "resnetv2_50d",
    "resnetv2_101d",
    "resnetv2_152d",
    "resnetv2_50d_gn",
];

/// A configuration, where there is one, and notes: why there is none, or what it does not say.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    pub(super) text: Option<String>,
    pub(super) notes: Vec<String>,
}

/// The configuration beside weights of this name.
pub(super) fn configuration(fitted: &Fitted, graph: &Graph, weights: &str) -> Configuration {
    if fitted.library.name != "timm" || weights != WEIGHTS {
        return Configuration::default();
    }
    let recipe = &fitted.recipe;
    let mut notes = Vec::new();
    let classifier = recipe.head.as_ref().and_then(|head| head.classifier.as_ref());
    let classes = classifier.map_or(0, |dense| dense.classes);
    let Architecture { name, mut args } = match architecture(recipe) {
        Ok(architecture) => architecture,
        Err(reason) => {
            notes.push(format!(
                "config.json is not written: timm's code cannot be told to build this network, {reason}"
            ));
            return Configuration { text: None, notes };
        }
    };
    let channels = recipe.input.channels;
    if channels != 3 {
        args.insert("in_chans".to_owned(), json!(channels));
    }
    if recipe.head.is_none() {
        args.insert("global_pool".to_owned(), json!(""));
    }
    let mut pretrained = Map::new();
    match images(graph) {
        Some(Ok(settings)) => {
            pretrained.insert("input_size".to_owned(), json!([channels, settings.size[0], settings.size[1]]));
            pretrained.extend(settings.others);
        }
        Some(Err(reason)) => notes.push(format!("config.json does not say how images are prepared: {reason}")),
        None => {}
    }
    let pre = recipe.form.order == ActivationOrder::Pre;
    let (first, last) = if pre { ("stem.conv", "head.fc") } else { ("conv1", "fc") };
    let deep = match (recipe.form.stem, pre) {
        (StemForm::Deep, false) => "conv1.0",
        (StemForm::Deep, true) => "stem.conv1",
        (StemForm::Large | StemForm::Small | StemForm::Other, _) => first,
    };
    pretrained.insert("first_conv".to_owned(), json!(deep));
    pretrained.insert("classifier".to_owned(), json!(last));
    let mut config = Map::new();
    config.insert("architecture".to_owned(), json!(name));
    config.insert("num_classes".to_owned(), json!(classes));
    config.insert("num_features".to_owned(), json!(recipe.form.stages.last().map(|stage| stage.outputs)));
    if !args.is_empty() {
        config.insert("model_args".to_owned(), Value::Object(args));
    }
    config.insert("pretrained_cfg".to_owned(), Value::Object(pretrained));
    Configuration { text: Some(format!("{:#}\n", Value::Object(config))), notes }
}

/// A name of timm's registry, and arguments of the model's constructor.
struct Architecture {
    name: String,
    args: Map<String, Value>,
}

fn architecture(recipe: &Recipe) -> Result<Architecture, String> {
    if recipe.conventions.activation != Activation::RELU {
        return Err(format!("whose activation is {}", recipe.conventions.activation.name()));
    }
    if !recipe.own.values().all(Own::keeps_form) {
        return Err("in which single layers differ from the others of their kind".to_owned());
    }
    if recipe.head.as_ref().is_some_and(|head| !head.layers.is_empty()) {
        return Err("whose head has several layers".to_owned());
    }
    if recipe.form.stages.len() != 4 {
        return Err(format!("which has {} stages and not 4", recipe.form.stages.len()));
    }
    let mut made = match (recipe.form.order, recipe.conventions.standardised.is_some()) {
        (ActivationOrder::Post, _) => resnet(recipe)?,
        (ActivationOrder::Pre, false) => resnet_v2(recipe)?,
        (ActivationOrder::Pre, true) => bit(&recipe.form)?,
    };
    let registered = recipe.standard_name().filter(|name| REGISTERED.contains(&name.as_str()));
    // Names stand for sizes of stages; stems and gates of sizes of their own remain arguments.
    let by_name = ["layers", "channels", "cardinality", "base_width", "norm_layer", "block_args", "avg_down", "basic"];
    if let Some(name) = registered {
        made.args.retain(|key, _| !by_name.contains(&key.as_str()));
        let usual = |key: &str, value: &Value| match key {
            "stem_type" => value == "deep",
            "stem_width" => *value == json!(32),
            _ => false,
        };
        if made.args.iter().all(|(key, value)| usual(key, value)) {
            made.args.clear();
        }
        made.name = name;
    }
    let pool = match recipe.head.as_ref().map(|head| head.pool) {
        None | Some(HeadPool::Global) => None,
        Some(HeadPool::Max) => Some("max"),
        Some(HeadPool::MeanOfBoth) => Some("avgmax"),
        Some(HeadPool::Both) => Some("catavgmax"),
        Some(HeadPool::MaxThenMean) => return Err("whose head takes maxima before means".to_owned()),
        Some(HeadPool::Window(size)) => return Err(format!("whose head takes means over {size}x{size} pixels")),
    };
    made.args.extend(pool.map(|pool| ("global_pool".to_owned(), json!(pool))));
    Ok(made)
}

fn list(form: &Form, of: fn(&StageForm) -> usize) -> Value {
    json!(form.stages.iter().map(of).collect::<Vec<usize>>())
}

/// The nearest multiple of 8, at least 8, and never to much less (`make_divisible`, `make_div`).
fn in_eights(channels: usize, part: usize, limit: bool) -> usize {
    let rounded = (channels.saturating_add(4 * part) / (8 * part)).max(1) * 8;
    let too_few = limit && rounded.saturating_mul(10 * part) < channels.saturating_mul(9);
    if too_few { rounded + 8 } else { rounded }
}

fn resnet(recipe: &Recipe) -> Result<Architecture, String> {
    let form = &recipe.form;
    let mut args = Map::new();
    let mut put = |key: &str, value: Value| drop(args.insert(key.to_owned(), value));
    put("layers", list(form, |stage| stage.blocks));
    match form.stem {
        StemForm::Large if form.stem_width == 64 => {}
        StemForm::Large => return Err(format!("which has {} channels behind its stem and not 64", form.stem_width)),
        StemForm::Deep => {
            let [first, second] = recipe.sizes.deep_stem;
            let tiered = second / 4 * 3;
            if second * 2 != form.stem_width || (first != second && first != tiered) {
                return Err(format!("whose stem has {first}, {second} and {} channels", form.stem_width));
            }
            put("stem_type", json!(if first == second { "deep" } else { "deep_tiered" }));
            put("stem_width", json!(second));
        }
        StemForm::Small | StemForm::Other => return Err(format!("whose stem is {}", form.stem.describe())),
    }
    let name = match form.block {
        BlockKind::Basic => {
            if form.groups != 1 || form.stages.iter().any(|stage| stage.width != stage.outputs) {
                return Err("whose basic blocks have other channels within than they give".to_owned());
            }
            put("channels", list(form, |stage| stage.outputs));
            "resnet18"
        }
        BlockKind::Bottleneck => {
            let base = form.stages.first().and_then(|stage| base_width(stage, form.groups));
            let all = form.stages.iter().all(|stage| base.is_some() && base_width(stage, form.groups) == base);
            let base = base.filter(|_| all).ok_or("whose bottlenecks have widths of no common ratio")?;
            put("channels", list(form, |stage| stage.outputs / 4));
            if form.groups > 1 || base != 64 {
                put("cardinality", json!(form.groups));
                put("base_width", json!(base));
            }
            "resnet50"
        }
        BlockKind::Other => return Err("whose blocks are neither basic ones nor bottlenecks".to_owned()),
    };
    if form.pooled_shortcut {
        put("avg_down", json!(true));
    }
    if form.squeeze_excite {
        let usual = form.stages.iter().map(|stage| in_eights(stage.outputs, 16, false));
        if !usual.eq(recipe.sizes.gates.iter().copied()) {
            return Err(format!("whose gates have {:?} channels within", recipe.sizes.gates));
        }
        put("block_args", json!({ "attn_layer": "se" }));
    }
    match recipe.conventions.norms {
        Norms::Batch => {}
        Norms::Group(32) => put("norm_layer", json!("groupnorm")),
        Norms::Group(groups) => return Err(format!("whose norms are over {groups} groups and not 32")),
    }
    match recipe.pace.strides[..] {
        [] | [1, 2, 2, 2] => {}
        [1, 2, 2, 1] => put("output_stride", json!(16)),
        [1, 2, 1, 1] => put("output_stride", json!(8)),
        _ => return Err(format!("whose stages have strides {:?}", recipe.pace.strides)),
    }
    Ok(Architecture { name: name.to_owned(), args })
}

/// What timm calls the width of a bottleneck: its channels within for 64 planes and one group.
fn base_width(stage: &StageForm, groups: usize) -> Option<usize> {
    let planes = Some(stage.outputs / 4).filter(|&planes| planes > 0 && planes * 4 == stage.outputs)?;
    let per_group = stage.width.checked_mul(64)?.checked_div(planes.checked_mul(groups)?)?;
    (per_group.checked_mul(planes)? / 64 * groups == stage.width).then_some(per_group)
}

fn resnet_v2(recipe: &Recipe) -> Result<Architecture, String> {
    let form = &recipe.form;
    let mut args = Map::new();
    let mut put = |key: &str, value: Value| drop(args.insert(key.to_owned(), value));
    put("layers", list(form, |stage| stage.blocks));
    put("channels", list(form, |stage| stage.outputs));
    let whole = |channels: usize| channels >= 8 && channels.is_multiple_of(8);
    if !whole(form.stem_width) || !form.stages.iter().all(|stage| whole(stage.outputs)) || form.groups != 1 {
        return Err("which has groups, or channels that are no multiples of 8".to_owned());
    }
    let (basic, part) = match form.block {
        BlockKind::Basic => (true, 1),
        BlockKind::Bottleneck => (false, 4),
        BlockKind::Other => return Err("whose blocks are neither basic ones nor bottlenecks".to_owned()),
    };
    if form.stages.iter().any(|stage| stage.width != in_eights(stage.outputs, part, true)) {
        return Err("whose blocks have other channels within than timm's code makes".to_owned());
    }
    if form.stem_width != 64 {
        put("stem_chs", json!(form.stem_width));
    }
    let deep = form.stem == StemForm::Deep;
    if deep && recipe.sizes.deep_stem.iter().any(|&channels| channels * 2 != form.stem_width) {
        return Err(format!("whose stem has {:?} and {} channels", recipe.sizes.deep_stem, form.stem_width));
    }
    let batch = recipe.conventions.norms == Norms::Batch;
    let plain = form.stem == StemForm::Large && !form.pooled_shortcut;
    let name = match (basic, plain, batch) {
        (true, true, true) => "resnetv2_18",
        (false, true, true) => "resnetv2_50",
        (true, false, true) if deep && form.pooled_shortcut => "resnetv2_18d",
        (false, false, true) if deep && form.pooled_shortcut => "resnetv2_50d",
        (false, false, false) if deep && form.pooled_shortcut && recipe.conventions.norms == Norms::Group(32) => {
            "resnetv2_50d_gn"
        }
        _ => {
            return Err("whose stem, shortcuts and norms are together in none of its pre-activated networks".to_owned());
        }
    };
    Ok(Architecture { name: name.to_owned(), args })
}

/// Networks of BiT: their functions take no sizes.
fn bit(form: &Form) -> Result<Architecture, String> {
    let depths = [(50, [3, 4, 6, 3]), (101, [3, 4, 23, 3]), (152, [3, 8, 36, 3])];
    let blocks: Vec<usize> = form.stages.iter().map(|stage| stage.blocks).collect();
    let factor = form.stem_width / 64;
    let sizes = [256, 512, 1024, 2048].map(|outputs| outputs * factor);
    let sized = form.stages.iter().map(|stage| stage.outputs).eq(sizes)
        && form.stages.iter().all(|stage| stage.width * 4 == stage.outputs)
        && form.stem_width == 64 * factor;
    let depth = depths.iter().find(|(_, of)| blocks == of).map(|(depth, _)| *depth).filter(|_| sized);
    match (depth, factor) {
        (Some(depth @ (50 | 101)), 1 | 3) | (Some(depth @ 152), 2 | 4) => {
            Ok(Architecture { name: format!("resnetv2_{depth}x{factor}_bit"), args: Map::new() })
        }
        _ => Err("which is a BiT network of sizes of its own".to_owned()),
    }
}

/// How images are prepared, as timm's configuration has it.
struct Images {
    size: [usize; 2],
    others: Map<String, Value>,
}

/// What the source states; nothing where it leaves sizes or values open.
fn images(graph: &Graph) -> Option<Result<Images, String>> {
    let stated = graph.source().preprocessing.first().filter(|stated| !stated.assumed)?;
    let Preparation { resize, crop, filter, values } = stated.preparation.clone();
    let (resize, values, filter) = (resize?, values?, filter?);
    let by = stated.origin();
    if values.channels != Channels::Rgb || (values.factor * 255.0 - 1.0).abs() > 1e-12 {
        return Some(Err(format!("timm takes RGB from 0 to 1, and {by} says something else")));
    }
    let (size, share, mode) = match (resize, crop.unwrap_or(Crop::All)) {
        (Resize::Shortest { edge }, Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0, 0, 0] })
            if height == width =>
        {
            match share(height, edge) {
                Some(share) => ([height, width], share, "center"),
                None => return Some(Err(format!("no share of {edge} pixels is {height} in timm's arithmetic"))),
            }
        }
        (Resize::Exact { height, width }, Crop::All) => ([height, width], 1.0, "squash"),
        _ => return Some(Err(format!("no transform of timm resizes and cuts as {by} says"))),
    };
    let Value::Object(others) = json!({
        "interpolation": filter.name(),
        "crop_pct": share,
        "crop_mode": mode,
        "mean": values.mean,
        "std": values.deviation,
    }) else {
        return None;
    };
    Some(Ok(Images { size, others }))
}

/// The share of an edge that is this side: timm divides the side by it and cuts off what is behind the point.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides of images are far below 2^53"
)]
fn share(side: usize, edge: usize) -> Option<f64> {
    let exact = side as f64 / edge as f64;
    let before = |share: f64| (side as f64 / share).floor() as usize;
    [exact, exact.next_down(), exact.next_up()]
        .into_iter()
        .find(|&share| share > 0.0 && share <= 1.0 && before(share) == edge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_give_the_edges_that_they_are_of() {
        let whole = |side: u32| usize::try_from(side).unwrap();
        for side in [32, 48, 224, 256, 299, 384] {
            for edge in side..side * 2 {
                let found = share(whole(side), whole(edge)).unwrap();
                assert!((found - f64::from(side) / f64::from(edge)).abs() < 1e-15, "{side} of {edge}");
            }
        }
        assert_eq!(share(224, 200), None);
    }

    #[test]
    fn widths_are_those_that_timm_s_code_makes_of_them() {
        let stage = |width: usize, outputs: usize| StageForm { blocks: 1, width, outputs };
        assert_eq!(base_width(&stage(64, 256), 1), Some(64));
        assert_eq!(base_width(&stage(128, 256), 1), Some(128));
        assert_eq!(base_width(&stage(128, 256), 32), Some(4));
        assert_eq!(base_width(&stage(8, 32), 1), Some(64));
        assert_eq!(base_width(&stage(7, 30), 1), None);
        assert_eq!([in_eights(64, 16, false), in_eights(256, 16, false), in_eights(2048, 16, false)], [8, 16, 128]);
        assert_eq!([in_eights(256, 4, true), in_eights(24, 4, true), in_eights(8, 1, true)], [64, 8, 8]);
    }
}
