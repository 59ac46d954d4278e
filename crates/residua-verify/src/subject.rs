//! What a rule may look at.

use std::sync::OnceLock;

use rayon::prelude::*;
use residua_ir::{Checked, Parameter, Statistics, TensorError};
use residua_resnet::Anatomy;

/// A model under check. Ranges of values are computed once, when a rule first asks for them.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(crate) model: &'a Checked,
    pub(crate) anatomy: &'a Anatomy,
    pub(crate) expected: Option<&'a str>,
    statistics: OnceLock<Vec<Result<Statistics, TensorError>>>,
}

impl<'a> Subject<'a> {
    /// A model with what is known of it; `expected` is the architecture that it must be, as the user named it.
    #[must_use]
    pub fn new(model: &'a Checked, anatomy: &'a Anatomy, expected: Option<&'a str>) -> Self {
        Self { model, anatomy, expected, statistics: OnceLock::new() }
    }

    /// Each parameter with the range of its values, in the graph's order.
    pub(crate) fn statistics(&self) -> impl Iterator<Item = (&'a Parameter, &Result<Statistics, TensorError>)> {
        let parameters = self.model.graph().parameters();
        let all = self.statistics.get_or_init(|| parameters.par_iter().map(|p| p.tensor.statistics()).collect());
        parameters.iter().zip(all)
    }
}
