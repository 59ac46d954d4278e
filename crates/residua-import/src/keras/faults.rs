//! What keeps a configuration from being a graph, all of it. Asked for where reading has failed, to say it in full.
//!
//! Models within models are looked into. Where a call is not understood at all, nothing is said of it.

use std::collections::HashMap;

use residua_ir::Finding;
use residua_ir::faults::{REPEATED_NAME, UNDEFINED};
use serde_json::Value;

use super::json::integer;
use crate::cycles;

/// Lists within lists that are looked into.
const MAX_NESTING: usize = 64;

/// Names that are given twice, names that are no layer's, and cycles.
pub(super) fn find(root: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    of_model(root.get("config").unwrap_or(&Value::Null), "", 0, &mut found);
    found
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.pointer("/config/name").or_else(|| entry.get("name")).and_then(Value::as_str)
}

fn of_model(config: &Value, prefix: &str, depth: usize, found: &mut Vec<Finding>) {
    let layers = config.as_array().or_else(|| config.get("layers").and_then(Value::as_array));
    let Some(layers) = layers.filter(|_| depth < MAX_NESTING) else { return };
    let named: Vec<(&str, &Value)> = layers.iter().filter_map(|entry| Some((name_of(entry)?, entry))).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (name, _) in &named {
        let count = counts.entry(name).or_default();
        *count += 1;
        if *count == 2 {
            let message = format!("two layers of `{}` are named `{name}`", config_name(config));
            let help = "give each layer of a model its own name";
            found.push(Finding::new(&REPEATED_NAME, message, help).at(format!("{prefix}{name}")));
        }
    }
    let calls = Calls::of(&named);
    calls.undefined(&counts, prefix, found);
    for key in ["input_layers", "output_layers"] {
        for stranger in references(config.get(key)).into_iter().filter(|found| !counts.contains_key(found.layer)) {
            let message = format!("`{}` is named in `{key}`, and no layer of the model is", stranger.layer);
            found.push(Finding::new(&UNDEFINED, message, HELP).at(format!("{prefix}{}", stranger.layer)));
        }
    }
    calls.cycles(prefix, found);
    for (name, entry) in named {
        if let Some(inner) = entry.get("config").filter(|inner| inner.get("layers").is_some()) {
            of_model(inner, &format!("{prefix}{name}/"), depth + 1, found);
        }
    }
}

const HELP: &str = "name the layer that it is meant to be called on";

fn config_name(config: &Value) -> &str {
    config.get("name").and_then(Value::as_str).unwrap_or("the model")
}

/// `[layer, call, …]` as it is written.
struct Reference<'a> {
    layer: &'a str,
    call: usize,
}

/// All references within a value.
fn references(value: Option<&Value>) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    if let Some(value) = value {
        collect(value, 0, &mut found);
    }
    found
}

fn collect<'a>(value: &'a Value, depth: usize, found: &mut Vec<Reference<'a>>) {
    if depth > MAX_NESTING {
        return;
    }
    match value {
        Value::Array(items) => match &items[..] {
            [Value::String(layer), call, tensor, rest @ ..] if call.is_number() && tensor.is_number() => {
                if layer != "_CONSTANT_VALUE" {
                    let call = integer(call).and_then(|call| usize::try_from(call).ok()).unwrap_or(0);
                    found.push(Reference { layer, call });
                }
                rest.iter().for_each(|item| collect(item, depth + 1, found));
            }
            items => items.iter().for_each(|item| collect(item, depth + 1, found)),
        },
        Value::Object(map) => map.values().for_each(|item| collect(item, depth + 1, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The calls of all layers of a model, each with the layer that is called and what it is called on.
struct Calls<'a> {
    of: Vec<(&'a str, Vec<Reference<'a>>)>,
    /// For each layer, its first call and how many it has.
    by_layer: HashMap<&'a str, (usize, usize)>,
}

impl<'a> Calls<'a> {
    fn of(layers: &[(&'a str, &'a Value)]) -> Self {
        let (mut of, mut by_layer) = (Vec::new(), HashMap::new());
        for &(name, entry) in layers {
            let calls = entry.get("inbound_nodes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            by_layer.entry(name).or_insert((of.len(), calls.len()));
            of.extend(calls.iter().map(|call| (name, references(Some(call)))));
        }
        Self { of, by_layer }
    }

    fn undefined(&self, layers: &HashMap<&str, usize>, prefix: &str, found: &mut Vec<Finding>) {
        for (name, references) in &self.of {
            let mut told: Vec<&str> = Vec::new();
            for reference in references.iter().filter(|reference| !layers.contains_key(reference.layer)) {
                if !told.contains(&reference.layer) {
                    told.push(reference.layer);
                    let message = format!("it is called on `{}`, which is no layer of the model", reference.layer);
                    found.push(Finding::new(&UNDEFINED, message, HELP).at(format!("{prefix}{name}")));
                }
            }
        }
    }

    fn cycles(&self, prefix: &str, found: &mut Vec<Finding>) {
        let target = |reference: &Reference<'_>| {
            let &(first, count) = self.by_layer.get(reference.layer)?;
            Some(first + reference.call.min(count.checked_sub(1)?))
        };
        let reads: Vec<Vec<usize>> =
            self.of.iter().map(|(_, references)| references.iter().filter_map(target).collect()).collect();
        for calls in cycles::cycles(&reads) {
            let names: Vec<String> = calls.iter().map(|&call| format!("{prefix}{}", self.of[call].0)).collect();
            found.push(cycles::finding(&names));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A layer of Keras 2 that is called on others.
    fn layer(name: &str, on: &[&str]) -> Value {
        let on: Vec<Value> = on.iter().map(|other| json!([other, 0, 0, {}])).collect();
        json!({ "class_name": "Add", "name": name, "config": { "name": name }, "inbound_nodes": [on] })
    }

    fn found(layers: Vec<Value>) -> Vec<String> {
        let root = json!({
            "class_name": "Functional",
            "config": {
                "name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]
            }
        });
        find(&root).iter().map(ToString::to_string).collect()
    }

    fn input() -> Value {
        json!({ "class_name": "InputLayer", "config": { "name": "x" }, "inbound_nodes": [] })
    }

    #[test]
    fn all_that_keeps_a_configuration_from_being_a_graph_is_found_at_once() {
        let layers = vec![
            input(),
            layer("a", &["x", "c"]),
            layer("b", &["a"]),
            layer("c", &["b"]),
            layer("d", &["gone", "gone", "x"]),
            layer("d", &["x"]),
        ];
        let expected = [
            "error R111: d: two layers of `m` are named `d`",
            "error R110: d: it is called on `gone`, which is no layer of the model",
            "error R110: y: `y` is named in `output_layers`, and no layer of the model is",
            "error R109: a: it depends on its own result, through `b` and `c`",
        ];
        assert_eq!(found(layers), expected);
    }

    #[test]
    fn a_layer_that_is_called_again_on_what_follows_it_is_no_cycle() {
        let mut shared = layer("shared", &["x"]);
        shared["inbound_nodes"] = json!([[["x", 0, 0, {}]], [["y", 0, 0, {}]]]);
        assert_eq!(found(vec![input(), shared, layer("y", &["shared"])]), [""; 0]);
    }

    #[test]
    fn models_within_models_are_looked_into_by_their_path() {
        let inner = json!({ "layers": [input(), layer("a", &["gone"])], "name": "inner" });
        let inner = json!({ "class_name": "Functional", "name": "inner", "config": inner, "inbound_nodes": [[["x", 0, 0, {}]]] });
        let expected = ["error R110: inner/a: it is called on `gone`, which is no layer of the model"];
        assert_eq!(found(vec![input(), inner, layer("y", &["inner"])]), expected);
    }
}
