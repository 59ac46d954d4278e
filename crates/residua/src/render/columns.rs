//! The columns of the layer table: what each shows, in text and in CSV, and which are worth showing.

use super::table::{self, numbers, words};
use super::{bytes, number, plural};
use crate::options::Column;
use crate::summary::{Field, LayerRow, Summary};

/// Columns of a table that is read, in order, where nobody asks for others.
const USUAL: [Column; 14] = [
    Column::Name,
    Column::Op,
    Column::OutputShape,
    Column::Kernel,
    Column::Stride,
    Column::Dilation,
    Column::Groups,
    Column::Parameters,
    Column::Trainable,
    Column::Macs,
    Column::Memory,
    Column::ReceptiveField,
    Column::CumulativeMacs,
    Column::Findings,
];

/// Those that a narrow terminal goes without, the least missed first.
pub const DISPENSABLE: [Column; 8] = [
    Column::CumulativeMacs,
    Column::CumulativeParameters,
    Column::Memory,
    Column::Dilation,
    Column::Trainable,
    Column::ReceptiveField,
    Column::Stride,
    Column::Kernel,
];

/// The usual columns without those that say nothing about this model.
pub fn worth_showing(summary: &Summary) -> Vec<Column> {
    let rows = &summary.layers;
    let says = |column: &Column| match column {
        Column::Dilation => rows.iter().any(|row| row.window.dilation.is_some_and(|dilation| dilation != [1; 2])),
        Column::Groups => rows.iter().any(|row| row.window.groups.is_some_and(|groups| groups != 1)),
        Column::Trainable => rows.iter().any(|row| row.trainable != row.parameters),
        Column::Name
        | Column::Op
        | Column::Part
        | Column::OutputShape
        | Column::Kernel
        | Column::Stride
        | Column::Parameters
        | Column::Macs
        | Column::Memory
        | Column::ReceptiveField
        | Column::Step
        | Column::CumulativeParameters
        | Column::CumulativeMacs
        | Column::Findings
        | Column::ConnectedTo => rows.iter().any(|row| !cell(*column, row).is_empty()),
    };
    let mut columns: Vec<Column> = USUAL.into_iter().filter(says).collect();
    if summary.macs.is_none() {
        // Without sizes there are no MACs to have a share of.
        columns.push(Column::CumulativeParameters);
    }
    columns.push(Column::ConnectedTo);
    columns
}

/// The head of a column.
pub fn head(column: Column) -> table::Column {
    match column {
        Column::Name => words("name"),
        Column::Op => words("op"),
        Column::Part => words("part"),
        Column::OutputShape => words("output shape"),
        Column::Kernel => numbers("kernel"),
        Column::Stride => numbers("stride"),
        Column::Dilation => numbers("dilation"),
        Column::Groups => numbers("groups"),
        Column::Parameters => numbers("parameters"),
        Column::Trainable => numbers("trainable"),
        Column::Macs => numbers("MACs"),
        Column::Memory => numbers("memory"),
        Column::ReceptiveField => numbers("receptive"),
        Column::Step => numbers("step"),
        Column::CumulativeParameters => numbers("Σ params"),
        Column::CumulativeMacs => numbers("Σ MACs"),
        Column::Findings => words("findings"),
        Column::ConnectedTo => words("connected to"),
    }
}

/// What a layer has in a column, for reading.
pub fn cell(column: Column, row: &LayerRow) -> String {
    match column {
        Column::Parameters => number(row.parameters),
        Column::Trainable => number(row.trainable),
        Column::Macs => row.macs.map_or_else(|| "?".to_owned(), number),
        Column::Memory => row.memory.map(bytes).unwrap_or_default(),
        Column::CumulativeParameters => row.cumulative_parameters.map(percent).unwrap_or_default(),
        Column::CumulativeMacs => row.cumulative_macs.map(percent).unwrap_or_default(),
        Column::Findings => row.findings.join(", "),
        Column::ConnectedTo => row.connected_to.join(", "),
        Column::Name
        | Column::Op
        | Column::Part
        | Column::OutputShape
        | Column::Kernel
        | Column::Stride
        | Column::Dilation
        | Column::Groups
        | Column::ReceptiveField
        | Column::Step => plain(column, row),
    }
}

/// What a layer has in a column, for a program: numbers without separators or units, shares as fractions.
pub fn plain(column: Column, row: &LayerRow) -> String {
    let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    match column {
        Column::Name => row.name.to_owned(),
        Column::Op => row.op.to_owned(),
        Column::Part => row.part.unwrap_or_default().to_owned(),
        Column::OutputShape => row.shape_text.clone(),
        Column::Kernel => row.window.kernel.map(|[rows, columns]| format!("{rows}x{columns}")).unwrap_or_default(),
        Column::Stride => row.window.stride.map(pair).unwrap_or_default(),
        Column::Dilation => row.window.dilation.map(pair).unwrap_or_default(),
        Column::Groups => row.window.groups.map(|groups| groups.to_string()).unwrap_or_default(),
        Column::Parameters => row.parameters.to_string(),
        Column::Trainable => row.trainable.to_string(),
        Column::Macs => text(row.macs),
        Column::Memory => text(row.memory),
        Column::ReceptiveField => match row.receptive_field {
            Some(Field::Window(size)) => pair(size),
            Some(Field::Whole(all)) => all.to_owned(),
            None => String::new(),
        },
        Column::Step => row.step.map(pair).unwrap_or_default(),
        Column::CumulativeParameters => row.cumulative_parameters.map(|x| x.to_string()).unwrap_or_default(),
        Column::CumulativeMacs => row.cumulative_macs.map(|x| x.to_string()).unwrap_or_default(),
        Column::Findings => row.findings.join(" "),
        Column::ConnectedTo => row.connected_to.join(" "),
    }
}

/// What the whole model has in a column.
pub fn total(column: Column, summary: &Summary) -> String {
    match column {
        Column::Name => plural(summary.layers.len(), "layer"),
        Column::Parameters => number(summary.parameters.total),
        Column::Trainable => number(summary.parameters.trainable),
        Column::Macs => summary.macs.map_or_else(|| "?".to_owned(), number),
        Column::Op
        | Column::Part
        | Column::OutputShape
        | Column::Kernel
        | Column::Stride
        | Column::Dilation
        | Column::Groups
        | Column::Memory
        | Column::ReceptiveField
        | Column::Step
        | Column::CumulativeParameters
        | Column::CumulativeMacs
        | Column::Findings
        | Column::ConnectedTo => String::new(),
    }
}

/// `3` for a square, `3x5` for what is none.
fn pair<T: PartialEq + ToString>([rows, columns]: [T; 2]) -> String {
    if rows == columns { rows.to_string() } else { format!("{}x{}", rows.to_string(), columns.to_string()) }
}

/// `12.3%`.
fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
