//! Sizes that are declared free, and that the graph contradicts.

use residua_ir::free_sizes::Contradiction;
use residua_ir::{Finding, Hint};

use crate::Subject;

residua_ir::code! {
    /// An input declares a size free, such as the batch, or height and width, and the graph holds for one size only.
    ///
    /// ## Why it matters
    ///
    /// Whoever runs the model believes the declaration: it loads, runs on one image, and fails or computes nonsense on
    /// two. A reshape to `[1, 2048]`, which exporters write where a batch of 1 was traced, is the usual reason; others
    /// are constants that were made for a batch, and matrix products behind a flatten of the whole image.
    ///
    /// ## Example
    ///
    /// `flatten: input `image` leaves N free, and it is 1 in truth: Reshape: [2, 2048, 1, 1] cannot be reshaped to
    /// [1, 2048]`
    ///
    /// ## How to fix it
    ///
    /// Export again with the batch as a free axis, or let `residua convert --free-batch` make it one, which is proved.
    /// Where the size is meant to be fixed, declare it so: `residua convert --input-shape`.
    pub(super) static CODE = Graph Error R114 "contradicted-size";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for found in subject.contradictions() {
        let help = help(subject, found);
        findings.push(Finding::new(&CODE, message(subject, found), help).at(subject.layer(found.node)));
    }
}

/// `input `image` leaves N free, and it is 1 in truth: …`
pub(super) fn message(subject: &Subject, found: &Contradiction) -> String {
    let names = found.names.join(" and ");
    let holds: Vec<String> = found.holds.iter().map(ToString::to_string).collect();
    let (verb, holds) =
        if found.names.len() == 1 { ("it is", holds.join("")) } else { ("they are", holds.join(" and ")) };
    let input = &subject.model.graph().value(found.input).name;
    format!("input `{input}` leaves {names} free, and {verb} {holds} in truth: {}", found.reason)
}

/// The shape that the input has in truth.
fn help(subject: &Subject, found: &Contradiction) -> String {
    let graph = subject.model.graph();
    let value = graph.value(found.input);
    let Some(shape) = subject.model.shape_of(found.input) else { return String::new() };
    let mut dims = shape.dims().to_vec();
    for (&axis, holds) in found.axes.iter().zip(&found.holds) {
        if let (Some(dim), Some(size)) = (dims.get_mut(axis), holds.usual()) {
            *dim = residua_ir::Dim::Fixed(size);
        }
    }
    // What is free in truth is given its least size.
    for dim in dims.iter_mut().filter(|dim| dim.fixed().is_none()) {
        *dim = residua_ir::Dim::Fixed(1);
    }
    let shown = value.order.source_shape(&residua_ir::Shape::new(dims)).to_string();
    let shown = shown.trim_matches(['[', ']']).replace(' ', "");
    let free = if found.axes == [0] { "free it with `residua convert --free-batch`, or " } else { "" };
    format!("{free}declare it as it is: `{} {shown}`", Hint::InputShapes)
}
