//! Residual networks under torchvision's names whose blocks hold something that torchvision's do not: half of the norms over instances
//! (IBN-Net), convolutions over parts of the channels (Res2Net), attention over channels (ECA-Net) or over parts (ResNeSt), fixed filters
//! in the place of strides (anti-aliased).
//!
//! Sources: XingangPan/IBN-Net, `ibnnet/resnet_ibn.py` and `modules.py`; Res2Net-PretrainedModels, `res2net.py` and `res2net_v1b.py`;
//! BangguWu/ECANet, `eca_module.py`; zhanghang1989/ResNeSt, `splat.py`; adobe/antialiased-cnns, `resnet.py` and `blurpool.py`; timm 1.0,
//! `resnet.py`, `res2net.py`, `resnest.py`, `layers/eca.py`, `layers/split_attn.py`.

use residua_ir::{Activation, Op, ReshapeDim};

use super::writer::{Features, Walk, Writer};
use super::{Known, head};
use crate::error::{Error, Result};

/// A block, and what it is given.
struct Block<'p> {
    path: &'p str,
    stride: usize,
    /// Whether its shortcut has a convolution.
    projects: bool,
}

/// The network, from its image to what it gives.
pub(super) fn write(w: &mut Writer, known: &Known) -> Result<Features> {
    let mut x = stem(w)?;
    let stages = w.count(1, |stage| format!("layer{stage}"));
    let strides = known.strides(w, stages)?;
    for (stage, &stride) in (1..).zip(&strides) {
        let blocks = w.count(0, |block| format!("layer{stage}.{block}"));
        for at in 0..blocks {
            let path = format!("layer{stage}.{at}");
            let projects = w.has_module(&format!("{path}.downsample"));
            let stride = if at == 0 { stride } else { 1 };
            x = block(w, x, &Block { path: &path, stride, projects })?;
        }
    }
    w.takes("the stride of bottlenecks behind the first 1x1", &[]);
    head::classify(w, x, "fc", known)
}

/// One convolution of 7x7, or three of 3x3, and a pool; of 3x3 alone, as for small images, without one.
fn stem(w: &mut Writer) -> Result<Features> {
    let deep = w.has("conv1.0.weight");
    let first = if deep { "conv1.0" } else { "conv1" };
    let kernel = w.shape(&format!("{first}.weight"));
    let Some(&[_, channels, size, _]) = kernel else {
        return Err(Writer::missing(first, "weight", "[any, channels, size, size]"));
    };
    let x = w.input(channels, None);
    let small = !deep && size <= 3;
    // Where a filter goes before the maxima too, it has the stride of the first convolution.
    let blurred = w.has("maxpool.0.filt");
    let stride = if small || blurred { 1 } else { 2 };
    w.takes(
        format!(
            "the {size}x{size} of the stem with stride {stride} and {} behind it",
            if small { "no pool" } else { "a pool of stride 2" }
        ),
        &[],
    );
    let mut x = w.conv(x, first, Walk::stride(stride))?;
    if deep {
        for (norm, conv) in [("conv1.1", "conv1.3"), ("conv1.4", "conv1.6")] {
            x = w.norm(x, norm)?;
            x = w.relu(x, &format!("{norm}.relu"));
            x = w.conv(x, conv, Walk::PLAIN)?;
        }
    }
    x = norm(w, x, "bn1")?;
    x = w.relu(x, "relu");
    if small {
        return Ok(x);
    }
    if blurred {
        x = w.blur(x, "maxpool.0")?;
    }
    let (pool, filter) = if blurred { ("maxpool.1", "maxpool.2") } else { ("maxpool.0", "maxpool.1") };
    if w.has(&format!("{filter}.filt")) {
        x = w.max_pool(x, pool, 2, 1, 0);
        return w.blur(x, filter);
    }
    Ok(w.max_pool(x, "maxpool", 3, 2, 1))
}

fn block(w: &mut Writer, x: Features, block: &Block) -> Result<Features> {
    let at = |part: &str| format!("{}.{part}", block.path);
    let bottleneck = w.has_module(&at("conv3"));
    let mut y = filtered(w, x, &at("conv1"), if bottleneck { 1 } else { block.stride })?;
    y = norm(w, y, &at("bn1"))?;
    y = w.relu(y, &at("relu"));
    if w.has_module(&at("convs")) {
        y = over_parts(w, y, block)?;
    } else if w.has_module(&at("conv2.fc1")) {
        y = split_attention(w, y, block)?;
    } else {
        y = filtered(w, y, &at("conv2"), if bottleneck { block.stride } else { 1 })?;
        y = norm(w, y, &at("bn2"))?;
        if bottleneck {
            y = w.relu(y, &at("relu2"));
        }
    }
    if bottleneck {
        y = filtered(w, y, &at("conv3"), 1)?;
        y = norm(w, y, &at("bn3"))?;
    }
    for gate in ["se", "eca"] {
        if w.has(&at(&format!("{gate}.conv.weight"))) {
            y = channel_attention(w, y, &at(gate))?;
        }
    }
    let shortcut = if block.projects { projection(w, x, block)? } else { x };
    if shortcut.channels != y.channels {
        let problem = format!("its shortcut has {} channels, its main path {}", shortcut.channels, y.channels);
        return Err(Error::Misfit { layer: block.path.into(), kind: "Add".into(), problem: problem.into() });
    }
    let mut y = w.add(shortcut, y, &at("add"));
    // IBN-b normalises instances behind the sum.
    if w.has_module(&at("IN")) {
        y = w.instance_norm(y, &at("IN"))?;
    }
    Ok(w.relu(y, &at("out")))
}

/// A convolution; where a fixed filter stands before it, that has its stride.
fn filtered(w: &mut Writer, x: Features, path: &str, stride: usize) -> Result<Features> {
    if w.has(&format!("{path}.0.filt")) {
        let x = w.blur(x, &format!("{path}.0"))?;
        return grouped(w, x, &format!("{path}.1"), 1);
    }
    // A filter behind it has the stride that it would have.
    let stride = if follows_filter(w, path) { 1 } else { stride };
    grouped(w, x, path, stride)
}

/// Whether the next convolution of a block has a filter before it, which then has the stride.
fn follows_filter(w: &Writer, path: &str) -> bool {
    let next = match path.rsplit_once("conv") {
        Some((block, "1")) => format!("{block}conv2"),
        Some((block, "2")) => format!("{block}conv3"),
        _ => return false,
    };
    w.has(&format!("{next}.0.filt"))
}

/// A convolution whose kernel tells in how many groups it works.
fn grouped(w: &mut Writer, x: Features, path: &str, stride: usize) -> Result<Features> {
    let groups = match w.shape(&format!("{path}.weight")) {
        Some(&[_, takes, rows, _]) if takes > 0 && rows > 1 && x.channels.is_multiple_of(takes) => x.channels / takes,
        Some(_) | None => 1,
    };
    w.conv(x, path, Walk { groups, ..Walk::stride(stride) })
}

/// A batch norm; or, as IBN-a has it, norms over instances for some of the channels and over the batch for the rest.
fn norm(w: &mut Writer, x: Features, path: &str) -> Result<Features> {
    if w.has(&format!("{path}.BN.weight")) {
        let part = format!("{path}.IN");
        let first = w.shape(&format!("{part}.weight")).and_then(|shape| shape.first().copied()).unwrap_or(0);
        let Some(rest) = x.channels.checked_sub(first).filter(|&rest| rest > 0 && first > 0) else {
            return Err(Writer::missing(&part, "weight", &format!("[fewer than {}]", x.channels)));
        };
        let instances = w.channels(x, 0, first, &format!("{path}.first"));
        let instances = w.instance_norm(instances, &part)?;
        let batch = w.channels(x, first, rest, &format!("{path}.rest"));
        let batch = w.norm(batch, &format!("{path}.BN"))?;
        return Ok(w.concat(&[instances, batch], path));
    }
    // IBN-b has a norm over instances behind the first convolution, which is one without statistics.
    if w.has(&format!("{path}.weight")) && !w.has(&format!("{path}.running_mean")) {
        return w.instance_norm(x, path);
    }
    w.norm(x, path)
}

/// The shortcut: a mean or a fixed filter that has the stride, if there is one, a convolution, a norm.
fn projection(w: &mut Writer, x: Features, block: &Block) -> Result<Features> {
    let at = |part: usize| format!("{}.downsample.{part}", block.path);
    if w.has(&format!("{}.filt", at(0))) {
        let x = w.blur(x, &at(0))?;
        let x = w.conv(x, &at(1), Walk::PLAIN)?;
        return w.norm(x, &at(2));
    }
    if w.has(&format!("{}.weight", at(0))) {
        let x = w.conv(x, &at(0), Walk::stride(block.stride))?;
        return w.norm(x, &at(1));
    }
    let mut x = x;
    if block.stride > 1 {
        x = w.mean_pool(x, &at(0), [2, block.stride, 0], true, false);
    }
    let x = w.conv(x, &at(1), Walk::PLAIN)?;
    w.norm(x, &at(2))
}

/// Res2Net: each part of the channels is convolved with what the part before it gave, the last is left as it is.
fn over_parts(w: &mut Writer, y: Features, block: &Block) -> Result<Features> {
    let at = |part: &str| format!("{}.{part}", block.path);
    let convs = w.count(0, |n| at(&format!("convs.{n}")));
    let width = match w.shape(&at("convs.0.weight")) {
        Some(&[gives, ..]) => gives,
        Some(_) | None => return Err(Writer::missing(&at("convs.0"), "weight", "[width, any, 3, 3]")),
    };
    // Where a block changes sizes or channels its parts do not see each other.
    let first = block.projects || block.stride > 1;
    let rest = convs.checked_mul(width).and_then(|taken| y.channels.checked_sub(taken));
    let Some(rest) = rest.filter(|&rest| rest == width) else {
        let problem = format!("{convs} convolutions of {width} channels do not leave {width} of {}", y.channels);
        return Err(Error::Misfit { layer: at("convs").into(), kind: "Res2Net".into(), problem: problem.into() });
    };
    let mut parts = Vec::with_capacity(convs + 1);
    let mut before: Option<Features> = None;
    for n in 0..convs {
        let name = at(&format!("convs.{n}"));
        let mut part = w.channels(y, n * width, width, &format!("{name}.part"));
        if let Some(before) = before.filter(|_| !first) {
            part = w.add(before, part, &format!("{name}.add"));
        }
        part = grouped(w, part, &name, block.stride)?;
        part = w.norm(part, &at(&format!("bns.{n}")))?;
        part = w.relu(part, &format!("{name}.relu"));
        before = Some(part);
        parts.push(part);
    }
    let mut last = w.channels(y, convs * width, rest, &at("last"));
    if first {
        last = w.mean_pool(last, &at("pool"), [3, block.stride, 1], false, true);
    }
    parts.push(last);
    Ok(w.concat(&parts, &at("concat")))
}

/// ECA-Net: each channel is scaled by what a convolution along the channels makes of their means.
fn channel_attention(w: &mut Writer, y: Features, path: &str) -> Result<Features> {
    let means = w.mean(y, &format!("{path}.avg_pool"), true);
    let gate = w.conv_over_channels(means, &format!("{path}.conv"))?;
    let gate = w.activation(gate, &format!("{path}.sigmoid"), Activation::Sigmoid);
    Ok(w.product(y, gate, &format!("{path}.mul")))
}

/// More maps than any ResNeSt has.
const MAPS: usize = 64;

/// ResNeSt: a convolution gives several maps, which are summed with weights that their means decide on.
fn split_attention(w: &mut Writer, x: Features, block: &Block) -> Result<Features> {
    let at = |part: &str| format!("{}.conv2.{part}", block.path);
    let width = match w.shape(&format!("{}.conv3.weight", block.path)) {
        Some(&[_, takes, ..]) if takes > 0 => takes,
        Some(_) | None => {
            return Err(Writer::missing(&format!("{}.conv3", block.path), "weight", "[any, width, 1, 1]"));
        }
    };
    let size = |name: &str, axis: usize| w.shape(&at(name)).and_then(|shape| shape.get(axis).copied()).unwrap_or(0);
    let (radix, groups) = (size("conv.weight", 0) / width, width / size("fc1.weight", 1).max(1));
    if !(1..=MAPS).contains(&radix) || groups == 0 {
        let problem = format!("kernels of {} and {} channels", size("conv.weight", 0), size("fc1.weight", 1));
        return Err(Error::Misfit { layer: at("conv").into(), kind: "SplAtConv2d".into(), problem: problem.into() });
    }
    // As in the published networks: those of one map, or of several groups, take means before the convolution.
    let early = radix == 1 || groups > 1;
    let pools = block.stride > 1;
    if pools {
        let text = if early { "before" } else { "behind" };
        w.takes(format!("in blocks with a stride, means of 3x3 {text} the convolution in its place"), &[]);
    }
    let mut x = x;
    if pools && early {
        x = w.mean_pool(x, &format!("{}.avd_first", block.path), [3, block.stride, 1], false, true);
    }
    let mut y = w.conv(x, &at("conv"), Walk { groups: groups.saturating_mul(radix), ..Walk::PLAIN })?;
    y = w.norm(y, &at("bn0"))?;
    y = w.relu(y, &at("act0"));
    let maps: Vec<Features> = (0..radix).map(|n| w.channels(y, n * width, width, &at(&format!("map{n}")))).collect();
    let sum = |w: &mut Writer, maps: &[Features], name: &str| {
        let mut maps = maps.iter().copied();
        let first = maps.next()?;
        Some(maps.enumerate().fold(first, |sum, (n, map)| w.add(sum, map, &at(&format!("{name}{n}")))))
    };
    let none = || Writer::missing(&at("conv"), "weight", "at least one map");
    let whole = sum(w, &maps, "sum").ok_or_else(none)?;
    let mut gate = w.mean(whole, &at("gap"), true);
    gate = w.conv(gate, &at("fc1"), Walk { groups, ..Walk::PLAIN })?;
    gate = w.norm(gate, &at("bn1"))?;
    gate = w.relu(gate, &at("act1"));
    gate = w.conv(gate, &at("fc2"), Walk { groups, ..Walk::PLAIN })?;
    if gate.channels != y.channels {
        let problem = format!("gives {} weights for {} channels", gate.channels, y.channels);
        return Err(Error::Misfit { layer: at("fc2").into(), kind: "Conv2d".into(), problem: problem.into() });
    }
    if radix == 1 {
        gate = w.activation(gate, &at("sigmoid"), Activation::Sigmoid);
        y = w.product(y, gate, &at("mul"));
    } else {
        y = weighted(w, &maps, gate, groups, &at)?;
    }
    if pools && !early {
        y = w.mean_pool(y, &format!("{}.avd_last", block.path), [3, block.stride, 1], false, true);
    }
    Ok(y)
}

/// The sum of maps, each weighted by its part of a softmax over the maps. Weights come by groups, then maps.
fn weighted(
    w: &mut Writer,
    maps: &[Features],
    gate: Features,
    groups: usize,
    at: &dyn Fn(&str) -> String,
) -> Result<Features> {
    let (radix, width) = (maps.len(), maps.first().map_or(0, |map| map.channels));
    let batch = ReshapeDim::Copy(0);
    let fixed = ReshapeDim::Fixed;
    let shape = vec![batch.clone(), fixed(groups), fixed(radix), fixed(width / groups)];
    let gate = w.reshape(gate, &at("by_group"), shape);
    let gate = w.transpose(gate, &at("by_map"), vec![0, 2, 1, 3]);
    let gate = w.step(&at("softmax"), "Softmax", Op::Softmax { axis: 1 }, &[gate], gate.channels);
    let gate = w.reshape(gate, &at("weights"), vec![batch, fixed(radix * width), fixed(1), fixed(1)]);
    let mut sum: Option<Features> = None;
    for (n, &map) in maps.iter().enumerate() {
        let weight = w.channels(gate, n * width, width, &at(&format!("weight{n}")));
        let part = w.product(map, weight, &at(&format!("mul{n}")));
        sum = Some(match sum {
            Some(sum) => w.add(sum, part, &at(&format!("out{n}"))),
            None => part,
        });
    }
    sum.ok_or_else(|| Writer::missing(&at("conv"), "weight", "at least one map"))
}
