//! Models of ONNX as text, in the syntax that ONNX itself defines (`onnx.parser`, `docs/Syntax.md` there): the part of it
//! that cases need. A tensor that is declared without elements, which ONNX's parser refuses, gets some by its name.

use std::fmt::Write;

use residua_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};

const TYPES: [(&str, DataType); 13] = [
    ("float", DataType::Float),
    ("double", DataType::Double),
    ("float16", DataType::Float16),
    ("bfloat16", DataType::Bfloat16),
    ("int64", DataType::Int64),
    ("int32", DataType::Int32),
    ("int16", DataType::Int16),
    ("int8", DataType::Int8),
    ("uint64", DataType::Uint64),
    ("uint32", DataType::Uint32),
    ("uint16", DataType::Uint16),
    ("uint8", DataType::Uint8),
    ("bool", DataType::Bool),
];

/// Reads a model; `elements` gives the bytes of a tensor that has none in the text.
pub(crate) fn parse(text: &str, elements: impl Fn(&TensorProto) -> Vec<u8>) -> Result<ModelProto, String> {
    let mut at = Parser { rest: text.trim_start() };
    let mut model = ModelProto { ir_version: 8, ..ModelProto::default() };
    at.expect("<")?;
    while !at.eat(">") {
        match at.name()?.as_str() {
            "ir_version" => {
                at.expect(":")?;
                model.ir_version = at.whole()?;
            }
            "opset_import" => {
                at.expect(":")?;
                at.expect("[")?;
                while !at.eat("]") {
                    let domain = at.text()?;
                    at.expect(":")?;
                    model.opset_import.push(OperatorSetIdProto { domain, version: at.whole()? });
                    at.eat(",");
                }
            }
            other => return Err(format!("the header `{other}` is not known here")),
        }
        at.eat(",");
    }
    let mut graph = GraphProto { name: at.name()?, ..GraphProto::default() };
    at.expect("(")?;
    graph.input = at.declared(")")?;
    at.expect("=>")?;
    at.expect("(")?;
    graph.output = at.declared(")")?;
    if at.eat("<") {
        while !at.eat(">") {
            let mut tensor = at.tensor_type()?;
            tensor.name = at.name()?;
            if at.eat("=") {
                at.elements(&mut tensor)?;
            } else {
                tensor.raw_data = elements(&tensor).into();
            }
            graph.initializer.push(tensor);
            at.eat(",");
        }
    }
    at.expect("{")?;
    while !at.eat("}") {
        graph.node.push(at.node()?);
    }
    if !at.rest.is_empty() {
        return Err(at.unexpected("the end"));
    }
    model.graph = Some(graph);
    Ok(model)
}

/// The text of a model whose tensors have no elements.
pub(crate) fn print(model: &ModelProto) -> String {
    let graph = model.graph.clone().unwrap_or_default();
    let sets: Vec<String> =
        model.opset_import.iter().map(|set| format!("{:?} : {}", set.domain, set.version)).collect();
    let mut text = format!("<ir_version: {}, opset_import: [{}]>\n", model.ir_version, sets.join(", "));
    let list = |values: &[ValueInfoProto]| values.iter().map(declaration).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "{} ({}) => ({})", graph.name, list(&graph.input), list(&graph.output));
    if !graph.initializer.is_empty() {
        let tensors: Vec<String> = graph.initializer.iter().map(tensor_header).collect();
        let _ = writeln!(text, "<{}>", tensors.join(", "));
    }
    text.push_str("{\n");
    for node in &graph.node {
        let attributes: Vec<String> = node.attribute.iter().map(attribute).collect();
        let attributes = if attributes.is_empty() { String::new() } else { format!(" <{}>", attributes.join(", ")) };
        let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", node.domain) };
        let _ = writeln!(
            text,
            "  {} = {domain}{}{attributes} ({})",
            node.output.join(", "),
            node.op_type,
            node.input.join(", ")
        );
    }
    text + "}\n"
}

fn type_name(number: i32) -> &'static str {
    TYPES.iter().find(|(_, ty)| *ty as i32 == number).map_or("unknown", |(name, _)| name)
}

fn declaration(value: &ValueInfoProto) -> String {
    let Some(TypeProto { value: Some(TypeValue::Tensor(ty)), .. }) = &value.r#type else {
        return value.name.clone();
    };
    let dims = ty.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match &dim.value {
        Some(DimensionValue::Value(size)) => size.to_string(),
        Some(DimensionValue::Param(name)) => name.clone(),
        None => "?".to_owned(),
    });
    format!("{}[{}] {}", type_name(ty.elem_type), dims.collect::<Vec<_>>().join(","), value.name)
}

fn tensor_header(tensor: &TensorProto) -> String {
    let dims: Vec<String> = tensor.dims.iter().map(ToString::to_string).collect();
    format!("{}[{}] {}", type_name(tensor.data_type), dims.join(","), tensor.name)
}

fn attribute(attribute: &AttributeProto) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let name = &attribute.name;
    let value = match AttributeType::try_from(attribute.r#type).unwrap_or(AttributeType::Undefined) {
        AttributeType::Int => attribute.i.unwrap_or_default().to_string(),
        AttributeType::Float => format!("{:?}", attribute.f.unwrap_or_default()),
        AttributeType::String => format!("{:?}", String::from_utf8_lossy(attribute.s.as_deref().unwrap_or_default())),
        AttributeType::Ints => list(attribute.ints.iter().map(ToString::to_string).collect()),
        AttributeType::Floats => list(attribute.floats.iter().map(|value| format!("{value:?}")).collect()),
        other => format!("{other:?}"),
    };
    format!("{name} = {value}")
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn unexpected(&self, expected: &str) -> String {
        format!("expected {expected}, found `{}`", self.rest.chars().take(40).collect::<String>())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
        while self.rest.starts_with('#') {
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest.starts_with(text);
        if found {
            self.skip(text.len());
        }
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.eat(text) { Ok(()) } else { Err(self.unexpected(text)) }
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && !"_./-".contains(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.unexpected("a name"));
        }
        let name = self.rest[..end].to_owned();
        self.skip(end);
        Ok(name)
    }

    fn text(&mut self) -> Result<String, String> {
        let quoted = self.rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        let text = quoted.ok_or_else(|| self.unexpected("a text in quotes"))?.0.to_owned();
        self.skip(text.len() + 2);
        Ok(text)
    }

    /// The characters of a number.
    fn number(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(self.rest.len());
        let number = self.rest[..end].to_owned();
        self.skip(end);
        if number.is_empty() { Err(self.unexpected("a number")) } else { Ok(number) }
    }

    fn whole(&mut self) -> Result<i64, String> {
        let number = self.number()?;
        number.parse().map_err(|_| format!("`{number}` is no whole number"))
    }

    fn tensor_type(&mut self) -> Result<TensorProto, String> {
        let name = self.name()?;
        let known = TYPES.iter().find(|(known, _)| *known == name);
        let (_, ty) = known.ok_or_else(|| format!("`{name}` is no element type"))?;
        let mut dims = Vec::new();
        if self.eat("[") {
            while !self.eat("]") {
                dims.push(self.whole()?);
                self.eat(",");
            }
        }
        Ok(TensorProto { data_type: *ty as i32, dims, ..TensorProto::default() })
    }

    fn elements(&mut self, tensor: &mut TensorProto) -> Result<(), String> {
        self.expect("{")?;
        while !self.eat("}") {
            let number = self.number()?;
            let wrong = |_| format!("`{number}` is no element of this type");
            match DataType::try_from(tensor.data_type) {
                Ok(DataType::Float) => tensor.float_data.push(number.parse().map_err(|_| wrong(()))?),
                Ok(DataType::Double) => tensor.double_data.push(number.parse().map_err(|_| wrong(()))?),
                Ok(DataType::Int64) => tensor.int64_data.push(number.parse().map_err(|_| wrong(()))?),
                Ok(DataType::Uint64 | DataType::Uint32) => {
                    tensor.uint64_data.push(number.parse().map_err(|_| wrong(()))?);
                }
                _ => tensor.int32_data.push(number.parse().map_err(|_| wrong(()))?),
            }
            self.eat(",");
        }
        Ok(())
    }

    /// Names and types up to a bracket.
    fn declared(&mut self, end: &str) -> Result<Vec<ValueInfoProto>, String> {
        let mut values = Vec::new();
        while !self.eat(end) {
            let ty = self.name()?;
            let known = TYPES.iter().find(|(known, _)| *known == ty);
            let (_, elem_type) = known.ok_or_else(|| format!("`{ty}` is no element type"))?;
            self.expect("[")?;
            let mut dim = Vec::new();
            while !self.eat("]") {
                let value = if self.eat("?") {
                    None
                } else if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                    Some(DimensionValue::Value(self.whole()?))
                } else {
                    Some(DimensionValue::Param(self.name()?))
                };
                dim.push(DimensionProto { value, ..DimensionProto::default() });
                self.eat(",");
            }
            let ty = TensorTypeProto { elem_type: *elem_type as i32, shape: Some(TensorShapeProto { dim }) };
            let ty = TypeProto { value: Some(TypeValue::Tensor(ty)), ..TypeProto::default() };
            values.push(ValueInfoProto { name: self.name()?, r#type: Some(ty), ..ValueInfoProto::default() });
            self.eat(",");
        }
        Ok(values)
    }

    fn node(&mut self) -> Result<NodeProto, String> {
        let mut node = NodeProto::default();
        while !self.eat("=") {
            node.output.push(self.name()?);
            self.eat(",");
        }
        let operator = self.name()?;
        let (domain, name) = operator.rsplit_once('.').unwrap_or(("", &operator));
        (node.domain, node.op_type) = (domain.to_owned(), name.to_owned());
        if self.eat("<") {
            while !self.eat(">") {
                node.attribute.push(self.attribute()?);
                self.eat(",");
            }
        }
        self.expect("(")?;
        while !self.eat(")") {
            // An operand that is left out is nothing before a comma.
            node.input.push(if self.rest.starts_with(',') { String::new() } else { self.name()? });
            self.eat(",");
        }
        Ok(node)
    }

    fn attribute(&mut self) -> Result<AttributeProto, String> {
        let mut attribute = AttributeProto { name: self.name()?, ..AttributeProto::default() };
        self.expect("=")?;
        let kind = if self.eat("[") {
            let mut texts = Vec::new();
            while !self.eat("]") {
                texts.push(self.number()?);
                self.eat(",");
            }
            let whole: Result<Vec<i64>, _> = texts.iter().map(|text| text.parse()).collect();
            match whole {
                Ok(whole) => {
                    attribute.ints = whole;
                    AttributeType::Ints
                }
                Err(_) => {
                    let floats: Result<Vec<f32>, _> = texts.iter().map(|text| text.parse()).collect();
                    attribute.floats = floats.map_err(|_| format!("`{texts:?}` are no numbers"))?;
                    AttributeType::Floats
                }
            }
        } else if self.rest.starts_with('"') {
            attribute.s = Some(self.text()?.into_bytes().into());
            AttributeType::String
        } else if TYPES.iter().any(|(ty, _)| self.rest.starts_with(ty)) {
            let mut tensor = self.tensor_type()?;
            self.elements(&mut tensor)?;
            attribute.t = Some(tensor);
            AttributeType::Tensor
        } else {
            let number = self.number()?;
            if let Ok(whole) = number.parse() {
                attribute.i = Some(whole);
                AttributeType::Int
            } else {
                attribute.f = Some(number.parse().map_err(|_| format!("`{number}` is no number"))?);
                AttributeType::Float
            }
        };
        attribute.r#type = kind as i32;
        Ok(attribute)
    }
}
