//! Cycles among things that wait for each other.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use residua_ir::Finding;
use residua_ir::faults::CYCLE;

/// Groups of nodes that depend on each other, or a node on itself; in each the order in which they do so, beginning with
/// the first. `reads[n]` are the nodes that node `n` waits for.
pub(crate) fn cycles(reads: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    for group in groups(reads) {
        let first = group.iter().copied().min().unwrap_or_default();
        if group.len() > 1 || reads[first].contains(&first) {
            found.push(around(reads, first, &group));
        }
    }
    found.sort();
    found
}

/// A cycle as a finding, by the names of its nodes in their order.
pub(crate) fn finding(names: &[String]) -> Finding {
    const TOLD: usize = 6;
    let (first, others) = names.split_first().map_or(("", &[][..]), |(first, others)| (first.as_str(), others));
    let through = match others {
        [] => String::new(),
        [only] => format!(", through `{only}`"),
        [before @ .., last] if before.len() < TOLD => format!(", through `{}` and `{last}`", before.join("`, `")),
        [next, .., last] => format!(", through `{next}` and {} more to `{last}`", others.len() - 2),
    };
    let help = "connect the first of them to what it is meant to read";
    Finding::new(&CYCLE, format!("it depends on its own result{through}"), help).at(first)
}

/// Strongly connected components, by Tarjan's algorithm (1972) without recursion.
fn groups(reads: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let count = reads.len();
    let (mut number, mut low, mut open) = (vec![NEW; count], vec![0; count], vec![false; count]);
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..count {
        let mut path = vec![(root, 0)];
        while let Some((node, edge)) = path.pop() {
            if edge == 0 {
                if number[node] != NEW {
                    continue;
                }
                (number[node], low[node], open[node]) = (next, next, true);
                next += 1;
                stack.push(node);
            } else {
                let before = reads[node][edge - 1];
                low[node] = low[node].min(if open[before] { low[before] } else { NEW });
            }
            if let Some(&target) = reads[node].get(edge) {
                path.push((node, edge + 1));
                if number[target] == NEW {
                    path.push((target, 0));
                }
                continue;
            }
            if low[node] == number[node] {
                let start = stack.iter().rposition(|&other| other == node).unwrap_or_default();
                let group: Vec<usize> = stack.drain(start..).collect();
                group.iter().for_each(|&member| open[member] = false);
                found.push(group);
            }
        }
    }
    found
}

/// A shortest way from a node of a group back to itself, in the direction in which values go.
fn around(reads: &[Vec<usize>], first: usize, group: &[usize]) -> Vec<usize> {
    let members: HashSet<usize> = group.iter().copied().collect();
    let mut from: HashMap<usize, usize> = HashMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(node) = queue.pop_front() {
        for &before in reads[node].iter().filter(|before| members.contains(before)) {
            if before == first {
                let mut way = vec![node];
                while let Some(&after) = way.last().and_then(|last| from.get(last)) {
                    way.push(after);
                }
                // From `first` backwards to a reader of it: turned round, and begun with `first`.
                if way.last() == Some(&first) {
                    way.pop();
                }
                way.insert(0, first);
                return way;
            }
            if let Entry::Vacant(new) = from.entry(before) {
                new.insert(node);
                queue.push_back(before);
            }
        }
    }
    group.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_stands_behind_a_cycle_is_no_part_of_it() {
        // 0 → 1 → 2 → 3 → 1, 3 → 4; 5 reads itself; 6 reads nothing.
        let reads = [vec![], vec![0, 3], vec![1], vec![2], vec![3], vec![5], vec![]];
        assert_eq!(cycles(&reads), [vec![1, 2, 3], vec![5]]);
        assert!(cycles(&[vec![], vec![0], vec![0, 1]]).is_empty());
    }

    #[test]
    fn a_long_chain_takes_no_stack() {
        let mut reads: Vec<Vec<usize>> = (0..200_000usize).map(|node| vec![node.saturating_sub(1)]).collect();
        reads[0].clear();
        assert!(cycles(&reads).is_empty());
        reads[0].push(199_999);
        assert_eq!(cycles(&reads)[0].len(), 200_000);
    }
}
