//! A network in parts: its blocks as the anatomy has them, what is repeated, and the rest in stretches.

use std::collections::HashMap;

use residua_ir::{Checked, NodeId, Op, ValueId};
use residua_resnet::Anatomy;
use residua_resnet::anatomy::{ActivationOrder, Block, BlockKind, Step};

use super::item::{self, ChoicePiece, Item, Label, Piece};
use super::order::{Order, Segment};

/// Statements of a network beyond which it is cut into stretches.
const LONG: usize = 60;
/// Statements of a stretch.
const STRETCH: usize = 40;
/// Nodes of a segment from which on what is repeated within is looked for.
const WIDE: usize = 8;

/// A piece of a sequence, before it is decided what becomes of it.
#[derive(Debug, Clone)]
pub(super) enum Token {
    /// A stretch between two places where a single value goes on, or the nodes of one that is not whole.
    Segment(Segment),
    /// A part.
    Item(usize),
}

/// All parts of a network; the last is the network.
pub(super) struct Parts<'m> {
    pub(super) model: &'m Checked,
    pub(super) order: Order<'m>,
    pub(super) items: Vec<Item>,
}

impl<'m> Parts<'m> {
    /// Nothing yet but the order of the nodes.
    pub(super) fn new(model: &'m Checked) -> Self {
        Self { model, order: Order::of(model), items: Vec::new() }
    }

    pub(super) fn push(&mut self, item: Item) -> usize {
        self.items.push(item);
        self.items.len() - 1
    }

    /// The nodes of a segment.
    pub(super) fn nodes(&self, segment: &Segment) -> &[NodeId] {
        &self.order.nodes[segment.range.clone()]
    }

    /// Segments, with those of each block of the anatomy as a part.
    pub(super) fn blocks(&mut self, segments: &[Segment], anatomy: &Anatomy) -> Vec<Token> {
        let mut starts: HashMap<ValueId, usize> = HashMap::new();
        let mut stops: HashMap<ValueId, usize> = HashMap::new();
        for (at, segment) in segments.iter().enumerate() {
            if let Some((from, to)) = segment.ends {
                starts.insert(from, at);
                stops.insert(to, at);
            }
        }
        let mut blocks: HashMap<usize, (usize, usize)> = HashMap::new();
        for (index, block) in anatomy.blocks.iter().enumerate() {
            let next = anatomy.blocks.get(index + 1).map(|next| self.order.base(next.entry));
            let end = self.block_end(block, next);
            let entry = self.order.base(block.entry);
            if let (Some(&first), Some(&last)) = (starts.get(&entry), stops.get(&end))
                && first <= last
                && segments[first..=last].iter().all(|segment| segment.ends.is_some())
            {
                blocks.insert(first, (last, index));
            }
        }
        let (mut tokens, mut at) = (Vec::new(), 0);
        while at < segments.len() {
            match blocks.get(&at) {
                Some(&(last, index)) => {
                    let item = self.block(&segments[at..=last], &anatomy.blocks[index]);
                    tokens.push(Token::Item(item));
                    at = last + 1;
                }
                None => {
                    tokens.push(Token::Segment(segments[at].clone()));
                    at += 1;
                }
            }
        }
        tokens
    }

    /// What a block gives: its sum, or the activation behind it.
    fn block_end(&self, block: &Block, next: Option<ValueId>) -> ValueId {
        let sum = self.order.base(block.sum);
        let activated = match self.order.readers(sum) {
            &[only] if matches!(self.order.graph.node(only).op, Op::Activation(_)) => {
                Some(self.order.graph.node(only).output())
            }
            _ => None,
        };
        let post = block.activation == ActivationOrder::Post && block.after_add.is_some();
        match activated {
            Some(value) if next.map_or(post, |next| next == value) => value,
            Some(_) | None => sum,
        }
    }

    fn block(&mut self, segments: &[Segment], block: &Block) -> usize {
        let nodes: Vec<NodeId> = segments.iter().flat_map(|segment| self.nodes(segment).to_vec()).collect();
        let ends = |segment: Option<&Segment>| segment.and_then(|segment| segment.ends);
        let (Some((input, _)), Some((_, output))) = (ends(segments.first()), ends(segments.last())) else {
            // Only segments with ends are blocks.
            return self.push(Item {
                inputs: Vec::new(),
                outputs: Vec::new(),
                pieces: nodes.into_iter().map(Piece::Node).collect(),
                label: Label::Stretch,
                stage: None,
            });
        };
        let choice = self.shortcut(block, &nodes);
        let beside: &[NodeId] = choice.as_ref().map_or(&[], |(_, nodes)| nodes);
        let mut pieces = Vec::new();
        for &node in nodes.iter().filter(|node| !beside.contains(node)) {
            if let Some((choice, _)) = choice.as_ref().filter(|(choice, _)| choice.join == node) {
                pieces.push(Piece::Choice(*choice));
            }
            pieces.push(Piece::Node(node));
        }
        let name = match (block.kind, block.activation) {
            (BlockKind::Bottleneck, ActivationOrder::Post) => "bottleneck",
            (BlockKind::Bottleneck, ActivationOrder::Pre) => "preact_bottleneck",
            (BlockKind::Basic, ActivationOrder::Post) => "basic_block",
            (BlockKind::Basic, ActivationOrder::Pre) => "preact_basic_block",
            (BlockKind::Other, _) => "block",
        };
        self.push(Item {
            inputs: vec![input],
            outputs: vec![output],
            pieces,
            label: Label::Block(name),
            stage: Some(block.stage),
        })
    }

    /// The shortcut of a block as a part of its own, and its nodes; nothing where it is no path that only the sum reads.
    fn shortcut(&mut self, block: &Block, nodes: &[NodeId]) -> Option<(ChoicePiece, Vec<NodeId>)> {
        let order = &self.order;
        let operands = &order.graph.node(block.add).inputs;
        if block.branches != 2 || operands.len() != 2 || !nodes.contains(&block.add) {
            return None;
        }
        let is_node = |node: &&NodeId| !matches!(order.graph.node(**node).op, Op::Identity(_));
        let path: Vec<NodeId> = block.path.nodes.iter().filter(is_node).copied().collect();
        let end = path.last().map_or(order.base(block.fork), |&node| order.graph.node(node).output());
        let position = operands.iter().position(|&operand| order.base(operand) == end)?;
        // What leads to the shortcut's end within the block and to nothing else, constants that it computes among them.
        let path: Vec<NodeId> = nodes.iter().copied().filter(|node| path.contains(node)).collect();
        let inside = |value: ValueId| path.iter().any(|&node| order.graph.node(node).output() == value);
        let is_private = path.iter().all(|&node| {
            let output = order.graph.node(node).output();
            let readers = order.readers(output);
            let allowed = |reader: &NodeId| path.contains(reader) || (*reader == block.add && output == end);
            !readers.is_empty() && readers.iter().all(allowed) && order.graph.node(node).outputs.len() == 1
        });
        let mut outside: Vec<ValueId> =
            path.iter().flat_map(|&node| order.operands(node)).filter(|&value| !inside(value)).collect();
        outside.dedup();
        let given = match (&outside[..], path.is_empty()) {
            ([], true) => end,
            ([only], false) => *only,
            _ => return None,
        };
        if !is_private {
            return None;
        }
        let label = match &block.path {
            path if path.conv.is_some() => "projection",
            path if path.steps.contains(&Step::Pad) => "pad",
            path if path.pooled => "pool",
            _ => "shortcut",
        };
        let part = (!path.is_empty()).then(|| {
            self.push(Item {
                inputs: vec![given],
                outputs: vec![end],
                pieces: path.iter().copied().map(Piece::Node).collect(),
                label: Label::Shortcut(label),
                stage: None,
            })
        });
        Some((ChoicePiece { join: block.add, position, given, part }, path))
    }

    /// What of a sequence lies before the first part that is a block, and what behind the last, as parts.
    pub(super) fn ends(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        let is_block =
            |token: &Token| matches!(token, Token::Item(item) if matches!(self.items[*item].label, Label::Block(_)));
        let (Some(first), Some(last)) = (tokens.iter().position(is_block), tokens.iter().rposition(is_block)) else {
            return tokens;
        };
        let mut result = self.gather(&tokens[..first], Label::Stem);
        result.extend_from_slice(&tokens[first..=last]);
        result.extend(self.gather(&tokens[last + 1..], Label::Head));
        result
    }

    /// Tokens as one part, where they can be one and that is worth it.
    fn gather(&mut self, tokens: &[Token], label: Label) -> Vec<Token> {
        let ends: Option<Vec<(ValueId, ValueId)>> = tokens.iter().map(|token| self.ends_of(token)).collect();
        let Some([(input, _), .., (_, output)]) = ends.as_deref() else { return tokens.to_vec() };
        let inner = ends.iter().flatten().rev().skip(1).any(|(_, value)| self.order.is_given(*value));
        if inner {
            return tokens.to_vec();
        }
        let (inputs, outputs) = (vec![*input], vec![*output]);
        let pieces = tokens.iter().flat_map(|token| self.pieces(token)).collect();
        vec![Token::Item(self.push(Item { inputs, outputs, pieces, label, stage: None }))]
    }

    pub(super) fn ends_of(&self, token: &Token) -> Option<(ValueId, ValueId)> {
        match token {
            Token::Segment(segment) => segment.ends,
            Token::Item(item) => {
                let item = &self.items[*item];
                Some((*item.inputs.first()?, *item.outputs.first()?))
            }
        }
    }

    pub(super) fn pieces(&self, token: &Token) -> Vec<Piece> {
        match token {
            Token::Segment(segment) => self.nodes(segment).iter().copied().map(Piece::Node).collect(),
            Token::Item(item) => vec![Piece::Item(*item)],
        }
    }

    /// Cuts what is long into stretches.
    pub(super) fn stretches(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        let count = |token: &Token| match token {
            Token::Segment(segment) => segment.range.len(),
            Token::Item(_) => 1,
        };
        let loose = |token: &Token| matches!(token, Token::Segment(segment) if segment.ends.is_some());
        if tokens.iter().filter(|token| loose(token)).map(count).sum::<usize>() <= LONG {
            return tokens;
        }
        let (mut result, mut run): (Vec<Token>, Vec<Token>) = (Vec::new(), Vec::new());
        let mut statements = 0;
        for token in tokens {
            let given = self.ends_of(&token).is_some_and(|(_, value)| self.order.is_given(value));
            if !loose(&token) || given || statements + count(&token) > STRETCH {
                result.extend(self.gather(&std::mem::take(&mut run), Label::Stretch));
                statements = 0;
            }
            if loose(&token) && !given {
                statements += count(&token);
                run.push(token);
            } else {
                result.push(token);
            }
        }
        result.extend(self.gather(&run, Label::Stretch));
        result
    }

    /// The network, with parts of one module that follow each other as rows.
    pub(super) fn root(&mut self, tokens: Vec<Token>) {
        let keys = self.keys();
        let mut pieces: Vec<Piece> = Vec::new();
        for token in &tokens {
            let Token::Item(item) = *token else {
                pieces.extend(self.pieces(token));
                continue;
            };
            let follows = |before: usize| {
                let (a, b) = (&self.items[before], &self.items[item]);
                keys[before] == keys[item] && a.stage == b.stage && a.label == b.label && a.outputs == b.inputs
            };
            match pieces.last_mut() {
                Some(Piece::Row(row)) if row.last().is_some_and(|&last| follows(last)) => row.push(item),
                _ => pieces.push(Piece::Row(vec![item])),
            }
        }
        for piece in &mut pieces {
            if let Piece::Row(row) = piece
                && let [only] = row[..]
            {
                *piece = Piece::Item(only);
            }
        }
        let graph = self.model.graph();
        let outputs = graph.outputs().iter().map(|&output| self.order.base(output)).collect();
        let inputs = graph.inputs().to_vec();
        self.push(Item { inputs, outputs, pieces, label: Label::Root, stage: None });
    }

    /// The key of each part.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let key = item::key(self.model, &self.order, &self.items, &keys, item);
            keys.push(key);
        }
        keys
    }

    /// The key of a token in a sequence.
    pub(super) fn token_key(&self, token: &Token) -> String {
        match token {
            Token::Segment(segment) => match segment.ends {
                Some((from, to)) => {
                    let pieces = self.pieces(token);
                    let (inputs, outputs) = (vec![from], vec![to]);
                    let item = Item { inputs, outputs, pieces, label: Label::Repeated, stage: None };
                    item::key(self.model, &self.order, &self.items, &[], &item)
                }
                None => format!("{:?}", segment.range),
            },
            // Parts are in no other part but the network.
            Token::Item(item) => format!("item {item}"),
        }
    }

    /// Chains of nodes of one value each within a segment, as places in the order.
    pub(super) fn chains(&self, segment: &Segment) -> Vec<Vec<Segment>> {
        let nodes = self.nodes(segment);
        let mut chains: Vec<Vec<Segment>> = Vec::new();
        if nodes.len() < WIDE {
            return chains;
        }
        for (offset, &node) in nodes.iter().enumerate() {
            let at = segment.range.start + offset;
            let mut operands = self.order.operands(node);
            let (Some(from), None) = (operands.next(), operands.next()) else { continue };
            let output = self.order.graph.node(node).output();
            if self.order.graph.node(node).outputs.len() != 1 {
                continue;
            }
            let link = Segment { range: at..at + 1, ends: Some((from, output)) };
            let continues = |chain: &Vec<Segment>| {
                let before = chain.last()?;
                let follows = before.range.end == at && before.ends.is_some_and(|(_, to)| to == from);
                (follows && self.order.readers(from).len() == 1 && !self.order.is_given(from)).then_some(())
            };
            match chains.last_mut() {
                Some(chain) if continues(chain).is_some() => chain.push(link),
                Some(_) | None => chains.push(vec![link]),
            }
        }
        chains
    }
}
