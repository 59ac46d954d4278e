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
pub struct Diagram {
    /// From the input to the output.
    pub columns: Vec<Column>,
    /// What is not drawn, a sentence each.
    pub notes: Vec<String>,
}

/// What lies between two changes of resolution or width.
#[derive(Debug)]
pub struct Column {
    /// Its name, where it has one.
    pub name: String,
    /// What there is of what: `3 bottlenecks`.
    pub what: String,
    /// Shape of its maps: `56×56, 256 channels`.
    pub map: String,
    /// Rows of its maps, as a share of the image's; none where it is not known.
    pub scale: Option<f64>,
    /// How it is coloured.
    pub tone: Tone,
    /// What is in it, from top to bottom.
    pub items: Vec<Item>,
}

/// Which colour a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Neither.
    Neutral,
    /// That of a stage, counted from 0.
    Stage(usize),
}

/// One thing in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Operators below one another.
    Stack(Stack),
    /// How many are left out here, in words.
    More(String),
}

/// Boxes on top of each other, with a shortcut where they are a residual block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Names of the blocks that it stands for; none for what is no block.
    pub blocks: Vec<String>,
    /// How often it is there.
    pub times: usize,
    /// Operators of the path.
    pub cells: Vec<Cell>,
    /// The way around it.
    pub shortcut: Option<Shortcut>,
    /// Activation behind the sum.
    pub after: Option<String>,
}

/// The path beside a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortcut {
    /// What is done on it.
    pub kind: ShortcutKind,
    /// What is on it; nothing on an identity.
    pub cells: Vec<Cell>,
}

impl Stack {
    /// `stages.2.blocks.0`, `stages.2.blocks.1 to 21`; empty for what is no block.
    pub fn name(&self) -> String {
        match &self.blocks[..] {
            [] => String::new(),
            [only] => only.clone(),
            [first, .., last] => format!("{first} to {}", last.rsplit('.').next().unwrap_or(last)),
        }
    }
}

/// One box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What is written in it.
    pub text: String,
    /// What kind of operator it is.
    pub kind: CellKind,
    /// Whether it gives fewer pixels than it takes.
    pub strided: bool,
}

impl Cell {
    /// One that keeps the size of its map.
    fn new(text: impl Into<String>, kind: CellKind) -> Self {
        Self { text: text.into(), kind, strided: false }
    }
}

/// What a box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
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
pub enum Bound {
    /// No activation.
    Nowhere,
    /// Before the convolutions.
    Before,
    /// Behind the sum.
    Behind,
}

impl Diagram {
    /// Of a model; `sized` is the same model at sizes that are known.
    pub fn of(model: &Checked, sized: &Checked, anatomy: &Anatomy) -> Self {
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
