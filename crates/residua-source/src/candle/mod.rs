//! Source for candle: how it computes each operator, and the crate around a network.
//!
//! Source of what it has: candle-core and candle-nn of the [releases](RELEASES). Each is held against the crates in the
//! tests.

mod construct;
mod files;
mod forward;
mod lower;
mod model;

use std::collections::BTreeMap;

use crate::form::{Holds, Module, Number, Program, What};
use crate::package::{Lack, layer_name, op_name};

pub use files::files;

/// A release of candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Its version, without the last number.
    pub version: &'static str,
    /// The version of `image` that goes with it.
    pub image: &'static str,
    /// Oldest Rust that builds it.
    pub rust: &'static str,
}

/// The releases that source is written for, the newest first.
pub const RELEASES: &[Release] = &[Release { version: "0.11", image: "0.25", rust: "1.85" }];

/// What candle does not compute of a network: none where a crate can be written.
#[must_use]
pub fn lacks(program: &Program) -> Vec<Lack> {
    let mut found: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    for module in &program.modules {
        for statement in &module.statements {
            if let Some((op, reason)) = lack(module, &statement.what, statement.operands.len()) {
                *found.entry((op, reason)).or_default() += 1;
            }
        }
    }
    let lack = |((op, reason), count): ((String, &'static str), usize)| Lack { op: op.into(), reason, count };
    found.into_iter().map(lack).collect()
}

fn lack(module: &Module, what: &What, operands: usize) -> Option<(String, &'static str)> {
    match what {
        What::Field(at) => match &module.fields.get(*at)?.holds {
            Holds::Layer(layer) => lower::layer(layer).err().map(|reason| (layer_name(layer).to_owned(), reason)),
            Holds::Tensor(_) | Holds::Module(_) | Holds::Row { .. } | Holds::Choice(_) => None,
        },
        What::Op { op, numbers, ranks, broadcasts } => {
            let text: Vec<String> = numbers
                .iter()
                .map(|number| match number {
                    Number::Fixed(value) => value.to_string(),
                    Number::Parameter(_) => "self.number".to_owned(),
                })
                .collect();
            let names: Vec<String> = (0..operands).map(|at| format!("x{at}")).collect();
            let given =
                lower::Given { receivers: &names, arguments: &names, numbers: &text, ranks, broadcasts: *broadcasts };
            lower::code(op, &given).err().map(|reason| (op_name(op), reason))
        }
    }
}
