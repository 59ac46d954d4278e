//! MODEL and the sizes of its inputs.

use std::path::PathBuf;

use clap::Args;

use super::SourceArgs;

/// A model to read.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// A model file, or a folder holding one; the format is found from its bytes
    #[arg(value_name = "MODEL")]
    pub(crate) path: PathBuf,
    /// Sizes for free dimensions, in the model's own axis order
    #[arg(long, value_name = "[NAME=]N,…", value_parser = parse_shape)]
    pub(crate) input_shape: Vec<NamedShape>,
    /// Make the batch free where the exporter froze it: its size is computed wherever it was written out
    #[arg(long)]
    pub(crate) free_batch: bool,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// `1,3,224,224` or `name=1,3,224,224`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedShape {
    /// The input that is meant, where it is named.
    pub(crate) name: Option<String>,
    /// Sizes in the axis order of the source.
    pub(crate) shape: Vec<usize>,
}

pub(crate) fn parse_shape(text: &str) -> Result<NamedShape, String> {
    let (name, sizes) = match text.rsplit_once('=') {
        Some((name, sizes)) => (Some(name.to_owned()), sizes),
        None => (None, text),
    };
    let shape: Option<Vec<usize>> = sizes
        .split([',', 'x'])
        .map(|size| size.trim().parse().ok().filter(|size| (1..=1 << 24).contains(size)))
        .collect();
    let shape = shape.ok_or("expected sizes of at least 1 between commas, such as 1,224,224,3")?;
    Ok(NamedShape { name, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_with_and_without_the_name_of_an_input() {
        let expected = |name: Option<&str>| NamedShape { name: name.map(str::to_owned), shape: vec![1, 3, 224, 224] };
        assert_eq!(parse_shape("1,3,224,224"), Ok(expected(None)));
        assert_eq!(parse_shape("1x3x224x224"), Ok(expected(None)));
        assert_eq!(parse_shape("x:0=1, 3, 224, 224"), Ok(expected(Some("x:0"))));
        for bad in ["", "1,,2", "0,3", "1,-3", "N,3", "1,99999999999"] {
            assert!(parse_shape(bad).is_err(), "{bad}");
        }
    }
}
