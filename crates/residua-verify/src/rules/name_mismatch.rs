//! Names that say another network than the one in the file.

use residua_ir::Finding;
use residua_resnet::anatomy::{ActivationOrder, BlockKind};

use crate::Subject;

residua_ir::code! {
    /// The name of the model or of its file says a depth, or a version, that its network does not have.
    ///
    /// ## Why it matters
    ///
    /// Whoever picks the file by its name gets another network. Often a block was lost, or a file was stored under the
    /// name of another.
    ///
    /// ## Example
    ///
    /// `resnet50: the name says depth 50, the network has 47`
    ///
    /// ## How to fix it
    ///
    /// Rename it, or look for the block that is missing.
    pub(super) static CODE = Topology Warning R213 "name-mismatch";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let anatomy = subject.anatomy;
    // Networks that were cut have fewer layers than their name says, on purpose; where paths meet outside of blocks,
    // depth is not counted as names count it.
    let whole = !anatomy.head.dense.is_empty() && anatomy.merges == 0 && !anatomy.hidden.any();
    let kind = anatomy.block_kind().filter(|kind| *kind != BlockKind::Other);
    let stem = anatomy.stem.convs.len() <= 3;
    if kind.is_none() || !whole || !stem {
        return;
    }
    let graph_name = subject.model.graph().name();
    let names = subject.called.iter().copied().chain([graph_name.raw()]);
    let said = names.filter_map(|name| Some((name, said(name)?)));
    for (name, Said { depth, v2 }) in said.take(1) {
        let mut report = |message: String| {
            findings.push(Finding::new(&CODE, message, "rename it, or look for what differs").at(name));
        };
        if depth != anatomy.depth() {
            report(format!("the name says depth {depth}, the network has {}", anatomy.depth()));
        }
        let post = anatomy.blocks.iter().all(|block| block.activation == ActivationOrder::Post);
        if v2 && post {
            report("the name says v2 (pre-activation), the blocks of the network are post-activated (v1)".to_owned());
        }
    }
}

/// What a name says.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    depth: usize,
    v2: bool,
}

/// `resnet50`, `ResNet-101`, `wide_resnet50_2`, `resnext50_32x4d`, `resnetv2_50`; none where no depth is said.
fn said(name: &str) -> Option<Said> {
    let name = name.to_ascii_lowercase();
    let at = ["resnet", "resnext"].iter().find_map(|word| Some(name.find(word)? + word.len()))?;
    let rest = &name[at..];
    let (rest, named_v2) = match rest.strip_prefix("v2") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let rest = rest.strip_prefix(['-', '_', ' ']).unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let depth = rest[..end].parse().ok().filter(|depth| (8..=2000).contains(depth))?;
    Some(Said { depth, v2: named_v2 || rest[end..].starts_with("v2") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_depths() {
        let says = |name| said(name).map(|said| (said.depth, said.v2));
        for (name, expected) in [
            ("resnet50", Some((50, false))),
            ("ResNet-101", Some((101, false))),
            ("resnet50v2", Some((50, true))),
            ("resnetv2_50x1_bit", Some((50, true))),
            ("wide_resnet50_2", Some((50, false))),
            ("seresnext26d_32x4d", Some((26, false))),
            ("my_resnet_18_pets", Some((18, false))),
            ("resnet50_imagenet1k_v2", Some((50, false))),
            ("resnet", None),
            ("resnet2", None),
            ("resnet_model_2024", None),
            ("vgg16", None),
        ] {
            assert_eq!(says(name), expected, "{name}");
        }
    }
}
