//! Codes of findings about two files and the manifest of the conversion between them.
//!
//! They are kept here, beside those of the rules, so that `explain` knows them; what finds them is the command line.

use residua_ir::Code;

/// What to do about tensors that are not those of the conversion.
pub const OTHER_FILES: &str = "give the files of this conversion, or convert again";

residua_ir::code! {
    /// A file is not byte for byte the one that the manifest was made with.
    ///
    /// ## Why it matters
    ///
    /// Tensors are compared one by one besides: where all of them hold, what changed is something else in the file,
    /// such as metadata, or the order of things.
    ///
    /// ## Example
    ///
    /// The output was opened and saved again by another tool, which wrote its own name as the producer.
    ///
    /// ## How to fix it
    ///
    /// Nothing, where the change is known. Otherwise take the file of the conversion, or convert again.
    pub static CHANGED_FILE = Manifest Warning R500 "changed-file";
}

residua_ir::code! {
    /// The manifest knows a tensor that the file does not have.
    ///
    /// ## Why it matters
    ///
    /// It was removed or renamed, or the manifest belongs to other files. What was proved at the conversion says
    /// nothing about this file.
    ///
    /// ## Example
    ///
    /// `layer1.0.bn1.num_batches_tracked` was stripped from a checkpoint.
    ///
    /// ## How to fix it
    ///
    /// Give the files of this conversion, or convert again.
    pub static MISSING_TENSOR = Manifest Error R501 "missing-from-file";
}

residua_ir::code! {
    /// A file has a tensor that its manifest does not know.
    ///
    /// ## Why it matters
    ///
    /// A manifest accounts for every tensor of both files, so this one was added or renamed after the conversion, or
    /// the manifest belongs to other files.
    ///
    /// ## Example
    ///
    /// A second head was saved into the file.
    ///
    /// ## How to fix it
    ///
    /// Give the files of this conversion, or convert again.
    pub static EXTRA_TENSOR = Manifest Error R502 "unknown-to-manifest";
}

residua_ir::code! {
    /// A tensor of the file has another shape or element type than the manifest says.
    ///
    /// ## Why it matters
    ///
    /// It is another tensor under the same name.
    ///
    /// ## Example
    ///
    /// `fc.weight: expected f32 [1000, 2048], found f32 [10, 2048]`: the head was replaced after the conversion.
    ///
    /// ## How to fix it
    ///
    /// Give the files of this conversion, or convert again.
    pub static CHANGED_SHAPE = Manifest Error R503 "changed-shape";
}

residua_ir::code! {
    /// The SHA-256 of a tensor's elements is not the one in the manifest.
    ///
    /// ## Why it matters
    ///
    /// Its values were changed, or it stands under the name of another tensor. In the source this often means that the
    /// model was trained further, or that the manifest belongs to another checkpoint.
    ///
    /// ## Example
    ///
    /// The source is `last.pth`, the conversion was made of `best.pth`.
    ///
    /// ## How to fix it
    ///
    /// Give the files of this conversion, or convert again.
    pub static CHANGED_VALUES = Manifest Error R504 "changed-values";
}

residua_ir::code! {
    /// Both tensors are those of the manifest, but what it says was done to the one does not give the other.
    ///
    /// ## Why it matters
    ///
    /// The manifest was changed after it was written.
    ///
    /// Tensors that were computed, such as folded batch norms, are compared by hash alone: how they were computed is
    /// told, not repeated.
    ///
    /// ## Example
    ///
    /// `permute(3,2,0,1)` was edited to `permute(3,2,1,0)`.
    ///
    /// ## How to fix it
    ///
    /// Take the manifest that `convert` wrote, or convert again.
    pub static BROKEN_TRANSFORM = Manifest Error R505 "broken-transform";
}

/// All of them, ascending.
pub static CODES: [&Code; 6] =
    [&CHANGED_FILE, &MISSING_TENSOR, &EXTRA_TENSOR, &CHANGED_SHAPE, &CHANGED_VALUES, &BROKEN_TRANSFORM];
