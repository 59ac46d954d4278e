//! What processes that were killed have left in a folder, and its removal by the next one that writes there.
//!
//! Only names that this module's own files have are ever removed, only where they belong to the same user, and a folder only under its lock, which no
//! living process gives up. Two more things are put right, both as the folder that was left proves them: files that were already beside a main file that never came (the
//! folder holds them too, as the same file, or knows them by inode, length and time), and a main file that was taken away to make room for one that never came.
//! Nothing is completed: what a folder says could be written by anybody.
//!
//! A sweep never fails an output: what cannot be removed stays for the next one.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::left::left_behind;
use super::staged::{FORMER, Identity, LOCK, PREFIX, Record, remove};
use super::{is_token, text_of};
use crate::file_ops;

/// What stands before the token in the name of data that a main file is exchanged with.
pub(super) const MARK: &str = ".residua-";

/// Most names of a folder that are looked at.
const MAX_NAMES: usize = 100_000;
/// Most bytes of what a lock says.
const MAX_RECORD: u64 = 64 << 10;
/// Age of what has no lock: of former versions, or of a file system that has none.
const OLD: Duration = Duration::from_secs(60 * 60);

/// Removes from a folder what was left there by processes that are no more; whether a model there still names something of it.
pub(super) fn sweep(folder: &Path, own: &Path) -> bool {
    let mut named = false;
    let Ok(of_own) = fs::symlink_metadata(own) else { return named };
    let names = fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_NAMES).map(|entry| entry.file_name());
    let names: Vec<_> = names.filter(|name| text_of(name).is_some_and(|name| name.contains(MARK))).collect();
    let mut data = Vec::new();
    for name in names.iter().filter_map(|name| text_of(name)) {
        let path = folder.join(name);
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if !same_owner(&about, &of_own) {
            continue;
        }
        match (name.strip_prefix(PREFIX), name.rsplit_once(MARK)) {
            (Some(token), _) if is_token(token) && about.is_dir() => sweep_folder(&path, folder),
            // Former versions wrote single files like that.
            (Some(token), _) if is_token(token) && about.is_file() && is_old(&about) => _ = file_ops::remove(&path),
            (None, Some((of, token))) if is_token(token) && about.is_file() => data.push((path, of.to_owned(), token)),
            (Some(_) | None, _) => {}
        }
    }
    for (path, of, token) in data {
        let at_work = folder.join(format!("{PREFIX}{token}")).exists();
        let Some(main) = of.strip_suffix(".data").map(|main| folder.join(main)) else { continue };
        // While that main file names it, it is no leftover but the model's.
        match at_work {
            true => {}
            false if names_it(&main, &path) => named = true,
            false => {
                if file_ops::remove(&path).is_err() {
                    left_behind(&path);
                }
            }
        }
    }
    named
}

#[cfg(unix)]
fn same_owner(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.uid() == b.uid()
}

#[cfg(not(unix))]
fn same_owner(_: &Metadata, _: &Metadata) -> bool {
    true
}

fn is_old(about: &Metadata) -> bool {
    about.modified().is_ok_and(|then| then.elapsed().is_ok_and(|age| age > OLD))
}

fn sweep_folder(path: &Path, beside: &Path) {
    // A folder of that moment before its lock is made is empty; whoever made it makes another.
    if file_ops::remove_folder(path).is_ok() {
        return;
    }
    let lock = path.join(LOCK);
    let is_file = fs::symlink_metadata(&lock).is_ok_and(|about| about.is_file());
    let locked = is_file.then(|| File::options().read(true).write(true).open(&lock).ok()).flatten();
    match locked.as_ref().map(File::try_lock) {
        Some(Ok(())) => {}
        Some(Err(fs::TryLockError::WouldBlock)) => return,
        Some(Err(fs::TryLockError::Error(_))) | None => {
            if !fs::symlink_metadata(path).is_ok_and(|about| is_old(&about)) {
                return;
            }
        }
    }
    if let Some(record) = locked.as_ref().and_then(record) {
        put_right(path, beside, &record);
    }
    remove(path, locked);
}

fn record(lock: &File) -> Option<Record> {
    let mut text = Vec::new();
    lock.take(MAX_RECORD).read_to_end(&mut text).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    let is_name = |name: &String| Path::new(name).file_name().is_some_and(|own| own == name.as_str());
    let named = record.data.as_ref().map(|(name, _)| name);
    (is_name(&record.main) && record.beside.iter().chain(named).all(is_name)).then_some(record)
}

/// Undoes what was done before a main file that is still in the folder, and so was never moved.
fn put_right(left: &Path, beside: &Path, record: &Record) {
    let is_there = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|about| about.is_file());
    if !is_there(&left.join(&record.main)) {
        return;
    }
    for name in &record.beside {
        let place = beside.join(name);
        if same_file(&left.join(name), &place) {
            let _ = file_ops::remove(&place);
        }
    }
    if let Some((name, identity)) = &record.data
        && Identity::of(&beside.join(name)).as_ref() == Some(identity)
    {
        let _ = file_ops::remove(&beside.join(name));
    }
    let (former, place) = (left.join(format!("{FORMER}{}", record.main)), beside.join(&record.main));
    if is_there(&former) && fs::symlink_metadata(&place).is_err() {
        // Fails, as it should, where there is a new one by now.
        let _ = file_ops::link_or_copy(&former, &place);
    }
}

/// Whether two names, neither of them a symbolic link, are of one file.
#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::symlink_metadata(a), fs::symlink_metadata(b)) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(_: &Path, _: &Path) -> bool {
    false
}

/// Whether a main file holds the name of data; also where that cannot be told.
fn names_it(main: &Path, data: &Path) -> bool {
    let Some(name) = data.file_name().and_then(text_of) else { return true };
    if !fs::symlink_metadata(main).is_ok_and(|about| about.is_file()) {
        return false;
    }
    let Ok(mut file) = File::open(main) else { return true };
    let name = name.as_bytes();
    let mut part = Vec::new();
    loop {
        // The end of one part may be the beginning of the name.
        part.drain(..part.len().saturating_sub(name.len()));
        match Read::by_ref(&mut file).take(1 << 20).read_to_end(&mut part) {
            Ok(0) => return false,
            Ok(_) if part.windows(name.len()).any(|window| window == name) => return true,
            Ok(_) => {}
            Err(_) => return true,
        }
    }
}
