//! Names of the values of a module: `x` for what goes on, others for what is still read.

use std::collections::BTreeSet;

use crate::form::{Holds, Module, Operand, What};

/// For each value of a module its name, and what of it is given to functions.
pub(crate) struct ValueNames {
    names: Vec<String>,
    inputs: usize,
    /// The last statement that reads each value.
    last: Vec<usize>,
}

impl ValueNames {
    /// Each value gets the first name that no value has which is still read.
    pub(crate) fn of(module: &Module, inputs: &[String]) -> Self {
        let count = module.inputs + module.statements.len();
        let mut last = vec![0usize; count];
        for (at, statement) in module.statements.iter().enumerate() {
            for value in reads(module, &statement.what, &statement.operands) {
                if let Some(last) = last.get_mut(value) {
                    *last = at;
                }
            }
        }
        for &result in &module.results {
            if let Some(last) = last.get_mut(result) {
                *last = usize::MAX;
            }
        }
        let mut names: Vec<String> = inputs.to_vec();
        for (at, statement) in module.statements.iter().enumerate() {
            // A name can be given again in the statement that reads it last.
            let live: BTreeSet<&str> = names
                .iter()
                .enumerate()
                .filter(|(value, _)| last[*value] > at)
                .map(|(_, name)| name.as_str())
                .collect();
            let free = |name: &str| !live.contains(name) && !inputs.iter().any(|input| input == name);
            let hinted = statement.hint.filter(|hint| free(hint)).map(str::to_owned);
            let mut number = 1;
            let name = hinted.unwrap_or_else(|| {
                loop {
                    let name = if number == 1 { "x".to_owned() } else { format!("x{number}") };
                    if free(&name) {
                        return name;
                    }
                    number += 1;
                }
            });
            names.push(name);
        }
        Self { names, inputs: module.inputs, last }
    }

    /// What methods are called on.
    pub(crate) fn receiver(&self, value: usize) -> String {
        self.names.get(value).cloned().unwrap_or_default()
    }

    /// What functions are given: a reference.
    pub(crate) fn argument(&self, value: usize) -> String {
        let name = self.receiver(value);
        // Inputs are references already.
        if value < self.inputs { name } else { format!("&{name}") }
    }

    /// The value itself in a statement, a copy of it where it is read again.
    pub(crate) fn moved(&self, value: usize, at: usize, again: bool) -> String {
        let name = self.receiver(value);
        let is_live = self.last.get(value).is_some_and(|&last| last > at);
        if is_live || again { format!("{name}.clone()") } else { name }
    }

    /// The value itself.
    pub(crate) fn owned(&self, value: usize) -> String {
        let name = self.receiver(value);
        if value < self.inputs { format!("{name}.clone()") } else { name }
    }
}

/// The values that a statement reads.
fn reads(module: &Module, what: &What, operands: &[Operand]) -> Vec<usize> {
    let mut values: Vec<usize> = operands
        .iter()
        .filter_map(|operand| match operand {
            Operand::Value(value) => Some(*value),
            Operand::Field(_) => None,
        })
        .collect();
    if let What::Field(at) = what
        && let Some(Holds::Choice(choice)) = module.fields.get(*at).map(|field| &field.holds)
    {
        values.extend(choice.arms.iter().map(|arm| arm.given));
    }
    values
}
