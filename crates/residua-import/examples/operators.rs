//! Prints the operators of ONNX that are read, one a line: name, oldest and newest operator set, and what of it is not read.
//!
//! `tests/peers/onnx_backend.py` holds each of them against the node tests of the onnx package.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

fn main() {
    for claim in residua_import::onnx::claims() {
        println!("{}\t{}\t{}\t{}", claim.name, claim.since, claim.until, claim.note);
    }
}
