//! In what a network differs from the form of a name, one thing after the other, each with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use residua_ir::NodeId;

use crate::form::{self, ActivationOrder, BlockKind, Form, StemForm, StrideIn};
use crate::structure::{Anatomy, Block, ShortcutKind};

/// One thing in which a network differs from what a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Where: `stage 2`, `stages.1.blocks.0`; empty for the network as a whole.
    pub place: String,
    /// In what: `depth`, `stride on`.
    pub what: &'static str,
    /// What the name stands for.
    pub expected: String,
    /// What the network has.
    pub found: String,
    /// A node there: the one that differs, or the first of its kind.
    pub node: Option<NodeId>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what, expected, found, .. } = self;
        let separator = if place.is_empty() { "" } else { ": " };
        write!(f, "{place}{separator}{what}: expected {expected}, found {found}")
    }
}

/// In what a network differs from what a name stands for; [`None`] for a name that is not known.
pub(crate) fn differences(anatomy: &Anatomy, name: &str) -> Option<Vec<Difference>> {
    if let Some(depth) = name.strip_prefix("plain") {
        let depth: usize = depth.parse().ok()?;
        return Some(plain(anatomy, depth));
    }
    if let Some(depth) = name.strip_prefix("densenet") {
        let (layers, growth) = form::dense(depth.parse().ok()?)?;
        return Some(dense(anatomy, &layers, growth));
    }
    // Of several forms of one name, the one that fits best.
    Form::named(name).iter().map(|form| Comparison::with(anatomy, form)).min_by_key(Vec::len)
}

fn plain(anatomy: &Anatomy, depth: usize) -> Vec<Difference> {
    let mut found = Comparison::default();
    let add = anatomy.blocks.first().map(|block| block.add);
    found.compare("", "residual blocks", 0, anatomy.blocks.len(), add);
    found.compare("", "depth", depth, anatomy.depth(), None);
    found.differences
}

fn dense(anatomy: &Anatomy, layers: &[usize], growth: usize) -> Vec<Difference> {
    let mut found = Comparison::default();
    let first = anatomy.stem.convs.first().map(|conv| conv.node);
    let text = |layers: &[usize]| layers.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
    match &anatomy.dense {
        Some(dense) => {
            found.compare("", "layers of its dense blocks", text(layers), text(&dense.layers), None);
            found.compare("", "channels that a layer adds", growth, dense.growth, None);
            let kernels: Vec<String> = dense.stem.iter().map(|[h, w]| format!("{h}x{w}")).collect();
            found.compare("", "kernels of the stem", "7x7", kernels.join(" "), first);
            found.compare("", "filter before strides", "no", if dense.blurred { "yes" } else { "no" }, None);
        }
        None => found.compare("", "dense blocks", layers.len(), 0, first),
    }
    found.differences
}

#[derive(Default)]
struct Comparison {
    differences: Vec<Difference>,
}

impl Comparison {
    fn with(anatomy: &Anatomy, expected: &Form) -> Vec<Difference> {
        let mut comparison = Self::default();
        match Form::observed(anatomy) {
            Some(found) => {
                comparison.network(anatomy, expected, &found);
                comparison.blocks(anatomy, expected);
                comparison.connections(anatomy);
            }
            None => {
                let first = anatomy.stem.convs.first().map(|conv| conv.node);
                let blocks: usize = expected.stages.iter().map(|stage| stage.blocks).sum();
                comparison.compare_count(anatomy, ("", "residual blocks"), [blocks, 0], first);
            }
        }
        comparison.differences
    }

    fn compare(
        &mut self,
        place: &str,
        what: &'static str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
        node: Option<NodeId>,
    ) {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected != found {
            self.differences.push(Difference { place: place.to_owned(), what, expected, found, node });
        }
    }

    /// How many layers, blocks and stages there are cannot be told where some may not be seen.
    fn compare_count(
        &mut self,
        anatomy: &Anatomy,
        (place, what): (&str, &'static str),
        [expected, found]: [usize; 2],
        node: Option<NodeId>,
    ) {
        if !anatomy.hidden.any() {
            self.compare(place, what, expected, found, node);
        }
    }

    fn network(&mut self, anatomy: &Anatomy, expected: &Form, found: &Form) {
        let yes_no = |yes: bool| if yes { "yes" } else { "no" };
        let stem = anatomy.stem.convs.first().map(|conv| conv.node);
        let stem_end = anatomy.stem.convs.last().map(|conv| conv.node);
        let block = |holds: &dyn Fn(&Block) -> bool| anatomy.blocks.iter().find(|b| holds(b)).map(|b| b.add);
        self.compare_count(anatomy, ("", "depth"), [expected.depth(), anatomy.depth()], None);
        self.compare_count(anatomy, ("", "stages"), [expected.stages.len(), found.stages.len()], None);
        self.compare("", "stem", expected.stem.describe(), found.stem.describe(), stem);
        self.compare("", "channels behind the stem", expected.stem_width, found.stem_width, stem_end);
        // Where stages may not be seen, which is which is not known.
        let told = !anatomy.hidden.any() || expected.stages.len() == found.stages.len();
        for (at, (expected, found)) in expected.stages.iter().zip(&found.stages).enumerate().filter(|_| told) {
            let place = format!("stage {at}");
            let of_stage = anatomy.stages.get(at).map_or(&[][..], |stage| anatomy.stage_blocks(stage));
            let first = of_stage.first();
            let inner = first.and_then(|b| Some(b.convs.iter().find(|conv| conv.is_wide())?.node));
            let last = first.and_then(|b| Some(b.convs.last()?.node));
            let last_of_stage = of_stage.last().map(|block| block.add);
            self.compare_count(anatomy, (&place, "blocks"), [expected.blocks, found.blocks], last_of_stage);
            self.compare(&place, "inner width", expected.width, found.width, inner);
            self.compare(&place, "channels", expected.outputs, found.outputs, last);
        }
        self.compare("", "groups", expected.groups, found.groups, block(&|b| b.groups != expected.groups));
        let gates = block(&|b| b.squeeze_excite.is_some() != expected.squeeze_excite);
        self.compare(
            "",
            "squeeze-and-excite gates",
            yes_no(expected.squeeze_excite),
            yes_no(found.squeeze_excite),
            gates,
        );
        let other = block(&|b| b.other_gate);
        self.compare("", "gates of another kind", yes_no(false), yes_no(other.is_some()), other);
        let pooled = block(&|b| b.shortcut == ShortcutKind::Projection && b.path.pooled != expected.pooled_shortcut);
        let [wanted, has] = [expected, found].map(|form| yes_no(form.pooled_shortcut));
        self.compare("", "pool before the projection", wanted, has, pooled);
        let blurred = block(&|b| b.blurred != expected.blurred);
        self.compare("", "filter before strides", yes_no(expected.blurred), yes_no(found.blurred), blurred);
        self.compare("", "group norms", yes_no(expected.group_norm), yes_no(found.group_norm), block(&|_| true));
        // A network that was cut behind its last block has no norm there either.
        if expected.order == ActivationOrder::Pre && anatomy.head.pool.is_some() {
            let has = yes_no(anatomy.head.norm.is_some());
            self.compare("", "norm behind the last block", yes_no(true), has, anatomy.head.pool);
        }
    }

    fn blocks(&mut self, anatomy: &Anatomy, expected: &Form) {
        let of_blocks: Vec<Difference> =
            anatomy.blocks.iter().flat_map(|block| block_differences(anatomy, expected, block)).collect();
        // What is so in most blocks is said once.
        let key = |d: &Difference| (d.what, d.expected.clone(), d.found.clone());
        let mut counts: BTreeMap<_, usize> = BTreeMap::new();
        for difference in &of_blocks {
            *counts.entry(key(difference)).or_default() += 1;
        }
        let mut said = BTreeSet::new();
        for difference in of_blocks {
            let key = key(&difference);
            let count = counts.get(&key).copied().unwrap_or(0);
            if count < 3 || count * 2 < anatomy.blocks.len() {
                self.differences.push(difference);
            } else if said.insert(key) {
                let place = format!("{count} of {} blocks", anatomy.blocks.len());
                self.differences.push(Difference { place, ..difference });
            }
        }
    }

    /// What no form has.
    fn connections(&mut self, anatomy: &Anatomy) {
        for loose in anatomy.loose.iter().filter(|loose| !loose.unseen) {
            let behind = &anatomy.blocks[loose.behind].name;
            let found = format!("{} convolutions behind {behind} that no shortcut spans", loose.convs.len());
            self.compare("", "shortcuts", "one around each block", found, loose.convs.first().map(|conv| conv.node));
        }
        for skip in &anatomy.long_skips {
            let found = format!("one over {} other sums", skip.spans);
            self.compare("", "shortcuts", "each over one block", found, Some(skip.add));
        }
    }
}

/// In what a block is not what the form says. Where its kind is another, the rest cannot be compared.
fn block_differences(anatomy: &Anatomy, form: &Form, block: &Block) -> Vec<Difference> {
    let mut found = Comparison::default();
    let (place, add) = (block.name.as_str(), Some(block.add));
    if !block.unseen.main {
        found.compare(place, "kind", text(form.block), text(block.kind), add);
    }
    if block.kind != form.block {
        return found.differences;
    }
    if !block.unseen.hides_order() {
        found.compare(place, "activation", text(form.order), text(block.activation), add);
    }
    let ends_bare = block.after_add.is_none() && !block.unseen.behind;
    if block.activation == form.order && form.order == ActivationOrder::Post && ends_bare {
        found.compare(place, "behind the sum", "an activation", "none", add);
    }
    for (number, conv) in (1..).zip(&block.convs) {
        let expected = match (form.block, number) {
            (BlockKind::Bottleneck, 1 | 3) => [1, 1],
            (BlockKind::Basic | BlockKind::Bottleneck | BlockKind::Other, _) => [3, 3],
        };
        let kernel = |[h, w]: [usize; 2]| format!("{h}x{w}");
        found.compare(place, KERNELS[number.min(3) - 1], kernel(expected), kernel(conv.kernel), Some(conv.node));
        let dilated = (conv.dilation > 1).then_some(conv.node);
        found.compare(place, "dilation", 1, conv.dilation, dilated);
    }
    // What is not known may have the stride, or what else is missing here.
    if block.unseen.main || block.unseen.shortcut {
        return found.differences;
    }
    let strided = strides(anatomy, form, block);
    let carrier = block.convs.iter().find(|conv| conv.stride > 1).map(|conv| conv.node);
    found.compare(place, "stride", if strided { 2 } else { 1 }, block.stride, carrier.or(add));
    if strided && block.stride > 1 && !form.blurred {
        let on = format!("conv{}", form.stride_on);
        found.compare(place, "stride on", on, block.stride_on.as_deref().unwrap_or("nothing"), carrier.or(add));
    }
    found.shortcut(form, block, strided);
    found.differences
}

/// In the words of a difference, counted from 1.
const KERNELS: [&str; 3] = ["kernel of conv1", "kernel of conv2", "kernel of conv3"];

/// Whether the form has a stride in this block.
fn strides(anatomy: &Anatomy, form: &Form, block: &Block) -> bool {
    let last_stage = block.stage + 1 == anatomy.stages.len();
    let last = block.index + 1 == anatomy.stages[block.stage].blocks.len();
    match form.stride_in {
        StrideIn::First => block.index == 0 && block.stage > 0,
        StrideIn::Last => last && !last_stage,
    }
}

impl Comparison {
    fn shortcut(&mut self, form: &Form, block: &Block, strided: bool) {
        let changes = block.inputs != block.outputs || (strided && form.stride_in == StrideIn::First);
        let fits = match block.shortcut {
            ShortcutKind::Identity => !changes && !strided,
            ShortcutKind::Projection => changes || block.index == 0,
            // Option A of He et al. 2015 section 4.2.
            ShortcutKind::Pad => changes && form.stem == StemForm::Small,
            ShortcutKind::Pool => strided && form.stride_in == StrideIn::Last,
            ShortcutKind::Unknown => true,
        };
        if !fits {
            let expected = match (changes, strided) {
                (true, _) => "projection",
                (false, true) => "pool",
                (false, false) => "identity",
            };
            let node = block.path.conv.as_ref().map_or(block.add, |conv| conv.node);
            self.compare(&block.name, "shortcut", expected, text(block.shortcut), Some(node));
        }
    }
}

/// An enum's name as it stands in JSON.
fn text(value: impl fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}
