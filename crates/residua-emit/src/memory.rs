//! Outputs that are not put in place but given as bytes: into memory, or into a writer.
//!
//! They are the same bytes as [`crate::place`] puts in place, from the same segments.

use std::io::Write;
use std::path::PathBuf;

use crate::sink::{self, Segment};
use crate::{EmitError, Emitted};

/// An output in memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InMemory {
    /// The main file, the one to open first.
    pub bytes: Vec<u8>,
    /// Files that belong beside it: elements of tensors that it names, or configurations of model code.
    pub beside: Vec<MemoryFile>,
    /// What was written. Its paths are names of files: first that of the main file, then those of the files beside it.
    pub emitted: Emitted,
}

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryFile {
    /// Its name, without a folder.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl InMemory {
    /// Gathers the main file, called `name`, and those beside it.
    pub(crate) fn gather(
        name: &str,
        main: &[Segment],
        beside: Vec<(String, Vec<Segment>)>,
        emitted: Emitted,
    ) -> Result<Self, EmitError> {
        check_name(name)?;
        let bytes = gathered(main)?;
        let beside = beside.into_iter().map(|(name, segments)| Ok(MemoryFile { name, bytes: gathered(&segments)? }));
        let beside = beside.collect::<Result<Vec<_>, EmitError>>()?;
        let names = std::iter::once(name).chain(beside.iter().map(|file| file.name.as_str()));
        let files = names.map(PathBuf::from).collect();
        let sizes = std::iter::once(bytes.len()).chain(beside.iter().map(|file| file.bytes.len()));
        let emitted = Emitted { files, bytes: sizes.map(|len| len as u64).sum(), ..emitted };
        Ok(Self { bytes, beside, emitted })
    }
}

/// Writes the one file of an output; says how many bytes it has.
pub(crate) fn write_single(out: &mut dyn Write, main: &[Segment], emitted: Emitted) -> Result<Emitted, EmitError> {
    let bytes = sink::write_to(out, main)?;
    out.flush().map_err(|source| EmitError::Write { source })?;
    Ok(Emitted { bytes, ..emitted })
}

fn gathered(segments: &[Segment]) -> Result<Vec<u8>, EmitError> {
    let mut bytes = Vec::new();
    let len = segments.iter().map(Segment::len).sum();
    bytes.try_reserve_exact(len).map_err(|error| EmitError::Write { source: error.into() })?;
    sink::write_to(&mut bytes, segments)?;
    Ok(bytes)
}

/// Refuses what is no name of a file, since other files may be named after it.
fn check_name(name: &str) -> Result<(), EmitError> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\\', '\0']) {
        let problem = format!("{:?} is no name for an output in memory; give that of a file, without a folder", name);
        return Err(EmitError::Option(problem.into()));
    }
    Ok(())
}
