//! The data folder kept between runs, and the lock that limits it to one stack at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const LOCK: &str = "stack.lock";

/// An open data folder, locked until this is dropped or the process ends in any way.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the folder if needed and locks it. Fails while another stack is running in it.
    pub fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(Error::file(path))?;
        // It contains keys and practice data, so only its owner may read it.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::file(path))?;
        let path = fs::canonicalize(path).map_err(Error::file(path))?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Opens a folder in which a stack has run before.
    pub fn existing(path: &Path) -> Result<Self> {
        if path.join("secrets.json").is_file() {
            return Self::open(path);
        }
        let what = if path.exists() { "no stack has run in it yet" } else { "there is no such folder" };
        Err(Error::Refused(format!("{}: {what}; `cargo run` creates a data folder", path.display())))
    }

    /// Deletes everything but the lock.
    pub fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path).map_err(Error::file(&self.path))? {
            let entry = entry.map_err(Error::file(&self.path))?;
            let path = entry.path();
            if entry.file_name() == LOCK {
                continue;
            }
            let is_folder = entry.file_type().map_err(Error::file(&path))?.is_dir();
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::file(&path))?;
        }
        Ok(())
    }

    /// Returns the folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Deletes a data folder. Fails while a stack is running in it, or if it isn't a data folder.
pub fn reset(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    if !path.join(LOCK).is_file() {
        let message =
            format!("{} is not a data folder of the local stack; nothing was deleted", path.display());
        return Err(Error::Refused(message));
    }
    let open = DataDir::open(path)?;
    fs::remove_dir_all(open.path()).map_err(Error::file(path))
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(Error::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Refused(format!("a local stack is running in {}; stop it first", folder.display())))
        }
        Err(TryLockError::Error(error)) => Err(Error::file(&path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stack_runs_at_a_time_and_reset_waits_for_its_end() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data");
        let first = DataDir::open(&folder).unwrap();
        fs::write(first.path().join("kept"), "x").unwrap();
        assert!(matches!(DataDir::open(&folder), Err(Error::Refused(_))));
        assert!(matches!(reset(&folder), Err(Error::Refused(_))));
        drop(first);
        assert!(DataDir::open(&folder).unwrap().path().join("kept").exists());
        reset(&folder).unwrap();
        assert!(!folder.exists());
        reset(&folder).unwrap();
    }

    #[test]
    fn reset_deletes_only_the_folder_of_a_stack() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("precious"), "x").unwrap();
        assert!(matches!(reset(root.path()), Err(Error::Refused(_))));
        assert!(root.path().join("precious").exists());
    }

    #[test]
    fn clear_keeps_the_lock() {
        let root = tempfile::tempdir().unwrap();
        let open = DataDir::open(root.path()).unwrap();
        fs::create_dir_all(open.path().join("logs")).unwrap();
        open.clear().unwrap();
        assert!(!open.path().join("logs").exists());
        assert!(matches!(DataDir::open(root.path()), Err(Error::Refused(_))));
    }
}
