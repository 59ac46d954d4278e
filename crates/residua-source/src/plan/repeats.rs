//! What is repeated in sequences of segments: the runs of them that are worth being a part of their own.

use std::collections::HashMap;

use residua_ir::NodeId;

use super::item::{Item, Label, Piece, has_layer};
use super::order::Segment;
use super::parts::{Parts, Token};

/// Longest run that is looked for, in segments.
const LONGEST: usize = 24;
/// Kinds of runs that are looked for.
const KINDS: usize = 12;
/// Least nodes of a run.
const LEAST: usize = 3;

/// A sequence in which runs are looked for. Runs do not go beyond its ends.
struct Sequence {
    tokens: Vec<Token>,
    /// A number a token: the same for those that are alike.
    kinds: Vec<u32>,
}

/// The tokens with repeated runs as parts; where a wide segment is not repeated itself, what is repeated in it is.
pub(super) fn find(parts: &mut Parts, tokens: Vec<Token>) -> Vec<Token> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut sequences = vec![Sequence::of(parts, tokens, &mut numbers)];
    replace(parts, &mut sequences);
    let Some(root) = sequences.pop() else { return Vec::new() };
    let mut inner: Vec<Sequence> = Vec::new();
    let mut of_segment: Vec<Option<(usize, usize)>> = Vec::new();
    for token in &root.tokens {
        let chains = match token {
            Token::Segment(segment) => parts.chains(segment),
            Token::Item(_) => Vec::new(),
        };
        let first = inner.len();
        for chain in chains {
            let links = chain.into_iter().map(Token::Segment).collect();
            inner.push(Sequence::of(parts, links, &mut numbers));
        }
        of_segment.push((inner.len() > first).then_some((first, inner.len())));
    }
    replace(parts, &mut inner);
    let mut result = Vec::new();
    for (token, range) in root.tokens.into_iter().zip(of_segment) {
        let found = range.map_or(&[][..], |(first, end)| &inner[first..end]);
        match token {
            Token::Segment(segment) if found.iter().any(Sequence::has_item) => {
                result.extend(spliced(parts, &segment, found));
            }
            token => result.push(token),
        }
    }
    result
}

/// The nodes of a segment as tokens, with the parts that were found in its chains. Its ends are not ends of tokens within.
fn spliced(parts: &Parts, segment: &Segment, chains: &[Sequence]) -> Vec<Token> {
    let places = parts.order.nodes[segment.range.clone()].iter().enumerate();
    let places: HashMap<NodeId, usize> = places.map(|(at, &node)| (node, at)).collect();
    let mut items: HashMap<usize, (usize, usize)> = HashMap::new();
    for token in chains.iter().flat_map(|chain| &chain.tokens) {
        if let Token::Item(item) = token {
            let nodes: Vec<usize> = parts.items[*item]
                .pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Node(node) => places.get(node).copied(),
                    Piece::Item(_) | Piece::Row(_) | Piece::Choice(_) => None,
                })
                .collect();
            if let (Some(&first), Some(&last)) = (nodes.first(), nodes.last()) {
                items.insert(first, (last, *item));
            }
        }
    }
    let (mut at, mut tokens) = (0, Vec::new());
    while at < segment.range.len() {
        match items.get(&at) {
            Some(&(last, item)) => {
                tokens.push(Token::Item(item));
                at = last + 1;
            }
            None => {
                let place = segment.range.start + at;
                tokens.push(Token::Segment(Segment { range: place..place + 1, ends: None }));
                at += 1;
            }
        }
    }
    tokens
}

impl Sequence {
    fn of(parts: &Parts, tokens: Vec<Token>, numbers: &mut HashMap<String, u32>) -> Self {
        let mut number = |token: &Token| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(parts.token_key(token)).or_insert(next)
        };
        let kinds = tokens.iter().map(&mut number).collect();
        Self { tokens, kinds }
    }

    fn has_item(&self) -> bool {
        self.tokens.iter().any(|token| matches!(token, Token::Item(_)))
    }

    /// Whether the tokens of a range can be one part.
    fn is_part(&self, parts: &Parts, from: usize, len: usize) -> bool {
        let tokens = &self.tokens[from..from + len];
        let ends = |token: &Token| matches!(token, Token::Segment(segment) if segment.ends.is_some());
        let given = |token: &Token| parts.ends_of(token).is_some_and(|(_, value)| parts.order.is_given(value));
        tokens.iter().all(ends) && !tokens[..len - 1].iter().any(given)
    }
}

/// Puts parts in the place of what is repeated, what saves most first.
fn replace(parts: &mut Parts, sequences: &mut [Sequence]) {
    for _ in 0..KINDS {
        let Some((gram, len)) = best(parts, sequences) else { return };
        for sequence in &mut *sequences {
            let mut at = 0;
            while at + len <= sequence.tokens.len() {
                if sequence.kinds[at..at + len] != gram[..] || !sequence.is_part(parts, at, len) {
                    at += 1;
                    continue;
                }
                let tokens = &sequence.tokens[at..at + len];
                let ends = |token: Option<&Token>| token.and_then(|token| parts.ends_of(token));
                let (Some((input, _)), Some((_, output))) = (ends(tokens.first()), ends(tokens.last())) else { return };
                let pieces = tokens.iter().flat_map(|token| parts.pieces(token)).collect();
                let (inputs, outputs) = (vec![input], vec![output]);
                let item = parts.push(Item { inputs, outputs, pieces, label: Label::Repeated, stage: None });
                sequence.tokens.splice(at..at + len, [Token::Item(item)]);
                // Its own kind: parts are in no other part but the network.
                sequence.kinds.splice(at..at + len, [u32::MAX]);
                at += 1;
            }
        }
    }
}

/// How often a run is there.
struct Occurrences {
    count: usize,
    /// The sequence in which the last one is, and where it ends.
    end: (usize, usize),
    /// Nodes of one.
    nodes: usize,
}

/// The run that saves most statements, and its length.
fn best(parts: &Parts, sequences: &[Sequence]) -> Option<(Vec<u32>, usize)> {
    let mut best: Option<(usize, Vec<u32>)> = None;
    for len in 1..=LONGEST {
        let mut found: HashMap<&[u32], Occurrences> = HashMap::new();
        // In the order of first appearance.
        let mut first: Vec<&[u32]> = Vec::new();
        for (index, sequence) in sequences.iter().enumerate() {
            for at in 0..(sequence.kinds.len() + 1).saturating_sub(len) {
                let gram = &sequence.kinds[at..at + len];
                if gram.contains(&u32::MAX) {
                    continue;
                }
                match found.get_mut(gram) {
                    Some(Occurrences { count, end, .. }) if end.0 != index || end.1 <= at => {
                        *count += 1;
                        *end = (index, at + len);
                    }
                    Some(_) => {}
                    None => {
                        let nodes = worth(parts, sequence, at, len);
                        found.insert(gram, Occurrences { count: 1, end: (index, at + len), nodes });
                        first.push(gram);
                    }
                }
            }
        }
        for gram in first {
            let Some(&Occurrences { count, nodes, .. }) = found.get(gram) else { continue };
            if count < 2 || nodes < LEAST {
                continue;
            }
            let saved = (count - 1) * nodes;
            if best.as_ref().is_none_or(|(most, _)| saved > *most) {
                best = Some((saved, gram.to_vec()));
            }
        }
    }
    best.map(|(_, gram)| {
        let len = gram.len();
        (gram, len)
    })
}

/// Nodes of a run, 0 where it cannot be a part or has no layers.
fn worth(parts: &Parts, sequence: &Sequence, at: usize, len: usize) -> usize {
    if !sequence.is_part(parts, at, len) {
        return 0;
    }
    let nodes: Vec<_> = sequence.tokens[at..at + len]
        .iter()
        .flat_map(|token| match token {
            Token::Segment(segment) => parts.nodes(segment).to_vec(),
            Token::Item(_) => Vec::new(),
        })
        .collect();
    if has_layer(&parts.order, &nodes) { nodes.len() } else { 0 }
}
