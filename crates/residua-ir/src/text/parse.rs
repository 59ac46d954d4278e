//! Text to a graph: lines to what [`interchange`](crate::interchange) builds a graph from, which refuses what makes none.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{TextError, is_bare};
use crate::budget::{Limit, Meter};
use crate::graph::{Graph, Role, Source};
use crate::interchange::{self, InterchangeError, SCHEMA};
use crate::op::Op;
use crate::tensor::{DType, Endian, Tensor};

use super::print::role;

type Result<T> = std::result::Result<T, TextError>;

const ROLES: [Role; 5] = [Role::Weight, Role::Statistic, Role::Counter, Role::Literal, Role::Default];

/// Builds the graph that a text describes; `stored` gives elements that the text only names, for a type and a shape.
///
/// # Errors
/// [`TextError`] with the line, or with the node or parameter that does not fit.
pub fn read(text: &str, stored: impl Fn(&str, DType, &[usize]) -> Option<Tensor>) -> Result<Graph> {
    let mut reader = Reader {
        stored,
        name: String::new(),
        layers: Vec::new(),
        shared: HashMap::new(),
        inputs: Vec::new(),
        parameters: Vec::new(),
        nodes: Vec::new(),
        outputs: Vec::new(),
        tensors: HashMap::new(),
        listed: Meter::new(Limit::DecodedBytes),
    };
    for (index, text) in text.lines().enumerate() {
        let text = text.trim();
        if !text.is_empty() && !text.starts_with('#') {
            reader.line(&mut Cursor { rest: text, line: index + 1 })?;
        }
    }
    let document = json!({
        "schema": SCHEMA,
        "name": reader.name,
        "source": serde_json::to_value(Source::default()).map_err(InterchangeError::Json)?,
        "layers": reader.layers,
        "inputs": reader.inputs,
        "parameters": reader.parameters,
        "nodes": reader.nodes,
        "outputs": reader.outputs,
    });
    Ok(interchange::read(&document.to_string(), |name| reader.tensors.get(name).cloned())?)
}

struct Reader<F> {
    stored: F,
    name: String,
    layers: Vec<Json>,
    /// Layers that were named, by name, kind and whether they are trained.
    shared: HashMap<(String, String, bool), usize>,
    inputs: Vec<Json>,
    parameters: Vec<Json>,
    nodes: Vec<Json>,
    outputs: Vec<String>,
    /// Elements, by a name for each parameter.
    tensors: HashMap<String, Tensor>,
    /// Bytes of elements that the text gives or names.
    listed: Meter,
}

impl<F: Fn(&str, DType, &[usize]) -> Option<Tensor>> Reader<F> {
    fn line(&mut self, at: &mut Cursor<'_>) -> Result<()> {
        if at.word("graph") {
            self.name = at.name()?;
        } else if at.word("input") {
            let value = at.value()?;
            at.expect(":")?;
            let (dtype, shape) = (at.dtype()?, at.shape()?);
            self.inputs.push(json!({ "value": value, "dtype": dtype, "shape": shape }));
        } else if at.word("return") {
            while !at.rest.is_empty() {
                self.outputs.push(at.name()?);
                at.comma()?;
            }
        } else if let Some(role) = ROLES.into_iter().find(|&known| at.word(role(known))) {
            self.parameter(role, at)?;
        } else {
            self.node(at)?;
        }
        at.end()
    }

    fn parameter(&mut self, role: Role, at: &mut Cursor<'_>) -> Result<()> {
        let name = at.name()?;
        let value = if at.word("unread") {
            Json::Null
        } else if at.word("as") {
            at.value()?
        } else {
            let mut value = json!({ "name": name });
            at.order(&mut value)?;
            value
        };
        at.expect(":")?;
        let (dtype, sizes) = (at.dtype()?, at.shape()?);
        let shape = Vec::<usize>::deserialize(&sizes)
            .map_err(|_| at.wrong(format!("{sizes} is no shape of a parameter, whose sizes are numbers")))?;
        at.expect("=")?;
        let elements = at.json()?;
        let layer = self.layer(at, &name, "Parameter")?;
        let mut parameter = json!({
            "name": name, "location": name, "role": role, "layer": layer, "dtype": dtype, "shape": shape,
        });
        if !value.is_null() {
            parameter["value"] = value;
        }
        match &elements {
            Json::Number(fill) if dtype.is_float() => parameter["fill"] = fill.clone().into(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
                let tensor = self.elements(elements, dtype, &shape, at)?;
                let key = self.parameters.len().to_string();
                parameter["tensor"] = key.clone().into();
                self.tensors.insert(key, tensor);
            }
        }
        self.parameters.push(parameter);
        Ok(())
    }

    /// Elements that are listed or named.
    fn elements(&mut self, elements: Json, dtype: DType, shape: &[usize], at: &Cursor<'_>) -> Result<Tensor> {
        let tensor = match elements {
            Json::String(name) => (self.stored)(&name, dtype, shape).ok_or_else(|| {
                at.wrong(format!("nothing gives {dtype} elements of the shape {shape:?} named `{name}`"))
            })?,
            Json::Array(items) => {
                let bytes = items.iter().map(|item| bytes(item, dtype)).collect::<Option<Vec<_>>>();
                let bytes = bytes.ok_or_else(|| at.wrong(format!("elements that are no {dtype}")))?.concat();
                let made = Tensor::from_bytes(dtype, Endian::Little, shape.to_vec(), bytes.into());
                made.map_err(|error| at.wrong(error.to_string()))?
            }
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => {
                return Err(at.wrong(format!("`{other}` is neither a list of elements nor the name of some")));
            }
        };
        let spent = self.listed.spend_here(tensor.byte_len());
        spent.map_err(|overrun| at.wrong(overrun.to_string()))?;
        Ok(tensor)
    }

    fn node(&mut self, at: &mut Cursor<'_>) -> Result<()> {
        let mut outputs = Vec::new();
        while !at.eat("=") {
            outputs.push(at.value()?);
            if !at.eat(",") && !at.rest.starts_with('=') {
                return Err(at.unexpected("`,` or `=` behind the name of a result"));
            }
        }
        let tag = at.name()?;
        let op = match at.rest.starts_with('(') {
            true => Json::from(tag),
            false => json!({ tag: at.json()? }),
        };
        at.expect("(")?;
        let mut inputs = Vec::new();
        while !at.eat(")") {
            inputs.push(at.name()?);
            if !at.eat(",") && !at.rest.starts_with(')') {
                return Err(at.unexpected("`,` or `)` behind the name of an operand"));
            }
        }
        let known = Op::deserialize(&op).map_err(|error| at.wrong(error.to_string()))?;
        let name = outputs.first().and_then(|value: &Json| value["name"].as_str()).unwrap_or_default().to_owned();
        let layer = self.layer(at, &name, known.name())?;
        self.nodes.push(json!({ "outputs": outputs, "op": op, "inputs": inputs, "layer": layer }));
        Ok(())
    }

    /// The layer that the rest of a line names, or a new one of its own.
    fn layer(&mut self, at: &mut Cursor<'_>, name: &str, kind: &str) -> Result<usize> {
        let next = self.layers.len();
        let (name, kind, trainable) = if at.word("in") {
            let key = (at.name()?, at.name()?, !at.word("frozen"));
            if let Some(&known) = self.shared.get(&key) {
                return Ok(known);
            }
            self.shared.insert(key.clone(), next);
            key
        } else {
            (name.to_owned(), kind.to_owned(), true)
        };
        self.layers.push(json!({ "name": name, "kind": kind, "trainable": trainable }));
        Ok(next)
    }
}

/// The bytes of one element; whole numbers of up to 64 bits exactly.
fn bytes(item: &Json, dtype: DType) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match (item, item.as_i64()) {
        (Json::String(special), _) if dtype.is_float() => dtype.append(&[special.parse().ok()?], &mut bytes),
        (_, Some(whole)) if matches!(dtype, DType::I64 | DType::U64) => bytes.extend(whole.to_le_bytes()),
        (_, None) if !dtype.is_float() => return None,
        _ => dtype.append(&[item.as_f64()?], &mut bytes),
    }
    Some(bytes)
}

/// What is left of a line.
struct Cursor<'t> {
    rest: &'t str,
    line: usize,
}

impl Cursor<'_> {
    fn unexpected(&self, expected: &'static str) -> TextError {
        let found: String = self.rest.chars().take(40).collect();
        TextError::Line { line: self.line, expected, found: found.into() }
    }

    fn wrong(&self, message: String) -> TextError {
        TextError::Value { line: self.line, message: message.into() }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest.starts_with(text);
        if found {
            self.skip(text.len());
        }
        found
    }

    fn expect(&mut self, text: &'static str) -> Result<()> {
        if self.eat(text) { Ok(()) } else { Err(self.unexpected(text)) }
    }

    fn comma(&mut self) -> Result<()> {
        if self.eat(",") || self.rest.is_empty() { Ok(()) } else { Err(self.unexpected("`,` or the end of the line")) }
    }

    fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.unexpected("the end of the line")) }
    }

    /// The length of the bare word that comes next.
    fn bare(&self) -> usize {
        self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_./-".contains(c)).unwrap_or(self.rest.len())
    }

    /// Takes a word of the language.
    fn word(&mut self, word: &str) -> bool {
        let found = &self.rest[..self.bare()] == word;
        if found {
            self.skip(word.len());
        }
        found
    }

    fn name(&mut self) -> Result<String> {
        if self.rest.starts_with('"') {
            let Json::String(name) = self.json()? else { return Err(self.unexpected("a name in quotes")) };
            return Ok(name);
        }
        let length = self.bare();
        let name = self.rest[..length].to_owned();
        if !is_bare(&name) {
            return Err(self.unexpected("a name, in quotes where it is a word of the language or has other characters"));
        }
        self.skip(length);
        Ok(name)
    }

    /// A JSON value, up to where it ends.
    fn json(&mut self) -> Result<Json> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Json>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(self.wrong(error.to_string())),
            None => return Err(self.unexpected("a value")),
        };
        let end = values.byte_offset();
        self.skip(end);
        Ok(value)
    }

    /// A name, and how the value lies in the source model.
    fn value(&mut self) -> Result<Json> {
        let mut value = json!({ "name": self.name()? });
        self.order(&mut value)?;
        Ok(value)
    }

    fn order(&mut self, value: &mut Json) -> Result<()> {
        if self.word("order") {
            value["order"] = self.json()?;
        }
        Ok(())
    }

    fn dtype(&mut self) -> Result<DType> {
        let length = self.bare();
        let dtype = DType::deserialize(Json::from(&self.rest[..length]));
        let dtype = dtype.map_err(|_| self.unexpected("an element type such as f32"))?;
        self.skip(length);
        Ok(dtype)
    }

    /// Sizes: numbers, names of free sizes, `(N +3 / 2)`, `?`.
    fn shape(&mut self) -> Result<Json> {
        self.expect("[")?;
        let mut dims = Vec::new();
        while !self.eat("]") {
            dims.push(if self.eat("?") {
                Json::Null
            } else if self.eat("(") {
                let symbol = self.name()?;
                let offset = self.whole()?;
                self.expect("/")?;
                let divisor = self.whole()?;
                self.expect(")")?;
                json!({ "symbol": symbol, "offset": offset, "divisor": divisor })
            } else if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                self.json()?
            } else {
                Json::from(self.name()?)
            });
            if !self.eat(",") && !self.rest.starts_with(']') {
                return Err(self.unexpected("`,` or `]` behind a size"));
            }
        }
        Ok(dims.into())
    }

    fn whole(&mut self) -> Result<i64> {
        let signed = self.rest.strip_prefix('+').unwrap_or(self.rest);
        let length = signed.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(signed.len());
        let number = signed[..length].parse().map_err(|_| self.unexpected("a whole number"))?;
        let skipped = self.rest.len() - signed.len() + length;
        self.skip(skipped);
        Ok(number)
    }
}
