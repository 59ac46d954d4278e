//! Convolutions of random shapes against their definition, written out as loops.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use proptest::prelude::*;
use residua_exec::{Array, Data, Executor, Options, Precision, compare};
use residua_ir::{
    Activation, BatchNorm, Checked, Conv, Dim, Elementwise, GraphBuilder, Op, Padding, Pads, Shape, Tensor, validate,
};

/// A convolution and the sizes it is applied to.
#[derive(Debug, Clone)]
struct Case {
    batch: usize,
    channels: usize,
    filters: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    pads: Pads,
    groups: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let pair = |least: usize, most: usize| [least..=most, least..=most];
    let sizes = (1usize..3, 1usize..4, 1usize..44, 1usize..40, 1usize..40);
    (sizes, pair(7, 19), pair(1, 4), pair(1, 3), pair(1, 2), [0usize..3, 0usize..3, 0usize..3, 0usize..3]).prop_map(
        |(
            (batch, groups, channels, filters, depthwise),
            size,
            kernel,
            strides,
            dilations,
            [top, left, bottom, right],
        )| {
            let channels = if depthwise < 8 { 1 } else { channels };
            Case {
                batch,
                channels: channels * groups,
                filters: filters.div_ceil(groups) * groups,
                size,
                kernel,
                strides,
                dilations,
                pads: Pads { top, left, bottom, right },
                groups,
            }
        },
    )
}

/// Numbers that look random and are the same in every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

impl Case {
    fn kernel_shape(&self) -> [usize; 4] {
        [self.filters, self.channels / self.groups, self.kernel[0], self.kernel[1]]
    }

    fn attributes(&self) -> Conv {
        Conv {
            strides: self.strides,
            padding: Padding::Explicit(self.pads),
            dilations: self.dilations,
            groups: self.groups,
        }
    }

    /// conv + bias, then a batch norm, a sum with another value and a ReLU: everything that can be fused.
    fn model(&self) -> Checked {
        let mut g = GraphBuilder::new("conv");
        let free = |name: &str| Dim::symbol(name);
        let x = g.input("x", Shape::new(vec![free("N"), Dim::Fixed(self.channels), free("H"), free("W")]));
        let shape = self.kernel_shape();
        let count = shape.iter().product();
        let kernel = g.weight("kernel", Tensor::from_f32(shape.to_vec(), &numbers(count, 1)).unwrap());
        let mut vector = |name: &str, seed: u64, positive: bool| {
            let values = numbers(self.filters, seed).into_iter().map(|v| if positive { v.abs() + 0.5 } else { v });
            let values: Vec<f32> = values.collect();
            g.weight(name, Tensor::from_f32(vec![self.filters], &values).unwrap())
        };
        let bias = vector("bias", 2, false);
        let (scale, offset) = (vector("scale", 3, false), vector("offset", 4, false));
        let (mean, variance) = (vector("mean", 5, false), vector("variance", 6, true));
        let other = g.add("other", Op::Conv(self.attributes()), &[x, kernel]);
        let conv = g.add("conv", Op::Conv(self.attributes()), &[x, kernel, bias]);
        let norm = BatchNorm { epsilon: 1e-3 };
        let norm = g.add("norm", Op::BatchNorm(norm), &[conv, scale, offset, mean, variance]);
        let sum = g.add("sum", Op::Elementwise(Elementwise::Add), &[other, norm]);
        let relu = g.add("relu", Op::Activation(Activation::RELU), &[sum]);
        g.output(other);
        g.output(relu);
        validate(g.finish().unwrap()).unwrap()
    }

    fn input(&self) -> Vec<f32> {
        numbers(self.batch * self.channels * self.size[0] * self.size[1], 9)
    }

    /// The definition.
    fn naive(&self) -> Vec<f64> {
        let (x, w) = (self.input(), numbers(self.kernel_shape().iter().product(), 1));
        let pads = [[self.pads.top, self.pads.bottom], [self.pads.left, self.pads.right]];
        let out = [0, 1].map(|i| {
            let extent = (self.kernel[i] - 1) * self.dilations[i] + 1;
            (self.size[i] + pads[i][0] + pads[i][1] - extent) / self.strides[i] + 1
        });
        let (inputs, outputs) = (self.channels / self.groups, self.filters / self.groups);
        let mut result = Vec::new();
        for n in 0..self.batch {
            for o in 0..self.filters {
                for oy in 0..out[0] {
                    for ox in 0..out[1] {
                        let mut sum = 0.0;
                        for i in 0..inputs {
                            let c = o / outputs * inputs + i;
                            for ky in 0..self.kernel[0] {
                                for kx in 0..self.kernel[1] {
                                    let y = oy * self.strides[0] + ky * self.dilations[0];
                                    let x_ = ox * self.strides[1] + kx * self.dilations[1];
                                    let (Some(y), Some(x_)) = (y.checked_sub(pads[0][0]), x_.checked_sub(pads[1][0]))
                                    else {
                                        continue;
                                    };
                                    if y < self.size[0] && x_ < self.size[1] {
                                        let at = ((n * self.channels + c) * self.size[0] + y) * self.size[1] + x_;
                                        let weight = ((o * inputs + i) * self.kernel[0] + ky) * self.kernel[1] + kx;
                                        sum += f64::from(x[at]) * f64::from(w[weight]);
                                    }
                                }
                            }
                        }
                        result.push(sum);
                    }
                }
            }
        }
        result
    }
}

fn run(case: &Case, precision: Precision, threads: usize) -> Vec<Array> {
    let options = Options { precision, threads: Some(threads), ..Options::default() };
    let executor = Executor::new(&case.model(), &options).unwrap();
    let shape = vec![case.batch, case.channels, case.size[0], case.size[1]];
    executor.run(&[Array::new(shape, case.input()).unwrap()]).unwrap().outputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_reference_computes_the_definition(case in cases()) {
        let found = run(&case, Precision::F64, 2);
        let expected = case.naive();
        prop_assert_eq!(found[0].len(), expected.len());
        for (a, b) in found[0].to_f64().iter().zip(&expected) {
            prop_assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{} {}", a, b);
        }
    }

    #[test]
    fn the_fused_engine_agrees_with_the_reference(case in cases()) {
        let (wide, narrow) = (run(&case, Precision::F64, 1), run(&case, Precision::F32, 2));
        for (reference, other) in wide.iter().zip(&narrow) {
            let difference = compare::difference(reference, other).unwrap();
            prop_assert!(difference.max_abs < 1e-4 && difference.non_finite.is_none(), "{:?}", difference);
        }
    }

    #[test]
    fn results_are_the_same_bits_for_any_number_of_threads(case in cases()) {
        for precision in [Precision::F32, Precision::F64] {
            let one = run(&case, precision, 1);
            for threads in [2, 3, 7] {
                for (a, b) in one.iter().zip(&run(&case, precision, threads)) {
                    prop_assert!(compare::bit_identical(a, b), "{:?} with {} threads", precision, threads);
                }
            }
        }
    }
}

#[test]
fn same_padding_puts_the_odd_row_after() {
    // TensorFlow: 3x3, stride 2, SAME on 4x4 pads 0 before and 1 after.
    let mut g = GraphBuilder::new("same");
    let x = g.input("x", Shape::new(vec![Dim::Fixed(1), Dim::Fixed(1), Dim::symbol("H"), Dim::symbol("W")]));
    let kernel = g.weight("kernel", Tensor::from_f32(vec![1, 1, 3, 3], &[1.0; 9]).unwrap());
    let same = |padding| Op::Conv(Conv { strides: [2, 2], padding, ..Conv::default() });
    let upper = g.add("upper", same(Padding::SameUpper), &[x, kernel]);
    let lower = g.add("lower", same(Padding::SameLower), &[x, kernel]);
    g.output(upper);
    g.output(lower);
    let model = validate(g.finish().unwrap()).unwrap();
    let x = Array::new(vec![1, 1, 4, 4], (0..16).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
    let results = Executor::new(&model, &Options::default()).unwrap().run(&[x]).unwrap();
    assert_eq!(results.outputs[0].data(), &Data::F32(vec![45.0, 39.0, 66.0, 50.0]));
    assert_eq!(results.outputs[1].data(), &Data::F32(vec![10.0, 24.0, 51.0, 90.0]));
}
