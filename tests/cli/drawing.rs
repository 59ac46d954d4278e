//! Drawings of `inspect`: what is in them, and where. What they look like in a browser is held by `tests/peers/page_peer.py`.

use std::fs;
use std::path::Path;

use roxmltree::{Document, Node};

use crate::{json, residua};

/// One of each kind: every form of block and shortcut, networks without any, layers that are not known.
fn models() -> Vec<&'static Path> {
    let fixtures =
        |labels: &[&str]| labels.iter().map(|label| &*residua_tests::fixture(label).path).collect::<Vec<_>>();
    let mut models = fixtures(&[
        "thin/thin152.k3.weights.h5",
        "thin/thin50v2.k3.h5",
        "cifar/resnet29v2.k3.h5",
        "digits/digits.k3.keras",
        "transfer/option_a.k3.h5",
        "transfer/resnet_d.k3.h5",
        "transfer/se_resnet.k3.keras",
        "transfer/plain20.k3.keras",
        "transfer/vgg_like.k3.h5",
        "transfer/transfer_functional.k3.keras",
        "layers/custom.k3.keras",
        "layers/two_in_three_out.k3.keras",
        "layers/dense_ranks.k3.keras",
        "layers/nested_twice.k3.keras",
    ]);
    let names = ["convnext", "densenet", "mobilenetv3", "branching", "resnetv2_50", "seresnet50"];
    models.extend(residua_tests::onnx().iter().filter(|f| names.contains(&&*f.name)).map(|fixture| &*fixture.path));
    assert!(models.len() >= 22, "{models:?}");
    models
}

fn drawn(model: &Path, format: &str) -> String {
    let done = residua(model.parent().unwrap(), &["inspect", model.to_str().unwrap(), "--format", format]);
    assert!(done.status.success(), "{model:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn has_class(node: &Node, class: &str) -> bool {
    node.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
}

fn number(node: &Node, name: &str) -> f64 {
    node.attribute(name).unwrap_or_else(|| panic!("{name} of {node:?}")).parse().unwrap()
}

/// Left, top, right, bottom.
type Frame = [f64; 4];

fn frame(node: &Node) -> Frame {
    if let Some(points) = node.attribute("points") {
        let numbers: Vec<f64> = points.split([' ', ',']).map(|number| number.parse().unwrap()).collect();
        let (x, y) = (numbers.iter().step_by(2).copied(), numbers.iter().skip(1).step_by(2).copied());
        let (least, most) = (f64::INFINITY, f64::NEG_INFINITY);
        return [
            x.clone().fold(least, f64::min),
            y.clone().fold(least, f64::min),
            x.fold(most, f64::max),
            y.fold(most, f64::max),
        ];
    }
    let (x, y) = (number(node, "x"), number(node, "y"));
    [x, y, x + number(node, "width"), y + number(node, "height")]
}

fn overlap(a: Frame, b: Frame) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

fn within(a: Frame, b: Frame) -> bool {
    a[0] >= b[0] && a[1] >= b[1] && a[2] <= b[2] && a[3] <= b[3]
}

/// All of the drawing but its legend, which is moved to its place.
fn placed<'d>(document: &'d Document) -> impl Iterator<Item = Node<'d, 'd>> + Clone {
    document.descendants().filter(|node| node.ancestors().all(|above| above.attribute("transform").is_none()))
}

/// Names of the blocks that `stages.2.blocks.1 to 21` stands for.
fn blocks(name: &str) -> Vec<String> {
    let Some((first, last)) = name.split_once(" to ") else { return vec![name.to_owned()] };
    let (stage, first) = first.rsplit_once('.').unwrap();
    let range = first.parse::<usize>().unwrap()..=last.parse().unwrap();
    range.map(|place| format!("{stage}.{place}")).collect()
}

#[test]
fn each_block_is_drawn_once_with_its_shortcut() {
    for model in models() {
        let svg = drawn(model, "svg");
        let document = Document::parse(&svg).unwrap_or_else(|error| panic!("{model:?}: {error}"));
        let (facts, _) = json(model.parent().unwrap(), &["inspect", model.to_str().unwrap()]);
        let facts = facts["blocks"].as_array().unwrap();
        let expected: Vec<&str> = facts.iter().map(|block| block["name"].as_str().unwrap()).collect();
        let stacks: Vec<Node> = placed(&document).filter(|node| has_class(node, "d-stack")).collect();
        let names = || stacks.iter().filter_map(|stack| stack.attribute("data-parts").filter(|name| !name.is_empty()));
        assert_eq!(names().flat_map(blocks).collect::<Vec<_>>(), expected, "{model:?}");
        for stack in stacks.iter().filter(|stack| stack.attribute("data-parts") != Some("")) {
            let arcs: Vec<Node> = stack.descendants().filter(|node| has_class(node, "d-link")).collect();
            let [arc] = arcs[..] else { panic!("{model:?}: {} arcs", arcs.len()) };
            let name = &blocks(stack.attribute("data-parts").unwrap())[0];
            let kind = facts.iter().find(|block| block["name"] == **name).unwrap()["shortcut"].as_str().unwrap();
            let class = format!("d-{kind}");
            assert!(kind == "identity" || has_class(&arc, &class), "{model:?}: {name}");
            // What is done on a shortcut is in a box beside those of the main path.
            let boxes = stack.descendants().filter(|node| has_class(node, "d-box") && !has_class(node, "d-ghost"));
            let frames: Vec<Frame> = boxes.map(|node| frame(&node)).collect();
            let beside = frames.iter().any(|one| one[0] > frames[0][2]);
            assert_eq!(beside, kind != "identity", "{model:?}: {name}");
        }
    }
}

#[test]
fn nothing_lies_on_anything_else_and_text_stays_in_its_box() {
    for model in models() {
        let svg = drawn(model, "svg");
        let document = Document::parse(&svg).unwrap();
        let root = document.root_element();
        let all: Vec<f64> = root.attribute("viewBox").unwrap().split(' ').map(|side| side.parse().unwrap()).collect();
        let all = [all[0], all[1], all[0] + all[2], all[1] + all[3]];
        let of_class = |class| placed(&document).filter(move |node| has_class(node, class));
        let panels: Vec<Frame> = of_class("d-panel").map(|node| frame(&node)).collect();
        let boxes: Vec<Frame> =
            of_class("d-box").filter(|node| !has_class(node, "d-ghost")).map(|node| frame(&node)).collect();
        for (index, &one) in boxes.iter().enumerate() {
            assert!(panels.iter().any(|&panel| within(one, panel)), "{model:?}: {one:?} is in no column");
            let other = boxes[..index].iter().find(|&&other| overlap(one, other));
            assert!(other.is_none(), "{model:?}: {one:?} lies on {other:?}");
        }
        for (index, &panel) in panels.iter().enumerate() {
            assert!(within(panel, all), "{model:?}: {panel:?} is not in {all:?}");
            assert!(!panels[..index].iter().any(|&other| overlap(panel, other)), "{model:?}: {panel:?}");
        }
        for text in placed(&document).filter(|node| node.tag_name().name() == "text") {
            let (x, y, size) = (number(&text, "x"), number(&text, "y"), number(&text, "font-size"));
            // The least that a proportional font takes, on average.
            let width = 0.4 * size * text.text().unwrap_or_default().chars().count() as f64;
            let place = match text.attribute("text-anchor") {
                Some("middle") => [x - width / 2.0, y - size * 0.7, x + width / 2.0, y],
                Some("end") => [x - width, y - size * 0.7, x, y],
                Some(_) | None => [x, y - size * 0.7, x + width, y],
            };
            assert!(within(place, all), "{model:?}: {:?} at {place:?} of {all:?}", text.text());
            if text.attribute("text-anchor") == Some("middle") {
                assert!(boxes.iter().any(|&one| within(place, one)), "{model:?}: {:?} is in no box", text.text());
            }
        }
    }
}

#[test]
fn every_network_is_drawn_in_every_way() {
    for model in models() {
        let dot = drawn(model, "dot");
        let (opened, closed) = (dot.matches(" {\n").count(), dot.lines().filter(|line| line.trim() == "}").count());
        assert_eq!(opened, closed, "{model:?}");
        let mermaid = drawn(model, "mermaid");
        assert!(mermaid.starts_with("%% ") && mermaid.contains("\nflowchart TB\n"), "{model:?}");
        // Every node of an edge is one that was made.
        for (text, arrow) in [(&dot, " -> "), (&mermaid, " --> ")] {
            for (from, to) in text.lines().filter_map(|line| line.trim().split_once(arrow)) {
                let to = to.split([' ', ';']).next().unwrap();
                for id in [from, to] {
                    let made =
                        |line: &str| line.trim().strip_prefix(id).is_some_and(|r| r.trim().starts_with(['[', '(']));
                    assert!(text.lines().any(made), "{model:?}: {id}");
                }
            }
        }
    }
}

/// The command line `residua ARGS > OUT` of each image in the documentation.
#[test]
fn the_images_in_the_documentation_are_what_the_program_draws() {
    let root = residua_tests::folder().join("..");
    let page = fs::read_to_string(root.join("docs/inspect.md")).unwrap();
    let commands = page.lines().filter_map(|line| line.strip_prefix("residua ")?.split_once(" > docs/"));
    let mut held = 0;
    for (args, out) in commands {
        let done = residua(&root, &args.split(' ').collect::<Vec<_>>());
        let image = fs::read(root.join("docs").join(out)).unwrap();
        assert!(done.stdout == image, "docs/{out} is not current: residua {args} > docs/{out}");
        assert!(page.contains(&format!("]({out})")), "docs/{out} is not shown");
        held += 1;
    }
    assert_eq!(held, 2);
}

#[test]
fn every_column_of_the_layer_table_is_explained() {
    let root = residua_tests::folder().join("..");
    let page = fs::read_to_string(root.join("docs/inspect.md")).unwrap();
    let help = residua(&root, &["inspect", "--help"]).stdout;
    let help = String::from_utf8(help).unwrap();
    let (_, columns) = help.split_once("Columns:").unwrap();
    let columns = columns.lines().skip(1).map_while(|line| line.trim().strip_prefix("- ")?.split(':').next());
    let missing: Vec<&str> = columns.clone().filter(|column| !page.contains(&format!("`{column}`"))).collect();
    assert!(missing.is_empty() && columns.count() == 18, "{missing:?}");
}

#[test]
fn a_network_of_more_blocks_makes_no_larger_drawing() {
    let digits = drawn(&residua_tests::fixture("cifar/resnet20v1.k3.h5").path, "svg").len();
    let deep = drawn(&residua_tests::fixture("thin/thin152.k3.weights.h5").path, "svg").len();
    assert!(deep < 2 * digits, "{deep} bytes, {digits} of a network of 9 blocks");
}
