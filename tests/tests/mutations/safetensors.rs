//! Changes of a safetensors file: of its tensors, and of the graph in its metadata where there is one.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::kinds::{File, Kind, Numbering, Place, flipped, widened};

/// Where the graph is in the metadata.
const GRAPH: &str = "residua.graph";

#[derive(Clone)]
pub(crate) struct Safetensors {
    tensors: Vec<Stored>,
    metadata: Option<Map<String, Value>>,
    graph: Option<Value>,
}

#[derive(Clone)]
struct Stored {
    name: String,
    dtype: String,
    shape: Value,
    data: Bytes,
}

impl Safetensors {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
        let mut header: Map<String, Value> = serde_json::from_slice(header).unwrap();
        let mut metadata =
            header.remove("__metadata__").map(|metadata| serde_json::from_value::<Map<_, _>>(metadata).unwrap());
        let graph = metadata.as_mut().and_then(|metadata| metadata.remove(GRAPH));
        let data = Bytes::copy_from_slice(data);
        let mut tensors: Vec<(u64, Stored)> = header
            .into_iter()
            .map(|(name, tensor)| {
                let [begin, end] = [0, 1].map(|at| tensor["data_offsets"][at].as_u64().unwrap());
                let range = usize::try_from(begin).unwrap()..usize::try_from(end).unwrap();
                let dtype = tensor["dtype"].as_str().unwrap().to_owned();
                (begin, Stored { name, dtype, shape: tensor["shape"].clone(), data: data.slice(range) })
            })
            .collect();
        tensors.sort_by_key(|(begin, _)| *begin);
        Self {
            tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect(),
            metadata,
            graph: graph.map(|graph| serde_json::from_str(graph.as_str().unwrap()).unwrap()),
        }
    }

    fn nodes(&self) -> &[Value] {
        self.graph.as_ref().map_or(&[], |graph| graph["nodes"].as_array().unwrap().as_slice())
    }
}

impl File for Safetensors {
    fn places(&self, kind: Kind) -> Vec<Place<Self>> {
        match kind {
            Kind::Bit => self.bits(),
            Kind::Exchanged => self.exchanged(),
            Kind::TensorType => self.tensor_types(),
            Kind::Tensors if self.tensors.len() > 1 => {
                vec![Place::new("all", |file: &mut Self| file.tensors.reverse())]
            }
            Kind::Tensors => Vec::new(),
            Kind::Attribute => self.attributes(),
            Kind::Edge => self.edges(),
            Kind::Operands => self.operands(false),
            Kind::Commuted => self.operands(true),
            Kind::Dropped => self.dropped(),
            Kind::Doubled => self.doubled(),
            Kind::Unread => self.unread(),
            Kind::Inputs => self.swapped("inputs"),
            Kind::Outputs => self.swapped("outputs"),
            Kind::InputShape => self.input_shapes(),
            Kind::InputType => self.input_types(),
            // Without a graph names are all that there is.
            Kind::Names if self.graph.is_none() => Vec::new(),
            Kind::Names => vec![Place::new("all", Self::rename)],
            Kind::Nodes => self.reordered(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut header = Map::new();
        if let Some(metadata) = &self.metadata {
            let mut metadata = metadata.clone();
            if let Some(graph) = &self.graph {
                metadata.insert(GRAPH.to_owned(), graph.to_string().into());
            }
            header.insert("__metadata__".to_owned(), metadata.into());
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            let begin = data.len();
            data.extend_from_slice(&tensor.data);
            let place = json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, data.len()]});
            header.insert(tensor.name.clone(), place);
        }
        let mut header = Value::from(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
        bytes.append(&mut header);
        bytes.append(&mut data);
        bytes
    }
}

fn place(what: impl Into<String>, change: impl FnOnce(&mut Value) + 'static) -> Place<Safetensors> {
    Place::new(what, |file: &mut Safetensors| change(file.graph.as_mut().unwrap()))
}

fn place_of_nodes(what: impl Into<String>, change: impl FnOnce(&mut Vec<Value>) + 'static) -> Place<Safetensors> {
    place(what, |graph| change(graph["nodes"].as_array_mut().unwrap()))
}

fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked") || name.ends_with(".count")
}

/// The name of an operator.
fn op(node: &Value) -> &str {
    let op = &node["op"];
    op.as_str().or_else(|| op.as_object()?.keys().next().map(String::as_str)).unwrap()
}

/// The function of an operator that has several.
fn function(node: &Value) -> Option<&str> {
    let function = &node["op"][op(node)];
    function.as_str().or_else(|| function.as_object()?.keys().next().map(String::as_str))
}

fn names<'v>(node: &'v Value, which: &str) -> Vec<&'v str> {
    let name = |value: &'v Value| value.as_str().or_else(|| value["name"].as_str()).unwrap();
    node[which].as_array().unwrap().iter().map(name).collect()
}

fn said(node: &Value) -> String {
    format!("{} {}", op(node), names(node, "outputs").first().unwrap())
}

/// Whether the first two operands may be exchanged, since one exact result is rounded; `None` for what may be neither here nor
/// there.
fn commutes(node: &Value) -> Option<bool> {
    let (op, function) = (op(node), function(node));
    match (op, function) {
        ("elementwise", Some("add" | "mul" | "and" | "or" | "xor")) | ("compare", Some("equal")) => Some(true),
        ("elementwise", Some("mean" | "max" | "min")) => None,
        _ => Some(false),
    }
}

impl Safetensors {
    /// What each value is made of.
    fn numbering(&self) -> Numbering {
        let mut numbering = Numbering::default();
        let Some(graph) = &self.graph else { return numbering };
        for input in graph["inputs"].as_array().unwrap() {
            let name = input["value"]["name"].as_str().unwrap();
            numbering.put(name, format!("input {name}"));
        }
        for parameter in graph["parameters"].as_array().unwrap() {
            let Some(name) = parameter["value"]["name"].as_str() else { continue };
            let data = self.tensors.iter().find(|tensor| parameter["tensor"] == *tensor.name).map(|found| &found.data);
            let made = (&parameter["transforms"], &parameter["filled"], &parameter["shape"], &parameter["dtype"], data);
            numbering.put(name, format!("{made:?}"));
        }
        for node in graph["nodes"].as_array().unwrap() {
            let inputs: Vec<usize> = names(node, "inputs").into_iter().map(|input| numbering.of(input)).collect();
            for (which, output) in names(node, "outputs").into_iter().enumerate() {
                if op(node) == "identity" {
                    numbering.same(output, names(node, "inputs")[0]);
                } else {
                    numbering.put(output, format!("{} {inputs:?} {which}", node["op"]));
                }
            }
        }
        numbering
    }

    fn bits(&self) -> Vec<Place<Self>> {
        let size = |tensor: &Stored| match &*tensor.dtype {
            "F64" | "I64" | "U64" => 8,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" | "I16" | "U16" => 2,
            _ => 1,
        };
        // Counters of training play no part in what a network computes.
        let all = self.tensors.iter().enumerate();
        let all = all.filter(|(_, tensor)| !tensor.data.is_empty() && !is_counter(&tensor.name));
        all.map(|(at, tensor)| {
            let size = size(tensor);
            Place::new(&*tensor.name, move |file: &mut Self| {
                let data = &mut file.tensors[at].data;
                *data = Bytes::from(flipped(data, size).unwrap());
            })
        })
        .collect()
    }

    fn exchanged(&self) -> Vec<Place<Self>> {
        let exchange = |at: usize| {
            let tensor = &self.tensors[at];
            let fits = |other: &Stored| {
                (&other.dtype, &other.shape) == (&tensor.dtype, &tensor.shape) && other.data != tensor.data
            };
            let other = at + 1 + self.tensors[at + 1..].iter().position(fits)?;
            Some(Place::new(format!("{} and {}", tensor.name, self.tensors[other].name), move |file: &mut Self| {
                let data = file.tensors[at].data.clone();
                file.tensors[at].data = std::mem::replace(&mut file.tensors[other].data, data);
            }))
        };
        (0..self.tensors.len()).filter_map(exchange).collect()
    }

    fn tensor_types(&self) -> Vec<Place<Self>> {
        let reals = self.tensors.iter().enumerate().filter(|(_, tensor)| tensor.dtype == "F32");
        let widen = |(at, tensor): (usize, &Stored)| {
            Place::new(&*tensor.name, move |file: &mut Self| {
                let tensor = &mut file.tensors[at];
                "F64".clone_into(&mut tensor.dtype);
                tensor.data = Bytes::from(widened(&tensor.data));
            })
        };
        reals.map(widen).collect()
    }

    /// Every number and truth value of every operator.
    fn attributes(&self) -> Vec<Place<Self>> {
        let mut places = Vec::new();
        for (at, node) in self.nodes().iter().enumerate() {
            let mut leaves = Vec::new();
            leaves_of(&node["op"], "", &mut leaves);
            for (pointer, value) in leaves {
                if self.says_nothing(node, &pointer) {
                    continue;
                }
                places.push(place_of_nodes(format!("{}: {pointer}", said(node)), move |nodes| {
                    *nodes[at]["op"].pointer_mut(&pointer).unwrap() = value;
                }));
            }
        }
        places
    }

    /// Whether an attribute has no effect there: windows of one element are not dilated, averages that hang over nothing count
    /// nothing.
    fn says_nothing(&self, node: &Value, pointer: &str) -> bool {
        let attributes = &node["op"][op(node)];
        let zero = |side: &str| attributes["padding"]["explicit"][side] == 0;
        let kernel = names(node, "inputs").get(1).and_then(|name| {
            let parameters = self.graph.as_ref()?["parameters"].as_array()?;
            parameters.iter().find(|parameter| parameter["value"]["name"] == *name).map(|found| &found["shape"])
        });
        let axis = pointer.rsplit('/').next().and_then(|axis| axis.parse::<usize>().ok());
        match (op(node), pointer) {
            (_, pointer) if pointer.contains("/dilations/") => {
                let window = attributes.get("kernel").or_else(|| attributes.get("window"));
                let size = |axis: usize| window.map(|window| &window[axis]).or_else(|| Some(&kernel?[axis + 2]));
                axis.and_then(size).is_some_and(|size| *size == 1)
            }
            ("avg_pool", pointer) if pointer.ends_with("count_include_pad") => {
                ["top", "left", "bottom", "right"].into_iter().all(zero) && attributes["ceil_mode"] != true
            }
            _ => false,
        }
    }

    fn edges(&self) -> Vec<Place<Self>> {
        let (nodes, numbering) = (self.nodes(), self.numbering());
        let giving = nodes.iter().enumerate();
        let producers: BTreeMap<&str, usize> =
            giving.flat_map(|(at, node)| names(node, "outputs").into_iter().map(move |name| (name, at))).collect();
        let mut places = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            for (which, operand) in names(node, "inputs").into_iter().enumerate() {
                let Some(&producer) = producers.get(operand) else { continue };
                let is_another = |other: &Value| {
                    let output = names(other, "outputs")[0];
                    op(other) == op(&nodes[producer]) && numbering.of(output) != numbering.of(operand)
                };
                let Some(other) = nodes[..producer].iter().rposition(is_another) else { continue };
                let name = names(&nodes[other], "outputs")[0].to_owned();
                let what = format!("{} reads {name} instead of {operand}", said(node));
                places.push(place_of_nodes(what, move |nodes| nodes[at]["inputs"][which] = name.into()));
            }
        }
        places
    }

    /// Operands exchanged of what commutes, or of what does not.
    fn operands(&self, commuting: bool) -> Vec<Place<Self>> {
        let mut places = Vec::new();
        for (at, node) in self.nodes().iter().enumerate().filter(|(_, node)| commutes(node) == Some(commuting)) {
            let operands = names(node, "inputs");
            for which in 1..operands.len() {
                if self.alike(operands[which - 1], operands[which]) || commuting && which > 1 {
                    continue;
                }
                places.push(place_of_nodes(format!("{}: {which}", said(node)), move |nodes| {
                    nodes[at]["inputs"].as_array_mut().unwrap().swap(which - 1, which);
                }));
            }
        }
        places
    }

    /// Whether two operands are one value or tensors of the same bits.
    fn alike(&self, x: &str, y: &str) -> bool {
        let parameters = self.graph.as_ref().and_then(|graph| graph["parameters"].as_array());
        let parameter = |name: &str| parameters?.iter().find(|found| found["value"]["name"] == name);
        let tensor = |found: &Value| self.tensors.iter().find(|tensor| found["tensor"] == *tensor.name);
        let same = |p: &Value, q: &Value| {
            let views = (&p["transforms"], &p["filled"], &p["shape"]) == (&q["transforms"], &q["filled"], &q["shape"]);
            let bits = |found| tensor(found).map(|tensor| &tensor.data);
            views && bits(p) == bits(q)
        };
        x == y || parameter(x).zip(parameter(y)).is_some_and(|(p, q)| same(p, q))
    }

    fn dropped(&self) -> Vec<Place<Self>> {
        let graph_outputs = self.graph.as_ref().map_or_else(Vec::new, |graph| names(graph, "outputs"));
        let mut places = Vec::new();
        for (at, node) in self.nodes().iter().enumerate() {
            let (outputs, inputs) = (names(node, "outputs"), names(node, "inputs"));
            let ([output], Some(&input)) = (&outputs[..], inputs.first()) else { continue };
            if op(node) == "identity" || graph_outputs.contains(output) {
                continue;
            }
            let (output, input) = (Value::from(*output), Value::from(input));
            places.push(place_of_nodes(said(node), move |nodes| {
                nodes.remove(at);
                let operands = nodes.iter_mut().flat_map(|node| node["inputs"].as_array_mut().unwrap());
                for operand in operands.filter(|operand| **operand == output) {
                    operand.clone_from(&input);
                }
            }));
        }
        places
    }

    fn doubled(&self) -> Vec<Place<Self>> {
        let idempotent = |node: &Value| {
            let reduced = node["op"][op(node)]["kind"].as_str();
            matches!(
                op(node),
                "identity" | "flatten" | "reshape" | "squeeze" | "cast" | "expand" | "global_pool" | "slice" | "resize"
            ) || matches!(
                function(node),
                Some("relu" | "clip" | "abs" | "floor" | "ceil" | "round" | "sign" | "max" | "min")
            ) || matches!(reduced, Some("mean" | "max" | "min" | "sum"))
        };
        let single = |node: &Value| names(node, "outputs").len() == 1 && !names(node, "inputs").is_empty();
        let nodes = self.nodes().iter().enumerate().filter(|(_, node)| single(node) && !idempotent(node));
        let double = |(at, node): (usize, &Value)| {
            let once = format!("{} once", names(node, "outputs")[0]);
            place_of_nodes(said(node), move |nodes| {
                let mut again = nodes[at].clone();
                again["inputs"][0] = once.clone().into();
                nodes[at]["outputs"][0]["name"] = once.into();
                nodes.insert(at + 1, again);
            })
        };
        nodes.map(double).collect()
    }

    fn unread(&self) -> Vec<Place<Self>> {
        let nodes = self.nodes().iter().enumerate().filter(|(_, node)| names(node, "outputs").len() == 1);
        let copied = |(at, node): (usize, &Value)| {
            let name = format!("{} again", names(node, "outputs")[0]);
            place_of_nodes(said(node), move |nodes| {
                let mut copy = nodes[at].clone();
                copy["outputs"][0]["name"] = name.into();
                nodes.insert(at + 1, copy);
            })
        };
        nodes.map(copied).collect()
    }

    fn swapped(&self, what: &'static str) -> Vec<Place<Self>> {
        let Some(graph) = &self.graph else { return Vec::new() };
        let numbering = self.numbering();
        let name = |at: usize| graph[what][at].as_str().or_else(|| graph[what][at]["value"]["name"].as_str()).unwrap();
        let count = graph[what].as_array().unwrap().len();
        let swap = |at: usize| place(at.to_string(), move |graph| graph[what].as_array_mut().unwrap().swap(at - 1, at));
        (1..count).filter(|&at| numbering.of(name(at - 1)) != numbering.of(name(at))).map(swap).collect()
    }

    fn input_types(&self) -> Vec<Place<Self>> {
        let inputs = self.graph.as_ref().map_or(&[][..], |graph| graph["inputs"].as_array().unwrap().as_slice());
        let others = |dtype: &Value| {
            let dtype = dtype.clone();
            ["f16", "f32", "f64", "i32"].into_iter().filter(move |other| dtype != *other)
        };
        let all =
            inputs.iter().enumerate().flat_map(|(at, input)| others(&input["dtype"]).map(move |dtype| (at, dtype)));
        all.map(|(at, dtype)| place(format!("{at}: {dtype}"), move |graph| graph["inputs"][at]["dtype"] = dtype.into()))
            .collect()
    }

    /// Each size of each input: one that is free is fixed, one that is fixed is one more.
    fn input_shapes(&self) -> Vec<Place<Self>> {
        let inputs = self.graph.as_ref().map_or(&[][..], |graph| graph["inputs"].as_array().unwrap().as_slice());
        let axes = |input: &Value| 0..input["shape"].as_array().unwrap().len();
        let all = inputs.iter().enumerate().flat_map(|(at, input)| axes(input).map(move |axis| (at, axis)));
        all.map(|(at, axis)| {
            place(format!("{at}: axis {axis}"), move |graph| {
                let size = &mut graph["inputs"][at]["shape"][axis];
                *size = size.as_u64().map_or(3, |size| size + 1).into();
            })
        })
        .collect()
    }

    /// Calls everything otherwise.
    fn rename(&mut self) {
        // What nothing reads is no value, and has no name as one.
        let rename = |name: &mut Value| {
            if let Some(known) = name.as_str() {
                *name = format!("other {known}").into();
            }
        };
        let graph = self.graph.as_mut().unwrap();
        for layer in graph["layers"].as_array_mut().unwrap() {
            rename(&mut layer["name"]);
        }
        for input in graph["inputs"].as_array_mut().unwrap() {
            rename(&mut input["value"]["name"]);
        }
        for parameter in graph["parameters"].as_array_mut().unwrap() {
            for pointer in ["/name", "/value/name", "/tensor"] {
                if let Some(name) = parameter.pointer_mut(pointer) {
                    rename(name);
                }
            }
        }
        for node in graph["nodes"].as_array_mut().unwrap() {
            node["inputs"].as_array_mut().unwrap().iter_mut().for_each(rename);
            for output in node["outputs"].as_array_mut().unwrap() {
                rename(&mut output["name"]);
            }
        }
        graph["outputs"].as_array_mut().unwrap().iter_mut().for_each(rename);
        for tensor in &mut self.tensors {
            tensor.name = format!("other {}", tensor.name);
        }
    }

    /// Each node as late as those that read it allow.
    fn reordered(&self) -> Vec<Place<Self>> {
        let nodes = self.nodes();
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for input in nodes.iter().flat_map(|node| names(node, "inputs")) {
            *wanted.entry(input).or_default() += 1;
        }
        let mut rest: Vec<usize> = (0..nodes.len()).collect();
        let mut last_first = Vec::new();
        let open = |at: usize, wanted: &BTreeMap<&str, usize>| {
            names(&nodes[at], "outputs").iter().all(|output| wanted.get(output).copied().unwrap_or(0) == 0)
        };
        while let Some(first) = rest.iter().position(|&at| open(at, &wanted)) {
            let at = rest.remove(first);
            for input in names(&nodes[at], "inputs") {
                *wanted.get_mut(input).unwrap() -= 1;
            }
            last_first.push(at);
        }
        assert!(rest.is_empty(), "a written model has no cycles");
        last_first.reverse();
        if last_first.is_sorted() {
            return Vec::new();
        }
        vec![place_of_nodes("all", move |nodes| *nodes = last_first.iter().map(|&at| nodes[at].clone()).collect())]
    }
}

/// Numbers and truth values, each with a JSON pointer to it and what it becomes: what bfloat16 can tell from
/// it, since a model of that type has no other reals.
fn leaves_of(value: &Value, pointer: &str, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Bool(flag) => leaves.push((pointer.to_owned(), (!flag).into())),
        Value::Number(number) => {
            let changed = match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => json!(whole + 1),
                (None, Some(0.0)) => json!(0.5),
                (None, Some(real)) => json!(real * (1.0 + 1.0 / 64.0)),
                (None, None) => return,
            };
            leaves.push((pointer.to_owned(), changed));
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves_of(item, &format!("{pointer}/{at}"), leaves);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves_of(field, &format!("{pointer}/{name}"), leaves);
            }
        }
        Value::Null | Value::String(_) => {}
    }
}
