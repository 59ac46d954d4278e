//! Which float type an output has, and whether weights lose digits in it.

use residua_ir::{DType, Graph, Role};

use crate::EmitError;

/// Float types of a graph's weights.
pub(crate) fn weights(graph: &Graph) -> impl Iterator<Item = DType> + '_ {
    let counted = graph.parameters().iter().filter(|p| p.role != Role::Counter).map(|p| p.tensor.dtype());
    counted.filter(|dtype| dtype.is_float())
}

/// Whether every number of `narrow` is one of `wide`.
pub(crate) fn holds(wide: DType, narrow: DType) -> bool {
    wide == narrow || wide == DType::F64 || (wide == DType::F32 && narrow != DType::F64)
}

/// Whether weights lose digits in this type.
pub(crate) fn rounds(mut weights: impl Iterator<Item = DType>, float: DType) -> bool {
    weights.any(|dtype| !holds(float, dtype))
}

/// Refuses what is no float type.
pub(crate) fn check(float: DType) -> Result<DType, EmitError> {
    if float.is_float() {
        Ok(float)
    } else {
        Err(EmitError::Option(format!("{float} is no floating-point type").into()))
    }
}
