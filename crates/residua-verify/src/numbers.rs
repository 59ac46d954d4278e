//! Codes of findings about numbers that come out of a run.
//!
//! They are kept here, beside those of the rules, so that `explain` knows them; what finds them is the command line.

use residua_ir::Code;

residua_ir::code! {
    /// On inputs whose outputs the source framework computed itself (`--golden`), the model gives something else, by more
    /// than rounding to f32 explains.
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
    /// ## How to mend it
    ///
    /// Hold the file against its source (`residua compare`): where both differ, the export went wrong, and the first layer
    /// that diverges is named. Where they do not, compute the golden outputs anew, in inference mode, on the inputs that
    /// are stored with them.
    pub static GOLDEN = Error R700 "golden-differs";
}

/// All of them, ascending.
pub static CODES: [&Code; 1] = [&GOLDEN];
