//! What an output says about where it comes from: the same keys in every format.

use residua_ir::Graph;

/// Keys and values, in a fixed order.
pub(crate) fn entries(graph: &Graph) -> Vec<(&'static str, String)> {
    let source = graph.source();
    let entries = [
        ("residua.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("residua.source.format", Some(source.format.clone())),
        ("residua.source.framework", Some(source.framework.clone())),
        ("residua.source.version", source.version.clone()),
        ("residua.architecture", source.architecture.clone()),
        ("residua.preprocessing", source.preprocessing.clone()),
    ];
    entries.into_iter().filter_map(|(key, value)| Some((key, value.filter(|v| !v.is_empty())?))).collect()
}
