//! What came of looking for a protocol.

use serde::Serialize;

use super::protocol::Protocol;
use super::statistics::Share;

/// An accuracy that is to be reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Target {
    /// The share, 0 to 1.
    pub top1: f64,
    /// Who says so.
    pub by: String,
}

/// A protocol that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// How images were prepared.
    pub protocol: Protocol,
    /// The same as options; empty for what the weights come with.
    pub options: String,
    /// How classes became outputs.
    pub classes_by: String,
    /// Images of the sample that it was tried on: fewer where it was dropped.
    pub count: u64,
    /// The share that it gets right.
    pub top1: Share,
    /// The share whose class is among the five best.
    pub top5: Share,
    /// Mean of −ln of the probability of the right class.
    pub loss: Option<f64>,
    /// Whether it was dropped before the end.
    pub dropped: bool,
    /// Whether the figure that is to be reached lies in its interval.
    pub fits: Option<bool>,
    /// McNemar's exact p against the one that was chosen, over the images of both.
    pub mcnemar_p: f64,
}

/// What came of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundProtocol {
    /// What was to be reached.
    pub target: Option<Target>,
    /// Protocols, the chosen one first: by how near they are to the figure, or how good.
    pub tried: Vec<Tried>,
    /// How many fit the figure; without one, how many are as good as the best, as far as the sample tells.
    pub fitting: usize,
}
