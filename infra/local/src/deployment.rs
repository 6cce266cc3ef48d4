//! Versions of the function binaries, which stay unchanged while cargo replaces the original files.
//!
//! A version is a folder of hard links beside the binaries, `deployed/<process>/<number>`. Cargo
//! writes new files instead of modifying the old ones, so a link costs nothing and nobody starts a
//! partially written binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

use crate::error::{Error, Result};

const FOLDER: &str = "deployed";

/// The versions of one stack's binaries. Dropping this deletes them.
pub struct Deployment {
    /// Paths of the original binaries, by package name.
    sources: BTreeMap<String, PathBuf>,
    folder: PathBuf,
    version: u32,
}

impl Deployment {
    /// Starts without a version, and deletes the leftovers of killed stacks.
    pub fn new(sources: BTreeMap<String, PathBuf>) -> Result<Self> {
        let beside = sources.values().next().and_then(|binary| binary.parent());
        let all = beside.ok_or_else(|| Error::Refused("there are no binaries".to_owned()))?.join(FOLDER);
        remove_stale(&all);
        let folder = all.join(std::process::id().to_string());
        Ok(Self { sources, folder, version: 0 })
    }

    /// Creates a version from the current binaries; returns its paths by package name.
    pub fn next_version(&mut self) -> Result<BTreeMap<String, PathBuf>> {
        self.version += 1;
        let folder = self.folder.join(self.version.to_string());
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let mut version = BTreeMap::new();
        for (name, source) in &self.sources {
            let link = folder.join(name);
            fs::hard_link(source, &link).map_err(Error::file(source))?;
            version.insert(name.clone(), link);
        }
        // Environments of the previous version may still be starting, so keep two.
        if let Some(old) = self.version.checked_sub(2) {
            let _ = fs::remove_dir_all(self.folder.join(old.to_string()));
        }
        Ok(version)
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn remove_stale(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if pid.is_some_and(|pid| test_kill_process(pid).is_err()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_keeps_its_binaries_when_they_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let binary = root.path().join("auth");
        fs::write(&binary, "one").unwrap();
        let stale = root.path().join(FOLDER).join(i32::MAX.to_string());
        fs::create_dir_all(&stale).unwrap();
        let mut deployment = Deployment::new(BTreeMap::from([("auth".to_owned(), binary.clone())])).unwrap();
        assert!(!stale.exists(), "its stack is gone");
        let first = deployment.next_version().unwrap()["auth"].clone();
        fs::write(root.path().join("new"), "two").unwrap();
        fs::rename(root.path().join("new"), &binary).unwrap();
        let second = deployment.next_version().unwrap()["auth"].clone();
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!((text(&first), text(&second)), ("one".to_owned(), "two".to_owned()));
        deployment.next_version().unwrap();
        assert!(!first.exists() && second.exists(), "two versions are kept");
        drop(deployment);
        assert!(!second.exists());
    }
}
