//! What makes two findings the same one, in runs that lie months apart.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use residua_ir::{Finding, Group, Name};

/// Bytes of a fingerprint.
const BYTES: usize = 12;

/// A finding in 24 hexadecimal digits: its code, what it is about, and what it says without what was measured.
///
/// The level plays no part, nor the file: a baseline keeps findings by model.
pub fn fingerprint(finding: &Finding) -> String {
    let mut hash = Sha256::new();
    let node = finding.node.as_ref().map_or("", Name::raw);
    let tensor = finding.tensor.as_ref().map_or("", Name::raw);
    for part in [finding.code.id, node, tensor, &core(finding.code.group, finding.message.raw())] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut text = String::with_capacity(2 * BYTES);
    for byte in hash.finalize().iter().take(BYTES) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What a message says that stays when the model is trained further, or fixed elsewhere: numbers in findings about values
/// and outputs are measured, those about graphs, shapes and topology are what was found, but for how many others are sound.
fn core(group: Group, message: &str) -> String {
    /// What such a number follows.
    const OTHERS: &str = "the other ";
    if !group.is_measured() {
        let mut parts = message.split(OTHERS);
        let first = parts.next().unwrap_or_default().to_owned();
        return parts.fold(first, |text, part| text + OTHERS + part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    // Names stand between backticks and keep their digits.
    let parts = message.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 0 { without_numbers(part) } else { part.to_owned() }).collect()
}

/// Words that are numbers, as `#`.
fn without_numbers(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_' | '−');
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let number = word.trim_end_matches('.');
        if number.replace('−', "-").parse::<f64>().is_ok() {
            out.push('#');
            out.push_str(&word[number.len()..]);
        } else {
            out.push_str(word);
        }
        word.clear();
    };
    for c in text.chars() {
        if is_part(c) {
            word.push(c);
        } else {
            flush(&mut word, &mut out);
            out.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &str, node: Option<&str>, message: &str) -> Finding {
        let finding = Finding::new(residua_verify::code(code).unwrap(), message, "");
        match node {
            Some(node) => finding.at(node),
            None => finding,
        }
    }

    #[test]
    fn what_was_measured_plays_no_part() {
        let print = |message: &str| fingerprint(&finding("R301", Some("conv1"), message));
        let first = print("3 of the 64 values of `conv1/kernel:0` are infinite or NaN");
        assert_eq!(first, print("5 of the 128 values of `conv1/kernel:0` are infinite or NaN"));
        assert_ne!(first, print("3 of the 64 values of `conv2/kernel:0` are infinite or NaN"));
        assert_eq!(first.len(), 24);
    }

    #[test]
    fn numbers_that_describe_the_graph_do() {
        let print = |message: &str| fingerprint(&finding("R200", None, message));
        assert_ne!(print("depth: expected 50, found 26"), print("depth: expected 50, found 38"));
    }

    #[test]
    fn how_many_others_are_sound_does_not() {
        let print = |message: &str| fingerprint(&finding("R211", Some("conv1"), message));
        let first = print("the stride of block 3 is on conv1; in the other 3 it is on conv2");
        assert_eq!(first, print("the stride of block 3 is on conv1; in the other 2 it is on conv2"));
        assert_ne!(first, print("the stride of block 3 is on conv2; in the other 3 it is on conv1"));
        assert_ne!(first, print("the stride of block 2 is on conv1; in the other 3 it is on conv2"));
    }

    #[test]
    fn the_code_and_the_node_do() {
        let print = |code, node| fingerprint(&finding(code, node, "text"));
        assert_ne!(print("R301", Some("a")), print("R302", Some("a")));
        assert_ne!(print("R301", Some("a")), print("R301", Some("b")));
        assert_ne!(print("R301", Some("a")), print("R301", None));
    }

    #[test]
    fn numbers_are_words_of_their_own() {
        assert_eq!(without_numbers("resnet50: off by 1.2e-7 (bound 3e-9), 12."), "resnet50: off by # (bound #), #.");
        assert_eq!(without_numbers("[1, -2, −3] stage_2 conv2"), "[#, #, #] stage_2 conv2");
    }
}
