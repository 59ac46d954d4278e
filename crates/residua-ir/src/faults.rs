//! Codes of faults that keep the text of a network from being a graph. Readers find them: a [`Graph`](crate::Graph) has
//! none by construction.

use crate::Code;

crate::code! {
    /// Nodes depend on their own results: each of them waits for another one.
    ///
    /// ## Why it matters
    ///
    /// Nothing can be computed: there is no first node. No framework writes such a file; it was edited, or put together by
    /// a tool that connected the wrong names.
    ///
    /// ## Example
    ///
    /// `layer2.0.conv1: it depends on its own result, through layer2.0.bn1, layer2.0.relu and layer2.0.add`: the block
    /// reads its own sum where it should read that of the block before it.
    ///
    /// ## How to fix it
    ///
    /// Connect the first of them to what it is meant to read, and export the model again.
    pub static CYCLE = Graph Error R109 "cycle";
}

crate::code! {
    /// A node, or an output of the model, reads a name that nothing gives: no input, no tensor, no other node.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be computed. A node was removed and what read its result was left, or a name was mistyped or
    /// changed on one side only.
    ///
    /// ## Example
    ///
    /// `layer3.1.add: it reads layer3.0.relu_2, which nothing gives; did a name change?`
    ///
    /// ## How to fix it
    ///
    /// Connect the node to what it is meant to read, and export the model again.
    pub static UNDEFINED = Graph Error R110 "undefined-value";
}

crate::code! {
    /// Two nodes give results of the same name, a result has the name of an input or tensor, or two layers of a model have
    /// one name.
    ///
    /// ## Why it matters
    ///
    /// Who reads that name may be given either: runtimes differ in which one they take, where they do not refuse the
    /// model.
    ///
    /// ## Example
    ///
    /// `layer1.0.conv2: its result layer1.0.conv1_out is the result of layer1.0.conv1 too`
    ///
    /// ## How to fix it
    ///
    /// Give each its own name, in whatever reads it as well.
    pub static REPEATED_NAME = Graph Error R111 "repeated-name";
}

/// Codes of the findings that readers make.
pub static CODES: [&Code; 3] = [&CYCLE, &UNDEFINED, &REPEATED_NAME];
