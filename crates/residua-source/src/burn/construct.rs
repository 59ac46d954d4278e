//! How a module is built: its layers with their numbers, and rows of parts.

use std::fmt::Write;

use super::model::{Printer, is_optional};
use crate::form::{Choice, ConvNumbers, Field, Holds, Layer, Module, Number, Pads};
use crate::ident::real;
use crate::rust::config::{self, arguments, config_name, is_kept, line, line_to};
use crate::rust::layout;

const NO_JOINT: (&str, &str) = ("", ";");

impl Printer<'_> {
    pub(super) fn constructor(&self, module: &Module, kept: &[String]) -> String {
        let mut text = String::new();
        line!(text, "    /// Builds it; weights are as burn begins with them, or zero.");
        let device = if module.fields.iter().any(is_kept) { "device" } else { "_device" };
        let numbers = match module.parameters.is_empty() {
            true => String::new(),
            false => format!("config: &{}, ", config_name(module)),
        };
        line!(text, "    pub fn new({numbers}{device}: &Device) -> Self {{");
        for field in &module.fields {
            text += &self.field(module, field);
        }
        let names = module.fields.iter().filter(|field| is_kept(field)).map(|field| field.name.clone());
        let fields: Vec<String> = names.chain(kept.iter().map(|name| format!("{name}: config.{name}"))).collect();
        match fields.is_empty() {
            true => line_to(&mut text, "        Self".to_owned()),
            false => line_to(&mut text, layout::structure(8, "", "Self", &fields, "")),
        }
        line!(text, "    }}\n");
        if module.is_in_rows {
            text += &row_constructor(module);
        }
        text
    }

    /// How a field is built.
    fn field(&self, module: &Module, field: &Field) -> String {
        let name = &field.name;
        let number = |number: Number| config::number(module, number, "config");
        let chain = |receiver: String, calls: Vec<String>| {
            let calls = [calls, vec!["init(device)".to_owned()]].concat();
            layout::chain(8, &format!("let {name} = "), &receiver, &calls, NO_JOINT) + "\n"
        };
        let call = |function: &str, arguments: Vec<String>| {
            layout::call(8, &format!("let {name} = {function}"), &arguments, ";") + "\n"
        };
        let unless = |bias: bool| (!bias).then(|| "with_bias(false)".to_owned());
        match &field.holds {
            Holds::Layer(Layer::Conv { bias, conv }) => {
                let [inputs, outputs] = [conv.inputs, conv.outputs].map(number);
                let receiver = format!("Conv2dConfig::new([{inputs}, {outputs}], {})", pair(module, conv.kernel));
                chain(receiver, window(module, conv).into_iter().chain(unless(*bias)).collect())
            }
            Holds::Layer(Layer::BatchNorm { channels, epsilon }) => chain(
                format!("BatchNormConfig::new({})", number(*channels)),
                vec![format!("with_epsilon({})", real(*epsilon))],
            ),
            Holds::Layer(Layer::GroupNorm { channels, groups, epsilon }) => chain(
                format!("GroupNormConfig::new({}, {})", number(*groups), number(*channels)),
                vec![format!("with_epsilon({})", real(*epsilon))],
            ),
            Holds::Layer(Layer::Linear { inputs, outputs, bias }) => chain(
                format!("LinearConfig::new({}, {})", number(*inputs), number(*outputs)),
                unless(*bias).into_iter().collect(),
            ),
            Holds::Tensor(dims) => {
                let dims: Vec<String> = match &dims[..] {
                    [] => vec!["1".to_owned()],
                    dims => dims.iter().map(|&dim| number(dim)).collect(),
                };
                call("Param::from_tensor", vec![format!("Tensor::zeros([{}], device)", dims.join(", "))])
            }
            Holds::Module(part) => {
                let inner = &self.program.modules[part.module];
                if inner.parameters.is_empty() {
                    return call(&format!("{}::new", inner.name), vec!["device".to_owned()]);
                }
                let fields = arguments(self.program, module, part);
                let text = layout::structure(8, "let part = ", &config_name(inner), &fields, ";") + "\n";
                text + &call(&format!("{}::new", inner.name), vec!["&part".to_owned(), "device".to_owned()])
            }
            Holds::Row { module: inner, runs } => {
                let inner = &self.program.modules[*inner];
                let (text, given) = match inner.parameters.is_empty() {
                    true => (String::new(), runs.iter().map(|run| run.count).sum::<usize>().to_string()),
                    false => (config::runs(inner, runs), "&runs".to_owned()),
                };
                text + &call(&format!("{}::row", inner.name), vec![given, "device".to_owned()])
            }
            Holds::Choice(choice) if choice.arms.len() < 2 => String::new(),
            Holds::Choice(choice) if is_optional(choice) => self.optional(module, name, choice),
            Holds::Choice(choice) => {
                call(&format!("{}::new", choice.name), vec!["config".to_owned(), "device".to_owned()])
            }
        }
    }

    /// A part that some have.
    fn optional(&self, module: &Module, name: &str, choice: &Choice) -> String {
        let found = choice.arms.iter().find_map(|arm| Some((arm, arm.part.as_ref()?)));
        let (Some((arm, part)), Number::Parameter(by)) = (found, choice.by) else { return String::new() };
        let inner = &self.program.modules[part.module];
        let mut text = String::new();
        line!(text, "        let {name} = match config.{} {{", module.parameters[by].name);
        for other in &choice.arms {
            let kind = format!("{}Kind::{}", choice.name, other.name);
            if other.name != arm.name {
                line!(text, "            {kind} => None,");
                continue;
            }
            if inner.parameters.is_empty() {
                line!(text, "            {kind} => Some({}::new(device)),", inner.name);
                continue;
            }
            line!(text, "            {kind} => {{");
            let fields = arguments(self.program, module, part);
            line!(text, "{}", layout::structure(16, "let part = ", &config_name(inner), &fields, ";"));
            line!(text, "                Some({}::new(&part, device))", inner.name);
            line!(text, "            }}");
        }
        text + "        };\n"
    }
}

/// Numbers of rows and columns: `[3, 3]`, or `[config.stride; 2]`.
fn pair(module: &Module, numbers: [Number; 2]) -> String {
    let [rows, columns] = numbers.map(|number| config::number(module, number, "config"));
    match numbers {
        [Number::Parameter(a), Number::Parameter(b)] if a == b => format!("[{rows}; 2]"),
        [Number::Fixed(_) | Number::Parameter(_), Number::Fixed(_) | Number::Parameter(_)] => {
            format!("[{rows}, {columns}]")
        }
    }
}

/// How a convolution moves: what differs from burn's defaults.
fn window(module: &Module, conv: &ConvNumbers) -> Vec<String> {
    let number = |number: Number| config::number(module, number, "config");
    let pair = |numbers: [Number; 2]| pair(module, numbers);
    let is_one = |numbers: [Number; 2]| numbers == [Number::Fixed(1); 2];
    let mut calls = Vec::new();
    if !is_one(conv.strides) {
        calls.push(format!("with_stride({})", pair(conv.strides)));
    }
    match &conv.pads {
        Pads::Explicit(pads) if pads.iter().all(|pad| *pad == Number::Fixed(0)) => {}
        Pads::Explicit(pads) => {
            let pads = pads.map(number);
            let line = pads.join(", ");
            // As rustfmt breaks what is wide.
            let given = match line.len() > 40 {
                true => format!("\n{}", pads.map(|pad| format!("    {pad},\n")).concat()),
                false => line,
            };
            calls.push(format!("with_padding(PaddingConfig2d::Explicit({given}))"));
        }
        // The odd row comes after, in burn as well; what pads otherwise was refused.
        Pads::SameUpper | Pads::SameLower => calls.push("with_padding(PaddingConfig2d::Same)".to_owned()),
    }
    if !is_one(conv.dilations) {
        calls.push(format!("with_dilation({})", pair(conv.dilations)));
    }
    if conv.groups != Number::Fixed(1) {
        calls.push(format!("with_groups({})", number(conv.groups)));
    }
    calls
}

fn row_constructor(module: &Module) -> String {
    if module.parameters.is_empty() {
        return "    /// A row of them.
    pub fn row(count: usize, device: &Device) -> Vec<Self> {
        (0..count).map(|_| Self::new(device)).collect()
    }

"
        .to_owned();
    }
    let (grown, number, given) = config::grown(module);
    format!(
        "    /// A row of them.
    pub fn row(configs: &[{}], device: &Device) -> Vec<Self> {{
        let mut row = Vec::new();
        for config in configs {{
            for {number} in 0..config.repeat {{
{grown}                row.push(Self::new({given}, device));
            }}
        }}
        row
    }}

",
        config_name(module)
    )
}
