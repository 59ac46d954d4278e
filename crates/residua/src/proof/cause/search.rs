//! The search: which trials are made, in what order, and what is made of them.

use crate::error::Result;

use super::super::Settings;
use super::super::layers::Layers;
use super::{Case, Cause, Distance, GENERAL, Hypothesis, PARTICULAR, Part, SEEN, State, Trial};

/// Causes that are looked for one after the other.
const ROUNDS: usize = 3;

/// A cause explains at least this much of what is left.
const LEAST: f64 = 0.5;

/// What explains this much needs no better explanation.
const ENOUGH: f64 = 0.999;

/// Why both differ, as far as that can be tried; `bounds` of their outputs.
pub(in super::super) fn find(layers: &Layers<'_>, bounds: &[f64], settings: &Settings) -> Result<Option<Cause>> {
    let state =
        State { a: layers.a.clone(), b: layers.b.clone(), before_softmax: settings.before_softmax, labels: None };
    let Some(start) = state.distance(bounds, settings)?.filter(|start| start.norm > 0.0) else {
        // Outputs of other shapes, of which nothing can be said.
        return Ok(None);
    };
    let fresh = Search { bounds, settings, start, state, left: start, parts: Vec::new() };
    let particular = fresh.best(layers, &PARTICULAR, None)?;
    let mut search = fresh.clone();
    let first = search.best(layers, &GENERAL, particular.clone())?;
    search.rounds(first, &[&PARTICULAR[..], &GENERAL[..]].concat())?;
    if search.parts.iter().any(|part| ["weights", "biases"].contains(&part.kind)) {
        // Several causes at once look like other weights.
        let mut other = fresh;
        other.take_all(layers, &SEEN)?;
        if !other.left.within {
            // Where nothing was taken, the models are those that were looked at first.
            let first = if other.parts.is_empty() { particular } else { other.best_anew(&PARTICULAR)? };
            other.rounds(first, &PARTICULAR)?;
        }
        if other.is_enough(other.left, start) {
            search = other;
        }
    }
    Ok(search.cause())
}

/// A trial, what becomes of the models with it, and how far they are apart then.
type Tried = (Trial, State, Distance);

/// What was explained so far, and what is left.
#[derive(Clone)]
struct Search<'s> {
    bounds: &'s [f64],
    settings: &'s Settings,
    start: Distance,
    state: State,
    left: Distance,
    parts: Vec<Part>,
}

impl Search<'_> {
    /// Takes the best trial, and the best one for what is left, and so on; `first` is the best one for the state as it is.
    fn rounds(&mut self, first: Option<Tried>, hypotheses: &[Hypothesis]) -> Result<()> {
        let mut next = first;
        for round in 1..=ROUNDS {
            let Some(best) = next else { break };
            self.take(best);
            if self.left.within || round == ROUNDS {
                break;
            }
            next = self.best_anew(hypotheses)?;
        }
        Ok(())
    }

    /// The best trial for models that were not looked into as they are now.
    fn best_anew(&self, hypotheses: &[Hypothesis]) -> Result<Option<Tried>> {
        let layers = Layers::compare(&self.state.a, &self.state.b, false, self.settings)?;
        self.best(&layers, hypotheses, None)
    }

    /// Takes all that there is, however much of the difference it takes away.
    fn take_all(&mut self, layers: &Layers<'_>, hypotheses: &[Hypothesis]) -> Result<()> {
        for hypothesis in hypotheses {
            // Each sees the models as those before it left them.
            let state = self.state.clone();
            let again;
            let layers = if self.parts.is_empty() {
                layers
            } else {
                again = Layers::compare(&state.a, &state.b, false, self.settings)?;
                &again
            };
            for trial in hypothesis(&Case { state: &state, layers, settings: self.settings })? {
                if let Some((next, distance)) = self.tried(&trial) {
                    self.take((trial, next, distance));
                }
            }
        }
        Ok(())
    }

    /// What becomes of the models with a change, where they can be run and give numbers.
    fn tried(&self, trial: &Trial) -> Option<(State, Distance)> {
        let next = self.state.changed(&trial.change).ok()?;
        let distance = next.distance(self.bounds, self.settings).ok()?.filter(|distance| distance.finite)?;
        Some((next, distance))
    }

    /// The trial that takes most of the difference away, of these and the best one so far.
    fn best(&self, layers: &Layers<'_>, hypotheses: &[Hypothesis], so_far: Option<Tried>) -> Result<Option<Tried>> {
        let case = Case { state: &self.state, layers, settings: self.settings };
        let mut best = so_far;
        if best.as_ref().is_some_and(|(_, _, distance)| self.is_enough(*distance, self.left)) {
            return Ok(best);
        }
        for hypothesis in hypotheses {
            for trial in hypothesis(&case)? {
                // What cannot be run explains nothing.
                let Some((next, distance)) = self.tried(&trial) else { continue };
                let enough = self.is_enough(distance, self.left);
                let better = best.as_ref().map_or((1.0 - LEAST) * self.left.norm, |(_, _, best)| best.norm);
                if distance.norm < better || enough {
                    best = Some((trial, next, distance));
                }
                if enough {
                    return Ok(best);
                }
            }
        }
        Ok(best)
    }

    fn is_enough(&self, left: Distance, of: Distance) -> bool {
        left.within || left.norm <= (1.0 - ENOUGH) * of.norm
    }

    fn take(&mut self, (trial, next, distance): Tried) {
        let explains = ((self.left.norm - distance.norm) / self.start.norm).max(0.0);
        self.parts.push(Part { kind: trial.kind, what: trial.what, explains });
        (self.state, self.left) = (next, distance);
    }

    fn cause(self) -> Option<Cause> {
        let most = self.parts.iter().max_by(|a, b| a.explains.total_cmp(&b.explains))?;
        let what: Vec<&str> = self.parts.iter().map(|part| part.what.as_str()).collect();
        Some(Cause {
            kind: most.kind,
            what: what.join("; besides, "),
            explains: 1.0 - self.left.norm / self.start.norm,
            within_bound: self.left.within,
            parts: if self.parts.len() > 1 { self.parts } else { Vec::new() },
        })
    }
}
