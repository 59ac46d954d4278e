//! What can be said about the values of a tensor in one pass over them.
//!
//! f32 values are seen where they lie, in as many lanes as vector registers hold, at the speed of memory. Two storages
//! are walked so: output channels one after the other (OIHW), and output channels side by side (HWIO). What lies in
//! any other way, or has another type, is gathered first.

use pulp::{Arch, Simd, WithSimd};

use super::{DType, Endian, Storage, Tensor, TensorError};

/// Range of the values of a tensor, and what its output channels hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Smallest finite value; +∞ where there is none.
    pub min: f64,
    /// Largest finite value; −∞ where there is none.
    pub max: f64,
    /// Values that are no number.
    pub nan: usize,
    /// Values that are infinite.
    pub infinite: usize,
    /// Finite values that are infinite as f16.
    pub beyond_f16: usize,
    /// Values that are 0 as f16 and are not 0.
    pub below_f16: usize,
    /// What each slice along axis 0 holds; none for a scalar.
    pub channels: Vec<Channel>,
}

/// What one slice along axis 0 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Whether all its values are 0.
    pub zero: bool,
    /// The same for slices of the same values in the same order, within one tensor and between tensors that lie alike.
    pub hash: u64,
}

impl Statistics {
    const EMPTY: Self = Self {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        nan: 0,
        infinite: 0,
        beyond_f16: 0,
        below_f16: 0,
        channels: Vec::new(),
    };

    /// Values that are infinite or no number.
    #[must_use]
    pub fn non_finite(&self) -> usize {
        self.nan + self.infinite
    }

    /// Whether all values are this one.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "equal is what is asked for")]
    pub fn is_all(&self, value: f64) -> bool {
        self.non_finite() == 0 && self.min == value && self.max == value
    }

    fn add(&mut self, seen: &Seen) {
        self.min = self.min.min(seen.min);
        self.max = self.max.max(seen.max);
        self.nan += seen.nan;
        self.infinite += seen.infinite;
        self.beyond_f16 += seen.beyond_f16;
        self.below_f16 += seen.below_f16;
        self.channels.push(Channel { zero: seen.zero, hash: seen.hash });
    }
}

/// From here on a finite f32 is infinite as f16: halfway between the largest f16 and what would follow it.
const BEYOND: u32 = 0x477f_f000;
/// Up to here an f32 is 0 as f16: half of the smallest f16, which is rounded to the even neighbour.
const BELOW: u32 = 0x3300_0000;
const INFINITE: u32 = 0x7f80_0000;

/// One channel.
struct Seen {
    min: f64,
    max: f64,
    nan: usize,
    infinite: usize,
    beyond_f16: usize,
    below_f16: usize,
    zero: bool,
    hash: u64,
}

/// One after the other, for what is no f32 in a row.
fn seen_f64(values: &[f64], float: bool) -> Seen {
    let start = Seen {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        nan: 0,
        infinite: 0,
        beyond_f16: 0,
        below_f16: 0,
        zero: true,
        hash: 0,
    };
    let (beyond, below) = (f64::from(f32::from_bits(BEYOND)), f64::from(f32::from_bits(BELOW)));
    values.iter().fold(start, |mut seen, &value| {
        if value.is_finite() {
            seen.min = seen.min.min(value);
            seen.max = seen.max.max(value);
        }
        seen.nan += usize::from(value.is_nan());
        seen.infinite += usize::from(value.is_infinite());
        seen.beyond_f16 += usize::from(float && value.is_finite() && value.abs() >= beyond);
        seen.below_f16 += usize::from(float && value != 0.0 && value.abs() <= below);
        seen.zero &= value == 0.0;
        seen.hash = mix(seen.hash, value.to_bits());
        seen
    })
}

fn mix(hash: u64, bits: u64) -> u64 {
    (hash ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// f32 values, so many at a time; each lane sees every `N`th.
#[derive(Clone, Copy)]
struct Lanes<const N: usize> {
    min: [f32; N],
    max: [f32; N],
    /// Largest magnitude, as bits: they are ordered as the magnitudes are, NaN above ∞.
    top: [u32; N],
    zeros: [u32; N],
    /// Magnitudes that are at most [`BELOW`], zeros among them.
    small: [u32; N],
    hash: [u32; N],
}

impl<const N: usize> Lanes<N> {
    const EMPTY: Self = Self {
        min: [f32::INFINITY; N],
        max: [f32::NEG_INFINITY; N],
        top: [0; N],
        zeros: [0; N],
        small: [0; N],
        hash: [0; N],
    };

    #[inline(always)]
    fn see(&mut self, values: &[[u8; 4]; N]) {
        for (lane, &bytes) in values.iter().enumerate() {
            let bits = u32::from_le_bytes(bytes);
            let (value, magnitude) = (f32::from_bits(bits), bits & 0x7fff_ffff);
            self.min[lane] = if value < self.min[lane] { value } else { self.min[lane] };
            self.max[lane] = if value > self.max[lane] { value } else { self.max[lane] };
            self.top[lane] = if magnitude > self.top[lane] { magnitude } else { self.top[lane] };
            self.zeros[lane] += u32::from(magnitude == 0);
            self.small[lane] += u32::from(magnitude <= BELOW);
            self.hash[lane] = self.hash[lane].wrapping_mul(31).wrapping_add(bits);
        }
    }

    /// What one lane has seen; large values are few, and are looked at again.
    fn lane(&self, lane: usize, again: impl Iterator<Item = f32>) -> Seen {
        let top = self.top[lane];
        let large = top >= BEYOND;
        let mut seen = Seen {
            min: f64::from(self.min[lane]),
            max: f64::from(self.max[lane]),
            nan: 0,
            infinite: 0,
            beyond_f16: 0,
            below_f16: (self.small[lane] - self.zeros[lane]) as usize,
            zero: top == 0,
            hash: u64::from(self.hash[lane]),
        };
        if large {
            recount(&mut seen, again);
        }
        seen
    }
}

/// Counts large values, and takes the range of finite ones.
fn recount(seen: &mut Seen, values: impl Iterator<Item = f32>) {
    (seen.min, seen.max) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        let magnitude = value.to_bits() & 0x7fff_ffff;
        seen.nan += usize::from(magnitude > INFINITE);
        seen.infinite += usize::from(magnitude == INFINITE);
        seen.beyond_f16 += usize::from((BEYOND..INFINITE).contains(&magnitude));
        if magnitude < INFINITE {
            seen.min = seen.min.min(f64::from(value));
            seen.max = seen.max.max(f64::from(value));
        }
    }
}

fn floats(bytes: &[[u8; 4]]) -> impl Iterator<Item = f32> + '_ {
    bytes.iter().map(|&bytes| f32::from_le_bytes(bytes))
}

/// Channels one after the other, each of so many values.
fn see_rows(values: &[[u8; 4]], row: usize, found: &mut Statistics) {
    Arch::new().dispatch(InRows { values, row, found });
}

/// [`see_rows`], compiled for each width of vectors: what is inlined into it.
struct InRows<'a> {
    values: &'a [[u8; 4]],
    row: usize,
    found: &'a mut Statistics,
}

impl WithSimd for InRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.values.chunks_exact(self.row) {
            self.found.add(&seen_row(row));
        }
    }
}

/// [`see_side_by_side`], compiled for each width of vectors.
struct SideBySide<'a> {
    values: &'a [[u8; 4]],
    count: usize,
    found: &'a mut Statistics,
}

impl WithSimd for SideBySide<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        see_side_by_side(self.values, self.count, self.found);
    }
}

/// A channel whose values lie in a row.
#[inline(always)]
fn seen_row(row: &[[u8; 4]]) -> Seen {
    const N: usize = 16;
    let (blocks, rest) = row.as_chunks::<N>();
    let mut lanes = Lanes::<N>::EMPTY;
    for block in blocks {
        lanes.see(block);
    }
    let mut last = Lanes::<1>::EMPTY;
    for value in rest {
        last.see(std::array::from_ref(value));
    }
    let none = std::iter::empty::<f32>;
    let mut seen = last.lane(0, none());
    let mut large = last.top[0] >= BEYOND;
    for lane in 0..N {
        let one = lanes.lane(lane, none());
        large |= lanes.top[lane] >= BEYOND;
        seen.min = seen.min.min(one.min);
        seen.max = seen.max.max(one.max);
        seen.below_f16 += one.below_f16;
        seen.zero &= one.zero;
        seen.hash = mix(seen.hash, one.hash);
    }
    if large {
        (seen.nan, seen.infinite, seen.beyond_f16) = (0, 0, 0);
        recount(&mut seen, floats(row));
    }
    seen
}

/// Channels side by side: value `i` belongs to channel `i % count`.
///
/// So many rows are walked beside each other that what is known of a channel is not loaded and stored for each value, and
/// so few that each row is read as one stream.
#[inline(always)]
fn see_side_by_side(values: &[[u8; 4]], count: usize, found: &mut Statistics) {
    const N: usize = 16;
    const ROWS: usize = 8;
    let mut blocks = vec![Lanes::<N>::EMPTY; count / N];
    let mut rest = vec![Lanes::<1>::EMPTY; count % N];
    for rows in values.chunks(ROWS * count) {
        for (at, block) in blocks.iter_mut().enumerate() {
            let mut lanes = *block;
            for row in rows.chunks_exact(count) {
                lanes.see(&row.as_chunks::<N>().0[at]);
            }
            *block = lanes;
        }
        for row in rows.chunks_exact(count) {
            for (lane, value) in rest.iter_mut().zip(row.as_chunks::<N>().1) {
                lane.see(std::array::from_ref(value));
            }
        }
    }
    let column = |channel: usize| floats(&values[channel..]).step_by(count);
    for channel in 0..count {
        let whole = blocks.get(channel / N).map(|block| block.lane(channel % N, column(channel)));
        let seen = whole.or_else(|| Some(rest.get(channel % N)?.lane(0, column(channel))));
        seen.iter().for_each(|seen| found.add(seen));
    }
}

/// How the channels of a tensor lie in its storage.
enum Lie {
    /// One after the other.
    InRows,
    /// Side by side.
    SideBySide,
    Otherwise,
}

impl Tensor {
    /// What can be said about the values in one pass.
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged.
    pub fn statistics(&self) -> Result<Statistics, TensorError> {
        let mut found = Statistics::EMPTY;
        if self.is_empty() {
            return Ok(found);
        }
        let count = self.shape().first().copied().unwrap_or(1);
        let row = self.len() / count;
        let in_place = self.casts.is_empty() && self.stored == DType::F32 && self.endian == Endian::Little;
        match self.lie(count) {
            lie @ (Lie::InRows | Lie::SideBySide) if in_place => {
                let loaded;
                let bytes = match &self.storage {
                    Storage::Mapped(bytes) => &bytes[..],
                    Storage::Lazy(_) => {
                        loaded = self.stored_bytes()?;
                        &loaded[..]
                    }
                };
                let (values, _) = bytes.as_chunks::<4>();
                if matches!(lie, Lie::InRows) {
                    see_rows(values, row, &mut found);
                } else {
                    Arch::new().dispatch(SideBySide { values, count, found: &mut found });
                }
                self.remember(&found);
            }
            Lie::InRows | Lie::SideBySide | Lie::Otherwise
                if matches!(self.dtype(), DType::F32 | DType::F16 | DType::BF16) =>
            {
                let bytes: Vec<[u8; 4]> = self.to_f32()?.into_iter().map(f32::to_le_bytes).collect();
                see_rows(&bytes, row, &mut found);
            }
            Lie::InRows | Lie::SideBySide | Lie::Otherwise => {
                let float = self.dtype().is_float();
                self.to_f64()?.chunks_exact(row).for_each(|row| found.add(&seen_f64(row, float)));
            }
        }
        if self.shape.is_empty() {
            found.channels.clear();
        }
        Ok(found)
    }

    /// Notes the largest of all values, which were seen as they are stored.
    #[expect(clippy::cast_possible_truncation, reason = "they are values of f32")]
    fn remember(&self, found: &Statistics) {
        let largest = match (found.nan, found.infinite) {
            (0, 0) => found.max.max(-found.min) as f32,
            (0, _) => f32::INFINITY,
            (_, _) => f32::NAN,
        };
        let _ = self.largest.set(largest);
    }

    fn lie(&self, count: usize) -> Lie {
        let whole = self.offset == 0 && self.stored_shape.iter().product::<usize>() == self.len();
        let Some(axes) = self.dims_by_axis().filter(|_| whole) else { return Lie::Otherwise };
        let row = self.len() / count;
        match axes.first().map(|axis| &axis[..]) {
            None | Some([]) => Lie::InRows,
            Some(&[(_, stride)]) if stride == row => Lie::InRows,
            Some(&[(_, 1)]) => Lie::SideBySide,
            Some(_) => Lie::Otherwise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: [f32; 8] = [f32::NAN, f32::NEG_INFINITY, 65520.0, -65519.0, 2.9e-8, -3.0e-8, 1e-30, 0.0];

    /// As the definitions say, one value after the other.
    fn plainly(tensor: &Tensor) -> Statistics {
        let values = tensor.to_f32().unwrap();
        let half = |v: f32| f64::from(half::f16::from_f32(v));
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let rows = values.chunks_exact(values.len() / tensor.shape()[0]);
        Statistics {
            min: finite().fold(f64::INFINITY, |a, b| a.min(f64::from(b))),
            max: finite().fold(f64::NEG_INFINITY, |a, b| a.max(f64::from(b))),
            nan: values.iter().filter(|v| v.is_nan()).count(),
            infinite: values.iter().filter(|v| v.is_infinite()).count(),
            beyond_f16: finite().filter(|&v| half(v).is_infinite()).count(),
            below_f16: finite().filter(|&v| v != 0.0 && half(v) == 0.0).count(),
            channels: rows.map(|row| Channel { zero: row.iter().all(|&v| v == 0.0), hash: 0 }).collect(),
        }
    }

    fn without_hashes(mut found: Statistics) -> Statistics {
        found.channels.iter_mut().for_each(|channel| channel.hash = 0);
        found
    }

    /// 3x3 kernels of 67 output channels for 5 inputs, with special values at every place of a vector.
    fn kernel(shift: usize) -> Tensor {
        let values: Vec<f32> = (0..67 * 45).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut values = values;
        for (at, special) in SPECIAL.into_iter().enumerate() {
            values[shift + at * 17] = special;
        }
        values[45 * 40..45 * 41].fill(0.0);
        Tensor::from_f32(vec![67, 5, 3, 3], &values).unwrap()
    }

    #[test]
    fn every_value_counts_wherever_it_lies() {
        for shift in 0..48 {
            let rows = kernel(shift);
            let expected = plainly(&rows);
            assert_eq!(without_hashes(rows.statistics().unwrap()), expected, "in rows, {shift}");
            // The same kernel as Keras keeps it, seen as OIHW.
            let hwio = rows.permute(&[2, 3, 1, 0]).unwrap().to_f32().unwrap();
            let stored = Tensor::from_f32(vec![3, 3, 5, 67], &hwio).unwrap();
            let beside = stored.permute(&[3, 2, 0, 1]).unwrap();
            assert_eq!(without_hashes(beside.statistics().unwrap()), expected, "side by side, {shift}");
            let otherwise = stored.permute(&[2, 3, 0, 1]).unwrap();
            assert_eq!(without_hashes(otherwise.statistics().unwrap()), plainly(&otherwise), "otherwise, {shift}");
        }
    }

    #[test]
    fn other_types_are_counted_as_what_they_hold() {
        let halves = kernel(3).cast(DType::F16);
        let found = halves.statistics().unwrap();
        assert_eq!(without_hashes(found.clone()), plainly(&halves));
        assert_eq!((found.nan, found.infinite, found.beyond_f16, found.below_f16), (1, 2, 0, 0));
        let doubles = Tensor::from_f64(vec![3], &[1e300, 1e-300, f64::NAN]).unwrap().statistics().unwrap();
        assert_eq!((doubles.min, doubles.max, doubles.nan), (1e-300, 1e300, 1));
        assert_eq!((doubles.beyond_f16, doubles.below_f16), (1, 1));
        let whole = Tensor::from_i64(vec![2], &[0, 1 << 40]).unwrap().statistics().unwrap();
        assert_eq!((whole.max, whole.beyond_f16), (f64::from(1u32 << 31) * 512.0, 0));
    }

    #[test]
    fn channels_of_the_same_values_have_the_same_hash_and_others_have_not() {
        let mut values: Vec<f32> = (0..130 * 9).map(|i| (i as f32 * 0.7).cos()).collect();
        values.copy_within(9 * 3..9 * 4, 9 * 120);
        let rows = Tensor::from_f32(vec![130, 9], &values).unwrap();
        let beside = Tensor::from_f32(vec![9, 130], &rows.permute(&[1, 0]).unwrap().to_f32().unwrap()).unwrap();
        for tensor in [rows.clone(), beside.permute(&[1, 0]).unwrap(), rows.cast(DType::F64)] {
            let channels = tensor.statistics().unwrap().channels;
            let pairs = (0..130).flat_map(|a| (a + 1..130).map(move |b| (a, b)));
            let same: Vec<_> = pairs.filter(|&(a, b)| channels[a].hash == channels[b].hash).collect();
            assert_eq!(same, [(3, 120)]);
        }
    }

    #[test]
    fn a_scalar_has_no_channels_and_an_empty_tensor_nothing_at_all() {
        let scalar = Tensor::from_f32(vec![], &[2.0]).unwrap().statistics().unwrap();
        assert!(scalar.is_all(2.0) && scalar.channels.is_empty());
        assert_eq!(Tensor::from_f32(vec![0, 3], &[]).unwrap().statistics().unwrap(), Statistics::EMPTY);
    }
}
