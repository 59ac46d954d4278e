//! How a module is built: its layers with their numbers, and rows of parts.

use std::fmt::Write;

use super::model::Printer;
use crate::form::{ConvNumbers, Field, Holds, Layer, Module, Number, Pads, Run};
use crate::ident::real;
use crate::rust::code::list;
use crate::rust::config::{self, arguments, config_name, is_kept, line, line_to};
use crate::rust::layout;

impl Printer<'_> {
    pub(super) fn constructor(&mut self, module: &Module, kept: &[String], is_root: bool) -> String {
        let mut text = String::new();
        line!(text, "\nimpl {} {{", module.name);
        line!(text, "    /// Reads its weights.");
        let has_tensors = module.fields.iter().any(is_kept);
        let vb = if has_tensors { "vb" } else { "_vb" };
        let numbers = match module.parameters.is_empty() {
            true => String::new(),
            false => format!("config: &{}, ", config_name(module)),
        };
        line!(text, "    pub fn new({numbers}{vb}: VarBuilder) -> Result<Self> {{");
        for field in &module.fields {
            text += &self.field(module, field);
        }
        let names: Vec<String> =
            module.fields.iter().filter(|field| is_kept(field)).map(|field| field.name.clone()).collect();
        let kept = kept.iter().map(|name| format!("{name}: config.{name}"));
        let fields: Vec<String> = names.into_iter().chain(kept).collect();
        match fields.is_empty() {
            true => line_to(&mut text, "        Ok(Self)".to_owned()),
            false => line_to(&mut text, layout::structure(8, "Ok(", "Self", &fields, ")")),
        }
        line!(text, "    }}");
        if module.is_in_rows && !is_root {
            text += &self.row_constructor(module);
        }
        text + "}\n"
    }

    fn row_constructor(&mut self, module: &Module) -> String {
        self.types.insert("Sequential");
        let mut text = String::new();
        let has_config = !module.parameters.is_empty();
        line!(text, "\n    /// A row of them; their weights are numbered from 0.");
        match has_config {
            true => {
                line!(
                    text,
                    "    pub fn row(configs: &[{}], vb: VarBuilder) -> Result<Sequential> {{",
                    config_name(module)
                );
                let (grown, number, given) = config::grown(module);
                line!(
                    text,
                    "        let mut row = nn::seq();
        for config in configs {{
            for {number} in 0..config.repeat {{
{grown}                let vb = vb.pp(row.len());
                row = row.add(Self::new({given}, vb)?);
            }}
        }}
        Ok(row)
    }}"
                );
            }
            false => {
                line!(text, "    pub fn row(count: usize, vb: VarBuilder) -> Result<Sequential> {{");
                text += "        let mut row = nn::seq();
        for _ in 0..count {
            let vb = vb.pp(row.len());
            row = row.add(Self::new(vb)?);
        }
        Ok(row)
    }
";
            }
        }
        text
    }

    /// How a field is read.
    fn field(&mut self, module: &Module, field: &Field) -> String {
        let name = &field.name;
        let vb = format!("vb.pp(\"{name}\")");
        let number = |number: Number| config::number(module, number, "config");
        let call = |function: &str, arguments: Vec<String>| {
            layout::call(8, &format!("let {name} = {function}"), &arguments, "?;") + "\n"
        };
        match &field.holds {
            Holds::Layer(Layer::Conv { bias, conv }) => {
                let window = self.window(module, conv);
                let (inputs, outputs) = (number(conv.inputs), number(conv.outputs));
                if conv.kernel[0] == conv.kernel[1] {
                    let function = if *bias { "nn::conv2d" } else { "nn::conv2d_no_bias" };
                    return call(function, vec![inputs, outputs, number(conv.kernel[0]), window, vb]);
                }
                let kernel = list(&conv.kernel.map(number));
                let text = call("ops::rectangular", vec![inputs, outputs, kernel, bias.to_string(), window, vb]);
                self.helpers.insert("rectangular".to_owned());
                text
            }
            Holds::Layer(Layer::BatchNorm { channels, epsilon }) => {
                call("nn::batch_norm", vec![number(*channels), real(*epsilon), vb])
            }
            Holds::Layer(Layer::GroupNorm { channels, groups, epsilon }) => {
                call("nn::group_norm", vec![number(*groups), number(*channels), real(*epsilon), vb])
            }
            Holds::Layer(Layer::Linear { inputs, outputs, bias }) => {
                let function = if *bias { "nn::linear" } else { "nn::linear_no_bias" };
                call(function, vec![number(*inputs), number(*outputs), vb])
            }
            Holds::Tensor(dims) => {
                let dims: Vec<String> = dims.iter().map(|&dim| number(dim)).collect();
                let shape = match &dims[..] {
                    [] => "()".to_owned(),
                    [one] => one.clone(),
                    many if many.len() <= 6 => format!("({})", many.join(", ")),
                    many => format!("vec![{}]", many.join(", ")),
                };
                layout::chain(8, &format!("let {name} = "), "vb", &[format!("get({shape}, \"{name}\")")], ("?", "?;"))
                    + "\n"
            }
            Holds::Module(part) => {
                let inner = &self.program.modules[part.module];
                if inner.parameters.is_empty() {
                    return call(&format!("{}::new", inner.name), vec![vb]);
                }
                let fields = arguments(self.program, module, part);
                let config = config_name(inner);
                let text = layout::structure(8, "let part = ", &config, &fields, ";") + "\n";
                text + &call(&format!("{}::new", inner.name), vec!["&part".to_owned(), vb])
            }
            Holds::Row { module: inner, runs } => self.row(&self.program.modules[*inner], name, runs, &vb),
            Holds::Choice(choice) if choice.arms.len() > 1 => {
                call(&format!("{}::new", choice.name), vec!["config".to_owned(), vb])
            }
            Holds::Choice(_) => String::new(),
        }
    }

    /// How a convolution moves: what differs from candle's defaults.
    fn window(&self, module: &Module, conv: &ConvNumbers) -> String {
        let pads = match &conv.pads {
            Pads::Explicit(pads) if pads.iter().all(|pad| *pad == pads[0]) => pads[0],
            Pads::Explicit(_) | Pads::SameUpper | Pads::SameLower => Number::Fixed(0),
        };
        let stride = if conv.strides[0] == conv.strides[1] { conv.strides[0] } else { Number::Fixed(1) };
        // Where a kernel has one tap along an axis, the distance of its taps says nothing.
        let dilation = conv.dilations[usize::from(conv.kernel[0] == Number::Fixed(1))];
        let fields: String =
            [("stride", stride, 1), ("padding", pads, 0), ("dilation", dilation, 1), ("groups", conv.groups, 1)]
                .into_iter()
                .filter(|(_, number, default)| *number != Number::Fixed(*default))
                .map(|(name, number, _)| format!("    {name}: {},\n", config::number(module, number, "config")))
                .collect();
        if fields.is_empty() {
            return "Default::default()".to_owned();
        }
        format!("Conv2dConfig {{\n{fields}    ..Default::default()\n}}")
    }

    /// A row of parts, and the numbers of its runs.
    fn row(&self, inner: &Module, name: &str, runs: &[Run], vb: &str) -> String {
        let (text, given) = match inner.parameters.is_empty() {
            true => (String::new(), runs.iter().map(|run| run.count).sum::<usize>().to_string()),
            false => (config::runs(inner, runs), "&runs".to_owned()),
        };
        let start = format!("let {name} = {}::row", inner.name);
        text + &layout::call(8, &start, &[given, vb.to_owned()], "?;") + "\n"
    }
}
