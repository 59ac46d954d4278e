//! The anatomy of a network: what it is made of, what it is called, and how it differs from what a name stands for.
//!
//! ```
//! use residua_ir::{Conv, GraphBuilder, Op, Shape, Tensor, validate};
//! use residua_resnet::anatomy::analyse;
//!
//! let mut graph = GraphBuilder::new("one layer");
//! let image = graph.input("image", Shape::batch(&[3, 32, 32]));
//! let kernel = graph.weight("kernel", Tensor::from_f32(vec![8, 3, 3, 3], &[0.5; 216])?);
//! let map = graph.add("conv", Op::Conv(Conv::default()), &[image, kernel]);
//! graph.output(map);
//! let anatomy = analyse(&*validate(graph.finish()?)?);
//! assert_eq!(anatomy.blocks.len(), 0);
//! assert_eq!(anatomy.plain.total, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::architecture::{Difference, analyse, analyse_as_it_is, analyse_normalised};
pub use crate::form::{ActivationOrder, BlockKind};
pub use crate::structure::{
    Anatomy, Block, ConvNormAct, Dense, DenseBlocks, Head, Hidden, LongSkip, Loose, NormKind, PlainConvs, Reads,
    Shortcut, ShortcutKind, SqueezeExcite, Stage, Stem, Step, Stray, Stretch, Unseen,
};
