//! What was probably meant by a name that is not there.

use residua_ir::Shown;

/// At most three of `names`, nearest first; none where nothing is near.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let folded = wanted.to_lowercase();
    let mut ranked: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let candidate = name.to_lowercase();
            let distance = strsim::levenshtein(&folded, &candidate);
            let part = !folded.is_empty() && (candidate.contains(&folded) || folded.contains(&candidate));
            let near = distance <= folded.chars().count().max(3) / 3;
            (part || near).then_some((distance, name))
        })
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().map(|(_, name)| name).take(3).collect()
}

/// The sentence for an error message: ` (did you mean …?)`, or what there is instead.
pub fn hint<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let near = nearest(wanted, names.iter().copied());
    match (&near[..], &names[..]) {
        ([], []) => String::new(),
        ([], few) if few.len() <= 6 => format!("; there is {}", list(few)),
        ([], [first, .., last]) => {
            format!("; there are {} from `{}` to `{}`", names.len(), first.shown(), last.shown())
        }
        ([], [only]) => format!("; there is `{}`", only.shown()),
        (near, _) => format!("; did you mean {}?", list(near)),
    }
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.shown())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["conv1_conv", "conv1_bn", "conv2_block1_1_conv", "predictions"];
        assert_eq!(nearest("conv1_cnv", names), ["conv1_conv", "conv1_bn"]);
        assert_eq!(nearest("predictons", names), ["predictions"]);
        assert!(nearest("xyz", names).is_empty());
        assert_eq!(hint("xyz", ["a"]), "; there is `a`");
        assert_eq!(hint("predictons", names), "; did you mean `predictions`?");
    }
}
