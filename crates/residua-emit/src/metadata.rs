//! What an output says about where it comes from: the same keys in every format.

use residua_ir::Graph;
use residua_ir::preparation::Stated;

/// Keys and values, in a fixed order.
pub(crate) fn entries(graph: &Graph) -> Vec<(&'static str, String)> {
    let source = graph.source();
    let stated = source.preprocessing.first();
    let entries = [
        ("residua.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("residua.source.format", Some(source.format.name().to_owned())),
        ("residua.source.framework", Some(source.framework.name().to_owned())),
        ("residua.source.version", source.version.clone()),
        ("residua.architecture", source.architecture.clone()),
        ("residua.preprocessing", stated.map(|stated| stated.preparation.to_text())),
        ("residua.preprocessing.from", stated.map(Stated::origin)),
        ("residua.labels", (!source.labels.is_empty()).then(|| serde_json::json!(source.labels).to_string())),
    ];
    entries.into_iter().filter_map(|(key, value)| Some((key, value.filter(|v| !v.is_empty())?))).collect()
}
