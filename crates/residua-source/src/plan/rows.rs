//! Rows of parts of one module: runs of those that are alike, or that grow by the same number each.

use crate::form::{Kind, Module, Run};

/// Least parts that grow: two are two.
const LEAST: usize = 3;

/// The runs of parts with these numbers. The parameter that grows is the module's: the same along all of its rows.
pub(super) fn runs(parts: &[&[usize]], module: &mut Module) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        let (count, growth) = match (same(&parts[at..]), growing(&parts[at..], module)) {
            (1, Some((count, parameter, growth))) => {
                module.growing = Some(parameter);
                (count, growth)
            }
            (count, _) => (count, 0),
        };
        runs.push(Run { count, numbers: parts[at].to_vec(), growth });
        at += count;
    }
    runs
}

/// How many of the first parts have the same numbers.
fn same(parts: &[&[usize]]) -> usize {
    parts.iter().take_while(|part| **part == parts[0]).count()
}

/// How many of the first parts differ by one number that grows, which it is, and by how much.
fn growing(parts: &[&[usize]], module: &Module) -> Option<(usize, usize, usize)> {
    let [first, second, ..] = parts else { return None };
    let mut differ = (0..first.len()).filter(|&at| first[at] != second[at]);
    let (at, None) = (differ.next()?, differ.next()) else { return None };
    let is_size = module.parameters.get(at).is_some_and(|parameter| parameter.kind.is_like(Kind::Size));
    if !is_size || module.growing.is_some_and(|growing| growing != at) {
        return None;
    }
    let growth = second[at].checked_sub(first[at])?;
    let run = Run { count: parts.len(), numbers: first.to_vec(), growth };
    let count = run.each(Some(at)).zip(parts).take_while(|(grown, part)| grown == *part).count();
    (count >= LEAST).then_some((count, at, growth))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Parameter;

    fn module() -> Module {
        let parameter = |name: &str, kind| Parameter { name: name.to_owned(), kind };
        Module {
            name: "Part".to_owned(),
            about: String::new(),
            parameters: vec![parameter("inputs", Kind::Inputs), parameter("stride", Kind::Stride)],
            fields: Vec::new(),
            inputs: 1,
            statements: Vec::new(),
            results: Vec::new(),
            ranks: [vec![4], vec![4]],
            is_in_rows: true,
            growing: None,
            shapes: None,
        }
    }

    #[test]
    fn what_grows_evenly_is_one_run() {
        let mut module = module();
        let parts: [&[usize]; 5] = [&[64, 1], &[96, 1], &[128, 1], &[160, 1], &[160, 1]];
        let found = runs(&parts, &mut module);
        assert_eq!(module.growing, Some(0));
        let each: Vec<Vec<usize>> = found.iter().flat_map(|run| run.each(module.growing)).collect();
        assert_eq!(each, parts);
        assert_eq!(found.iter().map(|run| (run.count, run.growth)).collect::<Vec<_>>(), [(4, 32), (1, 0)]);
    }

    #[test]
    fn two_are_two_and_strides_do_not_grow() {
        let mut module = module();
        let parts: [&[usize]; 2] = [&[64, 1], &[96, 1]];
        assert_eq!(runs(&parts, &mut module).len(), 2);
        let parts: [&[usize]; 3] = [&[64, 1], &[64, 2], &[64, 3]];
        assert_eq!(runs(&parts, &mut module).len(), 3);
        assert_eq!(module.growing, None);
    }
}
