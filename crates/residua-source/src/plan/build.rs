//! Modules from parts: those that are alike become one, with parameters for the numbers that differ.

use std::collections::{BTreeMap, HashMap};

use residua_ir::{NodeId, ParameterId, Shape, ValueId, ValueKind};
use residua_resnet::Anatomy;
use residua_resnet::form::Family;

use super::fields::FieldNames;
use super::item::{self, Item, Label, Locals, Piece};
use super::layer;
use super::parameters::Parameters;
use super::parts::Parts;
use super::rows;
use crate::form::{
    Arm, Choice, Field, Holds, Input, Instance, Kind, Module, Number, Operand, Program, Statement, What, shown,
};
use crate::ident::Names;
use crate::slots;

/// Modules that are made, and what became of the parts.
struct Builder<'p, 'm> {
    parts: &'p Parts<'m>,
    modules: Vec<Module>,
    types: Names,
    /// The module of each part.
    module: Vec<usize>,
    /// The values of its parameters.
    arguments: Vec<Vec<usize>>,
    /// Tensors of its own fields, and parts in its fields.
    held: Vec<Vec<Held>>,
}

/// What a part has under a name.
enum Held {
    Tensor(String, ParameterId),
    Item(String, usize),
}

pub(super) fn build(parts: &Parts, anatomy: &Anatomy) -> Program {
    let count = parts.items.len();
    let mut builder = Builder {
        parts,
        modules: Vec::new(),
        types: Names::taken(TYPES.iter().copied()),
        module: vec![0; count],
        arguments: vec![Vec::new(); count],
        held: (0..count).map(|_| Vec::new()).collect(),
    };
    for group in builder.groups() {
        builder.module(&group, anatomy);
    }
    let mut tensors = Vec::new();
    if count > 0 {
        builder.name_tensors(count - 1, "", &mut tensors);
    }
    let graph = parts.model.graph();
    let inputs = graph.inputs().iter().filter_map(|&id| match &graph.value(id).kind {
        ValueKind::Input(input) => {
            Some(Input { name: graph.value(id).name.raw().to_owned(), dtype: input.dtype, shape: input.shape.clone() })
        }
        ValueKind::Parameter(_) | ValueKind::Computed { .. } => None,
    });
    Program { inputs: inputs.collect(), modules: builder.modules, tensors }
}

/// Types that generated code has already.
const TYPES: &[&str] = &[
    "BatchNorm",
    "Bool",
    "Config",
    "Conv2d",
    "Device",
    "Float",
    "GroupNorm",
    "Identity",
    "Int",
    "Linear",
    "Module",
    "ModuleT",
    "Param",
    "Sequential",
    "Shape",
    "Tensor",
    "VarBuilder",
];

impl Builder<'_, '_> {
    /// Parts that are alike, those first that are in others.
    fn groups(&self) -> Vec<Vec<usize>> {
        let items = &self.parts.items;
        let mut depth = vec![0usize; items.len()];
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, key) in self.parts.keys().into_iter().enumerate() {
            let nested = items[at].pieces.iter().flat_map(|piece| match piece {
                Piece::Node(_) => Vec::new(),
                Piece::Item(item) => vec![*item],
                Piece::Row(row) => row.clone(),
                Piece::Choice(choice) => choice.part.into_iter().collect(),
            });
            depth[at] = nested.map(|nested| depth[nested] + 1).max().unwrap_or(0);
            groups.entry(format!("{:?}{key}", items[at].label)).or_default().push(at);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort_by_key(|group| (group.iter().map(|&at| depth[at]).max(), group.first().copied()));
        groups
    }

    /// One module of all these parts.
    fn module(&mut self, group: &[usize], anatomy: &Anatomy) {
        let Some(&first) = group.first() else { return };
        let parts = self.parts;
        let items: Vec<&Item> = group.iter().map(|&at| &parts.items[at]).collect();
        let exemplar = items[0];
        let mut parameters = Parameters::default();
        let mut fields: Vec<Field> = Vec::new();
        let mut statements: Vec<Statement> = Vec::new();
        let mut names = FieldNames::of(self.parts, exemplar, group.len());
        let mut locals = Locals::of(&exemplar.inputs);
        let mut tensors: HashMap<ParameterId, usize> = HashMap::new();
        for (at, piece) in exemplar.pieces.iter().enumerate() {
            let place = Place { group, items: &items, at };
            match piece {
                Piece::Node(node) => {
                    let output = self.parts.order.graph.node(*node).output();
                    let statement = self.node(&place, &mut parameters, &mut fields, &mut names, &locals, &mut tensors);
                    statements.push(statement);
                    locals.add(output);
                }
                Piece::Item(nested) => {
                    let all: Vec<usize> = place.all(|piece| match piece {
                        Piece::Item(nested) => Some(*nested),
                        Piece::Node(_) | Piece::Row(_) | Piece::Choice(_) => None,
                    });
                    let module = self.module[*nested];
                    let numbers =
                        self.instance(&all.iter().map(|&item| Some(item)).collect::<Vec<_>>(), module, &mut parameters);
                    let wanted = self.part_name(*nested);
                    let name = names.part(&wanted);
                    for (&owner, &item) in group.iter().zip(&all) {
                        self.held[owner].push(Held::Item(name.clone(), item));
                    }
                    fields.push(Field { name, holds: Holds::Module(Instance { module, numbers }) });
                    statements.push(of_field(fields.len() - 1, locals.get(self.parts.items[*nested].inputs[0])));
                    locals.add(self.parts.items[*nested].outputs[0]);
                }
                Piece::Row(row) => {
                    let statement = self.row(row, first, &mut fields, &mut names, &locals);
                    statements.push(statement);
                    if let Some(&last) = row.last() {
                        locals.add(self.parts.items[last].outputs[0]);
                    }
                }
                Piece::Choice(choice) => {
                    let statement = self.choice(&place, &mut parameters, &mut fields, &mut names);
                    statements.push(statement);
                    locals.add_choice(choice);
                }
            }
        }
        for (instance, &item) in group.iter().enumerate() {
            let values = parameters.found.iter().map(|(_, column)| column[instance].unwrap_or_default());
            self.arguments[item] = values.collect();
            self.module[item] = self.modules.len();
        }
        let channels = |value: Option<&ValueId>| self.parts.model.shape_of(*value?)?.dims().get(1)?.fixed();
        let ends = [
            items.iter().map(|item| channels(item.inputs.first())).collect(),
            items.iter().map(|item| channels(item.outputs.first())).collect(),
        ];
        let (name, about) = self.called(exemplar.label, group.len(), anatomy);
        let shape = |value: &[ValueId]| {
            let shape = self.parts.model.shape_of(*value.first()?)?;
            Some(if group.len() == 1 { shown(shape) } else { free(shape) })
        };
        let rank = |value: &ValueId| self.parts.model.shape_of(*value).map_or(0, Shape::rank);
        let shapes = shape(&exemplar.inputs).zip(shape(&exemplar.outputs)).filter(|_| exemplar.inputs.len() == 1);
        self.modules.push(Module {
            name,
            about,
            parameters: parameters.named(&ends),
            fields,
            inputs: exemplar.inputs.len(),
            statements,
            results: exemplar.outputs.iter().filter_map(|&output| locals.get(output)).collect(),
            ranks: [&exemplar.inputs, &exemplar.outputs].map(|values| values.iter().map(rank).collect()),
            is_in_rows: false,
            growing: None,
            shapes,
        });
    }

    /// The type's name, and what it is.
    fn called(&mut self, label: Label, instances: usize, anatomy: &Anatomy) -> (String, String) {
        let family = anatomy.architecture.as_ref().map(|architecture| architecture.family);
        let (wanted, about) = match label {
            Label::Root => match family {
                Some(Family::Dense) => ("dense_net", "The network."),
                Some(Family::V1 | Family::V15 | Family::V2 | Family::Residual) => ("res_net", "The network."),
                Some(Family::Plain) | None => ("network", "The network."),
            },
            Label::Stem => ("stem", "What comes before the first block."),
            Label::Head => ("head", "What comes behind the last block."),
            Label::Block("bottleneck") => ("bottleneck", "A bottleneck: 1x1, 3x3 and 1x1, added to a shortcut."),
            Label::Block("basic_block") => ("basic_block", "Two 3x3 convolutions, added to a shortcut."),
            Label::Block("preact_bottleneck") => {
                ("preact_bottleneck", "A bottleneck that normalises and activates before each convolution.")
            }
            Label::Block("preact_basic_block") => {
                ("preact_basic_block", "Two 3x3 convolutions, each normalised and activated before, and a shortcut.")
            }
            Label::Block(name) => (name, "A residual block."),
            Label::Shortcut(name) => (name, "What a block does on its shortcut."),
            Label::Repeated => ("conv_block", "What the network repeats."),
            Label::Stretch => ("stretch", "A stretch of the network."),
        };
        let about = match instances {
            1 => about.to_owned(),
            many => format!("{about} There are {many} of them."),
        };
        (self.types.camel(wanted), about)
    }

    /// What a field for this part may be called.
    fn part_name(&self, item: usize) -> String {
        match (self.parts.items[item].label, self.parts.items[item].stage) {
            (Label::Block(_), Some(stage)) => format!("layer{}", stage + 1),
            (label, _) => match label {
                Label::Stem => "stem".to_owned(),
                Label::Head => "head".to_owned(),
                Label::Root | Label::Block(_) | Label::Shortcut(_) | Label::Repeated | Label::Stretch => {
                    self.modules.get(self.module[item]).map_or_else(String::new, |module| module.name.clone())
                }
            },
        }
    }

    fn node(
        &mut self,
        place: &Place,
        parameters: &mut Parameters,
        fields: &mut Vec<Field>,
        names: &mut FieldNames,
        locals: &Locals,
        tensors: &mut HashMap<ParameterId, usize>,
    ) -> Statement {
        let parts = self.parts;
        let (order, graph) = (&parts.order, parts.order.graph);
        let nodes = place.all(|piece| match piece {
            Piece::Node(node) => Some(*node),
            Piece::Item(_) | Piece::Row(_) | Piece::Choice(_) => None,
        });
        let node = nodes[0];
        if let Some(mut found) = layer::of(order, node) {
            let mut all: Vec<_> = nodes.iter().filter_map(|&node| layer::of(order, node)).collect();
            let columns: Vec<Vec<Option<usize>>> = all
                .iter_mut()
                .map(|found| {
                    let numbers = layer::numbers(&mut found.layer);
                    numbers.iter().map(|(_, number)| fixed(**number)).collect()
                })
                .collect();
            for (slot, (kind, number)) in layer::numbers(&mut found.layer).into_iter().enumerate() {
                *number = parameters.number(kind, columns.iter().map(|values| values[slot]).collect());
            }
            let name = names.layer(graph, node, item::kind_of(&found.layer));
            for (&owner, found) in place.group.iter().zip(&all) {
                for (part, id) in &found.tensors {
                    self.held[owner].push(Held::Tensor(format!("{name}.{part}"), *id));
                }
            }
            fields.push(Field { name, holds: Holds::Layer(found.layer) });
            let x = order.base(graph.node(node).inputs[0]);
            return of_field(fields.len() - 1, locals.operand(node, 0, x));
        }
        let mut operands = Vec::new();
        for (position, &input) in graph.node(node).inputs.iter().enumerate() {
            let value = order.base(input);
            let parameter = |node: NodeId| match graph.value(order.base(graph.node(node).inputs[position])).kind {
                ValueKind::Parameter(id) => Some(id),
                ValueKind::Input(_) | ValueKind::Computed { .. } => None,
            };
            let Some(id) = parameter(node) else {
                operands.push(Operand::Value(locals.operand(node, position, value).unwrap_or_default()));
                continue;
            };
            if let Some(&field) = tensors.get(&id) {
                operands.push(Operand::Field(field));
                continue;
            }
            let all: Vec<ParameterId> = nodes.iter().filter_map(|&node| parameter(node)).collect();
            let rank = graph.parameter(id).tensor.shape().len();
            let dims = (0..rank).map(|axis| {
                let column = all.iter().map(|&id| graph.parameter(id).tensor.shape().get(axis).copied()).collect();
                parameters.number(Kind::Size, column)
            });
            let dims = dims.collect();
            let name = names.tensor(graph, node, graph.parameter(id).name.raw());
            for (&owner, &id) in place.group.iter().zip(&all) {
                self.held[owner].push(Held::Tensor(name.clone(), id));
            }
            fields.push(Field { name, holds: Holds::Tensor(dims) });
            tensors.insert(id, fields.len() - 1);
            operands.push(Operand::Field(fields.len() - 1));
        }
        let mut op = graph.node(node).op.clone();
        let columns: Vec<Vec<usize>> = nodes
            .iter()
            .map(|&node| slots::numbers(&mut graph.node(node).op.clone()).iter().map(|(_, number)| **number).collect())
            .collect();
        let kinds: Vec<Kind> = slots::numbers(&mut op).into_iter().map(|(kind, _)| kind).collect();
        let numbers = kinds.into_iter().enumerate().map(|(slot, kind)| {
            parameters.number(kind, columns.iter().map(|values| values.get(slot).copied()).collect())
        });
        let numbers = numbers.collect();
        let rank = |input: &ValueId| self.parts.model.shape_of(order.base(*input)).map_or(0, Shape::rank);
        let ranks = graph.node(node).inputs.iter().map(rank).collect();
        let broadcasts = item::broadcasts(self.parts.model, order, node);
        Statement { what: What::Op { op: Box::new(op), numbers, ranks, broadcasts }, operands, hint: None }
    }

    /// The numbers of parts of one module, in the parts that hold them.
    fn instance(&self, items: &[Option<usize>], module: usize, parameters: &mut Parameters) -> Vec<Number> {
        let of_module = self.modules[module].parameters.iter().enumerate();
        let numbers = of_module.map(|(at, parameter)| {
            let column = items.iter().map(|item| item.and_then(|item| self.arguments[item].get(at).copied())).collect();
            parameters.number(parameter.kind, column)
        });
        numbers.collect()
    }

    fn row(
        &mut self,
        row: &[usize],
        owner: usize,
        fields: &mut Vec<Field>,
        names: &mut FieldNames,
        locals: &Locals,
    ) -> Statement {
        let module = self.module[row[0]];
        let numbers: Vec<&[usize]> = row.iter().map(|&item| &*self.arguments[item]).collect();
        let runs = rows::runs(&numbers, &mut self.modules[module]);
        let wanted = match self.parts.items[row[0]].label {
            Label::Block(_) | Label::Stem | Label::Head => self.part_name(row[0]),
            Label::Root | Label::Shortcut(_) | Label::Repeated | Label::Stretch => {
                format!("{}s", self.part_name(row[0]))
            }
        };
        let name = names.part(&wanted);
        for (at, &item) in row.iter().enumerate() {
            self.held[owner].push(Held::Item(format!("{name}.{at}"), item));
        }
        self.modules[module].is_in_rows = true;
        fields.push(Field { name, holds: Holds::Row { module, runs } });
        of_field(fields.len() - 1, locals.get(self.parts.items[row[0]].inputs[0]))
    }

    /// What differs between the shortcuts of blocks that are alike otherwise.
    fn choice(
        &mut self,
        place: &Place,
        parameters: &mut Parameters,
        fields: &mut Vec<Field>,
        names: &mut FieldNames,
    ) -> Statement {
        let all = place.all(|piece| match piece {
            Piece::Choice(choice) => Some(*choice),
            Piece::Node(_) | Piece::Item(_) | Piece::Row(_) => None,
        });
        // Where it starts from, by the numbers of values in each block.
        let given: Vec<usize> = place
            .items
            .iter()
            .zip(&all)
            .map(|(item, choice)| {
                let mut locals = Locals::of(&item.inputs);
                for piece in &item.pieces[..place.at] {
                    match piece {
                        Piece::Node(node) => locals.add(self.parts.order.graph.node(*node).output()),
                        Piece::Item(item) => locals.add(self.parts.items[*item].outputs[0]),
                        Piece::Row(row) => locals.add(self.parts.items[row[row.len() - 1]].outputs[0]),
                        Piece::Choice(choice) => locals.add_choice(choice),
                    }
                }
                locals.get(choice.given).unwrap_or_default()
            })
            .collect();
        let arm = |at: usize| (all[at].part.map(|part| self.module[part]), given[at]);
        let mut arms: Vec<(Option<usize>, usize)> = Vec::new();
        for at in 0..all.len() {
            if !arms.contains(&arm(at)) {
                arms.push(arm(at));
            }
        }
        // What does nothing comes first.
        arms.sort_unstable();
        let which: Vec<usize> =
            (0..all.len()).map(|at| arms.iter().position(|a| *a == arm(at)).unwrap_or_default()).collect();
        let name = names.part("shortcut");
        let field = fields.len();
        let mut arm_names = Names::default();
        let built: Vec<Arm> = arms
            .iter()
            .enumerate()
            .map(|(number, &(module, given))| {
                let part = module.map(|module| {
                    let of_arm = |at: usize| all[at].part.filter(|_| which[at] == number);
                    let items: Vec<Option<usize>> = (0..all.len()).map(of_arm).collect();
                    Instance { module, numbers: self.instance(&items, module, parameters) }
                });
                let wanted = module.map_or("identity", |module| self.modules[module].name.as_str());
                Arm { name: arm_names.camel(wanted), part, given }
            })
            .collect();
        for (at, choice) in all.iter().enumerate() {
            if let Some(part) = choice.part {
                self.held[place.group[at]].push(Held::Item(name.clone(), part));
            }
        }
        let holds = match &built[..] {
            // All of them are the same part.
            [Arm { part: Some(part), .. }] => Holds::Module(part.clone()),
            _ => {
                let by = match built.len() {
                    1 => Number::Fixed(0),
                    _ => parameters.number(Kind::Arm(field), which.into_iter().map(Some).collect()),
                };
                Holds::Choice(Choice { name: self.types.camel("shortcut"), by, arms: built })
            }
        };
        let given = match &holds {
            Holds::Module(_) => Some(arms[0].1),
            Holds::Choice(_) | Holds::Layer(_) | Holds::Tensor(_) | Holds::Row { .. } => None,
        };
        fields.push(Field { name, holds });
        let operands = given.map(Operand::Value).into_iter().collect();
        Statement { what: What::Field(field), operands, hint: Some("shortcut") }
    }

    /// Names of all tensors of a part, with what stands before them.
    fn name_tensors(&self, item: usize, before: &str, tensors: &mut Vec<(String, ParameterId)>) {
        for held in &self.held[item] {
            match held {
                Held::Tensor(name, id) => tensors.push((format!("{before}{name}"), *id)),
                Held::Item(name, nested) => self.name_tensors(*nested, &format!("{before}{name}."), tensors),
            }
        }
    }
}

/// A place in parts that are alike.
struct Place<'i> {
    group: &'i [usize],
    items: &'i [&'i Item],
    at: usize,
}

impl Place<'_> {
    /// What is there in each of them: the same kind of piece, since their keys are the same.
    fn all<T>(&self, of: impl Fn(&Piece) -> Option<T>) -> Vec<T> {
        self.items.iter().filter_map(|item| of(item.pieces.get(self.at)?)).collect()
    }
}

fn of_field(field: usize, operand: Option<usize>) -> Statement {
    let operands = operand.map(Operand::Value).into_iter().collect();
    Statement { what: What::Field(field), operands, hint: None }
}

fn fixed(number: Number) -> Option<usize> {
    match number {
        Number::Fixed(value) => Some(value),
        Number::Parameter(_) => None,
    }
}

/// A shape whose sizes differ from part to part.
fn free(shape: &Shape) -> String {
    match shape.rank() {
        4 => "[N, C, H, W]".to_owned(),
        2 => "[N, C]".to_owned(),
        rank => format!("{rank} axes"),
    }
}
