//! A comparison of two models, as text.

use std::io::Write;

use anyhow::Result;

use super::small;
use super::table::{self, Column, numbers, words};
use crate::console::Style;
use crate::proof::{Verdict, Verification};

const COLUMNS: [Column; 6] =
    [words("output"), numbers("max abs"), numbers("bound"), numbers("max rel"), numbers("ulp"), numbers("cosine")];

/// Writes the figures of a comparison and, where it failed, where the difference begins.
pub(crate) fn text(out: &mut dyn Write, style: Style, verification: &Verification) -> Result<()> {
    let verdict = match verification.verdict {
        Verdict::Same => style.good("same"),
        Verdict::Different => style.error("different"),
    };
    writeln!(out, "{verdict}  {}", style.dim(&verification.method))?;
    if let Some(reason) = &verification.reason {
        writeln!(out, "  {reason}")?;
    }
    if !verification.outputs.is_empty() {
        writeln!(out)?;
        let rows = verification.outputs.iter().map(|output| {
            vec![
                output.name.clone(),
                small(output.max_abs),
                small(output.bound),
                small(output.max_rel),
                super::number(output.max_ulp.into()),
                format!("{:.9}", output.cosine),
            ]
        });
        table::write(out, &COLUMNS, rows.collect())?;
    }
    match verification.top1_agree {
        Some(true) => writeln!(out, "\nThe best class is the same for every input.")?,
        Some(false) => writeln!(out, "\n{}", style.warning("The best class differs for at least one input."))?,
        None => {}
    }
    if let Some(rounding) = &verification.rounding {
        writeln!(out, "Rounding the weights cost {} at most, cosine {:.9}.", small(rounding.max_abs), rounding.cosine)?;
    }
    if let Some(first) = &verification.first_divergence {
        let (a, b) = (style.bold(&first.a), style.bold(&first.b));
        writeln!(out, "\nThe difference begins at {a} (there: {b}):")?;
        writeln!(out, "  max abs {}, where {} is rounding noise", small(first.max_abs), small(first.bound))?;
        if let Some(cause) = &first.cause {
            writeln!(out, "  {cause}")?;
        }
    }
    Ok(())
}
