//! Findings about a graph, with stable codes and explanations.
