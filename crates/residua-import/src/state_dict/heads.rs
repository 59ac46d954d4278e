//! Which tensors beside a network can be those of heads: what takes the network's features, and what lies behind that.
//!
//! A projector is matrices and norms over vectors, the first of which takes what the network gives; a predictor takes what the projector gives; prototypes and
//! a queue have as many numbers a row. So widths are followed from the network on. Kernels are no such thing: what has them works on maps, and is another
//! network (a feature pyramid, a decoder), of which somebody has to say that it is not meant.

use std::collections::{BTreeMap, BTreeSet};

/// Modules by their paths, with the shapes of their tensors.
pub(super) type Modules = BTreeMap<String, Vec<Vec<usize>>>;

/// The module right beside the network, or right within it, that a tensor is of; `prefix` is what stands before the names of the network, with its dot.
pub(super) fn module_of(name: &str, prefix: &str) -> String {
    let shared = prefix.split_inclusive('.').zip(name.split_inclusive('.')).take_while(|(a, b)| a == b);
    let shared: usize = shared.map(|(segment, _)| segment.len()).sum();
    let rest = name.get(shared..).unwrap_or_default();
    let first = rest.find('.').unwrap_or(rest.len());
    name.get(..shared + first).unwrap_or(name).to_owned()
}

/// Whether all these modules can be heads behind a network that gives so many numbers, in one place or another.
pub(super) fn are_heads(modules: &Modules, features: &[Option<usize>]) -> bool {
    let mut widths: BTreeSet<usize> = features.iter().flatten().copied().collect();
    let mut open: Vec<&Vec<Vec<usize>>> = modules.values().collect();
    if open.iter().copied().flatten().any(|shape| shape.len() > 2) {
        return false;
    }
    // Each round takes at least one module.
    loop {
        let before = open.len();
        open.retain(|shapes| {
            let takes = shapes.iter().any(|shape| shape.iter().any(|width| *width > 1 && widths.contains(width)));
            if takes {
                follow(shapes, &mut widths);
            }
            !takes
        });
        if open.is_empty() || open.len() == before {
            return open.is_empty();
        }
    }
}

/// Adds what the matrices of a module give, where they take one of these widths.
fn follow(shapes: &[Vec<usize>], widths: &mut BTreeSet<usize>) {
    loop {
        let given = shapes.iter().filter_map(|shape| match shape[..] {
            [outputs, inputs] if widths.contains(&inputs) && !widths.contains(&outputs) => Some(outputs),
            _ => None,
        });
        let given: Vec<usize> = given.collect();
        if given.is_empty() {
            return;
        }
        widths.extend(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(all: &[(&str, &[&[usize]])]) -> Modules {
        let shapes = |shapes: &[&[usize]]| shapes.iter().map(|shape| shape.to_vec()).collect();
        all.iter().map(|(name, all)| ((*name).to_owned(), shapes(all))).collect()
    }

    #[test]
    fn what_takes_features_is_a_head_and_what_lies_behind_it() {
        let moco: Modules = modules(&[("fc", &[&[24, 32], &[24], &[8, 24], &[8]]), ("queue", &[&[8, 100]])]);
        assert!(are_heads(&moco, &[Some(32)]));
        assert!(!are_heads(&moco, &[Some(64)]), "nothing takes 64 features");
        let predictor = modules(&[("a_predictor", &[&[6, 8], &[8, 6]]), ("projector", &[&[8, 32], &[]])]);
        assert!(are_heads(&predictor, &[Some(32)]), "in any order");
    }

    #[test]
    fn kernels_and_what_nothing_leads_to_are_none() {
        assert!(!are_heads(&modules(&[("fpn", &[&[8, 32, 1, 1], &[8]])]), &[Some(32)]));
        assert!(!are_heads(&modules(&[("prelu", &[&[1]])]), &[Some(32)]));
        assert!(!are_heads(&modules(&[("mean", &[&[3]]), ("fc", &[&[5, 32]])]), &[Some(32)]));
    }

    #[test]
    fn modules_are_told_from_where_names_part() {
        assert_eq!(module_of("module.encoder.fc.0.weight", "module.encoder."), "module.encoder.fc");
        assert_eq!(module_of("module.predictor.0.weight", "module.encoder."), "module.predictor");
        assert_eq!(module_of("module.queue", "module.encoder."), "module.queue");
        assert_eq!(module_of("head.weight", ""), "head");
    }
}
