//! Source for burn: how it computes each operator, and the crate around a network.
//!
//! Source of what it has: burn of the [releases](RELEASES). Each is held against the crates in the tests.

mod construct;
mod files;
mod forward;
mod lower;
mod model;

use std::collections::BTreeMap;

use crate::form::{Holds, Module, Number, Operand, Program, Statement, What};
use crate::package::Lack;

pub use files::files;

/// A release of burn.
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
///
/// Before 0.22 modules were generic over a backend, which this source is not: a device says what computes.
pub const RELEASES: &[Release] = &[Release { version: "0.22", image: "0.25", rust: "1.95" }];

/// What burn does not compute of a network: none where a crate can be written.
#[must_use]
pub fn lacks(program: &Program) -> Vec<Lack> {
    let mut found: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    for module in &program.modules {
        for statement in &module.statements {
            if let Some((op, reason)) = lack(module, statement) {
                *found.entry((op, reason)).or_default() += 1;
            }
        }
    }
    found.into_iter().map(|((op, reason), count)| Lack { op: op.into(), reason, count }).collect()
}

/// Ranks of what an operator is given. A tensor of the model without axes has one here, of size 1, since burn's have one at
/// least; it is stored so as well.
fn ranks(operands: &[Operand], ranks: &[usize]) -> Vec<usize> {
    let of = |(operand, &rank): (&Operand, &usize)| match operand {
        Operand::Field(_) => rank.max(1),
        Operand::Value(_) => rank,
    };
    operands.iter().zip(ranks).map(of).collect()
}

fn lack(module: &Module, statement: &Statement) -> Option<(String, &'static str)> {
    match &statement.what {
        What::Field(at) => match &module.fields.get(*at)?.holds {
            Holds::Layer(layer) => {
                lower::layer(layer).err().map(|reason| (crate::package::layer_name(layer).to_owned(), reason))
            }
            Holds::Tensor(_) | Holds::Module(_) | Holds::Row { .. } | Holds::Choice(_) => None,
        },
        What::Op { op, numbers, ranks, broadcasts } => {
            let numbers: Vec<String> = numbers
                .iter()
                .map(|number| match number {
                    Number::Fixed(value) => value.to_string(),
                    Number::Parameter(_) => "self.number".to_owned(),
                })
                .collect();
            let values: Vec<String> = (0..statement.operands.len()).map(|at| format!("x{at}")).collect();
            let ranks = self::ranks(&statement.operands, ranks);
            let given = lower::Given { values: &values, numbers: &numbers, ranks: &ranks, broadcasts: *broadcasts };
            lower::code(op, &given).err().map(|reason| (crate::package::op_name(op), reason))
        }
    }
}
