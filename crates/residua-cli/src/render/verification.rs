//! A comparison of two models, as text.

use std::io::Write;

use anyhow::Result;
use residua::ir::Shown;
use residua::ir::rewrite::Applied;
use residua::proof::{ByNumbers, Examination, Identical, InParts, LayerDifference, Verdict, Verification, finite};
use residua::render::table::{Column, numbers, words};
use residua::render::{number, said, small};

use super::table;
use crate::console::Style;

const COLUMNS: [Column; 6] =
    [words("output"), numbers("max abs"), numbers("bound"), numbers("max rel"), numbers("ulp"), numbers("cosine")];

/// Writes the figures of a comparison and, where it failed, where the difference begins.
pub(crate) fn text(out: &mut dyn Write, style: Style, verification: &Verification) -> Result<()> {
    let verdict = match verification.verdict {
        Verdict::Same => style.good("same"),
        Verdict::Different => style.error("different"),
    };
    writeln!(out, "{verdict}  {}", style.dim(&said(&verification.found)))?;
    if let Some(reason) = &verification.reason {
        writeln!(out, "  {}", said(reason))?;
    }
    // The same within rounding, but made of other numbers.
    if let (Verdict::Same, Some(unlike)) = (verification.verdict, verification.unlike.as_ref().filter(|u| u.certain)) {
        writeln!(out, "  not bit for bit: {}", said(&unlike.sentence()))?;
    }
    if let Some(identical) = &verification.identical {
        structure(out, style, identical)?;
    }
    if let Some(parts) = &verification.in_parts {
        in_parts(out, style, parts)?;
    }
    let figures =
        verification.identical.as_ref().is_none_or(|identical| identical.ran) && verification.in_parts.is_none();
    if figures && !verification.outputs.is_empty() {
        writeln!(out)?;
        let rows = verification.outputs.iter().map(|output| {
            vec![
                output.name.raw().to_owned(),
                small(output.max_abs),
                small(output.bound),
                small(output.max_rel),
                number(output.max_ulp.into()),
                format!("{:.9}", output.cosine),
            ]
        });
        table::write(out, &COLUMNS, rows.collect())?;
    }
    let apart = verification.outputs.iter().filter_map(|output| output.end_to_end.as_ref());
    if let Some(most) = apart.map(|apart| apart.max_abs).reduce(f64::max) {
        let magnified = "the network magnifies what rounding does to its first layers";
        writeln!(out, "\nRun from end to end, outputs are apart by up to {}: {magnified}.", small(most))?;
    }
    non_finite(out, style, verification)?;
    match verification.top1_agree.filter(|_| figures) {
        Some(true) => writeln!(out, "\nThe best class is the same for every input.")?,
        Some(false) if !all_finite(verification) => {
            writeln!(out, "\n{}", style.warning("No class is the best of scores that are infinite or NaN."))?;
        }
        Some(false) => writeln!(out, "\n{}", style.warning("The best class differs for at least one input."))?,
        None => {}
    }
    narrow(out, style, verification)?;
    if let Some(first) = &verification.first_divergence {
        let (a, b) = (style.bold(&first.a.to_string()), style.bold(&first.b.to_string()));
        let place = first.place.as_ref().map_or_else(String::new, |place| format!("{}, ", place.shown()));
        writeln!(out, "\nThe difference begins at {place}{a} (there: {b}):")?;
        let given = if first.same_inputs { "on the same inputs, " } else { "" };
        writeln!(out, "  {given}max abs {}, where {} is rounding noise", small(first.max_abs), small(first.bound))?;
        if let Some(cause) = &first.cause {
            writeln!(out, "  {}", said(cause))?;
        }
    }
    Ok(())
}

/// So many of something.
fn of(count: usize, what: &str) -> String {
    format!("{} {what}{}", number(count as u64), if count == 1 { "" } else { "s" })
}

/// Passes that something was done by before it was compared.
fn normalised(out: &mut dyn Write, normalised: &[Vec<Applied>; 2]) -> Result<()> {
    for (name, applied) in ["first", "second"].iter().zip(normalised).filter(|(_, applied)| !applied.is_empty()) {
        let passes: Vec<&str> = applied.iter().map(|applied| applied.pass).collect();
        writeln!(out, "  the {name} in its normal form: {}", passes.join(", "))?;
    }
    Ok(())
}

/// What was compared of two graphs that are the same, and what that rests on.
fn structure(out: &mut dyn Write, style: Style, identical: &Identical) -> Result<()> {
    let Identical { operators, tensors, bytes, .. } = identical;
    let (operators, tensors, bytes) = (of(*operators, "operator"), of(*tensors, "tensor"), number(*bytes));
    writeln!(
        out,
        "  compared: {operators} with attributes and operands, {tensors} of {bytes} bytes, inputs and outputs"
    )?;
    normalised(out, &identical.normalised)?;
    writeln!(out, "  {}", style.dim(&format!("rests on this: {}", identical.rests_on)))?;
    if let Some(why) = &identical.run_because {
        writeln!(out, "  run as well, since values could be infinite or NaN: {}", said(why))?;
    }
    Ok(())
}

/// How many parts are shown.
const SHOWN_PARTS: usize = 3;

/// What was compared of two graphs that are the same but for parts, and what was run.
fn in_parts(out: &mut dyn Write, style: Style, parts: &InParts) -> Result<()> {
    let InParts { operators, tensors, bytes, by_numbers, .. } = parts;
    let (operators, tensors, bytes) = (of(*operators, "operator"), of(*tensors, "tensor"), number(*bytes));
    writeln!(out, "  by structure: {operators} with attributes and operands, {tensors} of {bytes} bytes")?;
    writeln!(out, "  by numbers, each on what the source gives to it: {}", of(by_numbers.len(), "part"))?;
    let share = |part: &ByNumbers| if part.max_abs == 0.0 { 0.0 } else { part.max_abs / part.bound };
    let mut nearest: Vec<&ByNumbers> = by_numbers.iter().collect();
    nearest.sort_by(|x, y| share(y).total_cmp(&share(x)));
    for part in nearest.iter().take(SHOWN_PARTS) {
        let [a, b] = part.operators.map(|count| of(count, "operator"));
        let (max_abs, bound) = (small(part.max_abs), small(part.bound));
        writeln!(out, "    {} ({a}, there {b}): max abs {max_abs}, bound {bound}", part.a)?;
    }
    if nearest.len() > SHOWN_PARTS {
        writeln!(out, "    and {} nearer to the source", number((nearest.len() - SHOWN_PARTS) as u64))?;
    }
    normalised(out, &parts.normalised)?;
    writeln!(out, "  {}", style.dim(&format!("rests on this: {}", parts.rests_on)))?;
    Ok(())
}

fn all_finite(verification: &Verification) -> bool {
    verification.outputs.iter().all(|output| output.non_finite.is_none())
}

/// Outputs that hold values which are no numbers, unless that was said already.
fn non_finite(out: &mut dyn Write, style: Style, verification: &Verification) -> Result<()> {
    for output in &verification.outputs {
        let Some(values) = &output.non_finite else { continue };
        let sentence = finite::sentence(output.name.raw(), values, verification.names);
        if !verification.reason.as_ref().is_some_and(|reason| reason.contains(&sentence)) {
            writeln!(out, "  {}", style.warning(&said(&sentence)))?;
        }
    }
    Ok(())
}

/// What a narrower type costs: of the weights, and of all that is computed.
fn narrow(out: &mut dyn Write, style: Style, verification: &Verification) -> Result<()> {
    if let Some(rounding) = &verification.rounding {
        writeln!(out, "Rounding the weights cost {} at most, cosine {:.9}.", small(rounding.max_abs), rounding.cosine)?;
    }
    let Some(narrow) = verification.in_dtype.as_ref().filter(|_| verification.verdict == Verdict::Same) else {
        return Ok(());
    };
    let (dtype, cost) = (narrow.dtype, small(narrow.max_abs));
    writeln!(out, "Computed in {dtype} throughout, outputs are off by {cost} at most, cosine {:.9}.", narrow.cosine)?;
    if let Some(beyond) = &narrow.beyond {
        let (layer, count, largest) = (beyond.layer.shown(), beyond.count, small(beyond.largest));
        let text = format!(
            "`{layer}` then gives values beyond {dtype} ({count} of up to {largest}), which outputs do not show"
        );
        writeln!(out, "{}", style.warning(&text))?;
    }
    Ok(())
}

/// How many classes are the same, where the bounds come from, why both differ, and how far layer by layer.
pub(crate) fn details(out: &mut dyn Write, style: Style, found: &Examination) -> Result<()> {
    let ran = found.verification.identical.as_ref().is_none_or(|identical| identical.ran);
    if !ran || found.verification.in_parts.is_some() {
        return Ok(());
    }
    match found.verification.top5_agree {
        Some(true) => writeln!(out, "The five best classes are the same for every input.")?,
        Some(false) if !all_finite(&found.verification) => {}
        Some(false) => writeln!(out, "{}", style.warning("The five best classes differ for at least one input."))?,
        None => {}
    }
    let mut sources: Vec<&str> = found.verification.outputs.iter().map(|output| output.bound_from.as_str()).collect();
    sources.dedup();
    if let [first, ..] = sources[..] {
        writeln!(out, "{}", style.dim(&format!("The bound is {first}.")))?;
    }
    if let Some(cause) = &found.cause {
        writeln!(out, "\n{}: {}", style.bold("cause"), said(&cause.what))?;
        let rest = if cause.within_bound { "; what is left is rounding noise" } else { "" };
        writeln!(out, "  tried: it explains {} of the difference{rest}", percent(cause.explains))?;
        for part in &cause.parts {
            writeln!(out, "  {}: {}", percent(part.explains), said(&part.what))?;
        }
    }
    if !found.layers.is_empty() {
        writeln!(out)?;
        layers(out, &found.layers)?;
    }
    Ok(())
}

/// A share, never rounded up to the whole.
fn percent(share: f64) -> String {
    if share >= 1.0 { "100 %".to_owned() } else { format!("{:.1} %", (share * 1000.0).floor() / 10.0) }
}

const LAYER_COLUMNS: [Column; 7] = [
    words("place"),
    words("layer of A"),
    words("layer of B"),
    words("shape"),
    numbers("max abs"),
    numbers("max rel"),
    numbers("bound"),
];

fn layers(out: &mut dyn Write, layers: &[LayerDifference]) -> Result<()> {
    let rows = layers.iter().map(|layer| {
        let shape = |sizes: &[usize]| sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        let shape = match &layer.other_shape {
            Some(other) => format!("{} against {}", shape(&layer.shape), shape(other)),
            None => shape(&layer.shape),
        };
        let figure = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), small);
        vec![
            layer.place.clone().unwrap_or_default(),
            layer.a.raw().to_owned(),
            layer.b.raw().to_owned(),
            shape,
            figure(layer.max_abs),
            figure(layer.max_rel),
            format!("{}{}", small(layer.bound), if layer.within { "" } else { " !" }),
        ]
    });
    table::write(out, &LAYER_COLUMNS, rows.collect())?;
    writeln!(out, "! beyond the bound")?;
    Ok(())
}
