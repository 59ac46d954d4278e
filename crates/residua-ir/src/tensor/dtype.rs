//! Element types, and the conversion of elements between them.

use std::fmt;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use super::TensorError;

/// Element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the types")]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl DType {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
        }
    }

    /// Whether elements are floating-point numbers.
    #[must_use]
    pub fn is_float(self) -> bool {
        match self {
            DType::F64 | DType::F32 | DType::F16 | DType::BF16 => true,
            DType::I64
            | DType::I32
            | DType::I16
            | DType::I8
            | DType::U64
            | DType::U32
            | DType::U16
            | DType::U8
            | DType::Bool => false,
        }
    }
}

impl DType {
    /// Smallest and largest number of an integer type of up to 32 bits.
    #[must_use]
    pub fn integer_range(self) -> Option<(f64, f64)> {
        Some(match self {
            DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
            DType::I16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
            DType::I8 => (f64::from(i8::MIN), f64::from(i8::MAX)),
            DType::U32 => (0.0, f64::from(u32::MAX)),
            DType::U16 => (0.0, f64::from(u16::MAX)),
            DType::U8 => (0.0, f64::from(u8::MAX)),
            DType::F64 | DType::F32 | DType::F16 | DType::BF16 | DType::I64 | DType::U64 | DType::Bool => return None,
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I16 => "i16",
            DType::I8 => "i8",
            DType::U64 => "u64",
            DType::U32 => "u32",
            DType::U16 => "u16",
            DType::U8 => "u8",
            DType::Bool => "bool",
        })
    }
}

/// The real number that an f32 was written for: the one of its shortest decimal.
///
/// Attributes such as epsilons are chosen as decimals (1.001e-5) and rounded when a format has only f32 for them; this
/// gives them back as they were chosen.
///
/// ```
/// assert_eq!(residua_ir::tensor::decimal(1.001e-5_f32), 1.001e-5_f64);
/// ```
#[must_use]
pub fn decimal(value: f32) -> f64 {
    // What `Display` prints of an f32 is its shortest decimal, and always a number to `parse`.
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Byte order of stored elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Endian {
    Little,
    Big,
}

/// Reverses each element of `size` bytes in place.
pub(super) fn swap_bytes(bytes: &mut [u8], size: usize) {
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

fn map<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&element| convert(element)).collect()
}

/// Decodes little-endian elements; integers beyond 2^53 are rounded.
#[expect(clippy::cast_precision_loss, reason = "documented")]
pub(super) fn decode_f64(bytes: &[u8], dtype: DType) -> Vec<f64> {
    match dtype {
        DType::F64 => map(bytes, f64::from_le_bytes),
        DType::F32 => map(bytes, |b| f64::from(f32::from_le_bytes(b))),
        DType::F16 => map(bytes, |b| f16::from_le_bytes(b).to_f64()),
        DType::BF16 => map(bytes, |b| bf16::from_le_bytes(b).to_f64()),
        DType::U64 => map(bytes, |b| u64::from_le_bytes(b) as f64),
        DType::I64 | DType::I32 | DType::I16 | DType::I8 | DType::U32 | DType::U16 | DType::U8 | DType::Bool => {
            decode_i64(bytes, dtype).into_iter().map(|v| v as f64).collect()
        }
    }
}

/// Decodes little-endian integers; floats are truncated and u64 beyond i64 wraps, so callers ask for neither.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "documented")]
pub(super) fn decode_i64(bytes: &[u8], dtype: DType) -> Vec<i64> {
    match dtype {
        DType::I64 => map(bytes, i64::from_le_bytes),
        DType::I32 => map(bytes, |b| i64::from(i32::from_le_bytes(b))),
        DType::I16 => map(bytes, |b| i64::from(i16::from_le_bytes(b))),
        DType::I8 => map(bytes, |b| i64::from(i8::from_le_bytes(b))),
        DType::U64 => map(bytes, |b| u64::from_le_bytes(b) as i64),
        DType::U32 => map(bytes, |b| i64::from(u32::from_le_bytes(b))),
        DType::U16 => map(bytes, |b| i64::from(u16::from_le_bytes(b))),
        DType::U8 | DType::Bool => bytes.iter().map(|&b| i64::from(b)).collect(),
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => {
            decode_f64(bytes, dtype).into_iter().map(|v| v as i64).collect()
        }
    }
}

/// An f32 that is rounded to a narrower type as the value itself would be: where digits are lost its last bit is set, so that
/// what lies beside a tie stays there (rounding to odd; Boldo, Melquiond 2008). `half` drops the last 32 bits of an f64
/// instead, or rounds it twice.
#[expect(clippy::cast_possible_truncation, reason = "what is lost is looked at")]
fn to_be_rounded(value: f64) -> f32 {
    let nearest = value as f32;
    if value.is_nan() || f64::from(nearest) == value {
        return nearest;
    }
    // Magnitudes are ordered as their bits are.
    let beyond = f64::from(nearest).abs() > value.abs();
    f32::from_bits((nearest.to_bits() - u32::from(beyond)) | 1)
}

/// Rounds each value to the nearest that `dtype` can hold, ties to even; beyond its range, floats become infinite and
/// integers saturate.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(super) fn round_to(values: &mut [f64], dtype: DType) {
    let round: fn(f64) -> f64 = match dtype {
        DType::F64 => return,
        DType::F32 => |v| f64::from(v as f32),
        DType::F16 => |v| f16::from_f32(to_be_rounded(v)).to_f64(),
        DType::BF16 => |v| bf16::from_f32(to_be_rounded(v)).to_f64(),
        DType::I64 => |v| v as i64 as f64,
        DType::I32 => |v| f64::from(v as i32),
        DType::I16 => |v| f64::from(v as i16),
        DType::I8 => |v| f64::from(v as i8),
        DType::U64 => |v| v as u64 as f64,
        DType::U32 => |v| f64::from(v as u32),
        DType::U16 => |v| f64::from(v as u16),
        DType::U8 => |v| f64::from(v as u8),
        DType::Bool => |v| f64::from(u8::from(v != 0.0)),
    };
    for value in values {
        *value = round(*value);
    }
}

impl DType {
    /// The nearest number of this type to each value, ties to even; beyond its range floats become infinite and integers
    /// are its ends.
    pub fn round(self, values: &mut [f64]) {
        round_to(values, self);
    }

    /// Appends the nearest number of this type to each value as little-endian elements; as [`round`](Self::round).
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounding is what is asked for")]
    pub fn append(self, values: &[f64], out: &mut Vec<u8>) {
        out.reserve(values.len().saturating_mul(self.size()));
        match self {
            DType::F64 => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            DType::F32 => out.extend(values.iter().flat_map(|&v| (v as f32).to_le_bytes())),
            DType::F16 => out.extend(values.iter().flat_map(|&v| f16::from_f32(to_be_rounded(v)).to_le_bytes())),
            DType::BF16 => out.extend(values.iter().flat_map(|&v| bf16::from_f32(to_be_rounded(v)).to_le_bytes())),
            DType::I64 => out.extend(values.iter().flat_map(|&v| (v as i64).to_le_bytes())),
            DType::I32 => out.extend(values.iter().flat_map(|&v| (v as i32).to_le_bytes())),
            DType::I16 => out.extend(values.iter().flat_map(|&v| (v as i16).to_le_bytes())),
            DType::I8 => out.extend(values.iter().flat_map(|&v| (v as i8).to_le_bytes())),
            DType::U64 => out.extend(values.iter().flat_map(|&v| (v as u64).to_le_bytes())),
            DType::U32 => out.extend(values.iter().flat_map(|&v| (v as u32).to_le_bytes())),
            DType::U16 => out.extend(values.iter().flat_map(|&v| (v as u16).to_le_bytes())),
            DType::U8 => out.extend(values.iter().map(|&v| v as u8)),
            DType::Bool => out.extend(values.iter().map(|&v| u8::from(v != 0.0))),
        }
    }
}

/// Writes little-endian elements of `stored` after these casts.
///
/// # Errors
/// [`TensorError::Kind`] for integer dtypes: casts here are between floating-point types only.
pub(super) fn convert(bytes: &[u8], stored: DType, casts: &[DType], out: &mut [u8]) -> Result<(), TensorError> {
    match (stored, casts) {
        (DType::F32, [DType::F16]) => {
            convert_f32(
                bytes,
                out,
                |values, halves: &mut [f16]| halves.convert_from_f32_slice(values),
                f16::to_le_bytes,
            );
        }
        (DType::F32, [DType::BF16]) => {
            convert_f32(
                bytes,
                out,
                |values, halves: &mut [bf16]| halves.convert_from_f32_slice(values),
                bf16::to_le_bytes,
            );
        }
        _ => {
            let mut values = decode_f64(bytes, stored);
            for &dtype in casts {
                round_to(&mut values, dtype);
            }
            let mut encoded = Vec::new();
            encode(&values, casts.last().copied().unwrap_or(stored), &mut encoded)?;
            out.copy_from_slice(&encoded);
        }
    }
    Ok(())
}

/// Rounds f32 elements once, so many at a time as a conversion in hardware takes several of.
fn convert_f32<T: Copy + Default>(
    bytes: &[u8],
    out: &mut [u8],
    round: impl Fn(&[f32], &mut [T]),
    encode: impl Fn(T) -> [u8; 2],
) {
    const AT_ONCE: usize = 64;
    let (mut values, mut halves) = ([0.0; AT_ONCE], [T::default(); AT_ONCE]);
    let (elements, targets) = (bytes.as_chunks::<4>().0, out.as_chunks_mut::<2>().0);
    for (elements, targets) in elements.chunks(AT_ONCE).zip(targets.chunks_mut(AT_ONCE)) {
        let (values, halves) = (&mut values[..elements.len()], &mut halves[..elements.len()]);
        values.iter_mut().zip(elements).for_each(|(value, &element)| *value = f32::from_le_bytes(element));
        round(values, halves);
        targets.iter_mut().zip(halves).for_each(|(target, half)| *target = encode(*half));
    }
}

/// Appends values that were rounded to `dtype` already, little-endian.
///
/// # Errors
/// [`TensorError::Kind`] for integer dtypes: casts here are between floating-point types only.
pub(super) fn encode(values: &[f64], dtype: DType, out: &mut Vec<u8>) -> Result<(), TensorError> {
    if !dtype.is_float() {
        return Err(TensorError::Kind { dtype, wanted: "floating point" });
    }
    dtype.append(values, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f32_becomes_a_narrow_type_as_the_real_number_does() {
        // Every exponent and sign, mantissas at and around each place where rounding turns, and what is no number.
        let mantissas = (0..=23).flat_map(|bit| [1u32 << bit, (1 << bit) - 1, (1 << bit) + 1, 3 << bit]);
        let mantissas: Vec<u32> = mantissas.map(|bits| bits & 0x7f_ffff).chain([0x2a_aaaa, 0x55_5555]).collect();
        let signs = (0u32..512).map(|top| top << 23);
        let bits: Vec<u32> = signs.flat_map(|top| mantissas.iter().map(move |low| top | low)).collect();
        let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        for narrow in [DType::F16, DType::BF16] {
            let mut found = vec![0; 2 * bits.len()];
            convert(&bytes, DType::F32, &[narrow], &mut found).unwrap();
            let mut values = decode_f64(&bytes, DType::F32);
            round_to(&mut values, narrow);
            let mut expected = Vec::new();
            encode(&values, narrow, &mut expected).unwrap();
            let differs = found.chunks(2).zip(expected.chunks(2)).position(|(found, expected)| found != expected);
            assert_eq!(differs.map(|at| format!("{:#x} as {narrow}", bits[at])), None);
        }
    }

    #[test]
    fn what_lies_beside_a_tie_is_rounded_to_its_side() {
        for (narrow, digits) in [(DType::F16, 10), (DType::BF16, 7)] {
            let (unit, little) = (2f64.powi(-digits), f64::EPSILON);
            let tie = 1.0 + unit / 2.0;
            let mut values = [tie, tie + little, tie - little, tie + unit - little, tie + unit, -tie - little, 1e300];
            narrow.round(&mut values);
            let next = 1.0 + unit;
            assert_eq!(values, [1.0, next, 1.0, next, next + unit, -next, f64::INFINITY], "{narrow}");
            let mut bytes = Vec::new();
            narrow.append(&[tie + little], &mut bytes);
            assert_eq!(decode_f64(&bytes, narrow), [next]);
        }
        // Below the smallest normal number, too.
        let smallest = f64::from(f16::from_bits(1));
        let mut values = [1.5 * smallest, smallest / 2.0, smallest * 0.5000001];
        DType::F16.round(&mut values);
        assert_eq!(values, [2.0 * smallest, 0.0, smallest]);
    }
}
