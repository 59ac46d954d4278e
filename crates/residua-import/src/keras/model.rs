//! The walk over a model's calls, in an order in which operands come first; nested models are walked in place.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use residua_ir::{DType, IdentityReason, InputType, Op};

use super::config::{Arg, Body, Call, Input, Layer, Model, TensorRef, Wiring};
use super::json::unexpected;
use super::layer_call::{LayerCall, Net, Val, declared_type};
use super::lower;
use super::wrapper::{self, Wrapping};
use crate::error::{Error, Result};

/// Where a model stands within others.
struct Scope {
    /// Names of enclosing models, with a slash after each.
    prefix: String,
    /// Which calls of them.
    tag: String,
    trainable: bool,
    training: bool,
    /// Whether an enclosing model is called more than once.
    shared: bool,
}

/// Builds the outermost model with its inputs and outputs.
pub(super) fn build(net: &mut Net, root: &Model<'_>) -> Result<()> {
    register(net, root, "", root.trainable);
    let declared = match &root.wiring {
        Wiring::Chain => vec![root.chain_input()?],
        Wiring::Graph { inputs, .. } => {
            inputs.iter().map(|input| root.layers[input.layer].input()).collect::<Result<_>>()?
        }
    };
    let values =
        declared.iter().enumerate().map(|(index, input)| add_input(net, input, index)).collect::<Result<_>>()?;
    let scope =
        Scope { prefix: String::new(), tag: String::new(), trainable: root.trainable, training: false, shared: false };
    let outputs = instantiate(net, root, &scope, values)?;
    name_outputs(net, root, &outputs);
    Ok(())
}

/// Notes all layers, in the configuration's order.
fn register(net: &mut Net, model: &Model<'_>, prefix: &str, trainable: bool) {
    for layer in &model.layers {
        let path = format!("{prefix}{}", layer.name);
        match &layer.body {
            Body::Input => {}
            Body::Model(_) | Body::Wrapper(_) | Body::Operation | Body::Layer => {
                register_layer(net, layer, path, trainable);
            }
        }
    }
}

fn register_layer(net: &mut Net, layer: &Layer<'_>, path: String, trainable: bool) {
    if let Body::Model(inner) = &layer.body {
        return register(net, inner, &format!("{path}/"), trainable && inner.trainable);
    }
    let trainable = trainable && layer.fields(&path).bool_or("trainable", true).unwrap_or(true);
    if let Body::Wrapper(inner) = &layer.body {
        register_layer(net, inner, format!("{path}/{}", inner.name), trainable);
    }
    let id = net.builder.layer(&path, layer.class, trainable);
    net.layers.insert(path, id);
}

fn add_input(net: &mut Net, input: &Input, index: usize) -> Result<Val> {
    let mark = if index == 0 { String::new() } else { (index + 1).to_string() };
    let (shape, order) = declared_type(&input.shape, net.channels_first, &mark);
    let dtype = input_dtype(input)?;
    let ty = InputType { dtype, shape: shape.clone() };
    let id = net.builder.input_with(&input.name, ty, order.clone());
    Ok(Val { id, order, ty: Some(residua_ir::TensorType { dtype, shape }) })
}

fn input_dtype(input: &Input) -> Result<DType> {
    Ok(match input.dtype.as_deref() {
        None | Some("float32" | "mixed_float16" | "mixed_bfloat16") => DType::F32,
        Some("float64") => DType::F64,
        Some("float16") => DType::F16,
        Some("bfloat16") => DType::BF16,
        Some("int64") => DType::I64,
        Some("int32") => DType::I32,
        Some("int16") => DType::I16,
        Some("int8") => DType::I8,
        Some("uint64") => DType::U64,
        Some("uint32") => DType::U32,
        Some("uint16") => DType::U16,
        Some("uint8") => DType::U8,
        Some("bool") => DType::Bool,
        Some(other) => {
            return Err(Error::Unsupported {
                what: format!("input `{}` of dtype {other}", input.name).into(),
                help: "give the model numeric inputs".into(),
            });
        }
    })
}

/// Marks the outputs, under the names that Keras gives them: those of the layers of the outermost model.
fn name_outputs(net: &mut Net, root: &Model<'_>, outputs: &[Val]) {
    let layers: Vec<usize> = match &root.wiring {
        Wiring::Chain => vec![root.layers.len().saturating_sub(1)],
        Wiring::Graph { outputs, .. } => outputs.iter().map(|output| output.layer).collect(),
    };
    for (index, (value, &layer)) in outputs.iter().zip(&layers).enumerate() {
        let repeated = layers[..index].iter().filter(|&&other| other == layer).count();
        let plain = root.layers[layer].name;
        let name = if repeated == 0 { plain.to_owned() } else { format!("{plain}_{repeated}") };
        let named = net.builder.graph().value(value.id).name == name;
        let id = if named || matches!(root.layers[layer].body, Body::Input) {
            value.id
        } else {
            let id = net.builder.layer(&name, root.layers[layer].class, true);
            net.builder.node(&name, Op::Identity(IdentityReason::Linear), &[value.id], id)
        };
        net.builder.set_order(id, value.order.clone());
        net.builder.output(id);
    }
}

fn instantiate(net: &mut Net, model: &Model<'_>, scope: &Scope, inputs: Vec<Val>) -> Result<Vec<Val>> {
    net.count_call()?;
    match &model.wiring {
        Wiring::Chain => {
            let call = Call::default();
            let mut values = inputs;
            for layer in model.layers.iter().filter(|layer| !matches!(layer.body, Body::Input)) {
                values = apply(net, layer, &call, 0, scope, values)?;
            }
            Ok(values)
        }
        Wiring::Graph { inputs: ends, outputs } => {
            let mut results: Vec<Vec<Vec<Val>>> =
                model.layers.iter().map(|layer| vec![Vec::new(); layer.calls.len()]).collect();
            if ends.len() != inputs.len() {
                let expected = format!("a call with {} inputs", ends.len());
                let found = serde_json::Value::from(inputs.len());
                return Err(unexpected(format!("model `{}{}`", scope.prefix, model.name), &expected, Some(&found)));
            }
            for (end, value) in ends.iter().zip(inputs) {
                results[end.layer][end.call] = vec![value];
            }
            for (index, number) in schedule(model)? {
                let layer = &model.layers[index];
                let call = &layer.calls[number];
                if !matches!(layer.body, Body::Input) {
                    let operands = operands(net, model, &results, layer, call, scope)?;
                    results[index][number] = apply(net, layer, call, number, scope, operands)?;
                }
            }
            outputs.iter().map(|output| lookup(model, &results, output).cloned()).collect()
        }
    }
}

fn lookup<'r>(model: &Model<'_>, results: &'r [Vec<Vec<Val>>], tensor: &TensorRef) -> Result<&'r Val> {
    results[tensor.layer][tensor.call].get(tensor.output).ok_or_else(|| {
        let layer = model.layers[tensor.layer].name;
        let found = serde_json::Value::from(tensor.output);
        unexpected(format!("model `{}`", model.name), &format!("an output that layer `{layer}` has"), Some(&found))
    })
}

/// The tensors that a call is given, with declared shapes where theirs are not known.
fn operands(
    net: &mut Net,
    model: &Model<'_>,
    results: &[Vec<Vec<Val>>],
    layer: &Layer<'_>,
    call: &Call<'_>,
    scope: &Scope,
) -> Result<Vec<Val>> {
    let tensors = call.tensors();
    let only = tensors.len() == 1;
    let mut values = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let value = lookup(model, results, tensor)?;
        let declared = tensor.shape.as_ref().or_else(|| layer.input_hint().filter(|_| only));
        let value = match (&value.ty, declared) {
            (None, Some(declared)) => settle(net, value, declared),
            (Some(_), _) | (None, None) => value.clone(),
        };
        values.push(value);
    }
    if values.is_empty() && !matches!(layer.body, Body::Input) {
        return Err(unexpected(
            format!("layer `{}{}`", scope.prefix, layer.name),
            "a call on at least one tensor",
            None,
        ));
    }
    Ok(values)
}

/// Gives a value behind an unknown layer the shape that the configuration declares for it.
fn settle(net: &mut Net, value: &Val, declared: &super::config::DeclaredShape) -> Val {
    let (shape, order) = declared_type(declared, net.channels_first, "");
    net.builder.set_order(value.id, order.clone());
    Val { id: value.id, order, ty: Some(residua_ir::TensorType { dtype: DType::F32, shape }) }
}

/// All calls, operands first, otherwise in the configuration's order.
fn schedule(model: &Model<'_>) -> Result<Vec<(usize, usize)>> {
    let mut first = Vec::with_capacity(model.layers.len());
    let mut calls = Vec::new();
    for (index, layer) in model.layers.iter().enumerate() {
        first.push(calls.len());
        calls.extend((0..layer.calls.len()).map(|number| (index, number)));
    }
    let mut waiting = vec![0usize; calls.len()];
    let mut readers = vec![Vec::new(); calls.len()];
    for (at, &(index, number)) in calls.iter().enumerate() {
        for tensor in model.layers[index].calls[number].tensors() {
            readers[first[tensor.layer] + tensor.call].push(at);
            waiting[at] += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(at, _)| Reverse(at)).collect();
    let mut order = Vec::with_capacity(calls.len());
    while let Some(Reverse(at)) = ready.pop() {
        order.push(calls[at]);
        for &reader in &readers[at] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match waiting.iter().position(|&count| count > 0) {
        None => Ok(order),
        Some(at) => {
            let layer = model.layers[calls[at].0].name;
            Err(unexpected(format!("model `{}`", model.name), "calls without a cycle", Some(&layer.into())))
        }
    }
}

fn apply(
    net: &mut Net,
    layer: &Layer<'_>,
    call: &Call<'_>,
    number: usize,
    scope: &Scope,
    inputs: Vec<Val>,
) -> Result<Vec<Val>> {
    net.count_call()?;
    let path = format!("{}{}", scope.prefix, layer.name);
    let tag = if number == 0 { scope.tag.clone() } else { format!("{}:{number}", scope.tag) };
    // When Keras 3 predicts, it replaces what a call says about training, and it writes `true` for augmentation
    // layers on its own; Keras 2 heeds what the call says. (Source: `operation_fn` in Keras 3's `functional.py`.)
    let training = match call.kwarg("training").filter(|_| call.keys.is_some()) {
        Some(Arg::Literal(value)) => value.as_bool().unwrap_or(scope.training),
        Some(Arg::Tensor(_) | Arg::List(_)) | None => scope.training,
    };
    let shared = scope.shared || layer.calls.len() > 1;
    if let Body::Model(inner) = &layer.body {
        let trainable = scope.trainable && inner.trainable;
        let scope = Scope { prefix: format!("{path}/"), tag, trainable, training, shared };
        return instantiate(net, inner, &scope, inputs);
    }
    if let Body::Wrapper(inner) = &layer.body {
        let within = Scope { prefix: format!("{path}/"), tag, training, shared, trainable: scope.trainable };
        let wrapping = Wrapping { layer, inner, call, path: &path, tag: &within.tag, training, shared };
        let mut apply = |net: &mut Net, x: Val| apply(net, inner, &Call::default(), 0, &within, vec![x]);
        return wrapper::apply(net, &wrapping, inputs, &mut apply);
    }
    let Some(&id) = net.layers.get(&path) else {
        return Err(unexpected(path, "a layer", None));
    };
    let layer_call = LayerCall { net, layer, call, path: &path, tag: &tag, id, shared, training, inputs };
    lower::lower(layer_call)
}
