//! What a module computes: a step a statement.

use std::fmt::Write;

use super::lower::{self, DENSE, Given};
use super::model::Printer;
use crate::form::{Choice, Holds, Layer, Module, Number, Operand, Statement, What};
use crate::rust::code::{self, Code, Steps};
use crate::rust::config::{line, line_to, number};
use crate::rust::layout;
use crate::rust::values::ValueNames;

impl Printer<'_> {
    pub(super) fn forward(&mut self, module: &Module, is_root: bool) -> String {
        let is_module = module.inputs == 1 && module.results.len() == 1;
        let inputs: Vec<String> = match module.inputs {
            1 => vec!["xs".to_owned()],
            many => (0..many).map(|at| format!("input{at}")).collect(),
        };
        let mut text = String::new();
        if is_module {
            self.types.insert("Module");
            line!(text, "\nimpl Module for {} {{", module.name);
        } else {
            line!(text, "\nimpl {} {{", module.name);
        }
        if let Some((from, to)) = &module.shapes {
            text += &layout::comment(4, "///", &format!("`{from}` to `{to}`."));
        } else if is_root {
            text += &layout::comment(4, "///", "Runs the network; sizes are in the order N, C, H, W.");
        }
        let visible = if is_module { "" } else { "pub " };
        let result = if module.results.len() == 1 { "Tensor" } else { "Vec<Tensor>" };
        let arguments: Vec<String> = inputs.iter().map(|input| format!("{input}: &Tensor")).collect();
        let head = format!("    {visible}fn forward(&self, {}) -> Result<{result}> {{", arguments.join(", "));
        if head.len() <= 100 {
            line!(text, "{head}");
        } else {
            line!(text, "    {visible}fn forward(\n        &self,");
            for argument in arguments {
                line!(text, "        {argument},");
            }
            line!(text, "    ) -> Result<{result}> {{");
        }
        let names = ValueNames::of(module, &inputs);
        let last = module.inputs + module.statements.len();
        for (at, statement) in module.statements.iter().enumerate() {
            let value = module.inputs + at;
            // What is computed last is not named, where it is what is given.
            if value + 1 == last && module.results == [value] && gives_result(module, statement) {
                return text + &self.statement(module, &names, value, statement, true) + "    }\n}\n";
            }
            text += &self.statement(module, &names, value, statement, false);
        }
        let results: Vec<String> = module.results.iter().map(|&result| names.owned(result)).collect();
        match &results[..] {
            [only] => line_to(&mut text, format!("        Ok({only})")),
            many => line_to(&mut text, layout::list(8, "Ok(vec!", many, ")")),
        }
        text + "    }\n}\n"
    }

    /// A statement; the last one of a function where `is_last`.
    fn statement(
        &mut self,
        module: &Module,
        names: &ValueNames,
        value: usize,
        statement: &Statement,
        is_last: bool,
    ) -> String {
        let field = |at: usize| module.fields.get(at).map_or("", |field| field.name.as_str());
        let receiver = |operand: &Operand| match *operand {
            Operand::Value(value) => names.receiver(value),
            Operand::Field(at) => format!("self.{}", field(at)),
        };
        let argument = |operand: &Operand| match *operand {
            Operand::Value(value) => names.argument(value),
            Operand::Field(at) => format!("&self.{}", field(at)),
        };
        let receivers: Vec<String> = statement.operands.iter().map(receiver).collect();
        let arguments: Vec<String> = statement.operands.iter().map(argument).collect();
        let result = names.receiver(value);
        let given = |numbers: &[String], ranks: &[usize], broadcasts: bool, of: &dyn Fn(&Given) -> Steps| {
            of(&Given { receivers: &receivers, arguments: &arguments, numbers, ranks, broadcasts })
        };
        let steps = match &statement.what {
            What::Op { op, numbers, ranks, broadcasts } => {
                let numbers: Vec<String> = numbers.iter().map(|&n| number(module, n, "self")).collect();
                // What candle lacks was refused before anything is printed.
                given(&numbers, ranks, *broadcasts, &|given| lower::code(op, given).unwrap_or_default())
            }
            What::Field(at) => match &module.fields[*at].holds {
                Holds::Choice(choice) => return self.choose(module, names, value, *at, choice),
                Holds::Layer(layer) => {
                    let text = |n: Number| number(module, n, "self");
                    given(&[], &[], false, &|given| of_layer(layer, field(*at), given, &text))
                }
                Holds::Module(_) | Holds::Row { .. } | Holds::Tensor(_) => {
                    let call = format!("forward({})", arguments.first().map_or("", String::as_str));
                    vec![(None, Code::Chain(format!("self.{}", field(*at)), vec![call]))]
                }
            },
        };
        if steps.iter().any(|(_, code)| matches!(code, Code::Chain(receiver, _) if receiver.starts_with("self."))) {
            let is_norm = matches!(&statement.what, What::Field(at)
                if matches!(module.fields[*at].holds, Holds::Layer(Layer::BatchNorm { .. })));
            self.types.insert(if is_norm { "ModuleT" } else { "Module" });
        }
        let mut text = String::new();
        let count = steps.len();
        for (at, (name, code)) in steps.into_iter().enumerate() {
            if let Some(helper) = code::helper(&code) {
                self.helpers.insert(helper.to_owned());
            }
            let name = name.unwrap_or(&result);
            match is_last && at + 1 == count {
                true => line_to(&mut text, Self::step("", &code, "", &receivers)),
                false => line_to(&mut text, Self::step(&format!("let {name} = "), &code, "?;", &receivers)),
            }
        }
        text
    }

    fn step(before: &str, code: &Code, after: &str, receivers: &[String]) -> String {
        match code {
            Code::Chain(receiver, calls) => layout::chain(8, before, receiver, calls, ("?", after)),
            Code::Call(name, arguments) => layout::call(8, &format!("{before}{name}"), arguments, after),
            Code::Cat(items, axis) => {
                layout::joined(8, &format!("{before}Tensor::cat"), "&", items, &axis.to_string(), after)
            }
            Code::Infix(a, infix, b) if after.is_empty() => format!("        {a} {infix} {b}"),
            Code::Infix(a, infix, b) => format!("        {before}({a} {infix} {b}){after}"),
            Code::Same => {
                let x = receivers.first().map_or("", String::as_str);
                if after.is_empty() {
                    format!("        Ok({x}.clone())")
                } else {
                    format!("        {before}{x}.clone();")
                }
            }
        }
    }

    /// The value of a shortcut.
    fn choose(&mut self, module: &Module, names: &ValueNames, value: usize, at: usize, choice: &Choice) -> String {
        let (result, field) = (names.receiver(value), &module.fields[at].name);
        if let [only] = &choice.arms[..] {
            let from = names.receiver(only.given);
            return format!("        let {result} = {from}.clone();\n");
        }
        self.types.insert("Module");
        let mut text = String::new();
        line!(text, "        let {result} = match &self.{field} {{");
        for arm in &choice.arms {
            let kind = format!("{}::{}", choice.name, arm.name);
            match &arm.part {
                None => line_to(&mut text, format!("            {kind} => {}.clone(),", names.receiver(arm.given))),
                Some(_) => {
                    let x = names.argument(arm.given);
                    line!(text, "            {kind}(part) => part.forward({x})?,");
                }
            }
        }
        text + "        };\n"
    }
}

/// Whether the last step of a statement is one call, which gives a result.
fn gives_result(module: &Module, statement: &Statement) -> bool {
    match &statement.what {
        What::Op { .. } => true,
        What::Field(at) => match module.fields.get(*at).map(|field| &field.holds) {
            Some(Holds::Layer(_) | Holds::Module(_) | Holds::Row { .. } | Holds::Tensor(_)) => true,
            Some(Holds::Choice(_)) | None => false,
        },
    }
}

/// A layer on a value, with what candle's layer does not do itself.
fn of_layer(layer: &Layer, field: &str, given: &Given, text: &dyn Fn(Number) -> String) -> Steps {
    let (mut steps, after) = lower::around_conv(layer, text, given);
    let x = match steps.is_empty() {
        true => given.arguments.first().cloned().unwrap_or_default(),
        false => "&padded".to_owned(),
    };
    let call = match layer {
        Layer::BatchNorm { .. } => format!("forward_t({x}, false)"),
        Layer::Conv { .. } | Layer::GroupNorm { .. } | Layer::Linear { .. } => format!("forward({x})"),
    };
    let name = (!after.is_empty()).then_some(DENSE);
    steps.push((name, Code::Chain(format!("self.{field}"), vec![call])));
    steps.extend(after);
    steps
}
