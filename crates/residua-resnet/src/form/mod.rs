//! The known forms of residual networks and their names.
//!
//! A [`Form`] says what all networks of one name share: stem, stages, blocks, strides. It does not say what may be
//! changed without changing the name: channels of the image, its size, classes, head. The same description serves in
//! both directions: [`Form::named`] gives it from a name, [`Form::observed`] from what was found in a graph. Which form a
//! network has, and in what it differs from another, is told in [`anatomy`](crate::anatomy).
//!
//! Names: a network of a known form in exactly its standard sizes has the standard name. One in other sizes (thin,
//! wide, another number of blocks, another stem) is that name with its own depth and `-custom` behind it:
//! `resnet50v2-custom`. So are densely connected networks (`densenet121`). What is residual and of no known form is
//! `residual` and its depth; what has no blocks at all is `plain` and its depth.

mod description;
mod known;

pub use description::{ActivationOrder, Architecture, BlockKind, Family, Form, StageForm, StemForm, StrideIn};
pub(crate) use known::{dense, name, plain_stages};
