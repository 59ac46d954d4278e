//! Moving outputs to their places, all of them or none.
//!
//! No system moves two files at once, so the order is such that what is at the main file's place is whole at every moment:
//!
//! - A main file that names its data (`m.onnx`, `m.onnx.data`): the data first, the main file last. Where both were there before, a copy of the data is put beside
//!   the old under a name of its own, a main file that names it so takes the place of the old one (this is the moment of the change), the data then takes
//!   the place of the old data, a main file with that name follows, and the copy goes. Whoever opens `m.onnx` in between finds the old model or the new
//!   one, with all its weights. It is a copy, since the onnx package refuses data that has several hard links.
//! - Files that readers look for beside it (`config.json`) are put there first, where there was none; the main file comes last. A main file that was there
//!   and would have to do with files that are not its own is taken away before, and is back where the new one does not come.
//! - Other outputs of the command follow.
//!
//! Each step has its inverse, and where a step fails, those of the steps before it are taken in reverse. An inverse that fails is the last: what is there is whole
//! then, too, and what was there before stays in the folder that the error names.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::left::left_behind;
use super::staged::{FORMER, Identity, Record, SWITCH};
use super::staging::busy;
use super::{Pending, With, folder_of, leftovers, named, refuse_input, refuse_twice};
use crate::{EmitError, file_ops};

/// How a step is taken back.
#[derive(Debug)]
enum Inverse {
    /// There was nothing.
    Remove(PathBuf),
    /// There was this.
    Move { from: PathBuf, to: PathBuf },
}

impl Inverse {
    fn take(&self) -> io::Result<()> {
        match self {
            Self::Remove(path) => file_ops::remove(path),
            Self::Move { from, to } => file_ops::rename(from, to),
        }
    }
}

/// Syncs outputs and moves them to their places; where there are several, the first is what the others go with.
///
/// # Errors
/// [`EmitError::Twice`] where two have one place, [`EmitError::Input`] where one would replace what was read, [`EmitError::Io`] where moving fails: what was there
/// before is there then. [`EmitError::NotPutBack`] where that failed, too.
pub fn commit_together(mut outputs: Vec<Pending>) -> Result<(), EmitError> {
    let places: Vec<PathBuf> = outputs.iter().flat_map(Pending::places).collect();
    let places: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
    refuse_twice(&places)?;
    places.iter().try_for_each(|place| refuse_input(place))?;
    for output in &mut outputs {
        output.sync()?;
    }
    let Some(first) = outputs.first() else { return Ok(()) };
    let alone = alone_in(folder_of(&first.target))?;
    let moving = busy();
    let mut steps = Steps { done: Vec::new(), last: Vec::new() };
    let count = outputs.len();
    for (index, output) in outputs.iter_mut().enumerate() {
        if let Err(error) = steps.put(output, index + 1 < count) {
            let error = match steps.take_back() {
                Ok(()) => error,
                Err((place, source)) => {
                    let folder = output.staging.path().to_owned();
                    outputs.iter_mut().for_each(|output| output.staging.leave());
                    EmitError::NotPutBack { error: Box::new(error), place, folder, put_back: source }
                }
            };
            drop(moving);
            return Err(error);
        }
    }
    for path in steps.last {
        // Nothing names it any more; what stays is removed by the next process.
        if file_ops::remove(&path).is_err() {
            left_behind(&path);
        }
    }
    for output in outputs.iter().filter(|output| output.staging.sweep_again) {
        leftovers::sweep(folder_of(&output.target), output.staging.path());
    }
    drop(moving);
    drop(alone);
    Ok(())
}

/// How long another process may take to move its outputs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Locks a folder, so that of two processes with the same output one is after the other. What cannot be locked is not.
fn alone_in(folder: &Path) -> Result<Option<File>, EmitError> {
    let Ok(open) = File::open(folder) else { return Ok(None) };
    let started = Instant::now();
    loop {
        match open.try_lock() {
            Ok(()) => return Ok(Some(open)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                let problem = "another process is moving its output there, and does not come to an end";
                let error = io::Error::new(io::ErrorKind::ResourceBusy, problem);
                return Err(EmitError::io("cannot write into", folder)(error));
            }
        }
    }
}

/// The steps that were taken.
struct Steps {
    done: Vec<Inverse>,
    /// What is removed once everything is at its place.
    last: Vec<PathBuf>,
}

impl Steps {
    /// Moves an output; `more` says whether another step follows that may fail.
    fn put(&mut self, output: &mut Pending, more: bool) -> Result<(), EmitError> {
        let target = output.target.clone();
        match (output.data(), &output.with) {
            (Some(data), _) if output.is_exchanged() => self.exchange(output, &data)?,
            (Some(data), _) => self.put_data(output, &data, more)?,
            (None, With::Beside { new, .. }) if !new.is_empty() => {
                let new = new.clone();
                self.put_beside(output, &new)?;
            }
            (None, With::Nothing | With::Data(_) | With::Beside { .. }) => {
                self.replace(output, &output.staged(&target), &target, more)
                    .map_err(EmitError::io("cannot write", &target))?;
            }
        }
        file_ops::sync_folder(folder_of(&target));
        Ok(())
    }

    /// Moves a file to its place, and keeps what was there where the step may have to be taken back.
    fn replace(&mut self, output: &Pending, from: &Path, to: &Path, keep: bool) -> io::Result<()> {
        let former = former(output, to);
        let was_there = fs::symlink_metadata(to).is_ok();
        if was_there && keep {
            file_ops::link_or_copy(to, &former)?;
        }
        file_ops::rename(from, to)?;
        if keep {
            let to = to.to_owned();
            self.done.push(if was_there { Inverse::Move { from: former, to } } else { Inverse::Remove(to) });
        }
        Ok(())
    }

    /// A main file and the data that it names.
    fn exchange(&mut self, output: &Pending, data: &Path) -> Result<(), EmitError> {
        let target = &output.target;
        let folder = folder_of(target);
        let inside = |name: &str| output.staging.path().join(name);
        let transit = {
            let suffix = format!("{}{}", leftovers::MARK, output.staging.token());
            named(data, &suffix)
        };
        let of_data = || EmitError::io("cannot write", data);
        let of_main = || EmitError::io("cannot write", target);
        // To go back from the last main file to the one before.
        let switch_back = inside(".switch-back");
        file_ops::link_or_copy(&inside(SWITCH), &switch_back).map_err(of_main())?;
        self.done.push(Inverse::Remove(transit.clone()));
        file_ops::copy(&output.staged(data), &transit).map_err(of_data())?;
        file_ops::sync_folder(folder);
        self.replace(output, &inside(SWITCH), target, true).map_err(of_main())?;
        file_ops::sync_folder(folder);
        self.replace(output, &output.staged(data), data, true).map_err(of_data())?;
        file_ops::sync_folder(folder);
        file_ops::rename(&output.staged(target), target).map_err(of_main())?;
        self.done.push(Inverse::Move { from: switch_back, to: target.clone() });
        self.last.push(transit);
        Ok(())
    }

    /// A main file and the data that it names, where there was none of it.
    fn put_data(&mut self, output: &mut Pending, data: &Path, more: bool) -> Result<(), EmitError> {
        let target = output.target.clone();
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let identity = Identity::of(&output.staged(data)).map(|identity| (name(data), identity));
        let record = Record { main: name(&target), beside: Vec::new(), data: identity };
        output.staging.record(&record).map_err(EmitError::io("cannot write", data))?;
        self.replace(output, &output.staged(data), data, true).map_err(EmitError::io("cannot write", data))?;
        file_ops::sync_folder(folder_of(&target));
        self.replace(output, &output.staged(&target), &target, more).map_err(EmitError::io("cannot write", &target))
    }

    /// A main file and what readers look for beside it, where that is not there yet.
    fn put_beside(&mut self, output: &mut Pending, new: &[&str]) -> Result<(), EmitError> {
        let target = output.target.clone();
        let of_main = || EmitError::io("cannot write", &target);
        let main = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = new.iter().map(|&name| name.to_owned()).collect();
        output.staging.record(&Record { main, beside, data: None }).map_err(of_main())?;
        let former = former(output, &target);
        if fs::symlink_metadata(&target).is_ok() {
            file_ops::rename(&target, &former).map_err(of_main())?;
            self.done.push(Inverse::Move { from: former, to: target.clone() });
        }
        for name in new {
            let place = target.with_file_name(name);
            file_ops::link_or_copy(&output.staged(&place), &place).map_err(EmitError::io("cannot write", &place))?;
            self.done.push(Inverse::Remove(place));
        }
        file_ops::sync_folder(folder_of(&target));
        file_ops::rename(&output.staged(&target), &target).map_err(of_main())?;
        self.done.push(Inverse::Remove(target));
        Ok(())
    }

    /// Takes all steps back; the place of the one that could not be.
    fn take_back(&mut self) -> Result<(), (PathBuf, io::Error)> {
        while let Some(inverse) = self.done.pop() {
            match (inverse.take(), inverse) {
                (Ok(()), _) => {}
                (Err(error), Inverse::Remove(_)) if error.kind() == io::ErrorKind::NotFound => {}
                (Err(error), Inverse::Remove(path) | Inverse::Move { to: path, .. }) => return Err((path, error)),
            }
        }
        Ok(())
    }
}

/// Where what was at a place is kept.
fn former(output: &Pending, place: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(FORMER);
    name.push(place.file_name().unwrap_or_default());
    output.staging.path().join(name)
}

impl Pending {
    /// Whether a main file and data are there that belong together, as far as their names say.
    fn is_exchanged(&self) -> bool {
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
        is_there(&self.target) && self.data().is_some_and(|data| is_there(&data))
    }

    /// Syncs its files, whatever their names are now.
    fn sync(&mut self) -> Result<(), EmitError> {
        let staged = self.places();
        let switch = self.is_exchanged().then(|| (self.staging.path().join(SWITCH), self.target.clone()));
        let staged: Vec<_> = staged.into_iter().map(|place| (self.staged(&place), place)).chain(switch).collect();
        for (path, place) in staged {
            self.syncing.end(&path).map_err(EmitError::io("cannot write", &place))?;
        }
        Ok(())
    }
}
