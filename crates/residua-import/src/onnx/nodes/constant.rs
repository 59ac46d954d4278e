//! Operators whose result is usually known when the model is read; here is what is left of them where it is not.

use residua_ir::{DType, Op, Role, Tensor, in_full};

use super::super::{Reader, Unknown};
use super::Read;

/// Elements that a range may have.
const MOST: f64 = (1 << 24) as f64;

pub(super) fn constant(_: &mut Reader<'_>) -> Read {
    Err(Unknown("a constant of a type that is not read".to_owned()))
}

/// `Shape` and `Size`.
pub(super) fn shape(_: &mut Reader<'_>) -> Read {
    Err(Unknown("the shape of its operand is not known".to_owned()))
}

/// One number, stretched to sizes of which some are free.
pub(super) fn constant_of_shape(r: &mut Reader<'_>) -> Read {
    let name = r.required(0)?;
    let sizes = r.scope.extents(name).ok_or_else(|| Unknown("its sizes are computed when it is run".to_owned()))?;
    if sizes.iter().all(|size| size.known().is_some()) {
        return Err(Unknown("a tensor of one number of these sizes is too large, or its sizes are below 0".to_owned()));
    }
    let number = match r.attributes.tensor("value")? {
        None => (DType::F32, 0.0),
        Some(proto) => {
            let tensor = r.file.tensor(proto).map_err(|error| Unknown(in_full(&error)))?;
            match tensor.to_f64().map_err(|error| Unknown(error.to_string()))?[..] {
                [only] => (tensor.dtype(), only),
                _ => return Err(Unknown("`value` must be one number".to_owned())),
            }
        }
    };
    r.attributes.finish()?;
    let mut operands = vec![r.own("value", number.0, number.1)?];
    let shape = r.scope.extents_of(&sizes, &mut operands);
    r.end(Op::Expand { shape }, &operands)
}

/// Numbers at equal distances.
pub(super) fn range(r: &mut Reader<'_>) -> Read {
    let dtype = r.operand_dtype(0).unwrap_or(DType::I64);
    let mut bounds = [0.0; 3];
    for (index, bound) in bounds.iter_mut().enumerate() {
        *bound = r.number_like_first(index, "bounds")?;
    }
    // How the numbers are added up, which is of no account to few of them.
    r.attributes.skip(&["stash_type"]);
    r.attributes.finish()?;
    let [start, limit, delta] = bounds;
    let count = ((limit - start) / delta).ceil().max(0.0);
    if !(0.0..=MOST).contains(&count) {
        return Err(Unknown(format!("{count} elements are too many")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let count = count as usize;
    let at = |index: usize| start + index as f64 * delta;
    #[expect(clippy::cast_possible_truncation, reason = "sums of whole numbers below 2^53")]
    let numbers = if dtype.is_float() {
        Tensor::from_f64(vec![count], &(0..count).map(at).collect::<Vec<_>>())
    } else {
        Tensor::from_i64(vec![count], &(0..count).map(|index| at(index) as i64).collect::<Vec<_>>())
    };
    let tensor = numbers.and_then(|numbers| super::super::numbers::stored(&numbers, dtype));
    let tensor = tensor.map_err(|error| Unknown(error.to_string()))?;
    Ok(r.scope.own(r.name, r.layer, Role::Literal, tensor))
}
