//! Elementwise functions of several values, and questions about values.

use serde::{Deserialize, Serialize};

/// Elementwise functions of two or more values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Elementwise {
    Add,
    /// Two operands only.
    Sub,
    Mul,
    /// Two operands only.
    Div,
    Max,
    Min,
    Mean,
    /// Two operands only.
    Pow,
    /// What division leaves, with the sign of the divisor. Two operands only.
    Mod,
    /// What division leaves, with the sign of the dividend. Two operands only.
    Rem,
    /// Of truth values.
    And,
    /// Of truth values.
    Or,
    /// Of truth values.
    Xor,
}

impl Elementwise {
    /// Short name, as printed in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Elementwise::Add => "Add",
            Elementwise::Sub => "Sub",
            Elementwise::Mul => "Mul",
            Elementwise::Div => "Div",
            Elementwise::Max => "Max",
            Elementwise::Min => "Min",
            Elementwise::Mean => "Mean",
            Elementwise::Pow => "Pow",
            Elementwise::Mod => "Mod",
            Elementwise::Rem => "Rem",
            Elementwise::And => "And",
            Elementwise::Or => "Or",
            Elementwise::Xor => "Xor",
        }
    }

    /// Most operands that it takes; where it takes more than two it takes one as well.
    #[must_use]
    pub fn most_operands(self) -> usize {
        match self {
            Elementwise::Sub | Elementwise::Div | Elementwise::Pow | Elementwise::Mod | Elementwise::Rem => 2,
            Elementwise::Add
            | Elementwise::Mul
            | Elementwise::Max
            | Elementwise::Min
            | Elementwise::Mean
            | Elementwise::And
            | Elementwise::Or
            | Elementwise::Xor => usize::MAX,
        }
    }
}

/// Comparisons of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Short name, as printed in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Comparison::Equal => "Equal",
            Comparison::Less => "Less",
            Comparison::LessOrEqual => "LessOrEqual",
            Comparison::Greater => "Greater",
            Comparison::GreaterOrEqual => "GreaterOrEqual",
        }
    }
}

/// What a real number may be besides a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Property {
    /// Not a number.
    Nan,
    /// Infinite, of either sign or of one.
    Infinite {
        /// −∞ counts.
        negative: bool,
        /// +∞ counts.
        positive: bool,
    },
}

impl Property {
    /// Short name, as printed in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Property::Nan => "IsNaN",
            Property::Infinite { .. } => "IsInf",
        }
    }
}
