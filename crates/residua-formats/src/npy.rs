//! numpy's `.npy` files, read (NEP 1, versions 1 to 3), and `.npz`, a ZIP of them.
//!
//! The header is a Python literal; only the one form that numpy writes is read, with nothing that nests, so a hostile
//! header costs nothing. Object arrays (pickles) and structured arrays are refused. Sizes are checked against the bytes
//! at hand before anything is allocated.

use std::io::Read;

use bytes::Bytes;
use residua_ir::budget::{self, Limit};
use residua_ir::{DType, Endian, Tensor};

use crate::error::{FormatError, Result};
use crate::zip::open_zip;

const MAGIC: &[u8] = b"\x93NUMPY";
const MAX_HEADER: usize = 64 << 10;

/// All arrays of a `.npz` file, by their names, in its order.
///
/// # Errors
/// [`FormatError`] with the array that is none of numbers, is not whole, or is beyond a limit.
pub fn arrays(bytes: &Bytes) -> Result<Vec<(String, Tensor)>> {
    let damaged = |error: zip::result::ZipError| FormatError::malformed("", "a ZIP archive", error.to_string());
    let mut archive = open_zip(bytes).map_err(damaged)?;
    Limit::Arrays.check_here(archive.len()).map_err(|overrun| FormatError::beyond("", overrun))?;
    let mut arrays = Vec::new();
    let mut all = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(damaged)?;
        let Some(name) = entry.name().map_err(damaged)?.strip_suffix(".npy").map(str::to_owned) else { continue };
        let at = format!("array `{name}`");
        let declared = entry.size();
        FormatError::check(&at, Limit::ArrayBytes, declared)?;
        all = all.saturating_add(declared);
        FormatError::check_against(&at, Limit::DecodedBytes, budget::decoded(bytes.len()), all)?;
        // Nothing is allocated for what is declared: the vector grows with what is there.
        let mut decoded = Vec::new();
        entry.take(declared).read_to_end(&mut decoded).map_err(|error| FormatError::io(error).within(&at))?;
        arrays.push((name, array(&Bytes::from(decoded)).map_err(|error| error.within(&at))?));
    }
    Ok(arrays)
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    dtype: DType,
    endian: Endian,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// The array of a `.npy` file.
///
/// # Errors
/// [`FormatError`] where it is none of numbers, is not whole, or is beyond a limit.
pub fn array(bytes: &Bytes) -> Result<Tensor> {
    let within = || FormatError::malformed("", "a header of numpy", "a file that ends within it");
    if !bytes.starts_with(MAGIC) {
        return Err(FormatError::malformed("", "the bytes \\x93NUMPY at its start", "others"));
    }
    let version = bytes.get(MAGIC.len()).copied().ok_or_else(within)?;
    let (length, start) = match version {
        1 => (2, 10),
        2 | 3 => (4, 12),
        other => return Err(FormatError::malformed("", "version 1 to 3 of the format", other.to_string())),
    };
    let length = bytes.get(start - length..start).ok_or_else(within)?;
    let length = length.iter().rev().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
    if length > MAX_HEADER {
        let (most, found) = (format!("a header of at most {MAX_HEADER} bytes"), length.to_string());
        return Err(FormatError::malformed("", most, found));
    }
    let text = bytes.get(start..start + length).ok_or_else(within)?;
    let text = std::str::from_utf8(text).map_err(|_| bad("bytes that are no text"))?;
    let header = header(text)?;
    let data = bytes.slice(start + length..);
    let whole = |result: Result<Tensor, residua_ir::TensorError>| {
        result.map_err(|error| FormatError::malformed("", "the elements that its header says", error.to_string()))
    };
    if !header.fortran_order {
        return whole(Tensor::from_bytes(header.dtype, header.endian, header.shape, data));
    }
    let reversed: Vec<usize> = header.shape.iter().rev().copied().collect();
    let perm: Vec<usize> = (0..reversed.len()).rev().collect();
    whole(Tensor::from_bytes(header.dtype, header.endian, reversed, data).and_then(|tensor| tensor.permute(&perm)))
}

fn bad(text: &str) -> FormatError {
    FormatError::malformed(
        "",
        "a header as numpy writes it",
        format!("{:?}", text.chars().take(80).collect::<String>()),
    )
}

fn header(text: &str) -> Result<Header> {
    let bad = || bad(text);
    let mut rest = text.trim().strip_prefix('{').ok_or_else(bad)?.strip_suffix('}').ok_or_else(bad)?.trim();
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(bad)?;
        let after = after.trim_start().strip_prefix(':').ok_or_else(bad)?.trim_start();
        let after = match key {
            "descr" => {
                if after.starts_with('[') {
                    return Err(FormatError::unsupported("", "a structured array", "save plain numbers"));
                }
                let (value, after) = quoted(after).ok_or_else(bad)?;
                descr = Some(element_type(value)?);
                after
            }
            "fortran_order" => {
                let (value, after) = match after.strip_prefix("True") {
                    Some(after) => (true, after),
                    None => (false, after.strip_prefix("False").ok_or_else(bad)?),
                };
                fortran_order = Some(value);
                after
            }
            "shape" => {
                let (sizes, after) = after.strip_prefix('(').and_then(|list| list.split_once(')')).ok_or_else(bad)?;
                let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
                shape = Some(sizes.map(str::parse).collect::<Result<Vec<usize>, _>>().map_err(|_| bad())?);
                after
            }
            _ => return Err(bad()),
        };
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    let (dtype, endian) = descr.ok_or_else(bad)?;
    let shape = shape.ok_or_else(bad)?;
    Limit::Rank.check_here(shape.len()).map_err(|overrun| FormatError::beyond("", overrun))?;
    Ok(Header { dtype, endian, fortran_order: fortran_order.ok_or_else(bad)?, shape })
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|&c| c == '\'' || c == '"')?;
    text[1..].split_once(quote)
}

fn element_type(descr: &str) -> Result<(DType, Endian)> {
    let (endian, kind) = match descr.as_bytes().first() {
        Some(b'>') => (Endian::Big, &descr[1..]),
        Some(b'<' | b'|' | b'=') => (Endian::Little, &descr[1..]),
        Some(_) | None => (Endian::Little, descr),
    };
    match (number(kind), kind) {
        (Some(dtype), _) => Ok((dtype, endian)),
        (None, "O") => {
            let what = "an array of Python objects (a pickle, which is never loaded)";
            Err(FormatError::unsupported("", what, "save numbers"))
        }
        (None, _) => Err(FormatError::malformed("", "elements that are numbers of 1 to 8 bytes", format!("{descr:?}"))),
    }
}

/// The numbers that numpy calls so: `f4`, without the order of bytes.
pub(crate) fn number(code: &str) -> Option<DType> {
    Some(match code {
        "f8" => DType::F64,
        "f4" => DType::F32,
        "f2" => DType::F16,
        "i8" => DType::I64,
        "i4" => DType::I32,
        "i2" => DType::I16,
        "i1" => DType::I8,
        "u8" => DType::U64,
        "u4" => DType::U32,
        "u2" => DType::U16,
        "u1" => DType::U8,
        "b1" => DType::Bool,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Bytes {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        Bytes::from([MAGIC, &[1, 0], &length, header.as_bytes(), data].concat())
    }

    #[test]
    fn fortran_order_and_big_endian_elements_are_understood() {
        let data: Vec<u8> = [1i16, 4, 2, 5, 3, 6].iter().flat_map(|v| v.to_be_bytes()).collect();
        let tensor = array(&file("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", &data)).unwrap();
        assert_eq!(tensor.shape(), [2, 3]);
        assert_eq!(tensor.to_i64().unwrap(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn scalars_and_empty_arrays_have_their_shapes() {
        let scalar = array(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", &[0; 4])).unwrap();
        assert!(scalar.shape().is_empty());
        let empty = array(&file("{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }", &[])).unwrap();
        assert_eq!(empty.shape(), [0]);
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused_with_the_reason() {
        let cases = [
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "pickle"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "structured"),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "<c8"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "12 bytes"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", ""),
            ("{'descr': '<f4', 'fortran_order': False, }", "header"),
            ("[[[[[[[[", "header"),
        ];
        for (header, expected) in cases {
            let error = array(&file(header, &[0; 4])).unwrap_err().to_string();
            assert!(error.contains(expected), "{header}: {error}");
        }
        for cut in 0..12 {
            assert!(
                array(&Bytes::from(MAGIC.iter().copied().chain([1, 0, 9, 0, 0]).take(cut).collect::<Vec<_>>()))
                    .is_err()
            );
        }
    }
}
