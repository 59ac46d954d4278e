//! `src/model.rs`: the modules of a program as structs.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::form::{Choice, ConvNumbers, Field, Holds, Layer, Module, Number, Pads, Program};
use crate::rust::config::{self, about_arm, arguments, config_name, is_kept, line, line_to};
use crate::rust::layout;

/// The text of a file, and what it takes from `ops`.
pub(super) struct Printed {
    pub(super) text: String,
    pub(super) helpers: BTreeSet<String>,
}

/// Prints the modules. Operators that candle lacks are none by then.
pub(super) fn print(program: &Program) -> Printed {
    let mut printer = Printer { program, helpers: BTreeSet::new(), types: BTreeSet::new() };
    let mut body = String::new();
    for (at, module) in program.modules.iter().enumerate() {
        let is_root = at + 1 == program.modules.len();
        body += &printer.module(module, is_root);
    }
    let mut text = "//! The network.\n\n".to_owned();
    text += "use candle_core::{Result, Tensor};\n";
    printer.types.insert("VarBuilder");
    if body.contains("Conv2dConfig {") {
        printer.types.insert("Conv2dConfig");
    }
    let nn = body.contains("nn::").then_some("self as nn");
    text += &layout::import("candle_nn", &nn.into_iter().chain(printer.types.iter().copied()).collect::<Vec<_>>());
    if !printer.helpers.is_empty() {
        text += "\nuse crate::ops;\n";
    }
    text += &body;
    Printed { text, helpers: printer.helpers }
}

pub(super) struct Printer<'p> {
    pub(super) program: &'p Program,
    pub(super) helpers: BTreeSet<String>,
    pub(super) types: BTreeSet<&'static str>,
}

impl Printer<'_> {
    fn module(&mut self, module: &Module, is_root: bool) -> String {
        let mut text = String::new();
        for field in &module.fields {
            if let Holds::Choice(choice) = &field.holds
                && choice.arms.len() > 1
            {
                text += &self.choice(module, choice);
            }
        }
        if !module.parameters.is_empty() {
            text += &config::config(module);
        }
        let kept = config::kept_numbers(module, kept_of_conv);
        text += &self.structure(module, &kept);
        text += &self.constructor(module, &kept, is_root);
        text += &self.forward(module, is_root);
        text
    }

    /// The two types of a choice: which arm, and the arm.
    fn choice(&mut self, module: &Module, choice: &Choice) -> String {
        let name = &choice.name;
        let mut text = String::new();
        line!(text, "\n/// Which [`{name}`] a [`{}`] has.", module.name);
        line!(text, "#[derive(Debug, Clone, Copy)]\npub enum {name}Kind {{");
        for arm in &choice.arms {
            line!(text, "    /// {}", about_arm(arm.part.is_some()));
            line!(text, "    {},", arm.name);
        }
        line!(text, "}}\n\n/// What a [`{}`] adds to its main path.", module.name);
        line!(text, "enum {name} {{");
        for arm in &choice.arms {
            match &arm.part {
                None => line_to(&mut text, format!("    {},", arm.name)),
                Some(part) => {
                    line_to(&mut text, format!("    {}({}),", arm.name, self.program.modules[part.module].name));
                }
            }
        }
        line!(text, "}}\n\nimpl {name} {{");
        let of_module = config_name(module);
        line!(text, "    fn new(config: &{of_module}, vb: VarBuilder) -> Result<Self> {{");
        let Number::Parameter(by) = choice.by else { return text };
        line!(text, "        match config.{} {{", module.parameters[by].name);
        for arm in &choice.arms {
            let kind = format!("{name}Kind::{}", arm.name);
            let Some(part) = &arm.part else {
                line!(text, "            {kind} => Ok(Self::{}),", arm.name);
                continue;
            };
            let inner = &self.program.modules[part.module];
            if inner.parameters.is_empty() {
                line!(text, "            {kind} => Ok(Self::{}({}::new(vb)?)),", arm.name, inner.name);
                continue;
            }
            line!(text, "            {kind} => {{");
            let fields = arguments(self.program, module, part);
            line!(text, "{}", layout::structure(16, "let config = ", &config_name(inner), &fields, ";"));
            line!(text, "                Ok(Self::{}({}::new(&config, vb)?))", arm.name, inner.name);
            line!(text, "            }}");
        }
        text + "        }\n    }\n}\n"
    }

    fn structure(&mut self, module: &Module, kept: &[String]) -> String {
        let mut text = String::from("\n");
        text += &layout::comment(0, "///", &module.about);
        let fields: Vec<(String, String)> = module
            .fields
            .iter()
            .filter(|field| is_kept(field))
            .map(|field| (field.name.clone(), self.type_of(field)))
            .chain(kept.iter().map(|name| (name.clone(), "usize".to_owned())))
            .collect();
        if fields.is_empty() {
            line!(text, "pub struct {};", module.name);
            return text;
        }
        line!(text, "pub struct {} {{", module.name);
        for (name, ty) in fields {
            line!(text, "    {name}: {ty},");
        }
        text + "}\n"
    }

    fn type_of(&mut self, field: &Field) -> String {
        let known = match &field.holds {
            Holds::Layer(Layer::Conv { .. }) => "Conv2d",
            Holds::Layer(Layer::BatchNorm { .. }) => "BatchNorm",
            Holds::Layer(Layer::GroupNorm { .. }) => "GroupNorm",
            Holds::Layer(Layer::Linear { .. }) => "Linear",
            Holds::Row { .. } => "Sequential",
            Holds::Tensor(_) => return "Tensor".to_owned(),
            Holds::Module(part) => return self.program.modules[part.module].name.clone(),
            Holds::Choice(choice) => return choice.name.clone(),
        };
        self.types.insert(known);
        known.to_owned()
    }
}

/// Numbers of a convolution that are needed when it runs: those that candle's own do not take.
fn kept_of_conv(conv: &ConvNumbers) -> Vec<Number> {
    let mut kept = match &conv.pads {
        Pads::Explicit(pads) if pads.iter().all(|pad| *pad == pads[0]) => Vec::new(),
        Pads::Explicit(pads) => pads.to_vec(),
        Pads::SameUpper | Pads::SameLower => [conv.kernel, conv.strides, conv.dilations].concat(),
    };
    if conv.strides[0] != conv.strides[1] {
        kept.extend(conv.strides);
    }
    kept
}
