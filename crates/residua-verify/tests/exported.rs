//! Exported ONNX models, as text: nothing that ONNX's checker would refuse, and shapes that follow as they are declared.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use residua_ir::{Level, validate};
use residua_resnet::analyse;
use residua_verify::{OnnxText, Subject};

#[test]
fn exported_models_have_no_error_in_their_text_nor_shapes_that_do_not_follow() {
    let (mut read, mut declared, mut unexpected) = (0, 0, Vec::new());
    for fixture in residua_tests::onnx() {
        let text = OnnxText::of_file(residua_formats::open_onnx(&fixture.path).unwrap().unwrap());
        let model = validate(residua_import::load(&fixture.path).unwrap()).unwrap();
        let anatomy = analyse(&model);
        let findings = residua_verify::check(&Subject::new(&model, &anatomy, None).as_onnx(Ok(&text)));
        read += 1;
        declared += usize::from(findings.iter().all(|finding| finding.code.id != "R603"));
        let bad = findings.iter().filter(|finding| finding.level == Level::Error);
        // One was put out of order on purpose.
        let bad = bad.filter(|finding| finding.code.id != "R609" || !fixture.label().contains("unordered"));
        unexpected.extend(bad.map(|finding| format!("{}: {finding}", fixture.label())));
    }
    assert!(read > 50 && declared > 10, "{read} models, of which {declared} declare all types");
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}
