//! What is drawn of a network: columns of boxes in the order in which data flows, blocks with their shortcuts.
//!
//! A residual network has a column for its stem, one a stage, and one for its head. Any other has a column for each
//! size of its maps, without shortcuts. What repeats is drawn once, with how often. Nothing here knows of a format:
//! SVG, Graphviz and Mermaid draw the same.

mod cells;
mod plain;
mod residual;

use residua_ir::Checked;
use residua_resnet::Anatomy;
use residua_resnet::anatomy::ShortcutKind;

/// More items of one column than a reader takes in.
const MOST_ITEMS: usize = 24;

/// A network as it is drawn.
#[derive(Debug)]
pub(crate) struct Diagram {
    pub(crate) columns: Vec<Column>,
    /// What is not drawn, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// What lies between two changes of resolution or width.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// What there is of what: `3 bottlenecks`.
    pub(crate) what: String,
    /// Shape of its maps: `56×56, 256 channels`.
    pub(crate) map: String,
    /// Rows of its maps, as a share of the picture's; none where it is not known.
    pub(crate) scale: Option<f64>,
    pub(crate) tone: Tone,
    pub(crate) items: Vec<Item>,
}

/// Which colour a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Neutral,
    /// That of a stage, counted from 0.
    Stage(usize),
}

/// One thing in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Stack(Stack),
    /// How many are left out here, in words.
    More(String),
}

/// Boxes on top of each other, with a shortcut where they are a residual block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Names of the blocks that it stands for; none for what is no block.
    pub(crate) blocks: Vec<String>,
    /// How often it is there.
    pub(crate) times: usize,
    pub(crate) cells: Vec<Cell>,
    pub(crate) shortcut: Option<Shortcut>,
    /// Activation behind the sum.
    pub(crate) after: Option<String>,
}

/// The path beside a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortcut {
    pub(crate) kind: ShortcutKind,
    /// What is on it; nothing on an identity.
    pub(crate) cells: Vec<Cell>,
}

impl Stack {
    /// `stages.2.blocks.0`, `stages.2.blocks.1 to 21`; empty for what is no block.
    pub(crate) fn name(&self) -> String {
        match &self.blocks[..] {
            [] => String::new(),
            [only] => only.clone(),
            [first, .., last] => format!("{first} to {}", last.rsplit('.').next().unwrap_or(last)),
        }
    }
}

/// One box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) kind: CellKind,
    /// Whether it gives fewer pixels than it takes.
    pub(crate) strided: bool,
}

impl Cell {
    /// One that keeps the size of its map.
    fn new(text: impl Into<String>, kind: CellKind) -> Self {
        Self { text: text.into(), kind, strided: false }
    }
}

/// What a box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellKind {
    /// A convolution or dense layer, and where its norm and activation are.
    Weighted(Bound),
    /// A pool.
    Pool,
    /// A gate over channels.
    Gate,
    /// An input or output.
    End,
    /// Anything else.
    Other,
}

/// Where norm and activation of a convolution are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Nowhere,
    Before,
    Behind,
}

impl Diagram {
    /// Of a model; `sized` is the same model at sizes that are known.
    pub(crate) fn of(model: &Checked, sized: &Checked, anatomy: &Anatomy) -> Self {
        if anatomy.blocks.is_empty() { plain::diagram(model, sized) } else { residual::diagram(model, sized, anatomy) }
    }
}

/// A stack of boxes that is no block.
fn stack(cells: Vec<Cell>) -> Item {
    Item::Stack(Stack { blocks: Vec::new(), times: 1, cells, shortcut: None, after: None })
}

/// The first and last items of a column that has too many, and how many lie between.
fn shortened(mut items: Vec<Item>) -> Vec<Item> {
    if items.len() <= MOST_ITEMS {
        return items;
    }
    let tail = items.split_off(items.len() - MOST_ITEMS / 2);
    let between = items.split_off(MOST_ITEMS / 2);
    let count: usize = between
        .iter()
        .map(|item| match item {
            Item::Stack(stack) => stack.times,
            Item::More(_) => 1,
        })
        .sum();
    items.push(Item::More(format!("{count} more")));
    items.extend(tail);
    items
}
