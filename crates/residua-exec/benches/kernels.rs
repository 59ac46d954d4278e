//! Convolutions of ResNet50 at 224x224, batch 1, in both precisions: MACs a second as items, so 2 FLOPs an item.
//! What they should come to is in docs/figures.md.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to say")]

use divan::counter::ItemsCount;
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Conv, GraphBuilder, Op, Padding, Pads, Shape, Tensor, validate};

/// Channels, filters, kernel, stride, size of the image.
type Layer = (usize, usize, usize, usize, usize);

const LAYERS: [Layer; 10] = [
    (3, 64, 7, 2, 224),
    (64, 64, 1, 1, 56),
    (64, 64, 3, 1, 56),
    (64, 256, 1, 1, 56),
    (128, 128, 3, 1, 28),
    (512, 128, 1, 1, 28),
    (256, 256, 3, 1, 14),
    (512, 1024, 1, 2, 28),
    (512, 512, 3, 1, 7),
    (2048, 512, 1, 1, 7),
];

fn main() {
    divan::main();
}

#[divan::bench(args = LAYERS)]
fn f32(bencher: divan::Bencher<'_, '_>, layer: Layer) {
    convolve(bencher, layer, Precision::F32);
}

#[divan::bench(args = LAYERS)]
fn f64(bencher: divan::Bencher<'_, '_>, layer: Layer) {
    convolve(bencher, layer, Precision::F64);
}

fn convolve(bencher: divan::Bencher<'_, '_>, layer: Layer, precision: Precision) {
    let (channels, filters, kernel, stride, size) = layer;
    let mut g = GraphBuilder::new("conv");
    let x = g.input("x", Shape::batch(&[channels, size, size]));
    let weights = vec![0.5; filters * channels * kernel * kernel];
    let w = g.weight("w", Tensor::from_f32(vec![filters, channels, kernel, kernel], &weights).unwrap());
    let conv = Conv { strides: [stride; 2], padding: Padding::Explicit(Pads::all(kernel / 2)), ..Conv::default() };
    let y = g.add("conv", Op::Conv(conv), &[x, w]);
    g.output(y);
    let model = validate(g.finish().unwrap()).unwrap();
    let executor = Executor::new(&model, &Options { precision, ..Options::default() }).unwrap();
    let input = [Array::zeros(vec![1, channels, size, size]).unwrap()];
    let macs = size.div_ceil(stride).pow(2) * weights.len();
    bencher.counter(ItemsCount::new(macs)).bench(|| executor.run(&input).unwrap());
}
