//! A small file of a client's own, which several commands may change at once.
//!
//! Promise: a change is whole, and durable when it returns; of two commands that change the file each goes on from what the
//! other wrote. Whoever reads without the lock finds the text of before or of after. It does not keep a history.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::output::{Code, Failure};
use crate::wizard::say;

/// Another command holds a file for a moment, or while it asks a node. One that was stopped in the middle holds it for ever, and
/// whoever waits for it may not hear Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(10);
/// Most often it is over by then.
const SILENT: Duration = Duration::from_secs(1);

/// A file that no other command changes while this is held.
pub(crate) struct KeptFile {
    path: PathBuf,
    _lock: File,
}

/// What is in a file, if it exists.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::usage(format!("{} cannot be read: {error}", path.display()))),
    }
}

/// The entries of a file that is a list of `what`, by their names; none if it does not exist.
pub(crate) fn entries<T: DeserializeOwned>(path: &Path, what: &str) -> Result<BTreeMap<String, T>, Failure> {
    let Some(text) = read(path)? else { return Ok(BTreeMap::new()) };
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{} is no list of {what}: {error}", path.display())))
}

impl KeptFile {
    /// Waits until no other command changes it, but not for ever.
    pub(crate) fn lock(path: &Path) -> Result<Self, Failure> {
        Self::lock_within(path, PATIENCE)
    }

    fn lock_within(path: &Path, patience: Duration) -> Result<Self, Failure> {
        // The file itself is replaced, and a lock on the one of before would keep nobody out.
        let beside = path.with_added_extension("lock");
        let about = |error| Failure::usage(format!("{} cannot be locked: {error}", beside.display()));
        let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(&beside);
        let lock = opened.map_err(about)?;
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                Err(TryLockError::Error(error)) => return Err(about(error)),
                Err(TryLockError::WouldBlock) if waited >= patience => {
                    let text = format!(
                        "another command does not let go of {}: end it (`fuser {}` names it) and run this one again",
                        path.display(),
                        beside.display()
                    );
                    return Err(Failure::new(Code::Other, text));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            waited += AGAIN;
            if waited == SILENT {
                // A message nobody reads stops nothing.
                drop(say(&format!("waiting for another command that changes {}", path.display())));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Puts a new text in the place of the old one; only its owner can read it, and by `mode` write it.
    pub(crate) fn replace(&self, text: &str, mode: u32) -> Result<(), Failure> {
        let about = |error| Failure::usage(format!("{} cannot be written: {error}", self.path.display()));
        put(&self.path, &self.path.with_added_extension("new"), text, mode).map_err(about)
    }

    /// Puts new entries in the place of the old ones.
    pub(crate) fn replace_entries<T: Serialize>(&self, entries: &BTreeMap<String, T>) -> Result<(), Failure> {
        self.replace(&(serde_json::to_string_pretty(entries)? + "\n"), 0o600)
    }
}

/// The same for a file that no two commands should change: if they do it at once, the text of one stays, whole.
pub(crate) fn replace(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    // Two that share a name could put half of a text in place.
    put(path, &path.with_added_extension(format!("{}.new", std::process::id())), text, mode)
}

/// By way of a new file, which nobody else writes and which is gone afterwards.
fn put(path: &Path, new: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    match std::fs::remove_file(new) {
        // A command that was killed left it.
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let written = written(path, new, text, mode);
    if written.is_err() {
        // Its text may be a private key.
        let _gone = std::fs::remove_file(new);
    }
    written
}

fn written(path: &Path, new: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut file = File::options().create_new(true).write(true).mode(mode).open(new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if_possible(File::open(folder)?.sync_all())
}

/// Some file systems, of other machines above all, write folders through and do not know how to be asked for it.
pub(crate) fn if_possible(synced: std::io::Result<()>) -> std::io::Result<()> {
    match synced {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn of_many_changes_at_once_none_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        std::fs::write(path.with_added_extension("new"), "half of wh").expect("what a killed command left");
        let add = |number: u32| {
            for _ in 0..20 {
                let file = KeptFile::lock(&path).expect("locked");
                let before = read(&path).expect("read").unwrap_or_default();
                file.replace(&format!("{before}{number}\n"), 0o600).expect("written");
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|number| drop(scope.spawn(move || add(number)))));
        let text = read(&path).expect("read").expect("it exists");
        for number in 0..8 {
            assert_eq!(text.lines().filter(|line| *line == number.to_string()).count(), 20, "{number}");
        }
        assert_eq!(std::fs::metadata(&path).expect("it exists").permissions().mode() & 0o777, 0o600);
        assert!(!path.with_added_extension("new").exists());
    }

    #[test]
    fn a_command_that_does_not_let_go_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        let held = KeptFile::lock(&path).expect("locked");
        let why = KeptFile::lock_within(&path, AGAIN).err().expect("it is held").to_string();
        assert!(why.contains("another command") && why.contains("kept.lock"), "{why}");
        drop(held);
        KeptFile::lock_within(&path, AGAIN).expect("nobody holds it");
    }

    #[test]
    fn what_cannot_be_written_is_left_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        KeptFile::lock(&path).expect("locked").replace("before", 0o600).expect("written");
        std::fs::create_dir(path.with_added_extension("new")).expect("in the way");
        assert!(KeptFile::lock(&path).expect("locked").replace("after", 0o600).is_err());
        assert_eq!(read(&path).expect("read").as_deref(), Some("before"));
    }

    #[test]
    fn whoever_needs_no_lock_puts_no_half_of_anothers_text_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        // What another command is about to put there.
        let theirs = path.with_added_extension("new");
        std::fs::write(&theirs, "half of wh").expect("written");
        replace(&path, "mine", 0o600).expect("written");
        let both = [&path, &theirs].map(|path| read(path).expect("read").expect("it exists"));
        assert_eq!(both, ["mine", "half of wh"]);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing else is left");
    }

    #[test]
    fn a_failure_leaves_no_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        std::fs::create_dir_all(path.join("in the way")).expect("a folder where the file should be");
        assert!(replace(&path, "secret", 0o600).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_file_system_that_cannot_sync_folders_is_good_enough() {
        let failed = |code: nix::errno::Errno| if_possible(Err(std::io::Error::from_raw_os_error(code as i32)));
        assert!(failed(nix::errno::Errno::EINVAL).is_ok() && failed(nix::errno::Errno::ENOTSUP).is_ok());
        assert!(failed(nix::errno::Errno::EIO).is_err() && failed(nix::errno::Errno::ENOSPC).is_err());
    }
}
