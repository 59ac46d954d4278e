//! Passes: what makes one graph of another, by name, and says what it changed.
//!
//! A rewrite is a [`Pass`], whoever asks for it: what [`normalise`](super::normalise()) repeats until nothing is found, constants
//! that become tensors, batch norms that are folded, weights of another type. Each gives the graph, where its nodes and values
//! come from, and what was [`Applied`]. Not here: making a batch free, which is refused for reasons of its own
//! ([`free_batch`](super::free_batch())).

use serde::Serialize;

use super::RewriteError;
use super::edit::Origin;
use crate::budget::{Limit, Meter};
use crate::graph::Graph;
use crate::validate::Typed;

/// What a pass did to the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The same operations on the same numbers in the same order: f64 results are bit-identical.
    Nothing,
    /// The same function over the reals, rounded elsewhere.
    Rounding,
}

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its name.
    pub pass: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    /// What it did to the numbers.
    pub change: Change,
    /// Names of the nodes in whose place something else stands.
    pub nodes: Vec<String>,
}

/// A graph that a pass made.
#[derive(Debug, Clone)]
pub struct Rewritten {
    /// The graph; to be validated again where it is to be run or written.
    pub graph: Graph,
    /// Where its nodes and values are in the graph that the pass was given.
    pub origin: Origin,
    /// What was done.
    pub applied: Applied,
}

/// Something that is done to a graph.
pub trait Pass: Sync {
    /// Its name, as reports have it.
    fn name(&self) -> &'static str;

    /// What it does, for people: `removed what does nothing when run`.
    fn what(&self) -> &'static str;

    /// Does it; `None` where there is nothing to do.
    ///
    /// # Errors
    /// [`RewriteError`] where a tensor cannot be read, or the result is too large.
    fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError>;
}

/// A graph after passes, each as often as it found something.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) model: Typed,
    pub(super) origin: Origin,
    /// In the order of the passes.
    pub(super) applied: Vec<Applied>,
}

/// Runs passes one after the other, again and again until none changes anything; `None` where none does.
///
/// # Errors
/// [`RewriteError`], also where they change something in more rounds than there may be.
pub(super) fn settle(model: &Typed, passes: &[&dyn Pass]) -> Result<Option<Settled>, RewriteError> {
    let mut rounds = Meter::new(Limit::PassRounds);
    let mut origin = Origin::identity(model.graph());
    let mut changed: Option<Typed> = None;
    let mut applied: Vec<Option<Applied>> = vec![None; passes.len()];
    loop {
        let mut again = false;
        for (pass, entry) in passes.iter().zip(&mut applied) {
            let model = changed.as_ref().unwrap_or(model);
            let Some(Rewritten { graph, origin: step, applied: new }) = pass.run(model)? else { continue };
            if graph.reads_as(model.graph()) {
                continue;
            }
            origin = step.before(&origin);
            changed = Some(Typed::new(graph));
            again = true;
            match entry {
                Some(entry) => {
                    entry.change = entry.change.max(new.change);
                    entry.nodes.extend(new.nodes);
                }
                None => *entry = Some(new),
            }
        }
        if !again {
            break;
        }
        rounds.spend(1)?;
    }
    Ok(changed.map(|model| Settled { model, origin, applied: applied.into_iter().flatten().collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::{Edits, Expr};
    use crate::{Activation, GraphBuilder, Op, Shape};

    /// Puts one node more before the last until there are so many.
    struct Growing(usize);

    impl Pass for Growing {
        fn name(&self) -> &'static str {
            "growing"
        }

        fn what(&self) -> &'static str {
            "made it longer"
        }

        fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError> {
            let mut edits = Edits::new(model);
            if model.graph().nodes().len() >= self.0 {
                return Ok(None);
            }
            let Some(id) = model.graph().node_ids().last() else { return Ok(None) };
            let node = model.graph().node(id);
            let before = Expr::step("before", node.op.clone(), vec![node.inputs[0].into()]);
            edits.replace(id, Expr::made(node.op.clone(), vec![before]));
            let (graph, origin) = edits.apply()?;
            let nodes = vec![node.name.raw().to_owned()];
            let applied = Applied { pass: self.name(), what: self.what(), change: Change::Nothing, nodes };
            Ok(Some(Rewritten { graph, origin, applied }))
        }
    }

    /// Puts a node in the place of its like.
    struct Idle;

    impl Pass for Idle {
        fn name(&self) -> &'static str {
            "idle"
        }

        fn what(&self) -> &'static str {
            "changed nothing"
        }

        fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError> {
            let mut edits = Edits::new(model);
            for id in model.graph().node_ids() {
                let node = model.graph().node(id);
                edits.replace(id, Expr::made(node.op.clone(), node.inputs.iter().map(|&x| x.into()).collect()));
            }
            let (graph, origin) = edits.apply()?;
            let applied = Applied { pass: self.name(), what: self.what(), change: Change::Rounding, nodes: Vec::new() };
            Ok(Some(Rewritten { graph, origin, applied }))
        }
    }

    fn relu() -> Typed {
        let mut g = GraphBuilder::new("net");
        let x = g.input("x", Shape::batch(&[2]));
        let y = g.add("y", Op::Activation(Activation::RELU), &[x]);
        g.output(y);
        Typed::new(g.finish().unwrap())
    }

    #[test]
    fn what_makes_the_same_graph_again_has_changed_nothing() {
        assert!(settle(&relu(), &[&Idle]).unwrap().is_none());
    }

    #[test]
    fn what_was_done_in_all_rounds_is_told_once_a_pass() {
        let settled = settle(&relu(), &[&Idle, &Growing(4)]).unwrap().unwrap();
        assert_eq!(settled.model.graph().nodes().len(), 4);
        let [applied] = &settled.applied[..] else { panic!("{:?}", settled.applied) };
        assert_eq!((applied.pass, applied.nodes.len(), applied.change), ("growing", 3, Change::Nothing));
        let last = settled.model.graph().node_ids().last().unwrap();
        assert_eq!(settled.origin.node(last).index(), 0);
    }

    #[test]
    fn what_changes_in_more_rounds_than_there_may_be_is_an_error_that_says_so() {
        let most = Limit::PassRounds.most_here();
        assert!(settle(&relu(), &[&Growing(1 + most)]).unwrap().is_some());
        let error = settle(&relu(), &[&Growing(2 + most)]).unwrap_err();
        assert!(matches!(error, RewriteError::Limit(overrun) if overrun.limit == Limit::PassRounds), "{error}");
    }
}
