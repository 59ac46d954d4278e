//! The columns of the layer table: what each shows, in text and in CSV, and which are worth showing.

use super::table::{Column, numbers, words};
use super::{bytes, number, plural};
use crate::args::LayerColumn;
use crate::summary::{Field, LayerRow, Summary};

/// All columns, as CSV has them.
pub(crate) const ALL: [LayerColumn; 18] = [
    LayerColumn::Name,
    LayerColumn::Op,
    LayerColumn::Part,
    LayerColumn::OutputShape,
    LayerColumn::Kernel,
    LayerColumn::Stride,
    LayerColumn::Dilation,
    LayerColumn::Groups,
    LayerColumn::Parameters,
    LayerColumn::Trainable,
    LayerColumn::Macs,
    LayerColumn::Memory,
    LayerColumn::ReceptiveField,
    LayerColumn::Step,
    LayerColumn::CumulativeParameters,
    LayerColumn::CumulativeMacs,
    LayerColumn::Findings,
    LayerColumn::ConnectedTo,
];

/// Columns of a table that is read, in order, where nobody asks for others.
const USUAL: [LayerColumn; 14] = [
    LayerColumn::Name,
    LayerColumn::Op,
    LayerColumn::OutputShape,
    LayerColumn::Kernel,
    LayerColumn::Stride,
    LayerColumn::Dilation,
    LayerColumn::Groups,
    LayerColumn::Parameters,
    LayerColumn::Trainable,
    LayerColumn::Macs,
    LayerColumn::Memory,
    LayerColumn::ReceptiveField,
    LayerColumn::CumulativeMacs,
    LayerColumn::Findings,
];

/// Those that a narrow terminal goes without, the least missed first.
pub(crate) const DISPENSABLE: [LayerColumn; 8] = [
    LayerColumn::CumulativeMacs,
    LayerColumn::CumulativeParameters,
    LayerColumn::Memory,
    LayerColumn::Dilation,
    LayerColumn::Trainable,
    LayerColumn::ReceptiveField,
    LayerColumn::Stride,
    LayerColumn::Kernel,
];

/// The usual columns without those that say nothing about this model.
pub(crate) fn worth_showing(summary: &Summary) -> Vec<LayerColumn> {
    let rows = &summary.layers;
    let says = |column: &LayerColumn| match column {
        LayerColumn::Dilation => rows.iter().any(|row| row.window.dilation.is_some_and(|dilation| dilation != [1; 2])),
        LayerColumn::Groups => rows.iter().any(|row| row.window.groups.is_some_and(|groups| groups != 1)),
        LayerColumn::Trainable => rows.iter().any(|row| row.trainable != row.parameters),
        LayerColumn::Name
        | LayerColumn::Op
        | LayerColumn::Part
        | LayerColumn::OutputShape
        | LayerColumn::Kernel
        | LayerColumn::Stride
        | LayerColumn::Parameters
        | LayerColumn::Macs
        | LayerColumn::Memory
        | LayerColumn::ReceptiveField
        | LayerColumn::Step
        | LayerColumn::CumulativeParameters
        | LayerColumn::CumulativeMacs
        | LayerColumn::Findings
        | LayerColumn::ConnectedTo => rows.iter().any(|row| !cell(*column, row).is_empty()),
    };
    let mut columns: Vec<LayerColumn> = USUAL.into_iter().filter(says).collect();
    if summary.macs.is_none() {
        // Without sizes there are no MACs to have a share of.
        columns.push(LayerColumn::CumulativeParameters);
    }
    columns.push(LayerColumn::ConnectedTo);
    columns
}

/// The head of a column.
pub(crate) fn head(column: LayerColumn) -> Column {
    match column {
        LayerColumn::Name => words("name"),
        LayerColumn::Op => words("op"),
        LayerColumn::Part => words("part"),
        LayerColumn::OutputShape => words("output shape"),
        LayerColumn::Kernel => numbers("kernel"),
        LayerColumn::Stride => numbers("stride"),
        LayerColumn::Dilation => numbers("dilation"),
        LayerColumn::Groups => numbers("groups"),
        LayerColumn::Parameters => numbers("parameters"),
        LayerColumn::Trainable => numbers("trainable"),
        LayerColumn::Macs => numbers("MACs"),
        LayerColumn::Memory => numbers("memory"),
        LayerColumn::ReceptiveField => numbers("receptive"),
        LayerColumn::Step => numbers("step"),
        LayerColumn::CumulativeParameters => numbers("Σ params"),
        LayerColumn::CumulativeMacs => numbers("Σ MACs"),
        LayerColumn::Findings => words("findings"),
        LayerColumn::ConnectedTo => words("connected to"),
    }
}

/// Its name on the command line and in CSV.
pub(crate) fn key(column: LayerColumn) -> &'static str {
    match column {
        LayerColumn::Name => "name",
        LayerColumn::Op => "op",
        LayerColumn::Part => "part",
        LayerColumn::OutputShape => "output_shape",
        LayerColumn::Kernel => "kernel",
        LayerColumn::Stride => "stride",
        LayerColumn::Dilation => "dilation",
        LayerColumn::Groups => "groups",
        LayerColumn::Parameters => "parameters",
        LayerColumn::Trainable => "trainable",
        LayerColumn::Macs => "macs",
        LayerColumn::Memory => "memory",
        LayerColumn::ReceptiveField => "receptive_field",
        LayerColumn::Step => "step",
        LayerColumn::CumulativeParameters => "cumulative_parameters",
        LayerColumn::CumulativeMacs => "cumulative_macs",
        LayerColumn::Findings => "findings",
        LayerColumn::ConnectedTo => "connected_to",
    }
}

/// What a layer has in a column, for reading.
pub(crate) fn cell(column: LayerColumn, row: &LayerRow) -> String {
    match column {
        LayerColumn::Parameters => number(row.parameters),
        LayerColumn::Trainable => number(row.trainable),
        LayerColumn::Macs => row.macs.map_or_else(|| "?".to_owned(), number),
        LayerColumn::Memory => row.memory.map(bytes).unwrap_or_default(),
        LayerColumn::CumulativeParameters => row.cumulative_parameters.map(percent).unwrap_or_default(),
        LayerColumn::CumulativeMacs => row.cumulative_macs.map(percent).unwrap_or_default(),
        LayerColumn::Findings => row.findings.join(", "),
        LayerColumn::ConnectedTo => row.connected_to.join(", "),
        LayerColumn::Name
        | LayerColumn::Op
        | LayerColumn::Part
        | LayerColumn::OutputShape
        | LayerColumn::Kernel
        | LayerColumn::Stride
        | LayerColumn::Dilation
        | LayerColumn::Groups
        | LayerColumn::ReceptiveField
        | LayerColumn::Step => plain(column, row),
    }
}

/// What a layer has in a column, for a program: numbers without separators or units, shares as fractions.
pub(crate) fn plain(column: LayerColumn, row: &LayerRow) -> String {
    let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    match column {
        LayerColumn::Name => row.name.to_owned(),
        LayerColumn::Op => row.op.to_owned(),
        LayerColumn::Part => row.part.unwrap_or_default().to_owned(),
        LayerColumn::OutputShape => row.shape_text.clone(),
        LayerColumn::Kernel => row.window.kernel.map(|[rows, columns]| format!("{rows}x{columns}")).unwrap_or_default(),
        LayerColumn::Stride => row.window.stride.map(pair).unwrap_or_default(),
        LayerColumn::Dilation => row.window.dilation.map(pair).unwrap_or_default(),
        LayerColumn::Groups => row.window.groups.map(|groups| groups.to_string()).unwrap_or_default(),
        LayerColumn::Parameters => row.parameters.to_string(),
        LayerColumn::Trainable => row.trainable.to_string(),
        LayerColumn::Macs => text(row.macs),
        LayerColumn::Memory => text(row.memory),
        LayerColumn::ReceptiveField => match row.receptive_field {
            Some(Field::Window(size)) => pair(size),
            Some(Field::Whole(all)) => all.to_owned(),
            None => String::new(),
        },
        LayerColumn::Step => row.step.map(pair).unwrap_or_default(),
        LayerColumn::CumulativeParameters => row.cumulative_parameters.map(|x| x.to_string()).unwrap_or_default(),
        LayerColumn::CumulativeMacs => row.cumulative_macs.map(|x| x.to_string()).unwrap_or_default(),
        LayerColumn::Findings => row.findings.join(" "),
        LayerColumn::ConnectedTo => row.connected_to.join(" "),
    }
}

/// What the whole model has in a column.
pub(crate) fn total(column: LayerColumn, summary: &Summary) -> String {
    match column {
        LayerColumn::Name => plural(summary.layers.len(), "layer"),
        LayerColumn::Parameters => number(summary.parameters.total),
        LayerColumn::Trainable => number(summary.parameters.trainable),
        LayerColumn::Macs => summary.macs.map_or_else(|| "?".to_owned(), number),
        LayerColumn::Op
        | LayerColumn::Part
        | LayerColumn::OutputShape
        | LayerColumn::Kernel
        | LayerColumn::Stride
        | LayerColumn::Dilation
        | LayerColumn::Groups
        | LayerColumn::Memory
        | LayerColumn::ReceptiveField
        | LayerColumn::Step
        | LayerColumn::CumulativeParameters
        | LayerColumn::CumulativeMacs
        | LayerColumn::Findings
        | LayerColumn::ConnectedTo => String::new(),
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
