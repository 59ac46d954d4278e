//! Whether what was written is the source's function, as it is read back.
//!
//! What was rewritten, and tensors that were computed anew, are held against the source itself. Rounding is a step of its own: the
//! file must be the rounded model exactly, and what rounding cost is measured apart.

use crate::error::{Context, Result};
use residua_emit::Exactness;
use residua_emit::onnx::InputLayout;
use residua_ir::rewrite::Change;
use residua_ir::{Checked, DType, Shape, ValueId, validate};

use super::target::Target;
use super::written::{Resolved, Written};
use crate::proof::{self, Relation, Settings, Verdict, Verification, WrittenInterface};

/// What was written from what.
pub(super) struct Claim<'a, W> {
    pub(super) source: &'a Checked,
    /// What was written: the source, or it rewritten.
    pub(super) model: &'a Checked,
    /// What was written instead of the source, and what making it did to the numbers.
    pub(super) rewritten: Option<(&'a Checked, Change)>,
    pub(super) target: &'a Target,
    pub(super) written: &'a W,
    /// Whether what was written has a free batch in the place of the source's.
    pub(super) frees: bool,
}

/// An output as it is read back.
fn read_back(written: &impl Written) -> Result<Checked> {
    let graph = written.read_back().context("what was written cannot be read back")?;
    validate(graph).context("what was written does not hold together")
}

/// How the inputs and outputs of a model lie in a file of this layout, whose reals are of one type where that is said.
pub(super) fn interface(model: &Checked, layout: InputLayout, float: Option<DType>) -> WrittenInterface {
    let graph = model.graph();
    let lies = |&id: &ValueId| {
        let order = &graph.value(id).order;
        let rank = model.shape_of(id).map_or(0, Shape::rank);
        proof::Written { rewritten: order.clone(), file: layout.order_of(rank, order) }
    };
    WrittenInterface {
        inputs: graph.inputs().iter().map(lies).collect(),
        outputs: graph.outputs().iter().map(lies).collect(),
        float,
    }
}

impl<W: Written> Claim<'_, W> {
    /// Proves it.
    pub(super) fn prove(&self, settings: &Settings) -> Result<Verification> {
        let Self { source, rewritten, target, written, frees, .. } = *self;
        // Whether the file has another graph than the source: one that was made of it.
        let changed = frees || rewritten.is_some_and(|(_, change)| change == Change::Rounding);
        let settings = &Settings {
            // Another framework's code may leave the softmax to whoever uses it.
            before_softmax: target.fitted().is_some(),
            written: target.input_layout().map(|layout| interface(self.model, layout, target.one_float())),
            holds_graph: target.fitted().is_none() && !changed && !target.keeps_wide_interface(),
            holds_bits: !changed,
            // Several batches are held against the bounds of one.
            as_a_whole: frees,
            ..settings.clone()
        };
        let read_back = read_back(written)?;
        let (rounded_to, rearranged) = match &written.emitted().exactness {
            Exactness::Identical => (None, false),
            Exactness::Rearranged { .. } => (None, true),
            Exactness::Rounded { dtype, nodes } => (Some(*dtype), !nodes.is_empty()),
        };
        let relation = if rearranged { Relation::Rearranged } else { Relation::Identical };
        let mut verification = match (rounded_to, rewritten) {
            (Some(dtype), _) => self.prove_rounded(&read_back, dtype, relation, settings),
            (None, Some((_, Change::Rounding))) => proof::prove(source, &read_back, Relation::Rearranged, settings),
            (None, Some((_, Change::Nothing)) | None) => {
                proof::prove(&target.expected(source)?, &read_back, relation, settings)
            }
        }?;
        if changed && rounded_to.is_none() && relation == Relation::Identical && target.fitted().is_none() {
            let meant = target.expected(self.model)?;
            verification = proof::hold_written(&meant, &read_back, verification, settings)?;
        }
        proof::hold_in_types(source, &read_back, &mut verification, settings)?;
        if !frees || verification.verdict == Verdict::Different {
            return Ok(verification);
        }
        // What was rounded is the rounded source, as was shown, and gives what that gives for one batch.
        match rounded_to {
            None => proof::prove_batches(source, &read_back, verification, settings),
            Some(_) => {
                let alone = proof::at_sizes_of(source, &read_back, settings)?;
                proof::prove_batches(&alone, &read_back, verification, &Settings { written: None, ..settings.clone() })
            }
        }
    }

    fn prove_rounded(
        &self,
        read_back: &Checked,
        dtype: DType,
        relation: Relation,
        settings: &Settings,
    ) -> Result<Verification> {
        let computed = match self.target.fitted() {
            Some(fitted) if fitted.is_computed() => {
                // The same checkpoint unrounded, as it is read.
                let out = &self.written.emitted().files[0];
                let source = self.rewritten.map_or(self.source, |(model, _)| model);
                let unrounded = Resolved { target: self.target, rounded: false };
                Some(self::read_back(&W::write(&unrounded, source, out)?)?)
            }
            Some(_) | None => None,
        };
        let rewritten = self.rewritten.map(|(model, change)| match change {
            Change::Rounding => (model, Relation::Rearranged),
            Change::Nothing => (model, Relation::Identical),
        });
        let wide = computed.as_ref().map(|model| (model, Relation::Rearranged)).or(rewritten);
        if let Some((wide, relation)) = wide {
            let in_memory = computed.is_none().then(|| interface(wide, InputLayout::Nchw, None));
            let settings = &Settings { written: in_memory, ..settings.clone() };
            let computing = proof::prove(self.source, wide, relation, settings)?;
            if computing.verdict == Verdict::Different {
                return Ok(computing);
            }
        }
        let relation = if computed.is_some() { Relation::Identical } else { relation };
        let wide = wide.map_or(self.source, |(wide, _)| wide);
        let rounded = self.target.expected(wide)?;
        let mut verification = proof::prove(&rounded, read_back, relation, settings)?;
        let rounded_to = format!(", its weights rounded to {dtype}");
        if verification.identical.is_none() && verification.in_parts.is_none() {
            verification.method.push_str(&rounded_to);
        }
        verification.found.push_str(&rounded_to);
        proof::hold_rounded(wide, &rounded, &mut verification, settings)?;
        Ok(verification)
    }
}
