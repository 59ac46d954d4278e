//! The page of a model whose names are made to break out of it.

use std::path::Path;

use residua_ir::{Activation, Checked, Elementwise, GraphBuilder, Op, Shape, Tensor, validate};
use residua_resnet::analyse;
use residua_verify::Subject;

use super::html;
use crate::options::Count;
use crate::render::drawing::{self, Place};
use crate::summary::diagram::Diagram;
use crate::summary::{Summary, weights};

const HOSTILE: [&str; 4] = [
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a'; DROP\u{0}\u{1b}[31m --> ]]> <!--",
    "{x|y} `z` #quot; end\nsubgraph \\\u{202e}",
];

fn hostile() -> Checked {
    let mut g = GraphBuilder::new(HOSTILE[0]);
    let x = g.input(HOSTILE[1], Shape::batch(&[3, 8, 8]));
    let kernel = g.weight(HOSTILE[2], Tensor::from_f32(vec![3, 3, 1, 1], &[0.5; 9]).unwrap());
    let y = g.add(HOSTILE[3], Op::Conv(residua_ir::Conv::default()), &[x, kernel]);
    let y = g.add(HOSTILE[0], Op::Activation(Activation::RELU), &[y]);
    let y = g.add("sum", Op::Elementwise(Elementwise::Add), &[x, y]);
    g.output(y);
    validate(g.finish().unwrap()).unwrap()
}

fn written(write: impl FnOnce(&mut Vec<u8>, &Summary, &Diagram, &Checked)) -> String {
    let model = hostile();
    let anatomy = analyse(&model);
    let summary = Summary::of(Path::new(HOSTILE[0]), &model, &model, &anatomy, Count::Residua);
    let mut out = Vec::new();
    write(&mut out, &summary, &Diagram::of(&model, &model, &anatomy), &model);
    String::from_utf8(out).unwrap()
}

#[test]
fn no_name_becomes_markup() {
    let page = written(|out, summary, diagram, model| {
        let anatomy = analyse(model);
        let subject = Subject::new(model, &anatomy, None);
        html(out, summary, diagram, &weights(model.graph(), &subject, || ())).unwrap();
    });
    assert!(!page.contains("<img") && !page.contains("<script>alert"), "{page}");
    // The data and the program of the page.
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    let data: serde_json::Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    let names: Vec<&str> = data["layers"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(HOSTILE.iter().all(|name| names.contains(name)), "{names:?}");
}

#[test]
fn a_drawing_of_hostile_names_is_well_formed() {
    let svg = written(|out, summary, diagram, _| drawing::svg(out, summary, diagram, Place::File).unwrap());
    let document = roxmltree::Document::parse(&svg).unwrap();
    assert!(document.descendants().all(|node| node.tag_name().name() != "img" && node.tag_name().name() != "script"));
}

#[test]
fn graphs_of_hostile_names_have_one_statement_a_line() {
    let dot = written(|out, summary, diagram, _| drawing::dot(out, summary, diagram).unwrap());
    assert!(dot.lines().all(|line| line.matches('"').count() - line.matches("\\\"").count() <= 4), "{dot}");
    let mermaid = written(|out, summary, diagram, _| drawing::mermaid(out, summary, diagram).unwrap());
    assert_eq!(
        mermaid.lines().filter(|line| line.trim_start().starts_with("subgraph")).count(),
        mermaid.lines().filter(|line| line.trim() == "end").count()
    );
    assert!(!mermaid.contains("<img") && !mermaid.contains('`'), "{mermaid}");
}

#[test]
fn a_page_of_very_many_layers_stays_a_page() {
    let written = |layers: usize| {
        let mut g = GraphBuilder::new("deep");
        let mut x = g.input("x", Shape::batch(&[3, 8, 8]));
        for layer in 0..layers {
            x = g.add(&format!("relu{layer}"), Op::Activation(Activation::RELU), &[x]);
        }
        g.output(x);
        let model = validate(g.finish().unwrap()).unwrap();
        let anatomy = analyse(&model);
        let summary = Summary::of(Path::new("deep.onnx"), &model, &model, &anatomy, Count::Residua);
        let mut out = Vec::new();
        let weights = weights(model.graph(), &Subject::new(&model, &anatomy, None), || ());
        html(&mut out, &summary, &Diagram::of(&model, &model, &anatomy), &weights).unwrap();
        String::from_utf8(out).unwrap()
    };
    let (many, more) = (written(10_050), written(12_000));
    assert!(many.contains("The first 10,000 of 10,051 layers"));
    assert_eq!(many.matches("<tr id=").count(), 10_000);
    assert!(more.len() < many.len() + 100 && many.len() < 8_000_000, "{} and {}", many.len(), more.len());
}
