//! One node of ONNX to one or more of the graph.

mod activation;
mod arithmetic;
mod axes;
mod blocks;
mod constant;
mod einsum;
mod gather;
mod microsoft;
mod norm;
mod quantised;
mod reduce;
mod resize;
mod table;
mod window;

use residua_ir::{DType, Elementwise, Extent, IdentityReason, Op, ReshapeDim, Role, Tensor, Transform, ValueId};

use super::scope::Item;
use super::{Misused, Reader, Unknown, Unread};
pub use table::{Claim, claims};

/// What reading a node gives: its first result.
type Read = Result<ValueId, Unread>;

/// Reads a node: its results, by position.
pub(super) fn read(mut r: Reader<'_>) -> Result<Vec<(usize, ValueId)>, Unread> {
    let first = match r.node.domain.as_str() {
        domain if super::is_onnx(domain) => own(&mut r),
        "com.microsoft" => {
            let gives = |index: usize| index == 0 || microsoft::gives(&r.node.op_type, index);
            unread(&r, gives)?;
            microsoft::read(&mut r)
        }
        "com.microsoft.nchwc" => Err(Unknown(
            "an optimised model of ONNX Runtime for one machine; save it with a lower optimisation level".to_owned(),
        )),
        domain => Err(Unknown(format!("operators of the domain `{domain}` are not known"))),
    };
    let mut results = vec![(0, first?)];
    results.append(&mut r.given);
    Ok(results)
}

/// Reads a node of ONNX's own domain.
fn own(r: &mut Reader<'_>) -> Read {
    let name = r.node.op_type.as_str();
    let known = table::OPERATORS.binary_search_by(|operator| operator.claim.name.cmp(name));
    let operator = known.map_err(|_| Unknown("this operator is not known".to_owned()))?;
    let operator = &table::OPERATORS[operator];
    if !(operator.claim.since..=operator.claim.until).contains(&r.opset) {
        return Err(Misused(format!("operator set {} does not have it", r.opset)));
    }
    unread(r, |index| index < operator.results)?;
    (operator.read)(r)
}

/// Refuses where something reads a result that is not computed.
fn unread(r: &Reader<'_>, gives: impl Fn(usize) -> bool) -> Result<(), Unread> {
    match r.wanted.iter().enumerate().position(|(index, &wanted)| wanted && !gives(index)) {
        None => Ok(()),
        Some(index) => Err(Unknown(format!("something reads its result {}, which is not computed", index + 1))),
    }
}

fn dropout(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["ratio", "seed"]);
    if r.opset < 7 && !r.attributes.flag("is_test", false)? {
        return Err(Unknown("it is in training mode".to_owned()));
    }
    // How much is dropped in training does not matter, wherever it comes from; unless it is in training, and drops something.
    let ratio = r.operand(1).and_then(|name| r.scope.number(name, "ratio").ok());
    if let Some(name) = r.operand(2)
        && r.scope.number(name, "training mode")? != 0.0
        && ratio != Some(0.0)
    {
        return Err(Unknown("it is in training mode".to_owned()));
    }
    let x = r.value(0)?;
    // Nothing is dropped.
    if r.wants(1) {
        let shape = r.sizes_of(0)?;
        let all = r.own("all", DType::Bool, 1.0)?;
        let mut operands = vec![all];
        let shape = r.scope.extents_of(&shape, &mut operands);
        r.give(1, Op::Expand { shape }, &operands);
    }
    r.end(Op::Identity(IdentityReason::Dropout), &[x])
}

impl<'a> Reader<'a> {
    /// Name of an operand; `None` where it is left out.
    fn operand(&self, index: usize) -> Option<&'a str> {
        self.node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn required(&self, index: usize) -> Result<&'a str, Unread> {
        self.operand(index).ok_or_else(|| Misused(format!("operand {} is left out", index + 1)))
    }

    /// An operand as a value.
    fn value(&mut self, index: usize) -> Read {
        let name = self.required(index)?;
        self.scope.value(name, self.layer)
    }

    /// A constant operand in a role; other values as they are.
    fn value_as(&mut self, index: usize, role: Role, views: &[Transform]) -> Read {
        let name = self.required(index)?;
        self.scope.value_as(name, self.layer, role, views)
    }

    /// Shape of a constant operand.
    fn constant_shape(&self, index: usize) -> Option<Vec<usize>> {
        match self.scope.item(self.operand(index)?)? {
            Item::Constant(constant) => Some(constant.tensor.shape().to_vec()),
            Item::Value(_) | Item::Sizes(_) => None,
        }
    }

    /// Number of axes of a value; none behind an operator that is not known.
    fn rank(&self, id: ValueId) -> Option<usize> {
        self.scope.type_of(id).map(|ty| ty.shape.rank())
    }

    fn known_rank(&self, id: ValueId) -> Result<usize, Unread> {
        Ok(self.scope.shape(id)?.rank())
    }

    /// An axis counted from the front. Only one that is counted from the end needs the rank.
    fn axis(axis: i64, rank: Option<usize>) -> Result<usize, Unread> {
        let Some(rank) = rank else {
            let front = usize::try_from(axis);
            return front
                .map_err(|_| Unknown("an axis is counted from the end of an operand of unknown shape".to_owned()));
        };
        let signed = i64::try_from(rank).unwrap_or(i64::MAX);
        let front = if axis < 0 { axis.saturating_add(signed) } else { axis };
        let front = usize::try_from(front).ok().filter(|&front| front < rank);
        front.ok_or_else(|| Misused(format!("axis {axis} is out of range for rank {rank}")))
    }

    /// Axes counted from the front, ascending.
    fn axes(axes: &[i64], rank: Option<usize>) -> Result<Vec<usize>, Unread> {
        let mut front = axes.iter().map(|&axis| Self::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
        front.sort_unstable();
        front.dedup();
        if front.len() == axes.len() { Ok(front) } else { Err(Unknown(format!("axes {axes:?} name one twice"))) }
    }

    /// Refuses integers where the operator would treat them otherwise than real numbers.
    fn real(&self, id: ValueId) -> Result<(), Unread> {
        match self.scope.type_of(id) {
            Some(ty) if !ty.dtype.is_float() => Err(Unknown(format!("of {} numbers it is not known", ty.dtype))),
            Some(_) | None => Ok(()),
        }
    }

    /// A node on the way to the result.
    fn step(&mut self, what: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = format!("{}/{what}", self.name);
        self.scope.node(&name, op, inputs, self.layer)
    }

    /// Whether something reads a result.
    fn wants(&self, index: usize) -> bool {
        self.wanted.get(index).copied().unwrap_or(false)
    }

    /// The node that gives a result beyond the first.
    fn give(&mut self, index: usize, op: Op, inputs: &[ValueId]) {
        let name = self.node.output.get(index).map(|name| self.scope.shown(name)).unwrap_or_default();
        let id = self.scope.node(&name, op, inputs, self.layer);
        self.given.push((index, id));
    }

    /// Sizes of an operand, known or free.
    fn sizes_of(&mut self, index: usize) -> Result<Vec<Extent>, Unread> {
        let name = self.required(index)?;
        let sizes = self.scope.sizes_of(name);
        sizes.ok_or_else(|| Unknown("the shape of its operand is not known".to_owned()))
    }

    /// Element type of an operand.
    fn operand_dtype(&self, index: usize) -> Option<DType> {
        self.scope.dtype_of(self.operand(index)?)
    }

    /// An operand to be read as attribute, `what` it is in words, has this element type, where both are known.
    fn expect_type(&self, index: usize, what: &str, expected: Option<DType>) -> Result<(), Unread> {
        match (expected, self.operand_dtype(index)) {
            (Some(expected), Some(found)) if found != expected => {
                Err(Misused(format!("the element type of its {what} is {found}, it should be {expected}")))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// A real number of the element type of the first operand, to be read as attribute.
    fn number_like_first(&mut self, index: usize, what: &str) -> Result<f64, Unread> {
        let number = self.scope.number(self.required(index)?, what)?;
        self.expect_type(index, what, self.operand_dtype(0))?;
        Ok(number)
    }

    /// Element type of a value; of real numbers where it is not known.
    fn dtype(&self, id: ValueId) -> DType {
        self.scope.type_of(id).map_or(DType::F32, |ty| ty.dtype)
    }

    /// One number as an operand of our own.
    fn own(&mut self, what: &str, dtype: DType, number: f64) -> Read {
        #[expect(clippy::cast_possible_truncation, reason = "integers of ours are small")]
        let tensor = if dtype.is_float() {
            Tensor::filled(dtype, Vec::new(), number)
        } else {
            Tensor::from_i64(Vec::new(), &[number as i64]).and_then(|tensor| super::numbers::stored(&tensor, dtype))
        };
        let tensor = tensor.map_err(|error| Unknown(error.to_string()))?;
        let name = format!("{}/{what}", self.name);
        Ok(self.scope.own(&name, self.layer, Role::Literal, tensor))
    }

    /// A value with axes of size 1 behind its own.
    fn trailing(&mut self, id: ValueId, count: usize) -> Read {
        let rank = self.known_rank(id)?;
        if count == 0 {
            return Ok(id);
        }
        Ok(self.step("axes", Op::Unsqueeze { axes: (rank..rank + count).collect() }, &[id]))
    }

    /// A value under the shape that another has.
    fn shaped_as(&mut self, id: ValueId, sizes: &[Extent]) -> (Op, Vec<ValueId>) {
        let mut operands = vec![id];
        let sizes = self.scope.extents_of(sizes, &mut operands);
        let shape = sizes.into_iter().map(|size| match size.known().and_then(|size| usize::try_from(size).ok()) {
            Some(size) => ReshapeDim::Fixed(size),
            None => ReshapeDim::Computed(size),
        });
        (Op::Reshape { shape: shape.collect() }, operands)
    }

    fn multiply(&mut self, what: &str, a: ValueId, b: ValueId) -> ValueId {
        self.step(what, Op::Elementwise(Elementwise::Mul), &[a, b])
    }

    /// The node that gives the result; all attributes must have been read.
    fn end(&mut self, op: Op, inputs: &[ValueId]) -> Read {
        self.attributes.finish()?;
        Ok(self.scope.node(self.name, op, inputs, self.layer))
    }
}
