//! From a graph to the lists that an ONNX model consists of: what is left out, what the interface looks like, and the
//! order of nodes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use residua_formats::onnx::schema::ValueInfoProto;
use residua_ir::{Checked, DType, LayerId, Node, NodeId, Op, Role, Shape, SourceOrder, TensorType, ValueId, ValueKind};

use super::lower::{self, passes_through};
use super::lowering::{Lowering, unsupported};
use super::options::{FloatTypes, InputLayout, OnnxOptions};
use super::proto::{self, int, ints};
use crate::mapping::origin;
use crate::{Dropped, EmitError};

/// A lowered graph with its interface.
pub(crate) struct Plan<'a> {
    pub(crate) out: Lowering<'a>,
    pub(crate) inputs: Vec<ValueInfoProto>,
    pub(crate) outputs: Vec<ValueInfoProto>,
    pub(crate) dropped: Vec<Dropped>,
}

pub(crate) fn plan<'a>(model: &'a Checked, opset: i64, options: &OnnxOptions) -> Result<Plan<'a>, EmitError> {
    let (graph, layout, types) = (model.graph(), options.input_layout, options.types);
    let mut out = Lowering::new(model, opset, options, roots(model, types));
    let mut inputs = Vec::new();
    for &id in graph.inputs() {
        inputs.push(input(&mut out, id, layout)?);
    }
    let exits = exits(&mut out, layout);
    let direct: HashSet<String> = exits.iter().filter(|exit| exit.direct).map(|exit| exit.name.clone()).collect();
    absorb(&mut out);
    note_integers(&mut out);
    for id in graph.node_ids() {
        let node = graph.node(id);
        if !passes_through(model, types, node) && !out.absorbed.contains(&id) {
            refuse_unknown_shapes(model, node)?;
            lower::lower(&mut out, id)?;
            describe(&mut out, node, &direct);
        }
    }
    out.turn_to_interface();
    let mut outputs = exits.into_iter().map(|exit| exit.write(&mut out)).collect::<Result<Vec<_>, _>>()?;
    for value in inputs.iter_mut().chain(&mut outputs).chain(&mut out.types) {
        proto::annotate_value(value, &out.said.of_value(&value.name));
    }
    let dropped = dropped(&out);
    Ok(Plan { out, inputs, outputs, dropped })
}

/// Refuses a node that is written according to shapes that are not known.
fn refuse_unknown_shapes(model: &Checked, node: &Node) -> Result<(), EmitError> {
    let unknown = node.inputs.iter().chain(&node.outputs).find(|&&id| model.type_of(id).is_none());
    match unknown {
        Some(&id) if lower::needs_shapes(node) => Err(unsupported(
            node,
            format!(
                "the shape of `{}` is not known, since an operator before it is not; declare it in the model \
                 (`value_info`, which onnx.shape_inference and most exporters write)",
                model.graph().value(id).name
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// For each value, the first on its chain of nodes that pass their operand on.
fn roots(model: &Checked, types: FloatTypes) -> Vec<ValueId> {
    let graph = model.graph();
    let mut roots: Vec<ValueId> = graph.value_ids().collect();
    for node in graph.nodes().iter().filter(|node| passes_through(model, types, node)) {
        roots[node.output().index()] = roots[node.inputs[0].index()];
    }
    roots
}

/// How a value of the interface is turned from the order here into the order asked for.
enum Turn {
    None,
    /// Axis `i` outside is axis `perm[i]` here.
    Permute(Vec<usize>),
    /// Outside `[N, H·W·C]`, here `[N, C·H·W]`.
    Unflatten([usize; 3]),
}

fn turn(shape: &Shape, order: &SourceOrder, layout: InputLayout) -> Turn {
    match layout.order_of(shape.rank(), order) {
        SourceOrder::Same => Turn::None,
        SourceOrder::Permuted(perm) => Turn::Permute(perm),
        SourceOrder::FlattenedChannelsLast { channels, height, width } => Turn::Unflatten([channels, height, width]),
    }
}

impl Turn {
    /// The shape that the interface has for a value of this shape.
    fn outside(&self, shape: &Shape) -> Shape {
        match self {
            Turn::Permute(perm) => permuted(shape, perm),
            Turn::None | Turn::Unflatten(_) => shape.clone(),
        }
    }
}

fn permuted(shape: &Shape, perm: &[usize]) -> Shape {
    SourceOrder::Permuted(perm.to_vec()).source_shape(shape)
}

/// Moves the axes of `from` into `to`: a transpose, between reshapes where the axes are one.
fn write_turn(
    out: &mut Lowering<'_>,
    name: &str,
    from: String,
    to: String,
    (dtype, batch): (DType, residua_ir::Dim),
    (split, perm): (Option<[usize; 3]>, &[usize]),
) -> Result<(), EmitError> {
    let Some(split) = split else {
        let node = out.fresh(&format!("{name}/Transpose"));
        return out.push("Transpose", &node, vec![from], to, vec![ints("perm", perm)]);
    };
    let sizes: Vec<i64> = std::iter::once(0).chain(proto::to_i64(&split)).collect();
    let target = out.list(&format!("{name}/axes"), &sizes)?;
    let axes = [vec![batch], Shape::fixed(&split).dims().to_vec()].concat();
    let unflat = out.fresh(&format!("{name}/Reshape"));
    out.types.push(proto::value_info(&unflat, dtype, &Shape::new(axes.clone())));
    out.push("Reshape", &unflat, vec![from, target], unflat.clone(), Vec::new())?;
    let turned = out.fresh(&format!("{name}/Transpose"));
    out.types.push(proto::value_info(&turned, dtype, &permuted(&Shape::new(axes), perm)));
    out.push("Transpose", &turned, vec![unflat], turned.clone(), vec![ints("perm", perm)])?;
    let node = out.fresh(&format!("{name}/Flatten"));
    out.push("Flatten", &node, vec![turned], to, vec![int("axis", 1)])
}

/// Makes `to` of `from` in another type.
fn write_cast(out: &mut Lowering<'_>, name: &str, from: String, to: String, dtype: DType) -> Result<(), EmitError> {
    let node = out.fresh(&format!("{name}/Cast"));
    out.push("Cast", &node, vec![from], to, vec![int("to", i32::from(proto::data_type(dtype)))])
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (to, &from) in perm.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

fn batch(shape: &Shape) -> residua_ir::Dim {
    shape.dims().first().cloned().unwrap_or(residua_ir::Dim::Unknown)
}

/// Declares an input under its own name, and turns it to the order here.
fn input(out: &mut Lowering<'_>, id: ValueId, layout: InputLayout) -> Result<ValueInfoProto, EmitError> {
    let name = out.own_name(id);
    let (shape, dtype) = (out.shape(id), out.dtype(out.source_dtype(id)));
    let declared = out.interface_dtype(out.source_dtype(id));
    let turn = turn(&shape, &out.graph().value(id).order, layout);
    let outside = turn.outside(&shape);
    let mut from = name.clone();
    if declared != dtype {
        from = out.fresh(&format!("{name}/{dtype}"));
        out.types.push(proto::value_info(&from, dtype, &outside));
        write_cast(out, &name, name.clone(), from.clone(), dtype)?;
    }
    let (split, perm) = match turn {
        Turn::None => {
            out.names.insert(id, from);
            return Ok(proto::interface(&name, declared, &shape));
        }
        Turn::Permute(perm) => (None, inverse(&perm)),
        Turn::Unflatten([channels, height, width]) => (Some([height, width, channels]), vec![0, 3, 1, 2]),
    };
    let inner = out.fresh(&format!("{name}/nchw"));
    out.types.push(proto::value_info(&inner, dtype, &shape));
    write_turn(out, &name, from, inner.clone(), (dtype, batch(&shape)), (split, &perm))?;
    out.names.insert(id, inner);
    Ok(proto::interface(&name, declared, &outside))
}

/// An output under the source's name.
struct Exit {
    value: ValueId,
    name: String,
    /// Whether the node that computes it can give it this name itself.
    direct: bool,
    turn: Turn,
    /// The type that it is cast to at last, where that is another.
    cast: Option<DType>,
}

/// The outputs; values that can be computed under an output's name get that name.
fn exits(out: &mut Lowering<'_>, layout: InputLayout) -> Vec<Exit> {
    let graph = out.graph();
    let (mut exits, mut named) = (Vec::new(), HashSet::new());
    for &value in graph.outputs() {
        let root = out.roots[value.index()];
        let turn = turn(&out.shape(value), &graph.value(value).order, layout);
        let computed = matches!(graph.value(root).kind, ValueKind::Computed { .. });
        // An output that is named elsewhere in the list keeps its own name.
        let other = root != value && graph.is_output(root);
        let source = out.source_dtype(value);
        let cast = Some(out.interface_dtype(source)).filter(|&dtype| dtype != out.dtype(source));
        let as_it_is = matches!(turn, Turn::None) && cast.is_none();
        let direct = as_it_is && computed && !other && !out.names.contains_key(&root);
        let name = out.own_name(value);
        // An output that is listed twice.
        let name = if named.contains(&name) { out.fresh(&name) } else { name };
        named.insert(name.clone());
        if direct {
            out.names.insert(root, name.clone());
        } else if root == value && !as_it_is && !out.names.contains_key(&root) {
            let inner = out.fresh(&format!("{name}/{}", if cast.is_some() { "inside" } else { "nchw" }));
            out.names.insert(root, inner);
        }
        exits.push(Exit { value, name, direct, turn, cast });
    }
    exits
}

impl Exit {
    fn write(self, out: &mut Lowering<'_>) -> Result<ValueInfoProto, EmitError> {
        let known = out.model.type_of(self.value).or_else(|| out.said.declared(&self.name));
        let ty = known.cloned().unwrap_or(TensorType { dtype: DType::F32, shape: Shape::new(Vec::new()) });
        let (shape, dtype, known) = (ty.shape, out.dtype(ty.dtype), known.is_some());
        let declared = self.cast.unwrap_or(dtype);
        let info = |shape: &Shape| match known {
            true => proto::interface(&self.name, declared, shape),
            false => ValueInfoProto { name: self.name.clone(), ..ValueInfoProto::default() },
        };
        if self.direct {
            return Ok(info(&shape));
        }
        let input = matches!(out.graph().value(self.value).kind, ValueKind::Input(_));
        if input && self.name == out.own_name(self.value) {
            return Ok(info(&self.turn.outside(&shape)));
        }
        let from = out.operand(self.value)?;
        let outside = self.turn.outside(&shape);
        let (split, perm) = match self.turn {
            // An input or tensor that is an output as it is.
            Turn::None if from == self.name => return Ok(info(&shape)),
            Turn::None if self.cast.is_some() => {
                write_cast(out, &self.name, from, self.name.clone(), declared)?;
                return Ok(info(&shape));
            }
            Turn::None => {
                let node = out.fresh(&format!("{}/Identity", self.name));
                out.push("Identity", &node, vec![from], self.name.clone(), Vec::new())?;
                return Ok(info(&shape));
            }
            Turn::Permute(perm) => (None, perm),
            Turn::Unflatten(split) => (Some(split), vec![0, 2, 3, 1]),
        };
        let turned = if self.cast.is_some() { out.fresh(&format!("{}/{dtype}", self.name)) } else { self.name.clone() };
        write_turn(out, &self.name, from, turned.clone(), (dtype, batch(&shape)), (split, &perm))?;
        if self.cast.is_some() {
            out.types.push(proto::value_info(&turned, dtype, &outside));
            write_cast(out, &self.name, turned, self.name.clone(), declared)?;
        }
        Ok(info(&outside))
    }
}

/// What becomes part of the operator behind it: zero padding that one convolution alone reads, and the transposes of
/// weights, which the products of ONNX take the other way round.
fn absorb(out: &mut Lowering<'_>) {
    let graph = out.graph();
    let mut readers = vec![0usize; graph.values().len()];
    let written = graph.nodes().iter().filter(|node| !passes_through(out.model, out.types_of, node));
    let read = written.flat_map(|node: &Node| &node.inputs);
    for id in read.chain(graph.outputs()) {
        readers[out.roots[id.index()].index()] += 1;
    }
    let mut turned: BTreeMap<NodeId, usize> = BTreeMap::new();
    for node in graph.nodes() {
        if node.op == Op::Linear
            && let Some((transpose, _)) = lower::before_transpose(out, node)
        {
            *turned.entry(transpose).or_default() += 1;
        }
        let Some((pad, ..)) = lower::padding_before(out, node) else { continue };
        if readers[graph.node(pad).output().index()] == 1 {
            out.absorbed.insert(pad);
            out.notes.push(format!(
                "zero padding `{}` became part of convolution `{}`",
                graph.node(pad).name,
                node.name
            ));
        }
    }
    let unread = turned.into_iter().filter(|(id, count)| readers[graph.node(*id).output().index()] == *count);
    out.absorbed.extend(unread.map(|(id, _)| id));
}

/// Says where integer operators are written by others.
fn note_integers(out: &mut Lowering<'_>) {
    let graph = out.graph();
    let mut kinds: BTreeMap<&str, BTreeSet<LayerId>> = BTreeMap::new();
    for node in graph.nodes() {
        let kind = graph.layer(node.layer).kind.raw();
        let of_a_sum = matches!(node.op, Op::Quantize(_) | Op::Dequantize(_));
        if of_a_sum
            && !matches!(
                kind,
                "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "Quantize" | "Dequantize"
            )
        {
            kinds.entry(kind).or_default().insert(node.layer);
        }
    }
    out.notes.extend(kinds.into_iter().map(|(kind, layers)| {
        format!(
            "{} {kind} became the operator of real numbers between DequantizeLinear and QuantizeLinear, which computes the same",
            layers.len()
        )
    }));
}

/// Writes down the types of a node's results, unless they are outputs, whose types stand there.
fn describe(out: &mut Lowering<'_>, node: &Node, outputs: &HashSet<String>) {
    for &id in &node.outputs {
        let Some(ty) = out.model.type_of(id) else { continue };
        let name = out.names.get(&id).cloned().unwrap_or_else(|| out.own_name(id));
        if !outputs.contains(&name) {
            out.types.push(proto::value_info(&name, out.dtype(ty.dtype), &ty.shape));
        }
    }
}

/// Parameters that no node of the output reads.
fn dropped(out: &Lowering<'_>) -> Vec<Dropped> {
    let unread = out.graph().parameter_ids().filter(|&id| !out.is_written(id));
    let reason = |role| match role {
        Role::Counter => "a counter of training, which no operator reads",
        Role::Weight | Role::Statistic | Role::Literal | Role::Default => "no operator reads it",
    };
    unread
        .map(|id| Dropped { from: origin(out.graph(), id), reason: reason(out.graph().parameter(id).role).to_owned() })
        .collect()
}

/// Refuses what has no counterpart before anything is written.
pub(crate) fn refuse_opaque(model: &Checked) -> Result<(), EmitError> {
    let graph = model.graph();
    let unwritable = model.opaque_nodes().find_map(|id| {
        let Op::Opaque(opaque) = &graph.node(id).op else { return None };
        opaque.verbatim.is_none().then(|| (graph.node(id), opaque))
    });
    let Some((node, opaque)) = unwritable else { return Ok(()) };
    Err(EmitError::Unsupported {
        node: (&graph.layer(node.layer).name).into(),
        op: node.op.name().into(),
        problem: format!(
            "{} operator `{}`: {}; replace it by built-in layers, or cut the model before it",
            opaque.domain, opaque.op_type, opaque.reason
        )
        .into(),
        since: None,
    })
}
