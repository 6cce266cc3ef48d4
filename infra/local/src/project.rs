//! Finds the project: the folder that contains `template.yaml`.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// Returns the project's root, searching up from the package that cargo runs, then from the current
/// folder.
pub fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let current = std::env::current_dir().ok();
    let starts = manifest.into_iter().chain(current);
    let mut folders = starts.flat_map(|start| start.ancestors().map(PathBuf::from).collect::<Vec<_>>());
    folders.find(|folder| folder.join("template.yaml").is_file()).ok_or_else(|| {
        Error::Refused(
            "there is no template.yaml in this folder or above it; run this in the project".to_owned(),
        )
    })
}
