//! `src/model.rs`: the modules of a program as structs that burn trains, saves and loads.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::form::{Choice, Field, Holds, Layer, Module, Number, Program};
use crate::rust::config::{self, about_arm, arguments, config_name, is_kept, line, line_to};
use crate::rust::layout;

/// The text of a file, and what it takes from `ops`.
pub(super) struct Printed {
    pub(super) text: String,
    pub(super) helpers: BTreeSet<String>,
}

/// Prints the modules. Operators that burn lacks are none by then.
pub(super) fn print(program: &Program) -> Printed {
    let mut printer = Printer { program, helpers: BTreeSet::new() };
    let mut body = String::new();
    for module in &program.modules {
        body += &printer.module(module);
    }
    // An arm of a choice has the name of a module of burn.
    let has = |word: &str| match word {
        "Identity" => body.contains("(Identity)"),
        word => crate::package::has_word(&body, word),
    };
    let mut text = "//! The network.\n\n".to_owned();
    if has("Param") {
        text += "use burn::module::Param;\n";
    }
    if has("Conv2d") {
        text += "use burn::nn::conv::{Conv2d, Conv2dConfig};\n";
    }
    let names = [
        "BatchNorm",
        "BatchNormConfig",
        "GroupNorm",
        "GroupNormConfig",
        "Identity",
        "Linear",
        "LinearConfig",
        "PaddingConfig2d",
    ];
    text += &layout::import("burn::nn", &names.into_iter().filter(|name| has(name)).collect::<Vec<_>>());
    text += "use burn::prelude::*;\n";
    if body.contains("activation::") {
        text += "use burn::tensor::activation;\n";
    }
    if has("PadMode") {
        text += "use burn::tensor::ops::PadMode;\n";
    }
    if !printer.helpers.is_empty() {
        text += "\nuse crate::ops;\n";
    }
    text += &body;
    Printed { text, helpers: printer.helpers }
}

pub(super) struct Printer<'p> {
    pub(super) program: &'p Program,
    pub(super) helpers: BTreeSet<String>,
}

/// Whether a choice is between a part and nothing.
pub(super) fn is_optional(choice: &Choice) -> bool {
    choice.arms.len() == 2 && choice.arms.iter().filter(|arm| arm.part.is_some()).count() == 1
}

impl Printer<'_> {
    fn module(&mut self, module: &Module) -> String {
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
        let kept = config::kept_numbers(module, |_| Vec::new());
        text += &self.structure(module, &kept);
        line!(text, "\nimpl {} {{", module.name);
        text += &self.constructor(module, &kept);
        text += &self.forward(module);
        text + "}\n"
    }

    /// Which arm, and where it is not a part or nothing the arms.
    fn choice(&mut self, module: &Module, choice: &Choice) -> String {
        let name = &choice.name;
        let mut text = String::new();
        line!(text, "\n/// Which shortcut a [`{}`] has.", module.name);
        line!(text, "#[derive(Debug, Clone, Copy, PartialEq, Eq)]\npub enum {name}Kind {{");
        for arm in &choice.arms {
            line!(text, "    /// {}", about_arm(arm.part.is_some()));
            line!(text, "    {},", arm.name);
        }
        text += "}\n";
        if is_optional(choice) {
            return text;
        }
        line!(text, "\n/// What a [`{}`] adds to its main path.", module.name);
        text += "#[derive(Module, Debug)]\n#[allow(clippy::large_enum_variant, reason = \"there are few of them\")]\n";
        line!(text, "pub enum {name} {{");
        for arm in &choice.arms {
            line!(text, "    /// {}", about_arm(arm.part.is_some()));
            let holds = arm.part.as_ref().map_or("Identity", |part| &self.program.modules[part.module].name);
            line!(text, "    {}({holds}),", arm.name);
        }
        line!(text, "}}\n\nimpl {name} {{");
        line!(text, "    fn new(config: &{}, device: &Device) -> Self {{", config_name(module));
        let Number::Parameter(by) = choice.by else { return text };
        line!(text, "        match config.{} {{", module.parameters[by].name);
        for arm in &choice.arms {
            let kind = format!("{name}Kind::{}", arm.name);
            let Some(part) = &arm.part else {
                line!(text, "            {kind} => Self::{}(Identity),", arm.name);
                continue;
            };
            let inner = &self.program.modules[part.module];
            if inner.parameters.is_empty() {
                line!(text, "            {kind} => Self::{}({}::new(device)),", arm.name, inner.name);
                continue;
            }
            line!(text, "            {kind} => {{");
            let fields = arguments(self.program, module, part);
            line!(text, "{}", layout::structure(16, "let config = ", &config_name(inner), &fields, ";"));
            line!(text, "                Self::{}({}::new(&config, device))", arm.name, inner.name);
            line!(text, "            }}");
        }
        text + "        }\n    }\n}\n"
    }

    fn structure(&self, module: &Module, kept: &[String]) -> String {
        let mut text = String::from("\n");
        text += &layout::comment(0, "///", &module.about);
        text += "#[derive(Module, Debug)]\n";
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
            line_to(&mut text, format!("    {name}: {ty},"));
        }
        text + "}\n"
    }

    fn type_of(&self, field: &Field) -> String {
        let name = |module: usize| self.program.modules[module].name.clone();
        match &field.holds {
            Holds::Layer(Layer::Conv { .. }) => "Conv2d".to_owned(),
            Holds::Layer(Layer::BatchNorm { .. }) => "BatchNorm".to_owned(),
            Holds::Layer(Layer::GroupNorm { .. }) => "GroupNorm".to_owned(),
            Holds::Layer(Layer::Linear { .. }) => "Linear".to_owned(),
            Holds::Row { module, .. } => format!("Vec<{}>", name(*module)),
            Holds::Tensor(dims) => format!("Param<Tensor<{}>>", dims.len().max(1)),
            Holds::Module(part) => name(part.module),
            Holds::Choice(choice) if is_optional(choice) => {
                let part = choice.arms.iter().find_map(|arm| arm.part.as_ref());
                part.map_or_else(String::new, |part| format!("Option<{}>", name(part.module)))
            }
            Holds::Choice(choice) => choice.name.clone(),
        }
    }
}
