//! The code of a finding about a file that is called as published weights are.
//!
//! It is kept here, beside those of the rules, so that `explain` knows it; what finds it is the library above, which has
//! the hashes.

use residua_ir::Code;

residua_ir::code! {
    /// The file is called as a download of Keras Applications or torchvision is, and its bytes are not those that were
    /// published under this name.
    ///
    /// ## Why it matters
    ///
    /// Whoever reads the name expects the published weights, with their accuracy and their way of preparing images. The file
    /// may be damaged, trained further, or something else altogether. Keras tells its downloads by MD5, torchvision by the
    /// first digits of SHA-256, which stand in the name.
    ///
    /// ## Example
    ///
    /// `it is called as resnet50.IMAGENET1K_V1 of torchvision, which has SHA-256 0676ba61…, and is not that file: it has
    /// SHA-256 3b1f04c2…`
    ///
    /// ## How to fix it
    ///
    /// Download it again, or give it a name of its own.
    pub static NOT_THE_NAMED = Values Warning R312 "not-the-named-weights";
}

/// All of them, ascending.
pub static CODES: [&Code; 1] = [&NOT_THE_NAMED];

/// What to do about it.
pub const HELP: &str = "download it again, or give it a name of its own";
