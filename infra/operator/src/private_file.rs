//! Files that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a new file and renames it into place, so that a crash leaves the old or the new one.
pub fn write(file: &Path, content: &[u8]) -> Result<()> {
    let new = file.with_extension("new");
    // `mode()` applies only to new files, and a leftover of a crash could have other permissions.
    if new.exists() {
        fs::remove_file(&new).map_err(Error::file(&new))?;
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
    let mut open = opened.map_err(Error::file(&new))?;
    open.write_all(content).and_then(|()| open.sync_all()).map_err(Error::file(&new))?;
    fs::rename(&new, file).map_err(Error::file(file))
}
