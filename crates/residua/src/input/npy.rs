//! numpy's `.npy` files and `.npz`, a ZIP of them, written; read by [`residua_formats::npy`].

use std::io::{Seek, Write};
use std::path::Path;

use crate::error::{Context, Result};
use residua_formats::npy;
use residua_ir::{DType, Shown, Tensor, map_file};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads a `.npy` file.
pub(crate) fn read_npy(path: &Path) -> Result<Tensor> {
    let bytes = map_file(path).with_context(|| format!("cannot read {}", path.shown()))?;
    npy::array(&bytes).with_context(|| format!("{} is no usable .npy file", path.shown()))
}

/// Reads all arrays of a `.npz` file, in its order.
pub(crate) fn read_npz(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let bytes = map_file(path).with_context(|| format!("cannot read {}", path.shown()))?;
    npy::arrays(&bytes).with_context(|| format!("{} is no usable .npz file", path.shown()))
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
            let tensor = npy::array(&bytes.into()).unwrap();
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
        let tensor = npy::array(&bytes.into()).unwrap();
        assert_eq!((tensor.dtype(), tensor.to_f64().unwrap()), (DType::F32, vec![1.0]));
    }

    #[test]
    fn an_npz_keeps_names_and_order() {
        let mut bytes = Cursor::new(Vec::new());
        let (a, b) = ([1.0, 2.0], [3.0]);
        let arrays = [("z/deep", DType::F64, &[2usize][..], &a[..]), ("a", DType::I64, &[1][..], &b[..])];
        write_npz(&mut bytes, arrays).unwrap();
        let read = npy::arrays(&bytes.into_inner().into()).unwrap();
        let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z/deep", "a"]);
        assert_eq!(read[0].1.to_f64().unwrap(), a);
        assert_eq!((read[0].1.dtype(), read[1].1.dtype()), (DType::F64, DType::I64));
    }
}
