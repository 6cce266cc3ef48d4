//! Where the project is: the folder with template.yaml.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// The project's root: that of the package that cargo runs, else the current folder or one above it.
pub fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let current = std::env::current_dir().ok();
    let starts = manifest.into_iter().chain(current);
    let mut folders = starts.flat_map(|start| start.ancestors().map(PathBuf::from).collect::<Vec<_>>());
    folders.find(|folder| folder.join("template.yaml").is_file()).ok_or_else(|| {
        Error::Refused("there is no template.yaml here or above: run this in the project".to_owned())
    })
}
