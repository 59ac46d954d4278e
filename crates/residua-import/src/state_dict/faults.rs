//! What keeps tensors from being the network that they come nearest to, in words, and which names were probably meant.

use residua_ir::Shown;

use super::network::Near;

/// Tensors of each kind that are named.
const SHOWN: usize = 3;
/// Names that are held against each other.
const HELD: usize = 64;
/// Letters in which a misspelt name may differ.
const LETTERS: usize = 3;

/// What is missing, left over or of another shape.
pub(super) fn told(near: &Near) -> String {
    let nearest = &near.nearest;
    let name = |index: usize| near.names.get(index).map_or("", String::as_str);
    let missing: Vec<String> = nearest.missing.iter().map(|name| format!("{}{name}", near.prefix)).collect();
    let left: Vec<&str> = nearest.left.iter().map(|&index| name(index)).collect();
    let mut faults = Vec::new();
    if !missing.is_empty() {
        faults.push(listed(missing.iter().map(String::as_str), "is missing", "are missing"));
    }
    if !left.is_empty() {
        faults.push(listed(left.iter().copied(), "fits nowhere", "fit nowhere"));
    }
    let misshapen = nearest.misshapen.iter().take(SHOWN);
    faults.extend(misshapen.map(|(index, shape)| format!("`{}` would have shape {shape:?}", name(*index).shown())));
    if nearest.misshapen.len() > SHOWN {
        faults.push(format!("{} more would have other shapes", nearest.misshapen.len() - SHOWN));
    }
    faults.extend(nearest.reasons.iter().cloned());
    let meant: Vec<String> = meant(&left, &missing)
        .into_iter()
        .map(|(left, missing)| format!("`{}` is perhaps `{}`", left.shown(), missing.shown()))
        .collect();
    faults.extend(meant);
    format!(
        "nearest is {}, with places for {} of {}: {}",
        nearest.class,
        nearest.placed,
        near.names.len(),
        faults.join("; ")
    )
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>, one: &str, several: &str) -> String {
    let count = names.len();
    let shown: Vec<String> = names.take(SHOWN).map(|name| format!("`{}`", name.shown())).collect();
    match (count, count.saturating_sub(SHOWN)) {
        (1, _) => format!("{} {one}", shown.join(", ")),
        (_, 0) => format!("{} {several}", shown.join(", ")),
        (_, more) => format!("{} and {more} more {several}", shown.join(", ")),
    }
}

/// Missing names, each with the one that is left over and differs from it in the fewest letters.
fn meant<'a>(left: &[&'a str], missing: &'a [String]) -> Vec<(&'a str, &'a str)> {
    let nearest = |missing: &'a String| {
        let all = left.iter().take(HELD).map(|&name| (distance(name, missing), name));
        all.min().filter(|(distance, _)| *distance <= LETTERS).map(|(_, name)| (name, missing.as_str()))
    };
    missing.iter().take(HELD).filter_map(nearest).take(SHOWN).collect()
}

/// Levenshtein's distance, of names that are about as long; a large one for others.
fn distance(a: &str, b: &str) -> usize {
    const LONG: usize = 256;
    if a.len().abs_diff(b.len()) > LETTERS || a.len() > LONG {
        return usize::MAX;
    }
    strsim::levenshtein(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_meant_that_differs_in_a_few_letters() {
        let missing = ["layer2.0.bn2.running_var".to_owned(), "fc.bias".to_owned()];
        let found = meant(&["layer2.0.bn2.runing_var", "something.else"], &missing);
        assert_eq!(found, [("layer2.0.bn2.runing_var", "layer2.0.bn2.running_var")]);
        assert_eq!((distance("kitten", "sitting"), distance("a", "abcdefgh")), (3, usize::MAX));
    }

    #[test]
    fn lists_end() {
        assert_eq!(listed(["a"].into_iter(), "is missing", "are missing"), "`a` is missing");
        assert_eq!(listed(["a", "b"].into_iter(), "is", "are"), "`a`, `b` are");
        assert_eq!(listed(["a", "b", "c", "d"].into_iter(), "is", "are"), "`a`, `b`, `c` and 1 more are");
    }
}
