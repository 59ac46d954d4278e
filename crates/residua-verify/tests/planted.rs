//! Each fault, planted in each block of networks of different makers, is found with its code and at its layer, and
//! nothing else is called an error.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "weights are f32")]

#[path = "planted/edges.rs"]
mod edges;
#[path = "planted/network.rs"]
mod network;
#[path = "planted/values.rs"]
mod values;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use network::Network;
use rayon::prelude::*;
use residua_ir::{DType, Finding, Graph, Level, validate};
use residua_resnet::{Anatomy, analyse};
use residua_tests::Table;
use residua_verify::Subject;

/// Plants a fault in one block: the layer that has to be named, or nothing where the block has no place for it.
type Plant = fn(&mut Network, &Anatomy, usize) -> Option<String>;

/// A fault: what it is, its code, how bad it is at least, and how it is planted.
type Fault = (&'static str, &'static str, Level, Plant);

const EDGES: &[Fault] = &[
    ("a block without its addition", "R202", Level::Warning, edges::lose_shortcut),
    ("a main path that is added to itself", "R202", Level::Error, edges::add_twice),
    ("a product in place of a sum", "R202", Level::Error, edges::multiply),
    ("a difference in place of a sum", "R202", Level::Error, edges::subtract),
    ("a shortcut from the block before", "R204", Level::Error, edges::long_skip),
    ("a shortcut from within the block", "R205", Level::Error, edges::shortcut_from_within),
    ("a shortcut from before the activation", "R205", Level::Error, edges::shortcut_before_activation),
    ("a main path around the sum before", "R206", Level::Error, edges::skip_sum),
    ("an identity where the shape changes", "R207", Level::Error, edges::identity_for_projection),
    ("a projection where nothing changes", "R208", Level::Warning, edges::needless_projection),
    ("no activation behind a sum", "R209", Level::Error, edges::lose_last_activation),
    ("an activation behind a sum of a v2 block", "R209", Level::Error, edges::activate_sum),
    ("no activation between convolutions", "R209", Level::Error, edges::lose_inner_activation),
    ("another activation", "R209", Level::Error, edges::other_activation),
    ("no norm behind a convolution", "R209", Level::Error, edges::lose_norm),
    ("an identity behind the activation", "R210", Level::Error, edges::activated_identity),
    ("an activation on the identity", "R210", Level::Error, edges::relu_on_identity),
    ("an activation on the projection", "R210", Level::Error, edges::relu_on_projection),
    ("no norm behind the projection", "R209", Level::Error, edges::lose_projection_norm),
    ("a wide projection", "R201", Level::Error, edges::other_projection_kernel),
    ("a bias that the others do not have, or none", "R201", Level::Warning, edges::other_bias),
    ("a stride on another convolution", "R211", Level::Error, edges::move_stride),
    ("a stage that keeps its size", "R212", Level::Note, edges::keep_size),
    ("another epsilon", "R203", Level::Warning, edges::other_epsilon),
    ("another padding", "R214", Level::Warning, edges::other_padding),
    ("another pool", "R215", Level::Warning, edges::other_pool),
    ("another kernel", "R201", Level::Error, edges::other_kernel),
    ("groups", "R201", Level::Error, edges::other_groups),
    ("groups that the kernel does not have", "R101", Level::Error, edges::wrong_groups),
    ("channels that nothing gives", "R101", Level::Error, edges::wrong_channels),
    ("a branch of one channel", "R217", Level::Error, edges::broadcast),
    ("a node that leads nowhere", "R104", Level::Warning, edges::dangling),
];

const VALUES: &[Fault] = &[
    ("a NaN", "R301", Level::Error, values::nan),
    ("an infinite value", "R301", Level::Error, values::infinite),
    ("a negative variance", "R302", Level::Error, values::negative_variance),
    ("a kernel of zeros", "R303", Level::Warning, values::zero_kernel),
    ("filters of zeros", "R305", Level::Warning, values::dead_filters),
    ("channels without scale and offset", "R305", Level::Warning, values::dead_channels),
    ("a norm without scale", "R305", Level::Warning, values::dead_path),
    ("a filter that is there twice", "R306", Level::Warning, values::repeated_filters),
    ("the kernel of another layer", "R306", Level::Warning, values::copied_kernel),
    ("statistics as they were created", "R307", Level::Warning, values::untouched),
    ("no variance", "R308", Level::Warning, values::no_variance),
    ("one tiny variance", "R308", Level::Note, values::tiny_variance),
    ("a variance of 0 and no epsilon", "R311", Level::Error, values::divided_by_zero),
];

const HALF: &[Fault] = &[
    ("a variance beyond float16", "R309", Level::Error, values::beyond_half),
    ("a kernel below float16", "R310", Level::Warning, values::below_half),
    ("a variance below float16 and no epsilon", "R310", Level::Error, values::divided_by_zero_in_half),
];

/// Networks of which each has another form, or another maker.
fn networks() -> Vec<(&'static str, Graph)> {
    let load = |path: &Path| residua_import::load(path).expect("a model that is read");
    let keras = |label: &str| load(&residua_tests::fixture(label).path);
    let torch = |label: &str| load(&residua_tests::checkpoint(label).path);
    let onnx = |label: &str| {
        let mut all = residua_tests::onnx().iter();
        load(&all.find(|fixture| fixture.label() == label).expect("an ONNX fixture").path)
    };
    vec![
        ("Keras ResNet50V2", keras("thin/thin50v2.k3.h5")),
        ("Keras ResNet-20", keras("cifar/resnet20v1.k2.h5")),
        ("torchvision resnet50", torch("torchvision/resnet50.pth")),
        ("torchvision resnet34", torch("torchvision/resnet34.pth")),
        ("timm resnetv2_50", torch("timm/resnetv2_50.pth")),
        ("ONNX resnet18 of torch", onnx("torch/resnet18.legacy17-preserve.onnx")),
        ("ONNX resnet18 of torch, folded", onnx("torch/resnet18.dynamo18.onnx")),
        ("ONNX ResNet50V2 of Keras", onnx("keras/thin50v2.keras.onnx")),
        ("ONNX ResNet50V2 of tf2onnx", onnx("keras/thin50v2.tf2onnx9.onnx")),
        ("ONNX ResNet-20 of tf2onnx", onnx("keras/resnet20v1_k2.tf2onnx11.onnx")),
    ]
}

fn findings(graph: Graph, dtype: Option<DType>) -> Vec<Finding> {
    match validate(graph) {
        Ok(model) => residua_verify::check(&Subject::new(&model, &analyse(&model), None).in_dtype(dtype)),
        Err(invalid) => {
            let anatomy = analyse(&invalid.typed);
            residua_verify::check(&Subject::of_invalid(&invalid, &anatomy, None).in_dtype(dtype))
        }
    }
}

/// Networks with their anatomies, read once for all faults.
static SOUND: LazyLock<Vec<(&'static str, Graph, Anatomy)>> = LazyLock::new(|| {
    let of = |(name, graph): (&'static str, Graph)| {
        let anatomy = analyse(&validate(graph.clone()).expect("a sound network"));
        (name, graph, anatomy)
    };
    networks().into_iter().map(of).collect()
});

/// Plants a fault in each block of each network. One that is no error makes none; one that is makes one.
fn is_found(&(fault, code, level, plant): &Fault, dtype: Option<DType>) -> Result<(), String> {
    let places: Vec<(usize, usize)> =
        SOUND.iter().enumerate().flat_map(|(net, sound)| (0..sound.2.blocks.len()).map(move |at| (net, at))).collect();
    let tried: Vec<(usize, Option<String>)> = places
        .into_par_iter()
        .filter_map(|(net, at)| {
            let (name, graph, anatomy) = &SOUND[net];
            let mut network = Network::of(graph);
            let layer = plant(&mut network, anatomy, at)?;
            let found = findings(network.build(), dtype);
            let is_it = |f: &&Finding| {
                f.code.id == code && f.node.as_ref().is_some_and(|node| *node == layer) && f.level >= level
            };
            let errors = found.iter().filter(|finding| finding.level == Level::Error).count();
            let told = found.iter().find(is_it);
            let only = told.is_some_and(|finding| errors == usize::from(finding.level == Level::Error));
            let all: Vec<String> = found.iter().map(ToString::to_string).collect();
            let place = &anatomy.blocks[at].name;
            let complaint = format!("{name}, {place}: {fault}: {code} {layer}:\n    {}", all.join("\n    "));
            Some((net, (!only).then_some(complaint)))
        })
        .collect();
    let in_networks: BTreeSet<usize> = tried.iter().map(|(net, _)| *net).collect();
    if in_networks.len() < 3 {
        return Err(format!("{fault} was planted in {} networks only", in_networks.len()));
    }
    let complaints: Vec<String> = tried.into_iter().filter_map(|(_, complaint)| complaint).collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

fn main() {
    let mut table = Table::new();
    let groups = [("wiring", EDGES, None), ("values", VALUES, None), ("float16", HALF, Some(DType::F16))];
    for (group, faults, dtype) in groups {
        for fault in faults {
            table = table.case(group, fault.0, move || is_found(fault, dtype));
        }
    }
    table
        .test(
            "a_network_that_was_taken_apart_and_built_again_is_sound",
            a_network_that_was_taken_apart_and_built_again_is_sound,
        )
        .test("without_any_addition_the_network_is_plain", without_any_addition_the_network_is_plain)
        .test("a_name_that_says_another_depth_is_told", a_name_that_says_another_depth_is_told)
        .test(
            "what_differs_from_the_expected_network_is_told_with_its_node",
            what_differs_from_the_expected_network_is_told_with_its_node,
        )
        .run()
}

fn a_network_that_was_taken_apart_and_built_again_is_sound() {
    for (name, graph) in networks() {
        let found = findings(Network::of(&graph).build(), None);
        let worse: Vec<&Finding> = found.iter().filter(|finding| finding.level > Level::Note).collect();
        assert!(worse.is_empty(), "{name}: {worse:?}");
    }
}

fn without_any_addition_the_network_is_plain() {
    for (name, graph) in networks() {
        let anatomy = analyse(&validate(graph.clone()).unwrap());
        let mut network = Network::of(&graph);
        for at in 0..anatomy.blocks.len() {
            edges::lose_shortcut(&mut network, &anatomy, at);
        }
        let found = findings(network.build(), None);
        assert!(found.iter().any(|finding| finding.code.id == "R216"), "{name}: {found:?}");
    }
}

fn a_name_that_says_another_depth_is_told() {
    let graph = residua_import::load(&residua_tests::checkpoint("torchvision/resnet50.pth").path).unwrap();
    let model = validate(graph).unwrap();
    let anatomy = analyse(&model);
    let depth = anatomy.depth();
    let says = |name: &str| {
        let found = residua_verify::check(&Subject::new(&model, &anatomy, None).called(name));
        found.into_iter().filter(|finding| finding.code.id == "R213").map(|finding| finding.message).collect::<Vec<_>>()
    };
    assert_eq!(says(&format!("resnet{depth}")), Vec::<String>::new());
    assert_eq!(says("resnet101"), [format!("the name says depth 101, the network has {depth}")]);
}

fn what_differs_from_the_expected_network_is_told_with_its_node() {
    let graph = residua_import::load(&residua_tests::checkpoint("torchvision/resnet50.pth").path).unwrap();
    let anatomy = analyse(&validate(graph.clone()).unwrap());
    let strided = anatomy.blocks.iter().rposition(|block| block.stride > 1).unwrap();
    let mut network = Network::of(&graph);
    let node = edges::move_stride(&mut network, &anatomy, strided).unwrap();
    let model = validate(network.build()).unwrap();
    let found = residua_verify::check(&Subject::new(&model, &analyse(&model), Some("resnet50")));
    let at_node = |f: &&Finding| f.code.id == "R200" && f.node.as_ref().is_some_and(|at| *at == node);
    let told: Vec<&str> = found.iter().filter(at_node).map(|finding| finding.message.raw()).collect();
    assert!(told.iter().any(|message| message.contains("stride on: expected conv2, found conv1")), "{told:?}");
}
