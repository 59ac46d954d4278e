//! A model as a runtime computes it that keeps every value in the type that the model declares for it.
//!
//! The proof runs in f64, where nothing overflows. In f16 a sum beyond 65504 is infinite and a variance below 3e-8 is 0, so
//! both models are run once more, each value of a narrow type rounded to it as soon as it is computed. Within an
//! operator it is computed as exactly as in f64, which is what runtimes with wide accumulators do.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Context, Error, Result};
use residua_exec::compare::difference;
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Checked, DType, Tensor, ValueId};

use super::compared_values::compared_values;
use super::finite::{self, Traced};
use super::run::{taken, top1};
use super::verification::{Beyond, CostInType, Verdict, Verification, agree};
use super::{Both, Relation, Settings, interface};

/// A narrow float type, in which numbers are lost that f32 has.
fn is_narrow(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// The narrow type that most of what a model computes has; `None` where nothing it computes is narrow.
fn type_of_most(model: &Checked) -> Option<DType> {
    let graph = model.graph();
    let types = graph.value_ids().filter(|&id| graph.producer(id).is_some()).filter_map(|id| model.type_of(id));
    types.map(|ty| ty.dtype).find(|&dtype| is_narrow(dtype))
}

fn rounded(array: &Array, dtype: DType) -> Result<Array> {
    let values = Tensor::from_f64(vec![array.len()], &array.to_f64())?.cast(dtype).to_f64()?;
    Ok(Array::new(array.shape().to_vec(), values)?)
}

/// What a run gave whose values have the types that the model declares.
struct TypedRun<'m> {
    kept: Vec<Array>,
    traced: Traced<'m>,
    beyond: Option<Beyond>,
}

impl<'m> TypedRun<'m> {
    fn new(model: &'m Checked, inputs: &[Array], keep: &[ValueId], settings: &Settings) -> Result<Self> {
        let graph = model.graph();
        let narrow = |id: ValueId| model.type_of(id).map(|ty| ty.dtype).filter(|&dtype| is_narrow(dtype));
        let inputs: Vec<Array> = graph
            .inputs()
            .iter()
            .zip(inputs)
            .map(|(&id, array)| narrow(id).map_or_else(|| Ok(array.clone()), |dtype| rounded(array, dtype)))
            .collect::<Result<_>>()?;
        let options =
            Options { precision: Precision::F64, threads: settings.threads, keep: keep.to_vec(), ..Options::default() };
        let (mut found, mut beyond, mut failed) = (BTreeMap::new(), None, None);
        let results = Executor::new(model, &options)?.run_watched(&inputs, &mut |value, computed| {
            let before = computed.non_finite().map_or(0, |(_, count)| count);
            let instead = narrow(value).and_then(|dtype| {
                let array = computed.to_array().map_err(Error::from);
                match array.and_then(|array| Ok((rounded(&array, dtype)?, array))) {
                    Ok(pair) => Some(pair),
                    Err(error) => {
                        failed.get_or_insert(error);
                        None
                    }
                }
            });
            let after = instead.as_ref().map_or(before, |(array, _)| count_non_finite(array));
            if after > 0 {
                found.insert(value, after);
            }
            if let (true, None, Some((_, exact)), Some(node)) =
                (after > before, &beyond, &instead, graph.producer(value))
            {
                let finite = exact.to_f64().into_iter().filter(|value| value.is_finite());
                let largest = finite.fold(0.0, |largest: f64, value| largest.max(value.abs()));
                let layer = graph.layer(graph.node(node).layer).name.clone();
                beyond = Some(Beyond { layer: layer.into_raw(), count: after - before, largest });
            }
            instead.map(|(array, _)| Arc::new(array))
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(Self { kept: taken(results, keep)?, traced: Traced::of(model, found), beyond }),
        }
    }
}

fn count_non_finite(array: &Array) -> usize {
    array.to_f64().iter().filter(|value| !value.is_finite()).count()
}

/// Runs what was written in the types that it declares, where those are narrow, and fails what was proved if outputs are
/// infinite or NaN so and the source's are not.
///
/// # Errors
/// Where one of the models cannot be run.
pub fn hold_in_types(
    source: &Checked,
    written: &Checked,
    verification: &mut Verification,
    settings: &Settings,
) -> Result<()> {
    let Some(dtype) = type_of_most(written).filter(|_| verification.verdict == Verdict::Same) else { return Ok(()) };
    let Ok(both) = Both::new(source, written, Relation::Identical, settings)? else { return Ok(()) };
    let compared_values = compared_values(&both.a, &both.b, settings.before_softmax);
    let (keep_a, keep_b): (Vec<_>, Vec<_>) = compared_values.iter().map(|compared| (compared.a, compared.b)).unzip();
    let a = TypedRun::new(&both.a, &both.inputs, &keep_a, settings).context("the source")?;
    let b = TypedRun::new(&both.b, &both.inputs_b, &keep_b, settings).context("the written file")?;
    let mut narrow = CostInType { dtype, max_abs: 0.0, cosine: 1.0, top1_agree: None, beyond: b.beyond };
    for (compared, (in_a, in_b)) in compared_values.iter().zip(a.kept.iter().zip(&b.kept)) {
        let order = &both.a.graph().value(compared.a).order;
        let Some(in_b) = interface::same_shape(in_a, in_b, order, both.written_as(compared.a, compared.b))? else {
            continue;
        };
        let difference = difference(in_a, &in_b)?;
        let places = &difference.non_finite;
        if places.places > places.reference {
            if let Some(mut values) = finite::values(places) {
                values.since_b = b.traced.since(compared.b);
                let sentence = finite::sentence(&compared.name, &values, verification.names);
                let largest = narrow.beyond.as_ref().map_or_else(String::new, |beyond| {
                    format!(
                        "; `{}` gives values up to {:.3e}, which {dtype} does not hold",
                        beyond.layer, beyond.largest
                    )
                });
                verification.reason = Some(format!("computed in {dtype}, {sentence}{largest}"));
                verification.top1_agree = verification.top1_agree.map(|_| false);
                verification.top5_agree = verification.top5_agree.map(|_| false);
                if let Some(output) = verification.outputs.iter_mut().find(|output| output.name == compared.name) {
                    output.unusable(values);
                }
            }
            verification.verdict = Verdict::Different;
            verification.found = format!("outputs are infinite or NaN where they are computed in {dtype}");
            break;
        }
        narrow.max_abs = narrow.max_abs.max(difference.max_abs);
        narrow.cosine = narrow.cosine.min(difference.cosine);
        narrow.top1_agree = agree(narrow.top1_agree, top1(in_a, &in_b));
    }
    verification.in_dtype = Some(narrow);
    Ok(())
}
