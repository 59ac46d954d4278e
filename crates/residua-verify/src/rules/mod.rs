//! The rules, one a file; adding one is a file and a line here.

mod activation_order;
mod below_f16;
mod beyond_f16;
mod broadcast_branches;
mod contradicted_size;
mod dead_channel;
mod declared_shape;
mod division_by_zero;
mod duplicated_kernel;
mod foreign_shortcut;
mod identity_changes_shape;
mod long_skip;
mod missing_shortcut;
mod mixed_epsilon;
mod mixed_padding;
mod mixed_pooling;
mod moved_stride;
mod name_mismatch;
mod needless_projection;
mod negative_variance;
mod non_finite_weight;
mod odd_block;
mod odd_stage;
mod onnx_domain;
mod onnx_external_data;
mod onnx_interface;
mod onnx_metadata;
mod onnx_node_name;
mod onnx_order;
mod onnx_replaceable;
mod onnx_tensor;
mod onnx_undeclared;
mod onnx_version;
mod pickle_calls_code;
mod plain_network;
mod search_limit;
mod skipped_sum;
mod target_external_data;
mod target_free_size;
mod target_model_code;
mod target_names;
mod target_operator;
mod target_other_function;
mod target_type;
mod target_undeclared;
mod target_unwritable;
mod target_version;
mod tiny_variance;
mod unclean_shortcut;
mod unexpected_architecture;
mod unreadable_tensor;
mod untouched_statistics;
mod unused_input;
mod unused_tensor;
mod zero_kernel;

use residua_ir::Code;

use crate::{Rule, TextRule};

/// What is found only where the user says which architecture the model must be.
pub(crate) static EXPECTED: &Code = &unexpected_architecture::CODE;

/// Sizes that are declared free and are not.
pub(crate) static FREE_SIZES: &Code = &contradicted_size::CODE;

/// A reason why branches are unequal.
pub(crate) static IDENTITY_CHANGES_SHAPE: &Code = &identity_changes_shape::CODE;

/// What is found only where the weights are to be kept in another float type.
pub(crate) static OF_FLOATS: [&Code; 2] = [&beyond_f16::CODE, &below_f16::CODE];

/// All rules, by code.
pub static ALL: &[Rule] = &[
    Rule { code: &unused_tensor::CODE, check: unused_tensor::check },
    Rule { code: &pickle_calls_code::CODE, check: pickle_calls_code::check },
    Rule { code: &declared_shape::CODE, check: declared_shape::check },
    Rule { code: &unused_input::CODE, check: unused_input::check },
    Rule { code: &search_limit::CODE, check: search_limit::check },
    Rule { code: &contradicted_size::CODE, check: contradicted_size::check },
    Rule { code: &unexpected_architecture::CODE, check: unexpected_architecture::check },
    Rule { code: &odd_block::CODE, check: odd_block::check },
    Rule { code: &missing_shortcut::CODE, check: missing_shortcut::check },
    Rule { code: &mixed_epsilon::CODE, check: mixed_epsilon::check },
    Rule { code: &long_skip::CODE, check: long_skip::check },
    Rule { code: &foreign_shortcut::CODE, check: foreign_shortcut::check },
    Rule { code: &skipped_sum::CODE, check: skipped_sum::check },
    Rule { code: &identity_changes_shape::CODE, check: identity_changes_shape::check },
    Rule { code: &needless_projection::CODE, check: needless_projection::check },
    Rule { code: &activation_order::CODE, check: activation_order::check },
    Rule { code: &unclean_shortcut::CODE, check: unclean_shortcut::check },
    Rule { code: &moved_stride::CODE, check: moved_stride::check },
    Rule { code: &odd_stage::CODE, check: odd_stage::check },
    Rule { code: &name_mismatch::CODE, check: name_mismatch::check },
    Rule { code: &mixed_padding::CODE, check: mixed_padding::check },
    Rule { code: &mixed_pooling::CODE, check: mixed_pooling::check },
    Rule { code: &plain_network::CODE, check: plain_network::check },
    Rule { code: &broadcast_branches::CODE, check: broadcast_branches::check },
    Rule { code: &non_finite_weight::CODE, check: non_finite_weight::check },
    Rule { code: &negative_variance::CODE, check: negative_variance::check },
    Rule { code: &zero_kernel::CODE, check: zero_kernel::check },
    Rule { code: &unreadable_tensor::CODE, check: unreadable_tensor::check },
    Rule { code: &dead_channel::CODE, check: dead_channel::check },
    Rule { code: &duplicated_kernel::CODE, check: duplicated_kernel::check },
    Rule { code: &untouched_statistics::CODE, check: untouched_statistics::check },
    Rule { code: &tiny_variance::CODE, check: tiny_variance::check },
    Rule { code: &beyond_f16::CODE, check: beyond_f16::check },
    Rule { code: &below_f16::CODE, check: below_f16::check },
    Rule { code: &division_by_zero::CODE, check: division_by_zero::check },
    Rule { code: &target_unwritable::CODE, check: target_unwritable::check },
    Rule { code: &target_version::CODE, check: target_version::check },
    Rule { code: &target_operator::CODE, check: target_operator::check },
    Rule { code: &target_type::CODE, check: target_type::check },
    Rule { code: &target_external_data::CODE, check: target_external_data::check },
    Rule { code: &target_free_size::CODE, check: target_free_size::check },
    Rule { code: &target_undeclared::CODE, check: target_undeclared::check },
    Rule { code: &target_model_code::CODE, check: target_model_code::check },
    Rule { code: &target_other_function::CODE, check: target_other_function::check },
    Rule { code: &target_names::CODE, check: target_names::check },
];

/// Rules about the text of ONNX files, by code.
pub static OF_TEXT: &[TextRule] = &[
    TextRule { code: &onnx_version::CODE, check: onnx_version::check },
    TextRule { code: &onnx_domain::CODE, check: onnx_domain::check },
    TextRule { code: &onnx_undeclared::CODE, check: onnx_undeclared::check },
    TextRule { code: &onnx_node_name::CODE, check: onnx_node_name::check },
    TextRule { code: &onnx_external_data::CODE, check: onnx_external_data::check },
    TextRule { code: &onnx_tensor::CODE, check: onnx_tensor::check },
    TextRule { code: &onnx_replaceable::CODE, check: onnx_replaceable::check },
    TextRule { code: &onnx_metadata::CODE, check: onnx_metadata::check },
    TextRule { code: &onnx_order::CODE, check: onnx_order::check },
    TextRule { code: &onnx_interface::CODE, check: onnx_interface::check },
];
