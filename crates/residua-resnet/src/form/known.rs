//! Names to forms and forms to names.

use super::description::{ActivationOrder, BlockKind, Form, StageForm, StemForm, StrideIn};

/// Blocks a stage by kind and depth; He et al. 2015, and timm for 26 and 200.
const DEPTHS: [(BlockKind, usize, [usize; 4]); 7] = [
    (BlockKind::Basic, 18, [2, 2, 2, 2]),
    (BlockKind::Basic, 34, [3, 4, 6, 3]),
    (BlockKind::Bottleneck, 26, [2, 2, 2, 2]),
    (BlockKind::Bottleneck, 50, [3, 4, 6, 3]),
    (BlockKind::Bottleneck, 101, [3, 4, 23, 3]),
    (BlockKind::Bottleneck, 152, [3, 8, 36, 3]),
    (BlockKind::Bottleneck, 200, [3, 24, 36, 3]),
];

/// Convolutions of each width, behind the first, of the plain networks of He et al. 2015.
pub(crate) fn plain_stages(depth: usize) -> Option<[usize; 4]> {
    match depth {
        18 => Some([4, 4, 4, 4]),
        34 => Some([6, 8, 12, 6]),
        _ => None,
    }
}

/// Layers of each block and the channels that each adds, of the networks of Huang et al. 2017.
pub(crate) fn dense(depth: usize) -> Option<([usize; 4], usize)> {
    match depth {
        121 => Some(([6, 12, 24, 16], 32)),
        161 => Some(([6, 12, 36, 24], 48)),
        169 => Some(([6, 12, 32, 32], 32)),
        201 => Some(([6, 12, 48, 32], 32)),
        264 => Some(([6, 12, 64, 48], 32)),
        _ => None,
    }
}

impl Form {
    /// Layers of each block of a densely connected network of this depth, and the channels that each adds.
    #[must_use]
    pub fn dense(depth: usize) -> Option<([usize; 4], usize)> {
        dense(depth)
    }

    /// Whether its blocks are of two 3x3 convolutions.
    #[must_use]
    pub fn is_basic(&self) -> bool {
        self.block == BlockKind::Basic
    }

    /// Forms that a standard name stands for; several where the literature has several. Empty for unknown names.
    #[must_use]
    pub fn named(name: &str) -> Vec<Self> {
        named(&name.to_ascii_lowercase())
    }

    /// The standard name of a form in exactly its sizes.
    #[must_use]
    pub fn standard_name(&self) -> Option<String> {
        name(self, self.depth()).filter(|name| named(name).contains(self))
    }
}

/// The name that a form of this depth has, were all its sizes standard.
pub(crate) fn name(form: &Form, depth: usize) -> Option<String> {
    if form.block == BlockKind::Other {
        return None;
    }
    if form.stem == StemForm::Small && form.stages.len() <= 3 {
        let v2 = if form.order == ActivationOrder::Pre { "v2" } else { "" };
        return Some(format!("resnet{depth}{v2}_cifar"));
    }
    let gn = if form.group_norm { "_gn" } else { "" };
    if form.order == ActivationOrder::Pre {
        return Some(match form.stride_in {
            StrideIn::Last => format!("resnet{depth}v2"),
            StrideIn::First => format!("resnetv2_{depth}{}{gn}", if form.pooled_shortcut { "d" } else { "" }),
        });
    }
    let se = if form.squeeze_excite { "se" } else { "" };
    let first = form.stages.first()?;
    if form.groups > 1 {
        // Width of a group in the first stage.
        if first.width < form.groups || !first.width.is_multiple_of(form.groups) {
            return None;
        }
        return Some(format!("{se}resnext{depth}_{}x{}d", form.groups, first.width / form.groups));
    }
    if form.block == BlockKind::Bottleneck && first.width > 64 && first.outputs == 256 && first.width.is_multiple_of(64)
    {
        return Some(format!("wide_resnet{depth}_{}", first.width / 64));
    }
    let blur = if form.blurred { "blur" } else { "" };
    let suffix = if form.stem == StemForm::Deep {
        if form.pooled_shortcut { "d" } else { "c" }
    } else if form.block == BlockKind::Bottleneck && form.stride_on == 1 {
        "v1"
    } else {
        ""
    };
    Some(format!("{se}resnet{blur}{depth}{suffix}{gn}"))
}

/// Forms of a name in lower case.
pub(crate) fn named(name: &str) -> Vec<Form> {
    if let Some(rest) = name.strip_suffix("_cifar") {
        return cifar(rest);
    }
    imagenet(name).into_iter().collect()
}

fn cifar(name: &str) -> Vec<Form> {
    let Some(rest) = name.strip_prefix("resnet") else { return Vec::new() };
    let (digits, order) = match rest.strip_suffix("v2") {
        Some(digits) => (digits, ActivationOrder::Pre),
        None => (rest, ActivationOrder::Post),
    };
    let Ok(depth) = digits.parse::<usize>() else { return Vec::new() };
    let form = |block: BlockKind, per_block: usize, stride_on: usize, sizes: [(usize, usize); 3]| {
        let total = depth.checked_sub(2)?;
        let blocks = total / (3 * per_block);
        (total % (3 * per_block) == 0 && blocks > 0 && blocks < 1000).then(|| Form {
            block,
            order,
            stem: StemForm::Small,
            stem_width: 16,
            stages: sizes.iter().map(|&(width, outputs)| StageForm { blocks, width, outputs }).collect(),
            stride_on,
            stride_in: StrideIn::First,
            groups: 1,
            squeeze_excite: false,
            pooled_shortcut: false,
            blurred: false,
            group_norm: false,
        })
    };
    const BASIC: [(usize, usize); 3] = [(16, 16), (32, 32), (64, 64)];
    // The Keras example widens the bottleneck with the stage before, He et al. 2016 with the stage itself.
    const KERAS: [(usize, usize); 3] = [(16, 64), (64, 128), (128, 256)];
    const HE: [(usize, usize); 3] = [(16, 64), (32, 128), (64, 256)];
    let forms = match order {
        ActivationOrder::Post => vec![form(BlockKind::Basic, 2, 1, BASIC)],
        ActivationOrder::Pre => vec![
            form(BlockKind::Bottleneck, 3, 1, KERAS),
            form(BlockKind::Bottleneck, 3, 1, HE),
            form(BlockKind::Basic, 2, 1, BASIC),
        ],
    };
    forms.into_iter().flatten().collect()
}

/// What a name of the ImageNet family says besides its depth.
struct Traits {
    order: ActivationOrder,
    stride_on: usize,
    stride_in: StrideIn,
    groups: usize,
    base_width: usize,
    stem: StemForm,
    pooled: bool,
}

fn imagenet(name: &str) -> Option<Form> {
    let (name, group_norm) = strip_suffix(name, "_gn");
    let (squeeze_excite, name) = strip_prefix(name, "se");
    let mut traits = Traits {
        order: ActivationOrder::Post,
        stride_on: 2,
        stride_in: StrideIn::First,
        groups: 1,
        base_width: 64,
        stem: StemForm::Large,
        pooled: false,
    };
    let (blurred, name) = match name.strip_prefix("resnetblur") {
        Some(rest) => (true, format!("resnet{rest}")),
        None => (false, name.to_owned()),
    };
    let digits = if let Some(rest) = name.strip_prefix("resnext") {
        let (depth, sizes) = rest.split_once('_')?;
        let (groups, width) = sizes.strip_suffix('d')?.split_once('x')?;
        traits.groups = groups.parse().ok().filter(|g| (2..=1024).contains(g))?;
        traits.base_width = width.parse().ok().filter(|w| (1..=1024).contains(w))?;
        depth
    } else if let Some(rest) = name.strip_prefix("wide_resnet") {
        let (depth, factor) = rest.split_once('_')?;
        traits.base_width = 64 * factor.parse::<usize>().ok().filter(|f| (2..=16).contains(f))?;
        depth
    } else if let Some(rest) = name.strip_prefix("resnetv2_") {
        traits.order = ActivationOrder::Pre;
        if let Some(depth) = rest.strip_suffix('d') {
            (traits.stem, traits.pooled) = (StemForm::Deep, true);
            depth
        } else {
            rest
        }
    } else {
        let rest = name.strip_prefix("resnet")?;
        let at = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match &rest[at..] {
            "" => {}
            "v1" => traits.stride_on = 1,
            "v2" => (traits.order, traits.stride_in) = (ActivationOrder::Pre, StrideIn::Last),
            "c" => traits.stem = StemForm::Deep,
            "d" => (traits.stem, traits.pooled) = (StemForm::Deep, true),
            _ => return None,
        }
        &rest[..at]
    };
    let depth = digits.parse::<usize>().ok()?;
    let &(block, _, blocks) = DEPTHS.iter().find(|(_, d, _)| *d == depth)?;
    let keras_only = traits.stride_in == StrideIn::Last || traits.stride_on == 1;
    let bottleneck_only = keras_only || traits.groups > 1 || traits.base_width != 64;
    if block == BlockKind::Basic && bottleneck_only {
        return None;
    }
    let stage = |(at, &blocks): (usize, &usize)| {
        let planes = 64usize << at;
        match block {
            BlockKind::Basic => StageForm { blocks, width: planes, outputs: planes },
            BlockKind::Bottleneck | BlockKind::Other => {
                StageForm { blocks, width: planes * traits.base_width * traits.groups / 64, outputs: planes * 4 }
            }
        }
    };
    Some(Form {
        block,
        order: traits.order,
        stem: traits.stem,
        stem_width: 64,
        stages: blocks.iter().enumerate().map(stage).collect(),
        stride_on: if blurred {
            0
        } else if block == BlockKind::Basic {
            1
        } else {
            traits.stride_on
        },
        stride_in: traits.stride_in,
        groups: traits.groups,
        squeeze_excite,
        pooled_shortcut: traits.pooled,
        blurred,
        group_norm,
    })
}

fn strip_suffix<'a>(name: &'a str, suffix: &str) -> (&'a str, bool) {
    name.strip_suffix(suffix).map_or((name, false), |rest| (rest, true))
}

fn strip_prefix<'a>(name: &'a str, prefix: &str) -> (bool, &'a str) {
    name.strip_prefix(prefix).map_or((false, name), |rest| (true, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_a_name_has_that_name() {
        let names = "resnet18 resnet34 resnet50 resnet101 resnet152 resnet200 resnet50v1 resnet152v1 resnet50v2 \
            resnet101v2 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2 wide_resnet101_2 resnet50d \
            resnet18d resnet50c seresnet18 seresnet50 seresnext50_32x4d resnetblur50 resnet50_gn resnetv2_50 \
            resnetv2_101 resnetv2_18d resnetv2_50d_gn resnetv2_50_gn resnet20_cifar resnet1202_cifar resnet29v2_cifar resnet164v2_cifar resnet1001v2_cifar";
        for expected in names.split_whitespace() {
            let forms = named(expected);
            assert!(!forms.is_empty(), "{expected}");
            for form in forms {
                assert_eq!(name(&form, form.depth()).as_deref(), Some(expected));
                assert!(expected.contains(&form.depth().to_string()), "{expected}: {}", form.depth());
            }
        }
    }

    #[test]
    fn what_is_no_name_has_no_form() {
        for text in [
            "",
            "resnet",
            "resnet51",
            "resnet18v1",
            "resnet50v3",
            "resnext50",
            "resnext50_0x4d",
            "resnet21_cifar",
            "resnet2_cifar",
            "wide_resnet18_2",
        ] {
            assert!(named(text).is_empty(), "{text}");
        }
    }
}
