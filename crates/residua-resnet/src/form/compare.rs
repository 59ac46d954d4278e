//! In what a network differs from the form of a name, in sentences.

use super::{Form, StemForm, StrideIn};
use crate::anatomy::{Anatomy, Block, Order, ShortcutKind};

/// In what a network differs from what a name stands for; [`None`] for a name that is not known.
pub(crate) fn differences(anatomy: &Anatomy, name: &str) -> Option<Vec<String>> {
    if let Some(depth) = name.strip_prefix("plain") {
        let depth: usize = depth.parse().ok()?;
        return Some(plain(anatomy, depth));
    }
    // Of several forms of one name, the one that fits best.
    Form::named(name).iter().map(|form| from_form(anatomy, form)).min_by_key(Vec::len)
}

fn plain(anatomy: &Anatomy, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    if !anatomy.blocks.is_empty() {
        found.push(format!("no shortcuts expected, found {} residual blocks", anatomy.blocks.len()));
    }
    if anatomy.depth() != depth {
        found.push(format!("depth {depth} expected, found {}", anatomy.depth()));
    }
    found
}

fn from_form(anatomy: &Anatomy, expected: &Form) -> Vec<String> {
    let Some(found) = Form::observed(anatomy) else {
        return vec!["residual blocks expected, found no shortcut".to_owned()];
    };
    let mut out = Vec::new();
    let mut differ = |what: &str, expected: String, found: String| {
        if expected != found {
            out.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    let number = |n: usize| n.to_string();
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    differ("depth", number(expected.depth()), number(anatomy.depth()));
    differ("stages", number(expected.stages.len()), number(found.stages.len()));
    differ("stem", expected.stem.describe().to_owned(), found.stem.describe().to_owned());
    differ("channels behind the stem", number(expected.stem_width), number(found.stem_width));
    for (at, (expected, found)) in expected.stages.iter().zip(&found.stages).enumerate() {
        differ(&format!("stage {at}: blocks"), number(expected.blocks), number(found.blocks));
        differ(&format!("stage {at}: inner width"), number(expected.width), number(found.width));
        differ(&format!("stage {at}: channels"), number(expected.outputs), number(found.outputs));
    }
    differ("groups", number(expected.groups), number(found.groups));
    differ("squeeze-and-excite gates", yes_no(expected.squeeze_excite), yes_no(found.squeeze_excite));
    differ("pool before the projection", yes_no(expected.pooled_shortcut), yes_no(found.pooled_shortcut));
    differ("filter before strides", yes_no(expected.blurred), yes_no(found.blurred));
    differ("group norms", yes_no(expected.group_norm), yes_no(found.group_norm));
    for block in &anatomy.blocks {
        out.extend(block_difference(anatomy, expected, block));
    }
    for loose in &anatomy.loose {
        let behind = &anatomy.blocks[loose.behind].name;
        out.push(format!("{} convolutions behind {behind} that no shortcut spans", loose.convs.len()));
    }
    if !anatomy.long_skips.is_empty() {
        out.push(format!("{} shortcuts over more than one block", anatomy.long_skips.len()));
    }
    out
}

/// The first thing in which a block is not what the form says.
fn block_difference(anatomy: &Anatomy, form: &Form, block: &Block) -> Option<String> {
    let wrong = |what: &str, expected: &str, found: &str| {
        Some(format!("{}: {what}: expected {expected}, found {found}", block.name))
    };
    if block.kind != form.block {
        return wrong("kind", &text(form.block), &text(block.kind));
    }
    if block.activation != form.order {
        return wrong("activation", &text(form.order), &text(block.activation));
    }
    if form.order == Order::Post && block.after_add.is_none() {
        return wrong("behind the sum", "an activation", "none");
    }
    if block.dilation > 1 {
        return wrong("dilation", "1", &block.dilation.to_string());
    }
    let last_stage = block.stage + 1 == anatomy.stages.len();
    let last = block.index + 1 == anatomy.stages[block.stage].blocks.len();
    let strided = match form.stride_in {
        StrideIn::First => block.index == 0 && block.stage > 0,
        StrideIn::Last => last && !last_stage,
    };
    if block.stride != if strided { 2 } else { 1 } {
        return wrong("stride", if strided { "2" } else { "1" }, &block.stride.to_string());
    }
    let on = format!("conv{}", form.stride_on);
    if strided && !form.blurred && block.stride_on.as_deref() != Some(&on) {
        return wrong("stride on", &on, block.stride_on.as_deref().unwrap_or("nothing"));
    }
    let changes = block.inputs != block.outputs || (strided && form.stride_in == StrideIn::First);
    let fits = match block.shortcut {
        ShortcutKind::Identity => !changes && !strided,
        ShortcutKind::Projection => changes || block.index == 0,
        // Option A of He et al. 2015 section 4.2.
        ShortcutKind::Pad => changes && form.stem == StemForm::Small,
        ShortcutKind::Pool => strided && form.stride_in == StrideIn::Last,
    };
    if !fits {
        let expected = match (changes, strided) {
            (true, _) => "projection",
            (false, true) => "pool",
            (false, false) => "identity",
        };
        return wrong("shortcut", expected, &text(block.shortcut));
    }
    None
}

/// An enum's name as it stands in JSON.
fn text(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}
