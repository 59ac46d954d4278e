//! The graph that a program is: its modules are executed on symbols, its tensors are asked for by name.
//!
//! What comes of it can be held against the graph that the program was made of. That covers the modules, their
//! parameters, the runs of rows, the order of statements, and the names and shapes of tensors; not how a statement is
//! printed, nor how a runtime computes it.

use residua_ir::{
    BatchNorm, Conv, Graph, GraphBuilder, GraphError, GroupNorm, InputType, Op, Padding, Pads, SourceOrder, Tensor,
    ValueId,
};

use crate::form::{
    self, Arm, Choice, ConvNumbers, Holds, Instance, Layer, Module, Number, Operand, Program, Statement, What,
};
use crate::slots;

/// Why a program is no graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// A tensor that is asked for is not there, or has another shape.
    #[error("the source asks for `{name}` {expected:?}, {}", .found.as_ref().map_or("which is not there".to_owned(), |shape| format!("which is {shape:?}")))]
    Tensor {
        /// Its name.
        name: String,
        /// The shape that is asked for.
        expected: Vec<usize>,
        /// The shape that it has, if it is there.
        found: Option<Vec<usize>>,
    },
    /// Tensors that nothing asks for.
    #[error("the source asks for none of {0:?}")]
    Unused(Vec<String>),
    /// A value, a field or a module that is not there.
    #[error("the source of `{0}` does not hold together")]
    Malformed(String),
    /// The graph is larger than any network.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

type Result<T> = std::result::Result<T, ExecuteError>;

/// The graph of a program whose tensors are these, under their names.
///
/// # Errors
/// A tensor that is missing, of another shape, or asked for by nothing.
pub fn execute(program: &Program, tensors: &[(String, Tensor)]) -> Result<Graph> {
    let mut run = Run {
        program,
        tensors: tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect(),
        asked: std::collections::BTreeSet::new(),
        graph: GraphBuilder::new("source"),
    };
    let inputs = program.inputs.iter().map(|input| {
        let ty = InputType { dtype: input.dtype, shape: input.shape.clone() };
        run.graph.input_with(&input.name, ty, SourceOrder::Same)
    });
    let inputs: Vec<ValueId> = inputs.collect();
    let root = program.modules.len().checked_sub(1).ok_or_else(|| ExecuteError::Malformed("nothing".to_owned()))?;
    for output in run.module(root, &[], "", &inputs)? {
        run.graph.output(output);
    }
    let unused: Vec<String> =
        run.tensors.keys().filter(|name| !run.asked.contains(**name)).map(|&name| name.to_owned()).collect();
    if !unused.is_empty() {
        return Err(ExecuteError::Unused(unused));
    }
    Ok(run.graph.finish()?)
}

struct Run<'p> {
    program: &'p Program,
    tensors: std::collections::BTreeMap<&'p str, &'p Tensor>,
    asked: std::collections::BTreeSet<String>,
    graph: GraphBuilder,
}

/// Where a module is executed.
struct Frame<'f> {
    module: &'f Module,
    numbers: &'f [usize],
    path: &'f str,
    values: Vec<ValueId>,
}

impl Frame<'_> {
    fn malformed(&self) -> ExecuteError {
        ExecuteError::Malformed(self.module.name.clone())
    }

    fn number(&self, number: Number) -> Result<usize> {
        match number {
            Number::Fixed(value) => Ok(value),
            Number::Parameter(at) => self.numbers.get(at).copied().ok_or_else(|| self.malformed()),
        }
    }

    fn numbers<const N: usize>(&self, numbers: [Number; N]) -> Result<[usize; N]> {
        let mut values = [0; N];
        for (value, number) in values.iter_mut().zip(numbers) {
            *value = self.number(number)?;
        }
        Ok(values)
    }

    fn value(&self, at: usize) -> Result<ValueId> {
        self.values.get(at).copied().ok_or_else(|| self.malformed())
    }
}

impl Run<'_> {
    fn module(&mut self, index: usize, numbers: &[usize], path: &str, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let module = &self.program.modules[index];
        let mut frame = Frame { module, numbers, path, values: inputs.to_vec() };
        if inputs.len() != module.inputs {
            return Err(frame.malformed());
        }
        for statement in &module.statements {
            let value = self.statement(&frame, statement)?;
            frame.values.push(value);
        }
        module.results.iter().map(|&result| frame.value(result)).collect()
    }

    fn statement(&mut self, frame: &Frame, statement: &Statement) -> Result<ValueId> {
        let operand = |run: &mut Self, operand: &Operand| match *operand {
            Operand::Value(at) => frame.value(at),
            Operand::Field(at) => run.tensor_field(frame, at),
        };
        let operands: Vec<ValueId> = statement.operands.iter().map(|one| operand(self, one)).collect::<Result<_>>()?;
        match &statement.what {
            What::Op { op, numbers, .. } => {
                let numbers: Vec<usize> = numbers.iter().map(|&number| frame.number(number)).collect::<Result<_>>()?;
                let op = slots::with_numbers(op, &numbers);
                Ok(self.graph.add(op.name().to_owned().as_str(), op, &operands))
            }
            What::Field(at) => self.field(frame, *at, &operands),
        }
    }

    fn tensor_field(&mut self, frame: &Frame, at: usize) -> Result<ValueId> {
        match frame.module.fields.get(at) {
            Some(form::Field { name, holds: Holds::Tensor(dims) }) => {
                let dims: Vec<usize> = dims.iter().map(|&dim| frame.number(dim)).collect::<Result<_>>()?;
                self.tensor(&format!("{}{name}", frame.path), dims)
            }
            Some(_) | None => Err(frame.malformed()),
        }
    }

    /// The tensor of a name, which must have this shape.
    fn tensor(&mut self, name: &str, expected: Vec<usize>) -> Result<ValueId> {
        match self.tensors.get(name) {
            Some(tensor) if *tensor.shape() == *expected => {
                self.asked.insert(name.to_owned());
                Ok(self.graph.weight(name, (*tensor).clone()))
            }
            found => {
                let found = found.map(|tensor| tensor.shape().to_vec());
                Err(ExecuteError::Tensor { name: name.to_owned(), expected, found })
            }
        }
    }

    fn field(&mut self, frame: &Frame, at: usize, operands: &[ValueId]) -> Result<ValueId> {
        let field = frame.module.fields.get(at).ok_or_else(|| frame.malformed())?;
        let path = format!("{}{}.", frame.path, field.name);
        let x = operands.first().copied();
        let one = |values: Vec<ValueId>| values.first().copied().ok_or_else(|| frame.malformed());
        match &field.holds {
            Holds::Layer(layer) => self.layer(frame, layer, &path, x.ok_or_else(|| frame.malformed())?),
            Holds::Tensor(_) => self.tensor_field(frame, at),
            Holds::Module(instance) => one(self.instance(frame, instance, &path, operands)?),
            Holds::Row { module, runs } => {
                let mut x = x.ok_or_else(|| frame.malformed())?;
                let growing = self.program.modules.get(*module).and_then(|module| module.growing);
                for (place, numbers) in runs.iter().flat_map(|run| run.each(growing)).enumerate() {
                    x = one(self.module(*module, &numbers, &format!("{path}{place}."), &[x])?)?;
                }
                Ok(x)
            }
            Holds::Choice(Choice { by, arms, .. }) => {
                let Arm { part, given, .. } = arms.get(frame.number(*by)?).ok_or_else(|| frame.malformed())?;
                let given = frame.value(*given)?;
                match part {
                    Some(instance) => one(self.instance(frame, instance, &path, &[given])?),
                    None => Ok(given),
                }
            }
        }
    }

    fn instance(&mut self, frame: &Frame, part: &Instance, path: &str, given: &[ValueId]) -> Result<Vec<ValueId>> {
        let numbers: Vec<usize> = part.numbers.iter().map(|&number| frame.number(number)).collect::<Result<_>>()?;
        self.module(part.module, &numbers, path, given)
    }

    fn layer(&mut self, frame: &Frame, layer: &Layer, path: &str, x: ValueId) -> Result<ValueId> {
        let mut operands = vec![x];
        let mut tensor = |name: &str, shape: &[usize]| -> Result<()> {
            operands.push(self.tensor(&format!("{path}{name}"), shape.to_vec())?);
            Ok(())
        };
        let op = match layer {
            Layer::Conv { bias, conv } => {
                let ConvNumbers { inputs, outputs, kernel, strides, pads, dilations, groups } = conv;
                let [inputs, outputs, groups] = frame.numbers([*inputs, *outputs, *groups])?;
                let [height, width] = frame.numbers(*kernel)?;
                tensor("weight", &[outputs, inputs.checked_div(groups).unwrap_or_default(), height, width])?;
                if *bias {
                    tensor("bias", &[outputs])?;
                }
                let padding = match pads {
                    form::Pads::Explicit(pads) => {
                        let [top, left, bottom, right] = frame.numbers(*pads)?;
                        Padding::Explicit(Pads { top, left, bottom, right })
                    }
                    form::Pads::SameUpper => Padding::SameUpper,
                    form::Pads::SameLower => Padding::SameLower,
                };
                Op::Conv(Conv {
                    strides: frame.numbers(*strides)?,
                    padding,
                    dilations: frame.numbers(*dilations)?,
                    groups,
                })
            }
            Layer::BatchNorm { channels, epsilon } => {
                let channels = frame.number(*channels)?;
                for name in ["weight", "bias", "running_mean", "running_var"] {
                    tensor(name, &[channels])?;
                }
                Op::BatchNorm(BatchNorm { epsilon: *epsilon })
            }
            Layer::GroupNorm { channels, groups, epsilon } => {
                let [channels, groups] = frame.numbers([*channels, *groups])?;
                for name in ["weight", "bias"] {
                    tensor(name, &[channels])?;
                }
                Op::GroupNorm(GroupNorm { groups, epsilon: *epsilon })
            }
            Layer::Linear { inputs, outputs, bias } => {
                let [inputs, outputs] = frame.numbers([*inputs, *outputs])?;
                tensor("weight", &[outputs, inputs])?;
                if *bias {
                    tensor("bias", &[outputs])?;
                }
                Op::Linear
            }
        };
        let layer = self.graph.layer(path, op.name().to_owned(), true);
        Ok(self.graph.node(path, op, &operands, layer))
    }
}
