//! What a module computes: a step a statement.

use std::fmt::Write;

use super::lower::{self, Given};
use super::model::{Printer, is_optional};
use crate::form::{Choice, Holds, Module, Operand, Statement, What};
use crate::rust::code::{self, Code, Steps};
use crate::rust::config::{line, line_to, number};
use crate::rust::layout;
use crate::rust::values::ValueNames;

impl Printer<'_> {
    pub(super) fn forward(&mut self, module: &Module) -> String {
        let inputs: Vec<String> = match module.inputs {
            1 => vec!["xs".to_owned()],
            many => (0..many).map(|at| format!("input{at}")).collect(),
        };
        let mut text = String::new();
        let about = match &module.shapes {
            Some((from, to)) => format!("`{from}` to `{to}`."),
            None => "Runs it; sizes are in the order N, C, H, W.".to_owned(),
        };
        text += &layout::comment(4, "///", &about);
        let [given, gives] = &module.ranks;
        let result = match &gives[..] {
            [rank] => format!("Tensor<{rank}>"),
            many => format!("({})", many.iter().map(|rank| format!("Tensor<{rank}>")).collect::<Vec<_>>().join(", ")),
        };
        let arguments: Vec<String> =
            inputs.iter().zip(given).map(|(input, rank)| format!("{input}: Tensor<{rank}>")).collect();
        let head = format!("    pub fn forward(&self, {}) -> {result} {{", arguments.join(", "));
        if head.len() <= 100 {
            line!(text, "{head}");
        } else {
            line!(text, "    pub fn forward(\n        &self,");
            for argument in arguments {
                line!(text, "        {argument},");
            }
            line!(text, "    ) -> {result} {{");
        }
        let names = ValueNames::of(module, &inputs);
        for (at, statement) in module.statements.iter().enumerate() {
            let value = module.inputs + at;
            let is_last = at + 1 == module.statements.len() && module.results == [value];
            text += &self.statement(module, &names, (at, value), statement, is_last);
        }
        let last = module.inputs + module.statements.len();
        if last == 0 || module.results != [last - 1] || module.statements.is_empty() {
            let result = |(at, &result): (usize, &usize)| {
                names.moved(result, usize::MAX, module.results[at + 1..].contains(&result))
            };
            let results: Vec<String> = module.results.iter().enumerate().map(result).collect();
            match &results[..] {
                [only] => line_to(&mut text, format!("        {only}")),
                many => line_to(&mut text, layout::tuple(8, many)),
            }
        }
        text + "    }\n"
    }

    /// A statement; the last one of a function where `is_last`.
    fn statement(
        &mut self,
        module: &Module,
        names: &ValueNames,
        (at, value): (usize, usize),
        statement: &Statement,
        is_last: bool,
    ) -> String {
        let field = |at: usize| module.fields.get(at).map_or("", |field| field.name.as_str());
        let operands = statement.operands.iter().enumerate().map(|(place, operand)| match *operand {
            Operand::Value(value) => {
                names.moved(value, at, statement.operands[place + 1..].contains(&Operand::Value(value)))
            }
            Operand::Field(at) => format!("self.{}.val()", field(at)),
        });
        let values: Vec<String> = operands.collect();
        let result = names.receiver(value);
        let steps: Steps = match &statement.what {
            What::Op { op, numbers, ranks, broadcasts } => {
                let numbers: Vec<String> = numbers.iter().map(|&n| number(module, n, "self")).collect();
                let ranks = super::ranks(&statement.operands, ranks);
                let given = Given { values: &values, numbers: &numbers, ranks: &ranks, broadcasts: *broadcasts };
                // What burn lacks was refused before anything is printed.
                lower::code(op, &given).unwrap_or_default()
            }
            What::Field(of) => match &module.fields[*of].holds {
                Holds::Choice(choice) => return choose(module, names, (at, value), *of, choice, is_last),
                Holds::Row { .. } => {
                    let x = values.first().map_or("", String::as_str);
                    let calls = vec!["iter()".to_owned(), format!("fold({x}, |x, part| part.forward(x))")];
                    vec![(None, Code::Chain(format!("self.{}", field(*of)), calls))]
                }
                Holds::Layer(_) | Holds::Module(_) | Holds::Tensor(_) => {
                    let call = format!("forward({})", values.first().map_or("", String::as_str));
                    vec![(None, Code::Chain(format!("self.{}", field(*of)), vec![call]))]
                }
            },
        };
        let mut text = String::new();
        let count = steps.len();
        for (step, (name, code)) in steps.into_iter().enumerate() {
            if let Some(helper) = code::helper(&code) {
                self.helpers.insert(helper.to_owned());
            }
            if let Code::Call(_, arguments) = &code
                && arguments.iter().any(|argument| argument.contains("ops::Size"))
            {
                self.helpers.insert("reshape".to_owned());
            }
            let name = name.unwrap_or(&result);
            match is_last && step + 1 == count {
                true => line_to(&mut text, print("", &code, "", &values)),
                false => line_to(&mut text, print(&format!("let {name} = "), &code, ";", &values)),
            }
        }
        text
    }
}

fn print(before: &str, code: &Code, after: &str, values: &[String]) -> String {
    match code {
        Code::Chain(receiver, calls) => layout::chain(8, before, receiver, calls, ("", after)),
        Code::Call(name, arguments) => layout::call(8, &format!("{before}{name}"), arguments, after),
        Code::Cat(items, axis) => {
            layout::joined(8, &format!("{before}Tensor::cat"), "vec!", items, &axis.to_string(), after)
        }
        Code::Infix(a, infix, b) => layout::infix(8, before, a, infix, b, after),
        Code::Same => format!("        {before}{}{after}", values.first().map_or("", String::as_str)),
    }
}

/// The value of a shortcut.
fn choose(
    module: &Module,
    names: &ValueNames,
    (at, value): (usize, usize),
    field: usize,
    choice: &Choice,
    is_last: bool,
) -> String {
    let (result, field) = (names.receiver(value), &module.fields[field].name);
    let (before, after) = if is_last { (String::new(), "") } else { (format!("let {result} = "), ";") };
    if let [only] = &choice.arms[..] {
        return format!("        {before}{}{after}\n", names.moved(only.given, at, false));
    }
    let mut text = String::new();
    line!(text, "        {before}match &self.{field} {{");
    for arm in &choice.arms {
        let x = names.moved(arm.given, at, false);
        match (&arm.part, is_optional(choice)) {
            (Some(_), true) => line_to(&mut text, format!("            Some(part) => part.forward({x}),")),
            (None, true) => line_to(&mut text, format!("            None => {x},")),
            (_, false) => {
                line_to(&mut text, format!("            {}::{}(part) => part.forward({x}),", choice.name, arm.name));
            }
        }
    }
    text + &format!("        }}{after}\n")
}
