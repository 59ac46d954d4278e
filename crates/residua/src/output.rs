//! Files of results: whole or not at all, and never in place of an input. How they get to their places is [`residua_emit::place`]'s.

use std::fs::{self, OpenOptions};
use std::io::{Cursor, Write};
use std::path::Path;

use crate::error::{Context, Result};
pub use residua_emit::place::take_left_behind;
use residua_emit::place::{self, Out, Pending};
use residua_ir::Shown;
use residua_ir::files::inputs;

/// Refuses outputs that are among what was read or is yet to be read, or have one place, whatever the paths look like. So a
/// command asks before it works; each output is asked about again when it is written.
///
/// # Errors
/// Where there is one.
pub fn refuse<'a>(outputs: &[&Path], read: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    read.into_iter().for_each(inputs::note);
    outputs.iter().try_for_each(|output| place::refuse_input(output))?;
    Ok(place::refuse_twice(outputs)?)
}

/// Writes a file beside its place, to be committed. What is no regular file, such as a pipe, has to be written at once: [`write_whole`].
///
/// # Errors
/// Where that fails; nothing is left then.
pub fn stage(path: &Path, write: impl FnOnce(&mut dyn Out) -> Result<()>) -> Result<Pending> {
    Pending::file(path, |file| write(file).with_context(|| format!("cannot write {}", path.shown())))
}

/// Writes a file beside its place, syncs it and renames it. A device or a pipe is written to.
///
/// # Errors
/// Where that fails; nothing is left then.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Out) -> Result<()>) -> Result<()> {
    write_together([(path, write)])
}

/// As [`write_whole`], several files: all of them or none, but for devices and pipes, which come last.
///
/// # Errors
/// As [`write_whole`].
pub fn write_together<'a, W: FnOnce(&mut dyn Out) -> Result<()>>(
    files: impl IntoIterator<Item = (&'a Path, W)>,
) -> Result<()> {
    let is_stream = |(path, _): &(&Path, W)| fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir());
    let (streams, files): (Vec<_>, Vec<_>) = files.into_iter().partition(is_stream);
    let staged = files.into_iter().map(|(path, write)| stage(path, write)).collect::<Result<Vec<_>>>()?;
    place::commit_together(staged)?;
    streams.into_iter().try_for_each(|(path, write)| write_stream(path, write))
}

fn write_stream(path: &Path, write: impl FnOnce(&mut dyn Out) -> Result<()>) -> Result<()> {
    let cannot = || format!("cannot write {}", path.shown());
    place::refuse_input(path)?;
    let mut all = Cursor::new(Vec::new());
    write(&mut all).with_context(cannot)?;
    let mut file = OpenOptions::new().write(true).open(path).with_context(cannot)?;
    file.write_all(&all.into_inner()).and_then(|()| file.flush()).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use crate::error::bail;

    use super::*;

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
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_that_names_it() {
        let failed = write_whole(Path::new("/dev/full"), |file| Ok(file.write_all(b"text")?)).unwrap_err();
        let said = crate::error::messages(&failed).join(": ");
        assert!(said.starts_with("cannot write /dev/full: No space left"), "{said}");
        write_whole(Path::new("/dev/null"), |file| Ok(file.write_all(b"text")?)).unwrap();
        use std::os::unix::fs::FileTypeExt;
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device(), "it is still a device");
    }
}
