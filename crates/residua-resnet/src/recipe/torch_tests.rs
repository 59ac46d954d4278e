//! Recipes of the Torch family against the figures that torchvision and timm publish, and against the anatomy of what they
//! build.

use residua_ir::{Activation, Checked, DType, GraphError, Op, Padding, Pads, Source, SourceOrder, Tensor};

use super::tests::{built, parameters};
use super::*;
use crate::anatomy::{Anatomy, Reads, ShortcutKind};
use crate::architecture::analyse;
use crate::layouts::{KERAS_AUTO, TORCH};
use crate::slot::{Component, Field};

/// timm's pre-activated networks.
const V2: Conventions = Conventions {
    stem_norm: false,
    shortcut_norm: false,
    shortcut_reads: Reads::Preactivated,
    projections: Projections::FirstBottleneck,
    ..TORCH
};

/// BiT.
const BIT: Conventions =
    Conventions { norms: Norms::Group(32), standardised: Some(1e-8), pool_edge: PoolEdge::Zeros, ..V2 };

const OPTION_A: Conventions = Conventions { projections: Projections::Pad, ..TORCH };

/// A network of a form with gates of a sixteenth of the channels, at least 8 as in timm, and a deep stem of half of them.
fn network(form: Form, conventions: Conventions, classes: usize) -> Recipe {
    let gates = form.stages.iter().map(|stage| (stage.outputs / 16).max(8)).collect();
    let norms = if form.group_norm { Norms::Group(32) } else { conventions.norms };
    Recipe {
        name: "network".to_owned(),
        sizes: Sizes { deep_stem: [form.stem_width / 2; 2], gates },
        form,
        input: Input { channels: 3, size: None },
        head: Some(Head::new(HeadPool::Global, Some(Classifier::dense(classes, false)))),
        conventions: Conventions { norms, ..conventions },
        names: Vec::new(),
        pace: Default::default(),
        own: BTreeMap::new(),
    }
}

fn standard(name: &str, conventions: Conventions) -> Recipe {
    network(Form::named(name).remove(0), conventions, if name.ends_with("cifar") { 10 } else { 1000 })
}

/// A small network: its blocks, inner widths and channels by stage.
fn small(name: &str, stages: &[(usize, usize, usize)], conventions: Conventions) -> Recipe {
    let stages = stages.iter().map(|&(blocks, width, outputs)| StageForm { blocks, width, outputs });
    network(Form { stages: stages.collect(), stem_width: 8, ..Form::named(name).remove(0) }, conventions, 5)
}

/// Standard networks, whose conventions they follow, and their parameters as published.
const STANDARD: [(&str, Conventions, usize); 27] = [
    ("resnet18", TORCH, 11_689_512),
    ("resnet34", TORCH, 21_797_672),
    ("resnet50", TORCH, 25_557_032),
    ("resnet101", TORCH, 44_549_160),
    ("resnet152", TORCH, 60_192_808),
    ("resnet50v1", TORCH, 25_557_032),
    ("resnext50_32x4d", TORCH, 25_028_904),
    ("resnext101_32x8d", TORCH, 88_791_336),
    ("resnext101_64x4d", TORCH, 83_455_272),
    ("wide_resnet50_2", TORCH, 68_883_240),
    ("wide_resnet101_2", TORCH, 126_886_696),
    ("resnet26", TORCH, 15_995_176),
    ("resnet18d", TORCH, 11_708_744),
    ("resnet50c", TORCH, 25_576_264),
    ("resnet50d", TORCH, 25_576_264),
    ("seresnet18", TORCH, 11_779_624),
    ("seresnet50", TORCH, 28_088_024),
    ("seresnext50_32x4d", TORCH, 27_559_896),
    ("resnet50_gn", TORCH, 25_557_032),
    ("resnetv2_18", V2, 11_687_720),
    ("resnetv2_34", V2, 21_795_880),
    ("resnetv2_50", V2, 25_549_352),
    ("resnetv2_101", V2, 44_541_480),
    ("resnetv2_50d", V2, 25_568_584),
    ("resnetv2_50d_gn", V2, 25_568_584),
    ("resnetv2_50_gn", BIT, 25_549_352),
    ("resnet20_cifar", OPTION_A, 269_722),
];

fn learned(recipe: &Recipe) -> usize {
    let tensors: Vec<_> = recipe.layers().iter().flat_map(Layer::tensors).collect();
    let statistics = tensors.iter().filter(|(slot, _)| matches!(slot.field, Field::Mean | Field::Variance));
    parameters(recipe) - statistics.map(|(_, shape)| shape[0]).sum::<usize>()
}

#[test]
fn parameters_are_as_many_as_published() {
    for (name, conventions, expected) in STANDARD {
        assert_eq!(learned(&standard(name, conventions)), expected, "{name}");
    }
}

/// What a form says of the blocks, block by block.
fn assert_blocks(found: &Anatomy, recipe: &Recipe) {
    let (form, conventions) = (&recipe.form, &recipe.conventions);
    let mut inputs = form.stem_width;
    for block in &found.blocks {
        let stage = form.stages[block.stage];
        let stride = match (block.index, block.stage) {
            (0, 0) => conventions.first_stride,
            (0, _) => 2,
            _ => 1,
        };
        assert_eq!((block.stride, block.inputs), (stride, Some(inputs)), "{}", block.name);
        let on = (stride > 1).then(|| format!("conv{}", form.stride_on));
        assert_eq!(block.stride_on, on, "{}", block.name);
        let shortcut = match (stride > 1 || inputs != stage.outputs, conventions.projections) {
            (true, Projections::Pad) => ShortcutKind::Pad,
            (true, _) => ShortcutKind::Projection,
            (false, _) => ShortcutKind::Identity,
        };
        assert_eq!(block.shortcut, shortcut, "{}", block.name);
        assert_eq!(block.path.stride, stride, "{}", block.name);
        if shortcut == ShortcutKind::Projection {
            let conv = block.path.conv.as_ref().unwrap();
            assert_eq!(block.path.pooled, form.pooled_shortcut && stride > 1, "{}", block.name);
            assert_eq!(conv.stride, if block.path.pooled { 1 } else { stride }, "{}", block.name);
            assert_eq!(block.path.normed, conventions.shortcut_norm, "{}", block.name);
            assert_eq!(block.path.reads, conventions.shortcut_reads, "{}", block.name);
        }
        let gate = block.squeeze_excite.as_ref().map(|gate| gate.width.unwrap());
        assert_eq!(gate, form.squeeze_excite.then(|| recipe.sizes.gates[block.stage]), "{}", block.name);
        let convs = if form.block == BlockKind::Basic { 2 } else { 3 };
        let activations = vec![conventions.activation.name(); convs - usize::from(form.order == ActivationOrder::Post)];
        assert_eq!(block.activations, activations, "{}", block.name);
        inputs = stage.outputs;
    }
}

#[test]
fn what_a_recipe_builds_is_recognised_as_it() {
    for (name, conventions, _) in STANDARD {
        let mut recipe = standard(name, conventions);
        for size in [None, Some([64, 96])] {
            recipe.input.size = size;
            let found = analyse(&built(&recipe));
            assert_eq!(Form::observed(&found), Some(recipe.form.clone()), "{name}");
            assert_eq!(found.standard_name(), Some(name), "{:?}", found.is(name));
            assert_eq!(found.head.classes, Some(if name.ends_with("cifar") { 10 } else { 1000 }), "{name}");
            assert!(found.loose.is_empty() && found.merges == 0 && found.elsewhere == 0, "{name}");
            assert_blocks(&found, &recipe);
        }
    }
}

#[test]
fn other_sizes_and_habits_are_recognised_too() {
    let bottlenecks = [(2, 8, 16), (1, 16, 32), (2, 32, 64)];
    let same = [(1, 2, 8), (2, 4, 16)];
    let basic = [(2, 8, 8), (1, 16, 16), (1, 24, 24), (1, 24, 32)];
    let strided = |conventions: Conventions| Conventions { first_stride: 2, ..conventions };
    let mut recipes = vec![
        small("resnet50", &bottlenecks, TORCH),
        small("resnet50v1", &bottlenecks, strided(TORCH)),
        small("resnet18", &basic, TORCH),
        small("resnet18", &basic, strided(TORCH)),
        small("resnet18d", &basic, TORCH),
        small("seresnet18", &basic, TORCH),
        small("resnet50d", &bottlenecks, strided(TORCH)),
        small("seresnet50", &bottlenecks, TORCH),
        small("resnetv2_50", &bottlenecks, V2),
        small("resnetv2_50d", &bottlenecks, V2),
        small("resnetv2_50", &bottlenecks, strided(V2)),
        small("resnetv2_18", &basic, V2),
        small("resnetv2_18d", &basic, V2),
        small("resnet20_cifar", &basic[..3], TORCH),
        small("resnet20_cifar", &basic[..3], OPTION_A),
        small("resnet20_cifar", &basic, OPTION_A),
        small("resnet50", &same, TORCH),
        small("resnet50", &bottlenecks, Conventions { activation: Activation::Silu, ..TORCH }),
        small("resnet50", &bottlenecks, Conventions { biases: Biases::All, ..TORCH }),
        small("resnet50", &bottlenecks, Conventions { pool_edge: PoolEdge::Zeros, ..TORCH }),
    ];
    // Groups that divide the widths; a bottleneck on the stem of small images.
    let mut grouped = small("resnet50", &bottlenecks, TORCH);
    grouped.form.groups = 4;
    recipes.push(grouped);
    let mut on_small_images = small("resnet50", &bottlenecks, TORCH);
    on_small_images.form.stem = StemForm::Small;
    recipes.push(on_small_images);
    for recipe in recipes {
        let found = analyse(&built(&recipe));
        assert_eq!(Form::observed(&found), Some(recipe.form.clone()), "{recipe:?}");
        assert_blocks(&found, &recipe);
    }
}

#[test]
fn a_first_block_that_changes_nothing_has_a_projection_where_its_maker_says_so() {
    let shortcut = |name: &str, projections: Projections| {
        let width = if name == "resnet50" { 2 } else { 8 };
        let recipe = small(name, &[(2, width, 8)], Conventions { projections, ..TORCH });
        analyse(&built(&recipe)).blocks.iter().map(|block| block.shortcut).collect::<Vec<_>>()
    };
    let (with, without) =
        ([ShortcutKind::Projection, ShortcutKind::Identity], [ShortcutKind::Identity, ShortcutKind::Identity]);
    for (name, projections, expected) in [
        ("resnet50", Projections::WhereChanged, without),
        ("resnet50", Projections::FirstBottleneck, with),
        ("resnet50", Projections::FirstOfStage, with),
        ("resnet50", Projections::Pad, without),
        ("resnet18", Projections::WhereChanged, without),
        ("resnet18", Projections::FirstBottleneck, without),
        ("resnet18", Projections::FirstOfStage, with),
    ] {
        assert_eq!(shortcut(name, projections), expected, "{name} {projections:?}");
    }
}

fn ops(model: &Checked) -> Vec<(&str, &Op)> {
    model.graph().nodes().iter().map(|node| (node.name.raw(), &node.op)).collect()
}

#[test]
fn windows_pad_on_each_side_and_no_layer_pads() {
    for (name, conventions) in [("resnet50d", TORCH), ("resnet18", TORCH), ("resnetv2_50", V2)] {
        let model = built(&small(name, &[(1, 8, 16), (1, 16, 32)], conventions));
        for (name, op) in ops(&model) {
            let (kernel, padding) = match op {
                Op::Conv(conv) => {
                    let node = model.graph().nodes().iter().find(|node| node.name == name).unwrap();
                    let shape = model.shape_of(node.inputs[1]).unwrap().as_fixed().unwrap();
                    (shape[2], conv.padding)
                }
                Op::MaxPool(pool) => (pool.kernel[0], pool.padding),
                Op::AvgPool(pool) => {
                    assert!(pool.ceil_mode && !pool.count_include_pad && pool.kernel == [2, 2], "{name}");
                    (0, pool.padding)
                }
                Op::Pad(_) => panic!("{name} pads"),
                _ => continue,
            };
            assert_eq!(padding, Padding::Explicit(Pads::all(kernel / 2)), "{name}");
        }
    }
    let model = built(&small("resnet18", &[(1, 8, 8)], Conventions { pool_edge: PoolEdge::Zeros, ..TORCH }));
    let padded: Vec<&str> =
        ops(&model).iter().filter(|(_, op)| matches!(op, Op::Pad(_))).map(|(name, _)| *name).collect();
    assert_eq!(padded, ["stem.pool_pad"]);
}

#[test]
fn option_a_takes_every_second_pixel_and_puts_zeros_around_the_channels() {
    let model = built(&small("resnet20_cifar", &[(1, 8, 8), (1, 13, 13)], OPTION_A));
    let on_shortcut: Vec<(&str, &Op)> = ops(&model).into_iter().filter(|(name, _)| name.contains("shortcut")).collect();
    let [(_, Op::MaxPool(pool)), (_, Op::Pad(pad))] = on_shortcut[..] else { panic!("{on_shortcut:?}") };
    assert_eq!((pool.kernel, pool.strides, pool.padding), ([1, 1], [2, 2], Padding::default()));
    assert_eq!((pad.pads, pad.channels, pad.value), (Pads::default(), [2, 3], 0.0));
}

#[test]
fn layers_come_in_forward_order_under_the_names_of_the_layout_or_of_their_place() {
    let stages = [(1, 8, 8), (1, 8, 16)];
    let names = |recipe: &Recipe| recipe.layers().into_iter().map(|layer| layer.name).collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&small("resnet18", &stages, TORCH)),
        "x conv1 bn1 relu maxpool \
         layer1.0.conv1 layer1.0.bn1 layer1.0.act1 layer1.0.conv2 layer1.0.bn2 layer1.0.add layer1.0.out \
         layer2.0.conv1 layer2.0.bn1 layer2.0.act1 layer2.0.conv2 layer2.0.bn2 \
         layer2.0.downsample.0 layer2.0.downsample.1 layer2.0.add layer2.0.out \
         avgpool flatten fc"
    );
    let mut nameless = small("seresnet18", &stages[..1], Conventions { layout: &KERAS_AUTO, ..TORCH });
    nameless.form.stem = StemForm::Deep;
    nameless.names.push((Position::Dense(0), "classes".to_owned()));
    assert_eq!(
        names(&nameless),
        "x stem.conv1 stem.norm1 stem.act1 stem.conv2 stem.norm2 stem.act2 stem.conv3 stem.norm3 stem.act3 stem.pool \
         stages.0.blocks.0.conv1 stages.0.blocks.0.norm1 stages.0.blocks.0.act1 \
         stages.0.blocks.0.conv2 stages.0.blocks.0.norm2 \
         stages.0.blocks.0.se.pool stages.0.blocks.0.se.fc1 stages.0.blocks.0.se.act1 stages.0.blocks.0.se.fc2 \
         stages.0.blocks.0.se.act2 stages.0.blocks.0.se.mul stages.0.blocks.0.add stages.0.blocks.0.out \
         head.pool head.flatten classes"
    );
    let model = built(&nameless);
    assert!(model.graph().values().iter().all(|value| value.order == SourceOrder::Same));
    let classes: Vec<&str> = model.graph().layers().iter().map(|layer| layer.kind.raw()).collect();
    for class in ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Sigmoid", "AdaptiveAvgPool2d", "Flatten", "Linear"] {
        assert!(classes.contains(&class), "{class}: {classes:?}");
    }
}

#[test]
fn an_unnormalised_stem_goes_bare_into_the_pool_and_the_first_block_begins_with_a_norm() {
    let positions = |name: &str| {
        let layers = small(name, &[(1, 8, 16)], V2).layers();
        layers
            .iter()
            .take_while(|layer| layer.position != Position::Block { stage: 0, block: 0, component: Component::Conv(2) })
            .map(|layer| layer.position.to_string())
            .collect::<Vec<_>>()
    };
    let block = ["norm1", "act1", "conv1", "norm2", "act2"].map(|component| format!("stages.0.blocks.0.{component}"));
    assert_eq!(
        positions("resnetv2_50"),
        [&["input", "stem.conv", "stem.pool"].map(str::to_owned)[..], &block[..]].concat()
    );
    let stem = "input stem.conv1 stem.norm1 stem.act1 stem.conv2 stem.norm2 stem.act2 stem.conv3 stem.pool";
    let stem: Vec<String> = stem.split(' ').map(str::to_owned).collect();
    assert_eq!(positions("resnetv2_50d"), [&stem[..], &block[..]].concat());
}

#[test]
fn kernels_of_stem_and_blocks_are_standardised_and_those_of_gates_and_classifiers_are_not() {
    let mut recipe = small("resnetv2_50_gn", &[(1, 32, 64)], BIT);
    recipe.form.squeeze_excite = true;
    (recipe.form.stem_width, recipe.sizes.deep_stem) = (32, [32, 32]);
    recipe.head = Some(Head::new(HeadPool::Global, Some(Classifier { as_conv: true, ..Classifier::dense(5, false) })));
    let model = built(&recipe);
    let mut standardised = Vec::new();
    for parameter in model.graph().parameters() {
        match parameter.tensor.before_standardisation() {
            Some((before, epsilon)) => {
                assert_eq!((before.shape(), epsilon), (parameter.tensor.shape(), 1e-8));
                standardised.push(parameter.name.raw());
            }
            None => assert_eq!(parameter.tensor.transforms(), []),
        }
    }
    let block =
        ["conv1", "conv2", "conv3", "shortcut.conv"].map(|component| format!("stages.0.blocks.0.{component}.weight"));
    assert_eq!(standardised, [&["stem.conv.weight".to_owned()], &block[..]].concat());
    let norms = ops(&model).into_iter().filter(|(_, op)| matches!(op, Op::GroupNorm(norm) if norm.groups == 32));
    assert_eq!(norms.count(), 4);
}

#[test]
fn one_norm_can_have_an_epsilon_of_its_own() {
    let mut recipe = small("resnet18", &[(1, 8, 8)], TORCH);
    let position = Position::Block { stage: 0, block: 0, component: Component::Norm(2) };
    recipe.own.insert(position, Own { epsilon: Some(0.25), ..Own::default() });
    for layer in recipe.layers() {
        if let LayerKind::BatchNorm { epsilon, .. } = layer.kind {
            assert_eq!(epsilon, if layer.position == position { 0.25 } else { 1e-5 }, "{}", layer.position);
        }
    }
}

#[test]
fn heads_give_classes_features_or_the_map() {
    let output = |head: Option<Head>, size: Option<[usize; 2]>| {
        let mut recipe = small("resnet18", &[(1, 8, 8), (1, 16, 16)], TORCH);
        (recipe.head, recipe.input.size) = (head, size);
        let model = built(&recipe);
        let last = model.graph().nodes().last().unwrap().op.name().to_owned();
        (last, model.shape_of(model.graph().outputs()[0]).unwrap().to_string())
    };
    let dense = Classifier::dense(5, false);
    let as_conv = Classifier { as_conv: true, ..dense.clone() };
    let bare = Classifier { bias: false, ..dense.clone() };
    let head = |pool: HeadPool, classifier: Option<&Classifier>| Some(Head::new(pool, classifier.cloned()));
    let size = Some([64, 64]);
    let is = |op: &str, shape: &str| (op.to_owned(), shape.to_owned());
    assert_eq!(output(head(HeadPool::Global, Some(&dense)), None), is("Linear", "[N, 5]"));
    assert_eq!(output(head(HeadPool::Global, Some(&bare)), None), is("Linear", "[N, 5]"));
    assert_eq!(output(head(HeadPool::Global, Some(&as_conv)), None), is("Flatten", "[N, 5]"));
    assert_eq!(output(head(HeadPool::Global, None), None), is("Flatten", "[N, 16]"));
    assert_eq!(output(head(HeadPool::Window(4), Some(&dense)), size), is("Linear", "[N, 5]"));
    assert_eq!(output(head(HeadPool::Window(4), None), size), is("Flatten", "[N, 64]"));
    assert_eq!(output(None, size), is("Relu", "[N, 16, 8, 8]"));

    let tensors = |classifier: &Classifier| {
        let mut recipe = small("resnet18", &[(1, 8, 8)], TORCH);
        recipe.head = head(HeadPool::Global, Some(classifier));
        let layer = recipe.layers().into_iter().find(|layer| layer.position == Position::Dense(0)).unwrap();
        layer.tensors().into_iter().map(|(_, shape)| shape).collect::<Vec<_>>()
    };
    assert_eq!(tensors(&dense), [vec![5, 8], vec![5]]);
    assert_eq!(tensors(&bare), [vec![5, 8]]);
    assert_eq!(tensors(&as_conv), [vec![5, 8, 1, 1], vec![5]]);
}

#[test]
fn a_softmax_follows_a_classifier_of_1x1_kernels_too() {
    let mut recipe = small("resnet18", &[(1, 8, 8)], TORCH);
    recipe.head = Some(Head::new(HeadPool::Global, Some(Classifier { as_conv: true, ..Classifier::dense(5, true) })));
    let model = built(&recipe);
    let last: Vec<&str> = ops(&model).iter().rev().take(3).map(|(_, op)| op.name()).collect();
    assert_eq!(last, ["Flatten", "Softmax", "Conv"]);
}

#[test]
fn only_columns_behind_a_channels_last_flatten_have_another_order() {
    let flattened = |framework: Framework| {
        let mut recipe = small("resnet18", &[(1, 8, 8)], Conventions { framework, ..TORCH });
        recipe.input.size = Some([32, 64]);
        recipe.head = Some(Head::new(HeadPool::Window(4), Some(Classifier::dense(5, false))));
        let mut seen = None;
        recipe
            .build::<GraphError>(Source::default(), Vec::new(), &mut |wanted| {
                seen = seen.or(wanted.flattened);
                let tensor = Tensor::filled(DType::F32, wanted.shape.to_vec(), 1.0).unwrap();
                Ok(Bound { tensor, name: wanted.slot.to_string(), location: String::new() })
            })
            .unwrap();
        seen
    };
    assert_eq!(flattened(Framework::Keras), Some([8, 2, 4]));
    assert_eq!(flattened(Framework::Torch), None);
}
