//! What a network is called: which known form its parts have, and in what they differ from what a name stands for.
//!
//! [`analyse`] is the way into all of it: it finds the parts of a network (`crate::structure`) and names them.

mod differences;
mod observed;

use residua_ir::Typed;
use residua_ir::rewrite::{Normalised, RewriteError, normalise};

use crate::form::{self, ActivationOrder, Architecture, Family, Form};
use crate::structure::{self, Anatomy, Block, NormKind};

pub use differences::Difference;

/// Finds out what a network is made of. Never fails: what is no residual network has no blocks.
///
/// What exporters wrote out is seen as what it was; nodes and values are those of `model` all the same.
#[must_use]
pub fn analyse(model: &Typed) -> Anatomy {
    analyse_normalised(model, normalise(model).as_ref().map(Option::as_ref))
}

/// The same, for a model of which it is known what [`normalise()`] makes of it, or that it cannot.
#[must_use]
pub fn analyse_normalised(model: &Typed, normal: Result<Option<&Normalised>, &RewriteError>) -> Anatomy {
    match normal {
        Ok(Some(normal)) => {
            analyse_as_it_is(&normal.model).in_source(normal.model.graph(), model.graph(), &normal.origin)
        }
        Ok(None) => analyse_as_it_is(model),
        // A tensor that cannot be read is found by whoever needs it.
        Err(error) => {
            let anatomy = analyse_as_it_is(model);
            Anatomy { given_up: error.overrun().or(anatomy.given_up), ..anatomy }
        }
    }
}

/// The same for a network whose operators are what they were before any export.
#[must_use]
pub fn analyse_as_it_is(model: &Typed) -> Anatomy {
    let mut anatomy = structure::find(model);
    anatomy.architecture = name(&anatomy);
    anatomy
}

/// What a network is called; [`None`] where it has no convolution, or paths meet in it in ways of no residual network.
fn name(anatomy: &Anatomy) -> Option<Architecture> {
    let depth = anatomy.depth();
    // What has kernels of its own may be any part of any network.
    if anatomy.hidden.convs {
        return None;
    }
    if let Some(dense) = anatomy.dense.as_ref().filter(|_| !anatomy.hidden.any()) {
        let standard = differences::differences(anatomy, &format!("densenet{depth}")).is_some_and(|d| d.is_empty());
        return Some(Architecture {
            name: format!("densenet{depth}{}", if standard { "" } else { "-custom" }),
            standard,
            family: Family::Dense,
            depth,
            block: None,
            stages: dense.layers.clone(),
        });
    }
    let Some(form) = Form::observed(anatomy) else {
        let plain = &anatomy.plain;
        // MobileNet is a chain as well, of other convolutions, and has a name that is none of ours.
        let ordinary = plain.depthwise == 0 && !plain.gated;
        let is_plain = plain.total > 0 && anatomy.merges == 0 && !anatomy.hidden.between && ordinary;
        return is_plain.then(|| Architecture {
            name: format!("plain{depth}"),
            standard: form::plain_stages(depth).is_some_and(|stages| anatomy.plain.stages == stages),
            family: Family::Plain,
            depth,
            block: None,
            stages: Vec::new(),
        });
    };
    let family = form.family();
    // Stems of more convolutions count otherwise in the names of their networks: ResNet-RS, say.
    let known_stem = anatomy.stem.convs.len() <= 3;
    let base = form::name(&form, depth).filter(|_| known_stem && is_of_form(anatomy, &form));
    let standard = !anatomy.hidden.between
        && base.as_ref().is_some_and(|name| differences::differences(anatomy, name).is_some_and(|d| d.is_empty()));
    let name = match base {
        Some(name) if standard => name,
        Some(name) => format!("{name}-custom"),
        None => format!("residual{depth}"),
    };
    let stages = form.stages.iter().map(|stage| stage.blocks).collect();
    Some(Architecture { name, standard, family, depth, block: Some(form.block), stages })
}

/// Whether a network is of the form that its blocks have, but for a few exceptions: its blocks follow each other, and each
/// has the kind, the groups and the gates of the others, with one way through it.
///
/// IBN-Net's blocks normalise instances, or their sums; ResNeSt's gates stand before the last convolution; those of face recognition have no activation before their first convolution;
/// HRNet and DLA repeat the blocks of ResNet between other sums and concatenations, RegNet has other groups in each
/// stage, BoTNet other blocks in the last one: their names are none of ours.
fn is_of_form(anatomy: &Anatomy, form: &Form) -> bool {
    let blocks = &anatomy.blocks;
    let few = |count: usize| count * 8 <= blocks.len();
    let follows = |block: &Block| {
        block.kind == form.block
            && block.groups == form.groups
            && block.squeeze_excite.is_some() == form.squeeze_excite
            && !block.gates_early()
            && !block.other_gate
            && !block.parted
    };
    let instance = |norm: NormKind| matches!(norm, NormKind::Instance | NormKind::Mixed);
    let instance = blocks.iter().filter(|block| block.norm.is_some_and(instance)).count();
    // Pre-activated blocks activate before their first convolution, but for one behind a normalised stem. Face
    // recognition's have a norm alone there.
    let bare = |block: &Block| block.convs.first().is_some_and(|conv| conv.activation.is_none());
    let bare = blocks.iter().filter(|block| form.order == ActivationOrder::Pre && bare(block)).count();
    let loose = anatomy.loose.iter().filter(|loose| !loose.unseen).count();
    let elsewhere = anatomy.inner_merges + anatomy.elsewhere + loose;
    let normed_sums = blocks.iter().filter(|block| block.norm_behind).count();
    few(blocks.iter().filter(|block| !follows(block)).count())
        && few(elsewhere)
        && (instance + bare) * 2 <= blocks.len()
        && normed_sums < 2
}

impl Anatomy {
    /// In what the network differs from what a name stands for; empty where it is that. [`None`] for a name that is not
    /// known.
    #[must_use]
    pub fn differences(&self, name: &str) -> Option<Vec<Difference>> {
        let name = name.to_ascii_lowercase();
        if self.architecture.as_ref().is_some_and(|architecture| architecture.name == name) {
            return Some(Vec::new());
        }
        differences::differences(self, &name)
    }

    /// Whether the network is what a name stands for.
    ///
    /// # Errors
    /// Where it is not: in what it differs, a sentence each, at least one.
    pub fn is(&self, name: &str) -> Result<(), Vec<String>> {
        let Some(architecture) = &self.architecture else {
            let reason = match self.hidden.any() {
                true => "parts of it are not known",
                false => "it is no residual network, nor a plain convolutional one",
            };
            return Err(vec![reason.to_owned()]);
        };
        if architecture.name == name.to_ascii_lowercase() {
            return Ok(());
        }
        let mut reasons = vec![format!("it is {}", architecture.name)];
        match self.differences(name) {
            Some(differences) => reasons.extend(differences.iter().map(ToString::to_string)),
            None => reasons.push(format!("`{name}` is no architecture that is known here")),
        }
        Err(reasons)
    }
}
