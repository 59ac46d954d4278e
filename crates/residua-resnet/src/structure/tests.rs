//! Anatomy on networks of every kind, built without telling names.

use residua_ir::{Activation, Checked, Elementwise, Extent, Op, Pad, Pads, ValueId};

use super::*;
use crate::anatomy::{ActivationOrder, BlockKind, analyse};
use crate::form::Family;
use crate::testing::Net;

fn only_block(model: &Checked) -> Block {
    let anatomy = analyse(model);
    assert_eq!(anatomy.blocks.len(), 1, "{}", model.graph());
    anatomy.blocks[0].clone()
}

/// A stem, one block made by `build`, and a head.
fn with_block(build: impl Fn(&mut Net, ValueId) -> ValueId) -> Checked {
    let (mut net, x) = Net::new(3);
    let x = net.conv_bn_relu(x, 8, 3, 1);
    let y = build(&mut net, x);
    net.classifier(y, 10)
}

fn cifar(n: usize, width: usize) -> Checked {
    let (mut net, x) = Net::new(3);
    let mut x = net.conv_bn_relu(x, width, 3, 1);
    for stage in 0..3 {
        for block in 0..n {
            x = net.basic(x, width << stage, if stage > 0 && block == 0 { 2 } else { 1 });
        }
    }
    net.classifier(x, 10)
}

#[test]
fn a_basic_block_with_identity_is_found_whatever_the_order_of_operands() {
    for swap in [false, true] {
        let model = with_block(|net, x| {
            let y = net.conv_bn_relu(x, 8, 3, 1);
            let y = net.conv_bn(y, 8, 3, 1);
            let y = if swap { net.add(x, y) } else { net.add(y, x) };
            net.relu(y)
        });
        let block = only_block(&model);
        assert_eq!((block.kind, block.activation), (BlockKind::Basic, ActivationOrder::Post));
        assert_eq!((block.shortcut, block.stride, &block.stride_on), (ShortcutKind::Identity, 1, &None));
        assert_eq!(block.after_add.as_deref(), Some("Relu"));
        assert_eq!(block.norm, Some(NormKind::Batch));
    }
}

#[test]
fn the_stride_is_told_from_the_convolution_that_carries_it() {
    for (strides, on, family) in [([2, 1], "conv1", Family::V1), ([1, 2], "conv2", Family::V15)] {
        let model = with_block(|net, x| {
            let y = net.conv_bn_relu(x, 4, 1, strides[0]);
            let y = net.conv_bn_relu(y, 4, 3, strides[1]);
            let y = net.conv_bn(y, 16, 1, 1);
            let s = net.conv_bn(x, 16, 1, 2);
            let y = net.add(s, y);
            net.relu(y)
        });
        let block = only_block(&model);
        assert_eq!((block.kind, block.shortcut), (BlockKind::Bottleneck, ShortcutKind::Projection));
        assert_eq!((block.stride, block.stride_on.as_deref()), (2, Some(on)));
        assert_eq!((block.inputs, block.width, block.outputs), (Some(8), 4, Some(16)));
        assert!(block.path.normed && !block.path.pooled);
        assert_eq!(analyse(&model).architecture.unwrap().family, family);
    }
}

#[test]
fn a_pre_activated_block_owns_its_pre_activation_even_where_the_shortcut_reads_it() {
    let (mut net, x) = Net::new(3);
    let x = net.conv(x, 8, 7, 2);
    let x = net.max_pool(x, 3, 2);
    let x = net.pre_basic(x, 16, 1);
    let x = net.pre_basic(x, 16, 1);
    let x = net.pre_basic(x, 32, 2);
    let x = net.bn_relu(x);
    let anatomy = analyse(&net.classifier(x, 10));
    assert_eq!(anatomy.blocks.len(), 3);
    for block in &anatomy.blocks {
        assert_eq!(block.activation, ActivationOrder::Pre, "{}", block.name);
        assert_eq!(block.norms.len(), 2, "{}", block.name);
        assert!(block.convs.iter().all(|conv| conv.norm.is_some()), "{}", block.name);
    }
    let reads: Vec<Reads> = anatomy.blocks.iter().map(|block| block.path.reads).collect();
    assert_eq!(reads, [Reads::Preactivated, Reads::Raw, Reads::Preactivated]);
    assert_eq!(anatomy.stages.iter().map(|stage| stage.blocks.len()).collect::<Vec<_>>(), [2, 1]);
    assert!(anatomy.head.norm.is_some());
    assert_eq!(anatomy.architecture.unwrap().family, Family::V2);
}

#[test]
fn the_first_block_behind_a_normalised_stem_is_pre_activated_too() {
    // As in the Keras CIFAR example: its first convolution stands bare.
    let model = with_block(|net, x| {
        let y = net.conv(x, 4, 1, 1);
        let y = net.bn_relu(y);
        let y = net.conv(y, 4, 3, 1);
        let y = net.bn_relu(y);
        let y = net.conv(y, 16, 1, 1);
        let s = net.conv(x, 16, 1, 1);
        let y = net.add(s, y);
        net.bn_relu(y)
    });
    let block = only_block(&model);
    assert_eq!((block.activation, block.path.reads), (ActivationOrder::Pre, Reads::Raw));
    assert_eq!(block.convs.iter().map(|conv| conv.norm.is_some()).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(analyse(&model).stem.convs.len(), 1);
}

#[test]
fn shortcuts_of_zeros_and_of_pools_are_told_apart() {
    let padded = with_block(|net, x| {
        let y = net.conv_bn_relu(x, 16, 3, 2);
        let y = net.conv_bn(y, 16, 3, 1);
        let mut s = x;
        for axis in [2, 3] {
            s = net.op(Op::slice(axis, 0, None, 2), &[s]);
        }
        s = net.op(Op::Pad(Pad { pads: Pads::default(), channels: [4, 4], value: 0.0 }), &[s]);
        let y = net.add(y, s);
        net.relu(y)
    });
    let block = only_block(&padded);
    assert_eq!((block.shortcut, block.path.stride), (ShortcutKind::Pad, 2));

    let pooled = with_block(|net, x| {
        let pre = net.bn_relu(x);
        let y = net.conv(pre, 8, 3, 2);
        let y = net.bn_relu(y);
        let y = net.conv(y, 8, 3, 1);
        let s = net.max_pool(x, 1, 2);
        let y = net.add(s, y);
        net.bn_relu(y)
    });
    assert_eq!(only_block(&pooled).shortcut, ShortcutKind::Pool);

    let deep = with_block(|net, x| {
        let y = net.conv_bn_relu(x, 16, 3, 2);
        let y = net.conv_bn(y, 16, 3, 1);
        let s = net.avg_pool(x, 2);
        let s = net.conv_bn(s, 16, 1, 1);
        let y = net.add(s, y);
        net.relu(y)
    });
    let block = only_block(&deep);
    assert_eq!((block.shortcut, block.path.pooled), (ShortcutKind::Projection, true));
}

#[test]
fn folded_norms_other_norms_and_other_activations_change_nothing_in_the_shape_of_a_block() {
    let folded = with_block(|net, x| {
        let y = net.conv(x, 8, 3, 1);
        let y = net.relu(y);
        let y = net.conv(y, 8, 3, 1);
        let y = net.add(y, x);
        net.relu(y)
    });
    let block = only_block(&folded);
    assert_eq!((block.kind, block.activation, block.norm), (BlockKind::Basic, ActivationOrder::Post, None));

    let grouped = with_block(|net, x| {
        let y = net.conv(x, 8, 3, 1);
        let y = net.gn(y);
        let y = net.act(y, Activation::Silu);
        let y = net.conv(y, 8, 3, 1);
        let y = net.gn(y);
        let y = net.dropout(y);
        let s = net.dropout(x);
        let y = net.add(s, y);
        net.act(y, Activation::Silu)
    });
    let block = only_block(&grouped);
    assert_eq!(
        (block.kind, block.activation, block.norm),
        (BlockKind::Basic, ActivationOrder::Post, Some(NormKind::Group))
    );
    assert_eq!((block.shortcut, block.after_add.as_deref()), (ShortcutKind::Identity, Some("Silu")));
}

#[test]
fn what_an_exporter_leaves_of_a_batch_norm_counts_as_one() {
    let model = with_block(|net, x| {
        let mut pre = x;
        for op in [Elementwise::Mul, Elementwise::Add] {
            let constant = net.tensor(&[1, 8, 1, 1]);
            pre = net.op(Op::Elementwise(op), &[pre, constant]);
        }
        let pre = net.relu(pre);
        let y = net.conv(pre, 8, 3, 1);
        let y = net.relu(y);
        let y = net.conv(y, 8, 3, 1);
        net.add(x, y)
    });
    let block = only_block(&model);
    assert_eq!((block.activation, block.norm), (ActivationOrder::Pre, Some(NormKind::Affine)));
}

#[test]
fn gates_are_no_paths_and_their_layers_no_depth() {
    let model = with_block(|net, x| {
        let y = net.conv_bn_relu(x, 8, 3, 1);
        let y = net.conv_bn(y, 8, 3, 1);
        let y = net.squeeze_excite(y, 2);
        let y = net.add(y, x);
        net.relu(y)
    });
    let block = only_block(&model);
    assert_eq!(block.kind, BlockKind::Basic);
    let gate = block.squeeze_excite.unwrap();
    assert_eq!((gate.layers.len(), gate.width), (2, Some(2)));
    assert_eq!(analyse(&model).depth(), 4);
}

#[test]
fn gates_of_other_kinds_are_told_from_squeeze_and_excite_and_no_known_name_has_them() {
    let (mut net, x) = Net::new(3);
    let mut x = net.conv_bn_relu(x, 16, 3, 1);
    for stage in 0..9 {
        let y = net.conv_bn_relu(x, 16, 3, 1);
        let y = net.conv_bn(y, 16, 3, 1);
        let y = if stage < 8 { net.channel_attention(y) } else { y };
        let y = net.add(y, x);
        x = net.relu(y);
    }
    let anatomy = analyse(&net.classifier(x, 10));
    assert_eq!((anatomy.blocks.len(), anatomy.strays.len(), anatomy.depth()), (9, 0, 20));
    assert!(anatomy.blocks.iter().all(|block| block.kind == BlockKind::Basic && block.squeeze_excite.is_none()));
    assert!(anatomy.blocks[..8].iter().all(|block| block.other_gate) && !anatomy.blocks[8].other_gate);
    let architecture = anatomy.architecture.as_ref().unwrap();
    assert_eq!((architecture.name.as_str(), architecture.family), ("residual20", Family::V1));
    let differences = anatomy.differences("resnet20_cifar").unwrap();
    assert!(differences.iter().any(|difference| difference.what == "gates of another kind"), "{differences:?}");
}

#[test]
fn a_depthwise_mean_before_a_stride_is_a_filter_and_no_convolution() {
    let model = with_block(|net, x| {
        let y = net.conv_bn_relu(x, 8, 3, 1);
        let y = net.blur(y);
        let y = net.conv_bn(y, 16, 3, 1);
        let s = net.conv_bn(x, 16, 1, 2);
        let y = net.add(s, y);
        net.relu(y)
    });
    let block = only_block(&model);
    assert_eq!((block.kind, block.blurred, block.stride_on.as_deref()), (BlockKind::Basic, true, Some("blur")));
    // What was trained is another weight for each channel.
    let model = with_block(|net, x| {
        let y = net.conv_groups(x, 8, 3, 2, 8);
        let y = net.conv_bn(y, 16, 1, 1);
        let s = net.conv_bn(x, 16, 1, 2);
        net.add(s, y)
    });
    assert!(!only_block(&model).blurred);
}

#[test]
fn what_reads_only_the_size_of_a_value_is_no_path_from_it() {
    // An embedding of positions, as large as the value that it is added to.
    let model = with_block(|net, x| {
        let positions = net.tensor(&[1, 4, 1, 1]);
        let size = |axis| Extent::Of { operand: 1, axis };
        let shape = vec![size(0), Extent::Known(4), size(2), size(3)];
        let grid = net.g.add("grid", Op::Expand { shape }, &[positions, x]);
        net.set_channels(grid, 4);
        let embedding = net.conv(grid, 8, 1, 1);
        let y = net.add(x, embedding);
        let y = net.conv_bn_relu(y, 8, 3, 1);
        let y = net.conv_bn(y, 8, 3, 1);
        net.add(y, x)
    });
    let block = only_block(&model);
    assert_eq!((block.kind, block.shortcut), (BlockKind::Basic, ShortcutKind::Identity));
    assert_eq!(block.convs.len(), 2);
}

#[test]
fn a_stem_of_four_convolutions_gives_no_known_name() {
    for (convs, name) in [(3, "resnet18"), (4, "residual21")] {
        let (mut net, x) = Net::new(3);
        let mut x = net.conv_bn_relu(x, 64, 3, 2);
        for conv in 1..convs {
            x = net.conv_bn_relu(x, 64, 3, if conv == 3 { 2 } else { 1 });
        }
        if convs == 3 {
            x = net.max_pool(x, 3, 2);
        }
        for (stage, block) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)] {
            x = net.basic(x, 64 << stage, if stage > 0 && block == 0 { 2 } else { 1 });
        }
        let found = analyse(&net.classifier(x, 10)).architecture.unwrap().name;
        assert!(found.starts_with(name), "{convs}: {found}");
    }
}

#[test]
fn stages_of_other_groups_have_no_name_of_one() {
    let (mut net, x) = Net::new(3);
    let mut x = net.conv_bn_relu(x, 16, 3, 2);
    for (out, groups) in [(48, 6), (104, 13), (208, 26), (440, 55)] {
        let y = net.conv_bn_relu(x, out, 1, 1);
        let y = net.conv_groups(y, out, 3, 2, groups);
        let y = net.bn_relu(y);
        let y = net.conv_bn(y, out, 1, 1);
        let s = net.conv_bn(x, out, 1, 2);
        let y = net.add(y, s);
        x = net.relu(y);
    }
    let architecture = analyse(&net.classifier(x, 10)).architecture.unwrap();
    assert_eq!((architecture.name.as_str(), architecture.family), ("residual14", Family::V15));
}

#[test]
fn blocks_with_one_filter_a_channel_are_residual_and_no_resnet() {
    // As in MobileNetV2: widened, filtered, narrowed, and nothing behind the sum.
    let model = with_block(|net, x| {
        let y = net.conv_bn_relu(x, 48, 1, 1);
        let y = net.conv_groups(y, 48, 3, 1, 48);
        let y = net.bn_relu(y);
        let y = net.conv_bn(y, 8, 1, 1);
        net.add(x, y)
    });
    let block = only_block(&model);
    assert_eq!((block.kind, block.activation, block.after_add), (BlockKind::Other, ActivationOrder::Post, None));
    let architecture = analyse(&model).architecture.unwrap();
    assert_eq!((architecture.name.as_str(), architecture.family), ("residual5", Family::Residual));
}

#[test]
fn groups_and_further_branches_are_kept() {
    let model = with_block(|net, x| {
        let y = net.conv_bn_relu(x, 8, 1, 1);
        let y = net.conv_groups(y, 8, 3, 1, 4);
        let y = net.bn_relu(y);
        let y = net.conv_bn(y, 8, 1, 1);
        let z = net.conv_bn(x, 8, 3, 1);
        let y = net.op(Op::Elementwise(Elementwise::Add), &[x, y, z]);
        net.relu(y)
    });
    let block = only_block(&model);
    assert_eq!((block.kind, block.groups, block.branches), (BlockKind::Bottleneck, 4, 3));
    assert_eq!(block.shortcut, ShortcutKind::Identity);
}

#[test]
fn a_cifar_network_is_named_and_a_thin_one_is_not() {
    for (n, name) in [(3, "resnet20_cifar"), (5, "resnet32_cifar"), (9, "resnet56_cifar"), (18, "resnet110_cifar")] {
        let anatomy = analyse(&cifar(n, 16));
        let architecture = anatomy.architecture.clone().unwrap();
        assert_eq!((architecture.name.as_str(), architecture.standard), (name, true));
        assert_eq!((architecture.depth, &architecture.stages), (6 * n + 2, &vec![n; 3]));
        assert_eq!(anatomy.is(name), Ok(()));
    }
    let anatomy = analyse(&cifar(3, 4));
    let architecture = anatomy.architecture.clone().unwrap();
    assert_eq!((architecture.name.as_str(), architecture.standard), ("resnet20_cifar-custom", false));
    assert_eq!((architecture.depth, architecture.family), (20, Family::V1));
    let reasons = anatomy.is("resnet20_cifar").unwrap_err();
    assert!(reasons.iter().any(|reason| reason == "stage 0: channels: expected 16, found 4"), "{reasons:?}");
}

#[test]
fn a_cut_shortcut_leaves_a_gap_that_is_reported() {
    let (mut net, x) = Net::new(3);
    let mut x = net.conv_bn_relu(x, 16, 3, 1);
    for stage in 0..3 {
        for block in 0..3 {
            if (stage, block) == (1, 1) {
                let y = net.conv_bn_relu(x, 32, 3, 1);
                x = net.conv_bn_relu(y, 32, 3, 1);
            } else {
                x = net.basic(x, 16 << stage, if stage > 0 && block == 0 { 2 } else { 1 });
            }
        }
    }
    let anatomy = analyse(&net.classifier(x, 10));
    assert_eq!((anatomy.blocks.len(), anatomy.depth()), (8, 20));
    assert_eq!((anatomy.loose.len(), anatomy.loose[0].convs.len()), (1, 2));
    assert_eq!(anatomy.blocks[anatomy.loose[0].behind].name, "stages.1.blocks.0");
    let reasons = anatomy.is("resnet20_cifar").unwrap_err();
    assert!(reasons.iter().any(|r| r.contains("2 convolutions behind stages.1.blocks.0")), "{reasons:?}");
}

#[test]
fn a_shortcut_over_two_blocks_is_no_block() {
    let model = with_block(|net, x| {
        let y = net.basic(x, 8, 1);
        let y = net.basic(y, 8, 1);
        net.add(x, y)
    });
    let anatomy = analyse(&model);
    assert_eq!((anatomy.blocks.len(), anatomy.long_skips.len()), (2, 1));
}

#[test]
fn a_network_without_shortcuts_is_plain() {
    let (mut net, x) = Net::new(3);
    let x = net.conv_bn_relu(x, 8, 7, 2);
    let mut x = net.max_pool(x, 3, 2);
    for (stage, count) in [6, 8, 12, 6].into_iter().enumerate() {
        for _ in 0..count {
            x = net.conv_bn_relu(x, 8 << stage, 3, 1);
        }
    }
    let anatomy = analyse(&net.classifier(x, 10));
    let architecture = anatomy.architecture.clone().unwrap();
    assert_eq!((architecture.name.as_str(), architecture.family), ("plain34", Family::Plain));
    assert_eq!((&anatomy.plain.stages, architecture.stages), (&vec![6, 8, 12, 6], vec![]));
    assert!(anatomy.is("plain34").is_ok() && anatomy.is("resnet34").is_err());
}

/// Dense blocks of these layers; as Keras joins them one by one, or as torch joins all that came before.
fn densely(blocks: &[usize], growth: usize, all: bool) -> Checked {
    let concat = |net: &mut Net, parts: &[ValueId]| {
        let channels = parts.iter().map(|part| net.channels(*part)).sum();
        let joined = net.op(Op::Concat { axis: 1 }, parts);
        net.set_channels(joined, channels);
        joined
    };
    let (mut net, x) = Net::new(3);
    let x = net.conv_bn_relu(x, 2 * growth, 7, 2);
    let mut x = net.max_pool(x, 3, 2);
    for (block, &layers) in blocks.iter().enumerate() {
        let mut parts = vec![x];
        for _ in 0..layers {
            let input = if parts.len() > 1 { concat(&mut net, &parts) } else { parts[0] };
            let y = net.bn_relu(input);
            let y = net.conv_bn_relu(y, 4 * growth, 1, 1);
            let y = net.conv(y, growth, 3, 1);
            if all { parts.push(y) } else { parts = vec![concat(&mut net, &[input, y])] }
        }
        x = if parts.len() > 1 { concat(&mut net, &parts) } else { parts[0] };
        x = net.bn_relu(x);
        if block + 1 < blocks.len() {
            let channels = net.channels(x) / 2;
            x = net.conv(x, channels, 1, 1);
            x = net.avg_pool(x, 2);
        }
    }
    net.classifier(x, 10)
}

#[test]
fn densely_connected_networks_have_their_name_in_either_way_of_joining() {
    for all in [false, true] {
        let anatomy = analyse(&densely(&[6, 12, 24, 16], 32, all));
        let architecture = anatomy.architecture.as_ref().unwrap();
        assert_eq!((architecture.name.as_str(), architecture.family), ("densenet121", Family::Dense), "{all}");
        assert_eq!((&architecture.stages[..], architecture.depth), (&[6, 12, 24, 16][..], 121));
        assert!(anatomy.is("densenet121").is_ok());
        let differences = anatomy.differences("densenet169").unwrap();
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert_eq!(differences[0].to_string(), "layers of its dense blocks: expected 6-12-32-32, found 6-12-24-16");
    }
    let thin = analyse(&densely(&[3, 2], 4, true)).architecture.unwrap();
    assert_eq!((thin.name.as_str(), thin.standard), ("densenet13-custom", false));
}

#[test]
fn what_has_no_convolution_or_dense_concatenations_has_no_architecture() {
    let (mut net, x) = Net::new(3);
    let y = net.gap(x, false);
    let y = net.dense(y, 2);
    assert!(analyse(&net.finish(y)).architecture.is_none());

    let (mut net, x) = Net::new(4);
    let y = net.conv_bn_relu(x, 4, 3, 1);
    let y = net.op(Op::Concat { axis: 1 }, &[x, y]);
    assert!(analyse(&net.finish(y)).architecture.is_none());
}

#[test]
fn another_head_and_layers_before_the_stem_change_nothing() {
    let (mut net, x) = Net::new(1);
    let scale = net.tensor(&[]);
    let x = net.op(Op::Elementwise(Elementwise::Mul), &[x, scale]);
    let x = net.dropout(x);
    let mut x = net.conv_bn_relu(x, 16, 3, 1);
    for stage in 0..3 {
        for block in 0..3 {
            x = net.basic(x, 16 << stage, if stage > 0 && block == 0 { 2 } else { 1 });
        }
    }
    let x = net.gap(x, false);
    let x = net.dropout(x);
    let x = net.dense(x, 48);
    let x = net.relu(x);
    let x = net.dense(x, 2);
    let x = net.op(Op::Softmax { axis: 1 }, &[x]);
    let anatomy = analyse(&net.finish(x));
    assert_eq!(anatomy.standard_name(), Some("resnet20_cifar"));
    assert_eq!((anatomy.head.dense.len(), anatomy.head.classes), (2, Some(2)));
    assert_eq!(anatomy.head.dense[0].activation.as_deref(), Some("Relu"));
    assert_eq!(anatomy.head.dense[1].activation.as_deref(), Some("Softmax"));
    assert_eq!(anatomy.stem.scaling.len(), 1);
}
