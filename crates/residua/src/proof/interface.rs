//! How inputs and outputs of one model correspond to those of another.

use anyhow::Result;
use residua_exec::{Array, order};
use residua_ir::{Checked, Shape, SourceOrder, ValueId, validate};

/// NHWC from NCHW, and back.
const TO_LAST: [usize; 4] = [0, 2, 3, 1];
const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

/// How the arrays of the first model become arrays of the second.
pub(super) struct Interface {
    /// For each input, axis `i` of the second model's array is axis `perm[i]` of the first's.
    inputs: Vec<Vec<usize>>,
}

fn may_equal(a: &Shape, b: &Shape) -> bool {
    a.rank() == b.rank() && a.dims().iter().zip(b.dims()).all(|(a, b)| a.may_equal(b))
}

fn permuted(shape: &Shape, perm: &[usize]) -> Shape {
    Shape::new(perm.iter().map(|&axis| shape.dims()[axis].clone()).collect())
}

impl Interface {
    /// Pairs inputs and outputs by position.
    pub(super) fn between(a: &Checked, b: &Checked) -> Result<Self, String> {
        let count = |what: &str, a: &[ValueId], b: &[ValueId]| {
            if a.len() == b.len() {
                return Ok(());
            }
            Err(format!("the models have {} and {} {what}", a.len(), b.len()))
        };
        count("inputs", a.graph().inputs(), b.graph().inputs())?;
        count("outputs", a.graph().outputs(), b.graph().outputs())?;
        let inputs = a.graph().inputs().iter().zip(b.graph().inputs()).map(|(&x, &y)| {
            let (Some(first), Some(second)) = (a.shape_of(x), b.shape_of(y)) else {
                return Err("an input has no shape".to_owned());
            };
            let same: Vec<usize> = (0..first.rank()).collect();
            let candidates = [same, TO_LAST.to_vec(), TO_FIRST.to_vec()];
            candidates
                .into_iter()
                .filter(|perm| perm.len() == first.rank())
                .find(|perm| may_equal(&permuted(first, perm), second))
                .ok_or_else(|| format!("input `{}`: shape {first} against {second}", a.graph().value(x).name))
        });
        Ok(Self { inputs: inputs.collect::<Result<_, _>>()? })
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

/// The second model's array in the first's axis order; `None` where the shapes have nothing to do with each other.
///
/// Tried in turn: as it is; as the first model's source shows it; channels first from channels last and back.
pub(super) fn same_shape(first: &Array, second: &Array, order: &SourceOrder) -> Result<Option<Array>> {
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
