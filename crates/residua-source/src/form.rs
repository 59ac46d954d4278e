//! The source of a network as data: modules with parameters, fields and statements.
//!
//! It is what is printed, and what [`mod@crate::execute`] makes a graph of again. Operators in it are those of
//! [`residua_ir`]; how a runtime computes one is the business of what prints it.

use residua_ir::{DType, Op, ParameterId, Shape};

/// A network as modules. The last one is the network itself; each is used by later ones only.
#[derive(Debug, Clone)]
pub struct Program {
    /// The modules.
    pub modules: Vec<Module>,
    /// Tensors under the names by which the modules ask for them, in that order.
    pub tensors: Vec<(String, ParameterId)>,
    /// Inputs of the network.
    pub inputs: Vec<Input>,
}

impl Program {
    /// The network itself.
    #[must_use]
    pub fn root(&self) -> Option<&Module> {
        self.modules.last()
    }
}

/// An input of the network.
#[derive(Debug, Clone)]
pub struct Input {
    /// As the source calls it.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Shape in NCHW.
    pub shape: Shape,
}

/// A shape for people, in which names of free sizes that are more than a word are `?`.
#[must_use]
pub fn shown(shape: &Shape) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_⌊⌋⌈⌉/()+-?".contains(c);
    let dims = shape.dims().iter().map(|dim| {
        let text = dim.to_string();
        if text.len() <= 40 && text.chars().all(plain) { text } else { "?".to_owned() }
    });
    format!("[{}]", dims.collect::<Vec<_>>().join(", "))
}

/// A part of a network, built once or many times.
#[derive(Debug, Clone)]
pub struct Module {
    /// Name of its type.
    pub name: String,
    /// What it is, a sentence.
    pub about: String,
    /// What differs between its instances.
    pub parameters: Vec<Parameter>,
    /// What it holds.
    pub fields: Vec<Field>,
    /// How many values it is given; these are values `0..inputs`.
    pub inputs: usize,
    /// What it computes; statement `i` gives value `inputs + i`.
    pub statements: Vec<Statement>,
    /// What it gives.
    pub results: Vec<usize>,
    /// Ranks of what it is given, and of what it gives.
    pub ranks: [Vec<usize>; 2],
    /// Whether there are rows of it.
    pub is_in_rows: bool,
    /// The parameter that grows along its rows, if one does.
    pub growing: Option<usize>,
    /// Shapes of its input and its result, for people, where it has one of each.
    pub shapes: Option<(String, String)>,
}

/// A number that instances of a module may have of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Channels or features that go in.
    Inputs,
    /// Channels or features that come out.
    Outputs,
    /// Rows or columns of a window.
    Kernel,
    /// Step of a window.
    Stride,
    /// Amount of padding.
    Padding,
    /// Step between the taps of a kernel.
    Dilation,
    /// Groups of channels.
    Groups,
    /// A size of an axis.
    Size,
    /// Which arm of a [`Choice`] with this field.
    Arm(usize),
}

impl Kind {
    /// Whether two numbers of these kinds may be one parameter.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        let class = |kind: Self| match kind {
            Self::Inputs | Self::Outputs | Self::Size => Self::Size,
            Self::Kernel | Self::Stride | Self::Padding | Self::Dilation | Self::Groups | Self::Arm(_) => kind,
        };
        class(self) == class(other)
    }
}

/// A number of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// The same in all instances.
    Fixed(usize),
    /// A parameter of the module.
    Parameter(usize),
}

/// A field of a module.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name, which is also the name of its tensors.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
}

/// What a field holds.
#[derive(Debug, Clone)]
pub enum Holds {
    /// A layer with weights of its own.
    Layer(Layer),
    /// A tensor.
    Tensor(Vec<Number>),
    /// A part.
    Module(Instance),
    /// Parts in a row, each given what the one before gives: runs of equal ones.
    Row {
        /// The module.
        module: usize,
        /// How many, of which numbers.
        runs: Vec<Run>,
    },
    /// One of several parts.
    Choice(Choice),
}

/// Parts that follow each other and are alike, but for one number that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How many there are.
    pub count: usize,
    /// Numbers of the first.
    pub numbers: Vec<usize>,
    /// By how much the number that grows does so, from one to the next.
    pub growth: usize,
}

impl Run {
    /// The numbers of each part; `growing` is the parameter that grows.
    pub fn each(&self, growing: Option<usize>) -> impl Iterator<Item = Vec<usize>> + '_ {
        (0..self.count).map(move |place| {
            let grown = |(at, &number): (usize, &usize)| match growing == Some(at) {
                true => number.saturating_add(place.saturating_mul(self.growth)),
                false => number,
            };
            self.numbers.iter().enumerate().map(grown).collect()
        })
    }
}

/// A module with its numbers.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Which module.
    pub module: usize,
    /// Its parameters.
    pub numbers: Vec<Number>,
}

/// One of several parts; a parameter of the module says which.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Name of the type.
    pub name: String,
    /// The parameter.
    pub by: Number,
    /// The parts.
    pub arms: Vec<Arm>,
}

/// One part of a [`Choice`].
#[derive(Debug, Clone)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// What it is; where it is nothing, the value is passed on.
    pub part: Option<Instance>,
    /// The value that it is given.
    pub given: usize,
}

/// A layer with weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// A convolution.
    Conv {
        /// Whether it has a bias.
        bias: bool,
        /// Its numbers.
        conv: ConvNumbers,
    },
    /// A batch norm in the form for inference.
    BatchNorm {
        /// Channels.
        channels: Number,
        /// Added to the variance.
        epsilon: f64,
    },
    /// A group norm.
    GroupNorm {
        /// Channels.
        channels: Number,
        /// Groups.
        groups: Number,
        /// Added to the variance.
        epsilon: f64,
    },
    /// A fully connected layer.
    Linear {
        /// Features that go in.
        inputs: Number,
        /// Features that come out.
        outputs: Number,
        /// Whether it has a bias.
        bias: bool,
    },
}

/// Numbers of a convolution. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ConvNumbers {
    pub inputs: Number,
    pub outputs: Number,
    pub kernel: [Number; 2],
    pub strides: [Number; 2],
    /// Top, left, bottom, right.
    pub pads: Pads,
    pub dilations: [Number; 2],
    pub groups: Number,
}

/// How a convolution pads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pads {
    /// Top, left, bottom, right.
    Explicit([Number; 4]),
    /// So that the output is `ceil(n / stride)`; the odd one after.
    SameUpper,
    /// The same with the odd one before.
    SameLower,
}

/// One step of a module.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What is computed.
    pub what: What,
    /// Of which values.
    pub operands: Vec<Operand>,
    /// What the result may be called.
    pub hint: Option<&'static str>,
}

/// What a statement computes.
#[derive(Debug, Clone)]
pub enum What {
    /// What a field gives.
    Field(usize),
    /// An operator, with its numbers (`slots`) in their order.
    Op {
        /// The operator.
        op: Box<Op>,
        /// Its numbers.
        numbers: Vec<Number>,
        /// Ranks of its operands.
        ranks: Vec<usize>,
        /// Whether its operands have different shapes.
        broadcasts: bool,
    },
}

/// What a statement is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A value of the module.
    Value(usize),
    /// A tensor that is a field.
    Field(usize),
}
