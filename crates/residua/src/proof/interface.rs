//! How inputs and outputs of one model correspond to those of another.

use crate::error::Result;
use residua_exec::{Array, order};
use residua_ir::{Checked, DType, Shape, SourceOrder, ValueId, validate};

/// NHWC from NCHW.
pub(super) const TO_LAST: [usize; 4] = [0, 2, 3, 1];
/// And back.
pub(super) const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

/// How a value of the second model lies, where that is known: the first model's array, as its source shows it, is the array
/// of `rewritten` order as that source shows it, and lies in the second model as `file` says.
#[derive(Debug, Clone)]
pub struct Written {
    /// How what was written lies in the source.
    pub rewritten: SourceOrder,
    /// How the file has it, compared with what was written.
    pub file: SourceOrder,
}

/// The inputs and outputs of what was written, in order.
#[derive(Debug, Clone, Default)]
pub struct WrittenInterface {
    /// Inputs.
    pub inputs: Vec<Written>,
    /// Outputs.
    pub outputs: Vec<Written>,
    /// The type that all real inputs and tensors of the file have, where it is one whatever those of the source have.
    pub float: Option<DType>,
}

/// How the arrays of the first model become arrays of the second.
pub(super) struct Interface {
    /// For each input, axis `i` of the second model's array is axis `perm[i]` of the first's.
    inputs: Vec<Vec<usize>>,
}

/// Sizes that are known and the same.
fn same_sizes(a: &Shape, b: &Shape) -> usize {
    a.dims().iter().zip(b.dims()).filter(|(a, b)| a.fixed().is_some() && a.fixed() == b.fixed()).count()
}

pub(super) fn may_equal(a: &Shape, b: &Shape) -> bool {
    a.rank() == b.rank() && a.dims().iter().zip(b.dims()).all(|(a, b)| a.may_equal(b))
}

pub(super) fn permuted(shape: &Shape, perm: &[usize]) -> Shape {
    Shape::new(perm.iter().map(|&axis| shape.dims()[axis].clone()).collect())
}

/// Where each axis of a value of so many axes, as the source shows it, is here; `None` where that is no permutation.
pub(super) fn axes(order: &SourceOrder, rank: usize) -> Option<Vec<usize>> {
    match order {
        SourceOrder::Permuted(perm) if perm.len() == rank => Some(perm.clone()),
        SourceOrder::Same | SourceOrder::FlattenedChannelsLast { .. } => Some((0..rank).collect()),
        SourceOrder::Permuted(_) => None,
    }
}

impl Written {
    /// The axes of the second model's array among those of the first's.
    pub(super) fn perm(&self, order: &SourceOrder, rank: usize) -> Option<Vec<usize>> {
        let (source, rewritten, file) = (axes(order, rank)?, axes(&self.rewritten, rank)?, axes(&self.file, rank)?);
        // Axis `i` of the file is axis `file[i]` of what was written, which is some axis of the source, which is one here.
        file.iter().map(|&axis| Some(source[rewritten.iter().position(|&shown| shown == axis)?])).collect()
    }

    /// Whether a flattened image is in an order of its own.
    pub(super) fn is_flattened(&self) -> bool {
        [&self.rewritten, &self.file].iter().any(|order| matches!(order, SourceOrder::FlattenedChannelsLast { .. }))
    }

    /// The second model's array of an output in the first's order.
    fn restored(&self, found: &Array, order: &SourceOrder) -> Result<Array> {
        let written = order::from_source(found, &self.file)?;
        Ok(order::from_source(&order::to_source(&written, &self.rewritten)?, order)?)
    }
}

impl Interface {
    /// Pairs inputs and outputs by position; how the second model's inputs lie is taken from `written` where that is known,
    /// and from the shapes otherwise.
    pub(super) fn between(a: &Checked, b: &Checked, written: Option<&WrittenInterface>) -> Result<Self, String> {
        let count = |what: &str, a: &[ValueId], b: &[ValueId]| {
            if a.len() == b.len() {
                return Ok(());
            }
            Err(format!("the models have {} and {} {what}", a.len(), b.len()))
        };
        count("inputs", a.graph().inputs(), b.graph().inputs())?;
        count("outputs", a.graph().outputs(), b.graph().outputs())?;
        let inputs = a.graph().inputs().iter().zip(b.graph().inputs()).enumerate().map(|(index, (&x, &y))| {
            let (Some(first), Some(second)) = (a.shape_of(x), b.shape_of(y)) else {
                return Err("an input has no shape".to_owned());
            };
            let value = a.graph().value(x);
            let known = written.and_then(|written| written.inputs.get(index)?.perm(&value.order, first.rank()));
            let candidates = match known {
                Some(perm) => vec![perm],
                None => vec![(0..first.rank()).collect(), TO_LAST.to_vec(), TO_FIRST.to_vec()],
            };
            let fits = candidates
                .into_iter()
                .filter(|perm| perm.len() == first.rank() && may_equal(&permuted(first, perm), second));
            // Of those that fit, what is known to be the same says more than what is free; of equals the first.
            let best = fits.rev().max_by_key(|perm| same_sizes(&permuted(first, perm), second));
            best.ok_or_else(|| format!("input `{}`: shape {first} against {second}", value.name))
        });
        Ok(Self { inputs: inputs.collect::<Result<_, _>>()? })
    }

    /// For each axis of the second model's array of this input, which one it is of the first's.
    pub(super) fn input(&self, at: usize) -> Option<&[usize]> {
        self.inputs.get(at).map(Vec::as_slice)
    }

    /// What the second model fixes of the first one's inputs, axis by axis.
    pub(super) fn sizes(&self, b: &Checked) -> Vec<Vec<Option<usize>>> {
        let of_input = |(&y, perm): (&ValueId, &Vec<usize>)| {
            let mut sizes = vec![None; perm.len()];
            let dims = b.shape_of(y).map(Shape::dims).unwrap_or_default();
            for (dim, &axis) in dims.iter().zip(perm) {
                sizes[axis] = dim.fixed();
            }
            sizes
        };
        b.graph().inputs().iter().zip(&self.inputs).map(of_input).collect()
    }

    /// The second model at the sizes of the first, which are known.
    pub(super) fn fix_sizes(&self, a: &Checked, b: &Checked) -> Result<Checked, String> {
        let shapes: Vec<Option<Vec<usize>>> = a
            .graph()
            .inputs()
            .iter()
            .zip(&self.inputs)
            .map(|(&x, perm)| {
                let shape = a.shape_of(x)?;
                perm.iter().map(|&axis| shape.dims()[axis].fixed()).collect()
            })
            .collect();
        let graph = b.graph().clone().with_input_shapes(&shapes).map_err(|error| error.to_string())?;
        validate(graph).map_err(|invalid| invalid.to_string())
    }

    /// The first model's arrays as the second takes them.
    pub(super) fn inputs(&self, arrays: &[Array]) -> Result<Vec<Array>> {
        arrays.iter().zip(&self.inputs).map(|(array, perm)| Ok(array.permute(perm)?)).collect()
    }
}

/// The second model's array of a value in the first's axis order; `None` where the shapes have nothing to do with each other.
///
/// Where it is not known how it was written, tried in turn: as it is; as the first model's source shows it; channels first from channels last and back.
pub(super) fn same_shape(
    first: &Array,
    second: &Array,
    order: &SourceOrder,
    written: Option<&Written>,
) -> Result<Option<Array>> {
    if let Some(written) = written {
        let restored = written.restored(second, order)?;
        return Ok((restored.shape() == first.shape()).then_some(restored));
    }
    let flattened = matches!(order, SourceOrder::FlattenedChannelsLast { .. });
    if first.shape() == second.shape() && !flattened {
        return Ok(Some(second.clone()));
    }
    if order::to_source(first, order)?.shape() == second.shape() {
        let restored = order::from_source(second, order)?;
        // A flattened map has the same shape in both orders: the nearer one is meant.
        if flattened {
            let as_is = residua_exec::compare::difference(first, second)?;
            let moved = residua_exec::compare::difference(first, &restored)?;
            return Ok(Some(if as_is.max_abs <= moved.max_abs { second.clone() } else { restored }));
        }
        return Ok(Some(restored));
    }
    for perm in [TO_LAST, TO_FIRST] {
        if second.shape().len() == 4 {
            let moved = second.permute(&perm)?;
            if moved.shape() == first.shape() {
                return Ok(Some(moved));
            }
        }
    }
    Ok(None)
}
