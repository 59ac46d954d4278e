//! The rules, one a file; adding one is a file and a line here.

mod long_skip;
mod missing_shortcut;
mod mixed_epsilon;
mod negative_variance;
mod non_finite_weight;
mod odd_block;
mod pickle_calls_code;
mod unexpected_architecture;
mod unreadable_tensor;
mod unused_tensor;
mod zero_kernel;

use crate::Rule;

/// All rules, by code.
pub static ALL: &[Rule] = &[
    Rule { code: &unused_tensor::CODE, check: unused_tensor::check },
    Rule { code: &pickle_calls_code::CODE, check: pickle_calls_code::check },
    Rule { code: &unexpected_architecture::CODE, check: unexpected_architecture::check },
    Rule { code: &odd_block::CODE, check: odd_block::check },
    Rule { code: &missing_shortcut::CODE, check: missing_shortcut::check },
    Rule { code: &mixed_epsilon::CODE, check: mixed_epsilon::check },
    Rule { code: &long_skip::CODE, check: long_skip::check },
    Rule { code: &non_finite_weight::CODE, check: non_finite_weight::check },
    Rule { code: &negative_variance::CODE, check: negative_variance::check },
    Rule { code: &zero_kernel::CODE, check: zero_kernel::check },
    Rule { code: &unreadable_tensor::CODE, check: unreadable_tensor::check },
];
