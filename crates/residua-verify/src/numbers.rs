//! Codes of findings about numbers that come out of a run.
//!
//! They are kept here, beside those of the rules, so that `explain` knows them; what finds them is the command line.

use residua_ir::Code;

residua_ir::code! {
    /// On inputs whose outputs the source framework computed itself (`--golden`), the model gives something else, by more
    /// than rounding explains: to f32, or to f16 or bf16 where the source computes in these.
    ///
    /// ## Why it matters
    ///
    /// Either the file is not the model that those outputs are of, or it is read as another function than its framework
    /// runs. Names, shapes and parameter counts can all be right while the numbers are not: golden outputs are what shows
    /// it.
    ///
    /// ## Example
    ///
    /// `on the inputs of digits.golden.npz: output probabilities is off by 0.31, where 2.1e-6 is the bound`
    ///
    /// ## How to fix it
    ///
    /// Hold the file against its source (`residua compare`): where both differ, the export went wrong, and the first layer
    /// that diverges is named. Where they do not, compute the golden outputs anew, in inference mode, on the inputs that
    /// are stored with them.
    pub static GOLDEN = Numbers Error R700 "golden-differs";
}

residua_ir::code! {
    /// The model does not compute what the reference computes (`--against`): on the same inputs, in f64, an output differs
    /// by more than the f32 rounding noise of both.
    ///
    /// ## Why it matters
    ///
    /// A model that was exported, converted or optimised has to stay the function that was trained. A wrong epsilon,
    /// padding, stride or order of channels changes no shape, and often costs only a few points of accuracy.
    ///
    /// ## Example
    ///
    /// `not the function of resnet50.keras: output predictions is off by 0.02, where 1.4e-6 is the bound; the difference
    /// begins at pool1 (there: maxpool)`
    ///
    /// ## How to fix it
    ///
    /// The first layer that diverges is where to look; `residua compare` shows more. Where the model is meant to be another
    /// one (quantised, trained further), allow for it with `--tolerance`, or name the right reference.
    pub static REFERENCE_FUNCTION = Numbers Error R701 "reference-function";
}

residua_ir::code! {
    /// The model is not built as the reference is (`--against`): other blocks, strides, widths or activations.
    ///
    /// ## Why it matters
    ///
    /// Two networks of other structure are not one network in two files, however near their outputs are on the inputs that
    /// were tried. Names play no part in the comparison, nor do batch norms that were folded away.
    ///
    /// ## Example
    ///
    /// `not built as resnet50.keras: stages.1.blocks.0: stride on conv2, the reference has conv1`
    ///
    /// ## How to fix it
    ///
    /// Export the network that was trained, from the same code; or name the reference that this one was made of.
    pub static REFERENCE_STRUCTURE = Numbers Error R702 "reference-structure";
}

/// All of them, ascending.
pub static CODES: [&Code; 3] = [&GOLDEN, &REFERENCE_FUNCTION, &REFERENCE_STRUCTURE];
