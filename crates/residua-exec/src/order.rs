//! Arrays to and from the axis order of the source model.
//!
//! Graphs compute channels first; what users give and get lies as their framework shows it.

use residua_ir::SourceOrder;

use crate::array::Array;
use crate::error::ExecError;

/// An array of a run, as the source model shows it.
///
/// # Errors
/// [`ExecError::Permutation`] or [`ExecError::Flattened`] where the order does not fit the array.
pub fn to_source(array: &Array, order: &SourceOrder) -> Result<Array, ExecError> {
    match order {
        SourceOrder::Same => Ok(array.clone()),
        SourceOrder::Permuted(perm) => array.permute(perm),
        &SourceOrder::FlattenedChannelsLast { channels, height, width } => {
            let rows = flattened_rows(array, channels, height, width)?;
            let split = array.clone().reshape(vec![rows, channels, height, width])?;
            split.permute(&[0, 2, 3, 1])?.reshape(array.shape().to_vec())
        }
    }
}

/// An array as the source model shows it, for a run.
///
/// # Errors
/// [`ExecError::Permutation`] or [`ExecError::Flattened`] where the order does not fit the array.
pub fn from_source(array: &Array, order: &SourceOrder) -> Result<Array, ExecError> {
    match order {
        SourceOrder::Same => Ok(array.clone()),
        SourceOrder::Permuted(perm) => {
            let error = || ExecError::Permutation { perm: perm.clone(), shape: array.shape().to_vec() };
            let inverse: Option<Vec<usize>> =
                (0..perm.len()).map(|axis| perm.iter().position(|&source| source == axis)).collect();
            array.permute(&inverse.ok_or_else(error)?)
        }
        &SourceOrder::FlattenedChannelsLast { channels, height, width } => {
            let rows = flattened_rows(array, channels, height, width)?;
            let split = array.clone().reshape(vec![rows, height, width, channels])?;
            split.permute(&[0, 3, 1, 2])?.reshape(array.shape().to_vec())
        }
    }
}

fn flattened_rows(array: &Array, channels: usize, height: usize, width: usize) -> Result<usize, ExecError> {
    let features = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
    match *array.shape() {
        [rows, columns] if features == Some(columns) => Ok(rows),
        _ => Err(ExecError::Flattened { shape: array.shape().to_vec(), channels, height, width }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_survives_the_way_there_and_back() {
        let values: Vec<f32> = (0..2 * 3 * 4 * 5).map(|i| i as f32).collect();
        let image = Array::new(vec![2, 3, 4, 5], values.clone()).unwrap();
        let order = SourceOrder::channels_last();
        let shown = to_source(&image, &order).unwrap();
        assert_eq!(shown.shape(), [2, 4, 5, 3]);
        assert_eq!(from_source(&shown, &order).unwrap(), image);

        let flat = Array::new(vec![2, 60], values).unwrap();
        let order = SourceOrder::FlattenedChannelsLast { channels: 3, height: 4, width: 5 };
        let shown = to_source(&flat, &order).unwrap();
        // Second channel of the first pixel: one image of 20 elements on.
        assert_eq!(shown.to_f32()[1], 20.0);
        assert_eq!(from_source(&shown, &order).unwrap(), flat);
    }

    #[test]
    fn an_order_that_does_not_fit_is_refused() {
        let flat = Array::zeros(vec![2, 60]).unwrap();
        assert!(to_source(&flat, &SourceOrder::channels_last()).is_err());
        let order = SourceOrder::FlattenedChannelsLast { channels: 7, height: 4, width: 5 };
        assert!(matches!(from_source(&flat, &order), Err(ExecError::Flattened { .. })));
    }
}
