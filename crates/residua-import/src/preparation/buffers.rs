//! Means and deviations that a checkpoint holds as tensors beside its network: detectron2's `pixel_mean` and `pixel_std`, mmengine's
//! `data_preprocessor`.
//!
//! Which channel comes first is in no tensor. The usual means tell it: blue's is the smallest, red's the largest.

use residua_formats::NamedTensor;
use residua_ir::preparation::{Channels, Preparation, Stated, Values};

/// Names of the two, behind whatever prefix.
const PAIRS: [[&str; 2]; 2] = [["pixel_mean", "pixel_std"], ["data_preprocessor.mean", "data_preprocessor.std"]];

/// Whether a tensor says how images are prepared, by its name and shape.
pub(crate) fn says_values(name: &str, shape: &[usize]) -> bool {
    shape.iter().product::<usize>() == 3 && PAIRS.iter().flatten().any(|end| ends(name, end))
}

fn ends(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// What tensors state, and what was taken that they do not.
pub(crate) fn of_tensors(tensors: &[NamedTensor]) -> (Vec<Stated>, Vec<String>) {
    let find = |end: &str| {
        let mut found = tensors.iter().filter(|tensor| ends(&tensor.name, end));
        let tensor = found.next().filter(|_| found.next().is_none())?;
        let values = tensor.tensor.to_f64().ok()?;
        Some((tensor.name.as_str(), <[f64; 3]>::try_from(values).ok()?))
    };
    let (mut stated, mut notes) = (Vec::new(), Vec::new());
    for [mean, deviation] in PAIRS {
        let (Some((name, mean)), Some((_, deviation))) = (find(mean), find(deviation)) else { continue };
        let by = format!("`{}` in the checkpoint", name.escape_debug());
        let of_bytes = mean.iter().any(|mean| *mean > 4.0);
        let [first, _, last] = mean;
        let channels = if first < last { Channels::Bgr } else { Channels::Rgb };
        let factor = if of_bytes { 1.0 } else { 1.0 / 255.0 };
        let preparation =
            Preparation { values: Some(Values { channels, factor, mean, deviation }), ..Preparation::default() };
        match preparation.check() {
            Ok(()) => {
                let (order, relation) = if first < last { ("BGR", "smaller") } else { ("RGB", "not smaller") };
                notes.push(format!(
                    "{by} says with which numbers pixels are scaled, not in which order the channels are: taken as {order}, since the first mean is \
                     {relation} than the last (--preprocess says otherwise)"
                ));
                stated.push(Stated::new(by, preparation));
            }
            Err(error) => notes.push(format!("{by} says how images are prepared, but cannot be followed: {error}")),
        }
    }
    (stated, notes)
}

#[cfg(test)]
mod tests {
    use residua_ir::Tensor;

    use super::*;

    fn tensors(mean: [f32; 3], deviation: [f32; 3]) -> Vec<NamedTensor> {
        let tensor = |name: &str, values: [f32; 3]| {
            let tensor = Tensor::from_f32(vec![3, 1, 1], &values).unwrap();
            NamedTensor { name: name.to_owned(), location: name.to_owned(), tensor }
        };
        vec![tensor("model.pixel_mean", mean), tensor("model.pixel_std", deviation)]
    }

    fn values(mean: [f32; 3]) -> Values {
        let (stated, notes) = of_tensors(&tensors(mean, [1.0, 2.0, 3.0]));
        assert_eq!((stated.len(), notes.len()), (1, 1), "{notes:?}");
        stated[0].preparation.values.unwrap()
    }

    #[test]
    fn caffes_means_are_of_bgr_and_imagenets_of_rgb() {
        let caffe = values([103.5, 116.25, 123.75]);
        assert_eq!((caffe.channels, caffe.factor), (Channels::Bgr, 1.0));
        assert_eq!((caffe.mean, caffe.deviation), ([103.5, 116.25, 123.75], [1.0, 2.0, 3.0]));
        assert_eq!(values([123.75, 116.25, 103.5]).channels, Channels::Rgb);
        let unit = values([0.5, 0.25, 0.125]);
        assert_eq!((unit.channels, unit.factor), (Channels::Rgb, 1.0 / 255.0));
    }

    #[test]
    fn what_cannot_be_followed_is_said_and_other_tensors_say_nothing() {
        let (stated, notes) = of_tensors(&tensors([103.5, 116.25, 123.75], [0.0, 1.0, 1.0]));
        assert!(stated.is_empty() && notes[0].contains("cannot be followed"), "{notes:?}");
        assert!(says_values("pixel_mean", &[3, 1, 1]) && says_values("a.data_preprocessor.std", &[3]));
        assert!(!says_values("pixel_mean", &[4]) && !says_values("superpixel_mean", &[3]));
    }
}
