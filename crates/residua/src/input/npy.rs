//! numpy's `.npy` files, read and written (NEP 1, versions 1 to 3), and `.npz`, a ZIP of them.
//!
//! The header is a Python literal; only the one form that numpy writes is read, with nothing that nests, so a hostile
//! header costs nothing. Object arrays (pickles) and structured arrays are refused. Sizes are checked against the bytes
//! at hand before anything is allocated.

use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{Context, Result, bail, ensure};
use bytes::Bytes;
use residua_formats::open_zip;
use residua_ir::budget::{self, Limit};
use residua_ir::{DType, Endian, Shown, Tensor, map_file};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const MAGIC: &[u8] = b"\x93NUMPY";
const MAX_HEADER: usize = 64 << 10;

/// Reads a `.npy` file.
pub(crate) fn read_npy(path: &Path) -> Result<Tensor> {
    let bytes = map_file(path).with_context(|| format!("cannot read {}", path.shown()))?;
    parse(&bytes).with_context(|| format!("{} is no usable .npy file", path.shown()))
}

/// Reads all arrays of a `.npz` file, in its order.
pub(crate) fn read_npz(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let bytes = map_file(path).with_context(|| format!("cannot read {}", path.shown()))?;
    read_archive(&bytes).with_context(|| format!("{} is no usable .npz file", path.shown()))
}

fn read_archive(bytes: &Bytes) -> Result<Vec<(String, Tensor)>> {
    let mut archive = open_zip(bytes)?;
    Limit::Arrays.check_here(archive.len())?;
    let mut arrays = Vec::new();
    let mut all = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let Some(name) = entry.name()?.strip_suffix(".npy").map(str::to_owned) else { continue };
        let declared = entry.size();
        Limit::ArrayBytes.check(declared).with_context(|| format!("array `{name}`"))?;
        all = all.saturating_add(declared);
        Limit::DecodedBytes.check_against(budget::decoded(bytes.len()), all)?;
        // Nothing is allocated for what is declared: the vector grows with what is there.
        let mut decoded = Vec::new();
        entry.take(declared).read_to_end(&mut decoded).with_context(|| format!("array `{name}`"))?;
        let tensor = parse(&Bytes::from(decoded)).with_context(|| format!("array `{name}`"))?;
        arrays.push((name, tensor));
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

/// Reads the bytes of a `.npy` file.
pub(crate) fn parse(bytes: &Bytes) -> Result<Tensor> {
    ensure!(bytes.starts_with(MAGIC), "expected the bytes \\x93NUMPY at its start");
    let version = bytes.get(MAGIC.len()).copied().context("it ends within its header")?;
    let (length, start) = match version {
        1 => (2, 10),
        2 | 3 => (4, 12),
        other => bail!("version {other} of the format, expected 1 to 3"),
    };
    let length = bytes.get(start - length..start).context("it ends within its header")?;
    let length = length.iter().rev().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
    ensure!(length <= MAX_HEADER, "its header has {length} bytes, expected at most {MAX_HEADER}");
    let text = bytes.get(start..start + length).context("it ends within its header")?;
    let header = header(std::str::from_utf8(text).context("its header is no text")?)?;
    let data = bytes.slice(start + length..);
    if !header.fortran_order {
        return Ok(Tensor::from_bytes(header.dtype, header.endian, header.shape, data)?);
    }
    let reversed: Vec<usize> = header.shape.iter().rev().copied().collect();
    let perm: Vec<usize> = (0..reversed.len()).rev().collect();
    Ok(Tensor::from_bytes(header.dtype, header.endian, reversed, data)?.permute(&perm)?)
}

fn header(text: &str) -> Result<Header> {
    let bad = || format!("its header is not as numpy writes it: {:?}", text.chars().take(80).collect::<String>());
    let mut rest = text.trim().strip_prefix('{').with_context(bad)?.strip_suffix('}').with_context(bad)?.trim();
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest).with_context(bad)?;
        let after = after.trim_start().strip_prefix(':').with_context(bad)?.trim_start();
        let after = match key {
            "descr" => {
                ensure!(!after.starts_with('['), "structured arrays are not read, expected plain numbers");
                let (value, after) = quoted(after).with_context(bad)?;
                descr = Some(element_type(value)?);
                after
            }
            "fortran_order" => {
                let (value, after) = match after.strip_prefix("True") {
                    Some(after) => (true, after),
                    None => (false, after.strip_prefix("False").with_context(bad)?),
                };
                fortran_order = Some(value);
                after
            }
            "shape" => {
                let (sizes, after) = after.strip_prefix('(').and_then(|list| list.split_once(')')).with_context(bad)?;
                let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
                shape = Some(sizes.map(str::parse).collect::<Result<Vec<usize>, _>>().with_context(bad)?);
                after
            }
            _ => bail!("{}", bad()),
        };
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    let (dtype, endian) = descr.with_context(bad)?;
    let shape = shape.with_context(bad)?;
    Limit::Rank.check_here(shape.len())?;
    Ok(Header { dtype, endian, fortran_order: fortran_order.with_context(bad)?, shape })
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
    let dtype = match kind {
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
        "O" => bail!("it holds Python objects (a pickle), which are never loaded; expected numbers"),
        _ => bail!("elements of type {descr:?} are not read, expected numbers of 1 to 8 bytes"),
    };
    Ok((dtype, endian))
}

/// What numpy calls an element type. It has no bf16; f32 holds all numbers of that.
fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "<f8",
        DType::F32 | DType::BF16 => "<f4",
        DType::F16 => "<f2",
        DType::I64 => "<i8",
        DType::I32 => "<i4",
        DType::I16 => "<i2",
        DType::I8 => "|i1",
        DType::U64 => "<u8",
        DType::U32 => "<u4",
        DType::U16 => "<u2",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
    }
}

/// Writes an array of these values, row-major; each is rounded to the nearest that the element type has.
pub fn write_npy(to: &mut dyn Write, dtype: DType, shape: &[usize], values: &[f64]) -> std::io::Result<()> {
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let dictionary = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({sizes}), }}", descr(dtype));
    // Magic, version, length and text together are a multiple of 64, so that the elements are aligned.
    let length = (10 + dictionary.len() + 1).next_multiple_of(64) - 10;
    let short = u16::try_from(length).map_err(|_| std::io::Error::other("an array of too many axes"))?;
    to.write_all(MAGIC)?;
    to.write_all(&[1, 0])?;
    to.write_all(&short.to_le_bytes())?;
    writeln!(to, "{dictionary:width$}", width = length - 1)?;
    let mut bytes = Vec::with_capacity(1 << 16);
    for part in values.chunks(1 << 13) {
        bytes.clear();
        match dtype {
            DType::BF16 => {
                let mut rounded = part.to_vec();
                dtype.round(&mut rounded);
                DType::F32.append(&rounded, &mut bytes);
            }
            DType::F64
            | DType::F32
            | DType::F16
            | DType::I64
            | DType::I32
            | DType::I16
            | DType::I8
            | DType::U64
            | DType::U32
            | DType::U16
            | DType::U8
            | DType::Bool => dtype.append(part, &mut bytes),
        }
        to.write_all(&bytes)?;
    }
    Ok(())
}

/// An array to be written: its name, element type, shape and elements.
pub type Named<'a> = (&'a str, DType, &'a [usize], &'a [f64]);

/// Writes arrays as a `.npz`, uncompressed as `numpy.savez` does.
pub fn write_npz<'a>(to: impl Write + Seek, arrays: impl IntoIterator<Item = Named<'a>>) -> Result<()> {
    let mut archive = ZipWriter::new(to);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for (name, dtype, shape, values) in arrays {
        archive.start_file(format!("{name}.npy"), options)?;
        write_npy(&mut archive, dtype, shape, values)?;
    }
    archive.finish()?.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Bytes {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        Bytes::from([MAGIC, &[1, 0], &length, header.as_bytes(), data].concat())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let values = [1.0, 2.5, -3.0, 0.0, 1e-3, 7.0];
        let whole = [1.0, 2.0, -3.0, 0.0, 5.0, 127.0];
        let natural = [1.0, 2.0, 3.0, 0.0, 5.0, 255.0];
        let truth = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        let cases: [(DType, &[f64; 6]); 12] = [
            (DType::F64, &values),
            (DType::F32, &values),
            (DType::F16, &values),
            (DType::I64, &whole),
            (DType::I32, &whole),
            (DType::I16, &whole),
            (DType::I8, &whole),
            (DType::U64, &natural),
            (DType::U32, &natural),
            (DType::U16, &natural),
            (DType::U8, &natural),
            (DType::Bool, &truth),
        ];
        for (dtype, values) in cases {
            let mut bytes = Vec::new();
            write_npy(&mut bytes, dtype, &[2, 3], values).unwrap();
            let tensor = parse(&bytes.into()).unwrap();
            assert_eq!((tensor.shape(), tensor.dtype()), (&[2, 3][..], dtype));
            let mut expected = values.to_vec();
            dtype.round(&mut expected);
            assert_eq!(tensor.to_f64().unwrap(), expected, "{dtype}");
        }
    }

    #[test]
    fn bf16_is_written_as_the_f32_that_holds_it() {
        let mut bytes = Vec::new();
        write_npy(&mut bytes, DType::BF16, &[1], &[1.001]).unwrap();
        let tensor = parse(&bytes.into()).unwrap();
        assert_eq!((tensor.dtype(), tensor.to_f64().unwrap()), (DType::F32, vec![1.0]));
    }

    #[test]
    fn an_npz_keeps_names_and_order() {
        let mut bytes = Cursor::new(Vec::new());
        let (a, b) = ([1.0, 2.0], [3.0]);
        let arrays = [("z/deep", DType::F64, &[2usize][..], &a[..]), ("a", DType::I64, &[1][..], &b[..])];
        write_npz(&mut bytes, arrays).unwrap();
        let read = read_archive(&bytes.into_inner().into()).unwrap();
        let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z/deep", "a"]);
        assert_eq!(read[0].1.to_f64().unwrap(), a);
        assert_eq!((read[0].1.dtype(), read[1].1.dtype()), (DType::F64, DType::I64));
    }

    #[test]
    fn fortran_order_and_big_endian_elements_are_understood() {
        let data: Vec<u8> = [1i16, 4, 2, 5, 3, 6].iter().flat_map(|v| v.to_be_bytes()).collect();
        let tensor = parse(&file("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", &data)).unwrap();
        assert_eq!(tensor.shape(), [2, 3]);
        assert_eq!(tensor.to_i64().unwrap(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn scalars_and_empty_arrays_have_their_shapes() {
        let scalar = parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", &[0; 4])).unwrap();
        assert!(scalar.shape().is_empty());
        let empty = parse(&file("{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }", &[])).unwrap();
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
            let error = format!("{:#}", parse(&file(header, &[0; 4])).unwrap_err());
            assert!(error.contains(expected), "{header}: {error}");
        }
        for cut in 0..12 {
            assert!(
                parse(&Bytes::from(MAGIC.iter().copied().chain([1, 0, 9, 0, 0]).take(cut).collect::<Vec<_>>()))
                    .is_err()
            );
        }
    }
}
