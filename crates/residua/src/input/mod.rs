//! What a model is run on: arrays and images from files, made to fit the model's inputs.
//!
//! Arrays come in the axis order of the source and leave in the order of the graph. Nothing is guessed in silence:
//! what was done to an input beyond reading it is in [`Fed::notes`].

#[cfg(feature = "images")]
mod decode;
#[cfg(feature = "more-images")]
mod formats;
#[cfg(feature = "images")]
mod geometry;
mod golden;
#[cfg(feature = "images")]
mod image;
#[cfg(feature = "images")]
mod interpolate;
mod npy;
#[cfg(feature = "images")]
mod orientation;
#[cfg(feature = "images")]
mod preparing;
mod random;
#[cfg(feature = "images")]
mod resize;
mod tensor_proto;

use std::path::Path;

use crate::error::{Context, Result, bail, ensure};
use residua_exec::{Array, Data, order};
use residua_ir::{Checked, DType, Hint, Shape, Shown, Tensor, ValueId};
use residua_resnet::preprocessing::Known;

use crate::model::{Model, input_named, input_shape};
use crate::options::ImageOptions;

#[cfg(feature = "images")]
pub(crate) use decode::DecodeError;
#[cfg(feature = "more-images")]
pub use formats::EXTENSIONS;
#[cfg(feature = "more-images")]
pub(crate) use formats::read_image;
pub use golden::read as read_golden;
#[cfg(feature = "more-images")]
pub(crate) use image::Preparing;
pub use npy::{Named as NamedArray, write_npy, write_npz};
pub use random::arrays as random;
#[cfg(feature = "more-images")]
pub(crate) use resize::Image as Decoded;

/// Arrays for a run.
#[derive(Debug)]
pub struct Fed {
    /// One for each input, channels first.
    pub arrays: Vec<Array>,
    /// What each row of the batch comes from, where it is one file a row.
    pub rows: Vec<String>,
    /// What was done beyond reading.
    pub notes: Vec<String>,
    /// How images were prepared, where there were some.
    pub preparation: Option<Known>,
}

impl Fed {
    /// Arrays that were made, not read.
    #[must_use]
    pub fn of(arrays: Vec<Array>) -> Self {
        Self { arrays, rows: Vec::new(), notes: Vec::new(), preparation: None }
    }
}

/// What a file holds.
enum Content {
    Array(Tensor),
    Arrays(Vec<(String, Tensor)>),
    #[cfg(feature = "images")]
    Image(resize::Image),
}

fn read(path: &Path) -> Result<Content> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("npy") => npy::read_npy(path).map(Content::Array),
        Some("npz") => npy::read_npz(path).map(Content::Arrays),
        Some("pb") => tensor_proto::read(path).map(Content::Array),
        #[cfg(feature = "images")]
        Some("png" | "jpg" | "jpeg") => image::read(path).map(Content::Image),
        Some(_) | None => {
            bail!("{}: expected .npy, .npz, .pb, .png or .jpg", path.shown())
        }
    }
}

/// A tensor as an array: in f32, or in f64 where f32 does not hold all numbers of its type.
pub fn to_array(tensor: &Tensor) -> Result<Array> {
    let shape = tensor.shape().to_vec();
    Ok(match tensor.dtype() {
        DType::F64 | DType::I64 | DType::I32 | DType::U64 | DType::U32 => Array::new(shape, tensor.to_f64()?)?,
        DType::F32 | DType::F16 | DType::BF16 | DType::I16 | DType::I8 | DType::U16 | DType::U8 | DType::Bool => {
            Array::new(shape, tensor.to_f32()?)?
        }
    })
}

/// Splits `NAME=FILE`; a `=` in the name of a file that exists is no separator.
fn split<'a>(model: &Checked, text: &'a str) -> Result<(Option<usize>, &'a Path)> {
    match text.split_once('=') {
        Some((name, file)) if !Path::new(text).exists() => {
            Ok((Some(input_named(model.graph(), name)?), Path::new(file)))
        }
        Some(_) | None => Ok((None, Path::new(text))),
    }
}

/// Reads all files and makes an array for each input of them.
///
/// # Errors
/// Where a file cannot be read or does not fit, or an input gets nothing.
pub fn gather(model: &Model, files: &[String], images: &ImageOptions) -> Result<Fed> {
    #[cfg(not(feature = "images"))]
    let _ = images;
    let graph = model.checked.graph();
    let inputs = graph.inputs();
    let mut pieces: Vec<Vec<Array>> = vec![Vec::new(); inputs.len()];
    let mut rows = Vec::new();
    let mut feed = Feed {
        model,
        #[cfg(feature = "images")]
        images,
        notes: Vec::new(),
        prepared: Vec::new(),
    };
    let mut next = 0;
    for text in files {
        let (named, path) = split(&model.checked, text)?;
        let content = read(path)?;
        if let Content::Arrays(arrays) = content {
            feed.named_arrays(path, named, arrays, &mut pieces)?;
            continue;
        }
        let index = match named {
            Some(index) => index,
            None if inputs.len() == 1 => 0,
            None => {
                next += 1;
                next - 1
            }
        };
        ensure!(index < inputs.len(), "{} files were given, the model has {} inputs", files.len(), inputs.len());
        let array = match content {
            #[cfg(feature = "images")]
            Content::Image(image) => feed.image(path, inputs[index], image)?,
            Content::Array(tensor) => feed.array(path, inputs[index], &tensor)?,
            Content::Arrays(_) => continue,
        };
        if array.shape().first() == Some(&1) {
            rows.push(path.to_string_lossy().into_owned());
        }
        pieces[index].push(array);
    }
    let missing: Vec<&str> = pieces
        .iter()
        .zip(inputs)
        .filter(|(pieces, _)| pieces.is_empty())
        .map(|(_, &id)| graph.value(id).name.raw())
        .collect();
    ensure!(missing.is_empty(), "no {} for `{}`", Hint::Inputs, missing.join("`, `"));
    let arrays = pieces.into_iter().map(concatenate).collect::<Result<Vec<Array>>>()?;
    if inputs.len() > 1 || arrays.iter().any(|array| array.shape().first() != Some(&rows.len())) {
        rows.clear();
    }
    let preparation = feed.prepared.into_iter().next().map(|(_, known)| known);
    Ok(Fed { arrays, rows, notes: feed.notes, preparation })
}

struct Feed<'a> {
    model: &'a Model,
    #[cfg(feature = "images")]
    images: &'a ImageOptions,
    notes: Vec<String>,
    /// How images are prepared for each input that got one.
    prepared: Vec<(ValueId, Known)>,
}

impl Feed<'_> {
    fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    #[cfg(feature = "images")]
    fn image(&mut self, path: &Path, input: ValueId, image: resize::Image) -> Result<Array> {
        let what = || format!("{} cannot be made an input", path.shown());
        let known = match self.prepared.iter().find(|(of, _)| *of == input) {
            Some((_, known)) => known.clone(),
            None => {
                let (known, notes) = image::known(self.model, input, self.images).with_context(what)?;
                for text in notes {
                    self.note(text);
                }
                self.prepared.push((input, known.clone()));
                known
            }
        };
        if let Some(text) = preparing::squeezed(&known, (image.height, image.width)) {
            self.note(text);
        }
        image::prepare(self.model, input, image, &known).with_context(what)
    }

    fn array(&mut self, path: &Path, input: ValueId, tensor: &Tensor) -> Result<Array> {
        let (array, batched) = fit(&self.model.checked, input, tensor).with_context(|| path.shown())?;
        if batched {
            self.note(format!("{} has no batch axis; it was taken as a batch of one", path.shown()));
        }
        Ok(array)
    }

    /// Arrays of a `.npz` go to the inputs of their names; a single array goes to a single input, whatever its name.
    fn named_arrays(
        &mut self,
        path: &Path,
        named: Option<usize>,
        arrays: Vec<(String, Tensor)>,
        pieces: &mut [Vec<Array>],
    ) -> Result<()> {
        let graph = self.model.checked.graph();
        let candidates: Vec<(&str, &Tensor)> = arrays
            .iter()
            .filter(|(name, _)| !name.starts_with("output/") && !name.starts_with("tap/"))
            .map(|(name, tensor)| (name.strip_prefix("input/").unwrap_or(name), tensor))
            .collect();
        let only = match candidates[..] {
            [(_, tensor)] => Some(tensor),
            _ => None,
        };
        let targets: Vec<usize> = match named {
            Some(index) => vec![index],
            None => (0..graph.inputs().len()).collect(),
        };
        let single = targets.len() == 1;
        let mut found = 0;
        for index in targets {
            let input = graph.inputs()[index];
            let wanted = graph.value(input).name.raw();
            let tensor = candidates.iter().find(|(name, _)| *name == wanted).map(|(_, tensor)| *tensor);
            let Some(tensor) = tensor.or(only.filter(|_| single)) else { continue };
            found += 1;
            pieces[index].push(self.array(path, input, tensor)?);
        }
        if found == 0 {
            let names: Vec<&str> = candidates.iter().map(|(name, _)| *name).collect();
            let inputs: Vec<&str> = graph.inputs().iter().map(|&id| graph.value(id).name.raw()).collect();
            bail!(
                "{}: expected an array named as an input of the model (`{}`), found `{}`",
                path.shown(),
                inputs.join("`, `"),
                names.join("`, `")
            );
        }
        Ok(())
    }
}

/// An array of the source's axis order as the graph takes it, and whether it lacked the batch axis.
fn fit(model: &Checked, input: ValueId, tensor: &Tensor) -> Result<(Array, bool)> {
    let value = model.graph().value(input);
    let declared = input_shape(model.graph(), input);
    let mut array = to_array(tensor)?;
    let batched = array.shape().len() + 1 == declared.rank();
    if batched {
        let shape = std::iter::once(1).chain(array.shape().iter().copied()).collect();
        array = array.reshape(shape)?;
    }
    let fits = array.shape().len() == declared.rank()
        && declared.dims().iter().zip(array.shape()).all(|(dim, &size)| dim.fixed().is_none_or(|fixed| fixed == size));
    ensure!(
        fits,
        "input `{}` is declared {declared}, the array has shape {}{}",
        value.name,
        Shape::fixed(tensor.shape()),
        advice(&declared, tensor.shape())
    );
    Ok((order::from_source(&array, &value.order)?, batched))
}

/// What may have gone wrong with an array that does not fit.
fn advice(declared: &Shape, found: &[usize]) -> &'static str {
    let fits = |perm: [usize; 4]| {
        found.len() == 4
            && declared.rank() == 4
            && perm.iter().zip(declared.dims()).all(|(&axis, dim)| dim.fixed().is_none_or(|size| size == found[axis]))
    };
    if fits([0, 2, 3, 1]) {
        "; it seems to be channels first, the model takes channels last"
    } else if fits([0, 3, 1, 2]) {
        "; it seems to be channels last, the model takes channels first"
    } else {
        ""
    }
}

/// Arrays one behind the other along the batch.
fn concatenate(mut arrays: Vec<Array>) -> Result<Array> {
    if arrays.len() == 1 {
        return Ok(arrays.remove(0));
    }
    let Some(first) = arrays.first() else { bail!("no array") };
    let mut shape = first.shape().to_vec();
    let rest = shape.get(1..).unwrap_or_default().to_vec();
    let mut batch = 0;
    let mut values = Vec::new();
    for array in &arrays {
        ensure!(
            array.shape().get(1..) == Some(&rest),
            "inputs of different sizes make no batch: {:?} and {:?} (channels first)",
            first.shape(),
            array.shape()
        );
        batch += array.shape()[0];
        values.extend(array.to_f64());
    }
    shape[0] = batch;
    let array = Array::new(shape, values)?;
    let wide = arrays.iter().any(|array| matches!(array.data(), Data::F64(_)));
    Ok(if wide { array } else { Array::new(array.shape().to_vec(), array.to_f32())? })
}

#[cfg(test)]
mod tests {
    use residua_ir::{Dim, GraphBuilder, InputType, SourceOrder, validate};

    use super::*;

    fn channels_last_model() -> Checked {
        let mut g = GraphBuilder::new("g");
        let shape = Shape::new(vec![Dim::symbol("N"), Dim::Fixed(3), Dim::Fixed(4), Dim::Fixed(5)]);
        let x = g.input_with("x", InputType { dtype: DType::F32, shape }, SourceOrder::channels_last());
        g.output(x);
        validate(g.finish().unwrap()).unwrap()
    }

    fn counting(shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|i| i as f32).collect();
        Tensor::from_f32(shape.to_vec(), &values).unwrap()
    }

    #[test]
    fn an_array_in_the_sources_order_becomes_channels_first() {
        let model = channels_last_model();
        let input = model.graph().inputs()[0];
        let (array, batched) = fit(&model, input, &counting(&[2, 4, 5, 3])).unwrap();
        assert_eq!((array.shape(), batched), (&[2, 3, 4, 5][..], false));
        assert_eq!(array.to_f32()[1], 3.0);
    }

    #[test]
    fn an_array_without_a_batch_is_a_batch_of_one() {
        let model = channels_last_model();
        let (array, batched) = fit(&model, model.graph().inputs()[0], &counting(&[4, 5, 3])).unwrap();
        assert_eq!((array.shape(), batched), (&[1, 3, 4, 5][..], true));
    }

    #[test]
    fn an_array_in_the_other_order_is_refused_and_told_so() {
        let model = channels_last_model();
        let error = fit(&model, model.graph().inputs()[0], &counting(&[2, 3, 4, 5])).unwrap_err().to_string();
        assert_eq!(
            error,
            "input `x` is declared [N, 4, 5, 3], the array has shape [2, 3, 4, 5]; it seems to be channels first, the \
             model takes channels last"
        );
    }

    #[test]
    fn several_arrays_make_a_batch_where_their_sizes_agree() {
        let array = |shape: &[usize]| to_array(&counting(shape)).unwrap();
        let batch = concatenate(vec![array(&[1, 2]), array(&[2, 2])]).unwrap();
        assert_eq!(batch.shape(), [3, 2]);
        assert_eq!(batch.to_f32(), [0.0, 1.0, 0.0, 1.0, 2.0, 3.0]);
        assert!(concatenate(vec![array(&[1, 2]), array(&[1, 3])]).is_err());
    }
}
