//! Files of results: whole or not at all, and never in place of an input.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail};
use residua_ir::Shown;

/// Refuses an output that is one of these inputs, whatever the paths look like; for a folder, one of its files.
///
/// # Errors
/// Where it is.
pub(crate) fn refuse_inputs<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    // What is not there yet replaces nothing.
    let Ok(output_place) = fs::canonicalize(output) else { return Ok(()) };
    for input in inputs {
        let Ok(place) = fs::canonicalize(input) else { continue };
        let inside = place.is_dir() && output_place.parent() == Some(&place);
        if place == output_place || inside || same_file(&place, &output_place) {
            bail!("{} would replace the input {}; choose another name", output.shown(), input.shown());
        }
    }
    Ok(())
}

/// Whether both names lead to one file (hard links).
#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(_: &Path, _: &Path) -> bool {
    false
}

/// Writes a file beside its place, syncs it and renames it.
///
/// # Errors
/// Where that fails; nothing is left then.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let cannot = || format!("cannot write {}", path.shown());
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new().prefix(".residua-").tempfile_in(folder).with_context(cannot)?;
    let (file, temporary) = temporary.into_parts();
    let mut writer = BufWriter::new(file);
    write(&mut writer).with_context(cannot)?;
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(cannot)?;
    make_readable(&file);
    file.sync_all().with_context(cannot)?;
    drop(file);
    temporary.persist(path).map_err(|error| error.error).with_context(cannot)
}

/// Temporary files are their owner's alone; results are not.
#[cfg(unix)]
fn make_readable(file: &File) {
    use std::os::unix::fs::PermissionsExt;
    // Where permissions cannot be set, the file is still complete.
    let _ = file.set_permissions(fs::Permissions::from_mode(0o644));
}

#[cfg(not(unix))]
fn make_readable(_: &File) {}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_input_is_never_replaced_under_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("a.h5");
        let link = folder.path().join("b.onnx");
        fs::write(&input, "x").unwrap();
        fs::hard_link(&input, &link).unwrap();
        let dotted = folder.path().join(".").join("a.h5");
        for output in [&input, &link, &dotted] {
            assert!(refuse_inputs(output, [input.as_path()]).is_err(), "{}", output.shown());
        }
        assert!(refuse_inputs(&input, [folder.path()]).is_err());
        assert!(refuse_inputs(&folder.path().join("new.onnx"), [input.as_path(), folder.path()]).is_ok());
    }

    #[test]
    fn a_failed_write_leaves_nothing_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.npy");
        fs::write(&path, "old").unwrap();
        let failed = write_whole(&path, |file| {
            file.write_all(b"half")?;
            bail!("no more")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_whole(&path, |file| Ok(file.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
