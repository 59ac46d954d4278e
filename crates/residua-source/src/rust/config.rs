//! What differs between parts that are alike, as structs of numbers.

use std::fmt::Write;

use super::layout;
use crate::form::{ConvNumbers, Field, Holds, Instance, Kind, Layer, Module, Number, Program, Run, What};

/// The name of the type of a module's numbers.
pub(crate) fn config_name(module: &Module) -> String {
    format!("{}Config", module.name)
}

/// Writes a line into memory, which does not fail.
macro_rules! line {
    ($text:expr, $($parts:tt)*) => {
        let _ = writeln!($text, $($parts)*);
    };
}
pub(crate) use line;

/// What differs between instances.
pub(crate) fn config(module: &Module) -> String {
    let mut text = String::new();
    line!(text, "\n/// What differs between parts of the kind [`{}`].", module.name);
    line!(text, "#[derive(Debug, Clone, Copy)]\npub struct {} {{", config_name(module));
    if module.is_in_rows {
        line!(text, "    /// How many of them follow each other.\n    pub repeat: usize,");
    }
    if let Some(grows) = module.growing.and_then(|at| module.parameters.get(at)) {
        line!(text, "    /// By how much `{}` grows from one to the next.\n    pub growth: usize,", grows.name);
    }
    for parameter in &module.parameters {
        let about = match parameter.kind {
            Kind::Inputs | Kind::Outputs | Kind::Size => match &*parameter.name {
                "inputs" => "Channels that go in.",
                "outputs" => "Channels that come out.",
                "channels" => "Channels that go in, and come out.",
                _ => "Channels within.",
            },
            Kind::Kernel => "Rows and columns of its windows.",
            Kind::Stride => "How far its windows move.",
            Kind::Padding => "How much is padded.",
            Kind::Dilation => "How far the taps of a kernel are apart.",
            Kind::Groups => "Groups of channels.",
            Kind::Arm(_) => "What is on the shortcut.",
        };
        let ty = match parameter.kind {
            Kind::Arm(field) => format!("{}Kind", choice_name(module, field)),
            Kind::Inputs
            | Kind::Outputs
            | Kind::Size
            | Kind::Kernel
            | Kind::Stride
            | Kind::Padding
            | Kind::Dilation
            | Kind::Groups => "usize".to_owned(),
        };
        line!(text, "    /// {about}\n    pub {}: {ty},", parameter.name);
    }
    text + "}\n"
}

/// A number as text; `of` is what holds the parameters.
pub(crate) fn number(module: &Module, number: Number, of: &str) -> String {
    match number {
        Number::Fixed(value) => value.to_string(),
        Number::Parameter(at) => {
            let name = module.parameters.get(at).map_or("", |parameter| &parameter.name);
            format!("{of}.{name}")
        }
    }
}

/// The fields of the numbers of a part: `stride: config.stride`.
pub(crate) fn arguments(program: &Program, module: &Module, part: &Instance) -> Vec<String> {
    let inner = &program.modules[part.module];
    let row = inner.is_in_rows.then(|| "repeat: 1".to_owned());
    let growth = inner.growing.map(|_| "growth: 0".to_owned());
    let numbers = inner.parameters.iter().zip(&part.numbers);
    row.into_iter()
        .chain(growth)
        .chain(numbers.map(|(parameter, &number)| {
            let value = match (parameter.kind, number) {
                (Kind::Arm(field), Number::Fixed(at)) => arm_of(inner, field, at),
                (_, number) => self::number(module, number, "config"),
            };
            format!("{}: {value}", parameter.name)
        }))
        .collect()
}

/// `let runs = […];`: the numbers of parts in a row.
pub(crate) fn runs(inner: &Module, runs: &[Run]) -> String {
    let config = config_name(inner);
    let of_run = |run: &Run| -> Vec<String> {
        let numbers = inner.parameters.iter().zip(&run.numbers).map(|(parameter, &number)| match parameter.kind {
            Kind::Arm(field) => format!("{}: {}", parameter.name, arm_of(inner, field, number)),
            Kind::Inputs
            | Kind::Outputs
            | Kind::Size
            | Kind::Kernel
            | Kind::Stride
            | Kind::Padding
            | Kind::Dilation
            | Kind::Groups => format!("{}: {number}", parameter.name),
        });
        let growth = inner.growing.map(|_| format!("growth: {}", run.growth));
        std::iter::once(format!("repeat: {}", run.count)).chain(growth).chain(numbers).collect()
    };
    match runs {
        [only] => layout::structure(8, "let runs = [", &config, &of_run(only), "];") + "\n",
        many => {
            let items = many.iter().map(|run| layout::structure(12, "", &config, &of_run(run), ",") + "\n");
            format!("        let runs = [\n{}        ];\n", items.collect::<String>())
        }
    }
}

/// Numbers that are needed when a module runs.
pub(crate) fn kept_numbers(module: &Module, keeps_conv: impl Fn(&ConvNumbers) -> Vec<Number>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut keep = |number: Number| {
        if let Number::Parameter(at) = number {
            let name = module.parameters[at].name.clone();
            if !kept.contains(&name) {
                kept.push(name);
            }
        }
    };
    for statement in &module.statements {
        match &statement.what {
            What::Op { numbers, .. } => numbers.iter().copied().for_each(&mut keep),
            What::Field(at) => {
                let Some(Holds::Layer(Layer::Conv { conv, .. })) = module.fields.get(*at).map(|field| &field.holds)
                else {
                    continue;
                };
                keeps_conv(conv).into_iter().for_each(&mut keep);
            }
        }
    }
    kept
}

/// Adds a line.
pub(crate) fn line_to(text: &mut String, line: String) {
    *text += &line;
    text.push('\n');
}

/// Whether a field is one of the struct: a choice between one thing is none.
pub(crate) fn is_kept(field: &Field) -> bool {
    !matches!(&field.holds, Holds::Choice(choice) if choice.arms.len() < 2)
}

/// The type of a choice.
pub(crate) fn choice_name(module: &Module, field: usize) -> &str {
    match module.fields.get(field).map(|field| &field.holds) {
        Some(Holds::Choice(choice)) => &choice.name,
        Some(Holds::Layer(_) | Holds::Tensor(_) | Holds::Module(_) | Holds::Row { .. }) | None => "",
    }
}

/// `ShortcutKind::Identity`.
pub(crate) fn arm_of(module: &Module, field: usize, arm: usize) -> String {
    match module.fields.get(field).map(|field| &field.holds) {
        Some(Holds::Choice(choice)) => {
            let arm = choice.arms.get(arm).map_or("", |arm| arm.name.as_str());
            format!("{}Kind::{arm}", choice.name)
        }
        Some(Holds::Layer(_) | Holds::Tensor(_) | Holds::Module(_) | Holds::Row { .. }) | None => String::new(),
    }
}

/// What an arm of a choice is.
pub(crate) fn about_arm(is_part: bool) -> &'static str {
    if is_part { "A part with weights or numbers of its own." } else { "The value as it is." }
}

/// Lines in the loop of a row: the numbers of a part, where one grows; and what the numbers are called there.
pub(crate) fn grown(module: &Module) -> (String, &'static str, &'static str) {
    match module.growing.and_then(|at| module.parameters.get(at)) {
        None => (String::new(), "_", "config"),
        Some(parameter) => {
            let name = &parameter.name;
            let fields = format!("                    {name}: config.{name} + number * config.growth,\n");
            let config = config_name(module);
            (
                format!(
                    "                let config = {config} {{\n{fields}                    ..*config\n                }};\n"
                ),
                "number",
                "&config",
            )
        }
    }
}
