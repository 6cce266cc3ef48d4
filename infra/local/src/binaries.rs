//! The functions' own binaries: built by cargo and located by its messages, or found in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::error::{Error, Result};

/// Builds the packages in release mode and returns each one's executable. Cargo's own output goes
/// to the terminal.
pub async fn build(workspace: &Path, packages: &[String]) -> Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args(["build", "--release", "--message-format=json-render-diagnostics"]);
    for package in packages {
        command.args(["--package", package]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    // These variables describe the running package, not the ones to be built.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_CRATE_NAME"
        {
            command.env_remove(name);
        }
    }
    let mut cargo = command.spawn().map_err(Error::io("cargo build"))?;
    let mut executables = BTreeMap::new();
    if let Some(output) = cargo.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await.map_err(Error::io("cargo build"))? {
            if let Some((name, path)) = executable(&line) {
                executables.insert(name, path);
            }
        }
    }
    let status = cargo.wait().await.map_err(Error::io("cargo build"))?;
    if !status.success() {
        return Err(Error::Refused("building the functions failed".to_owned()));
    }
    select(packages, executables)
}

/// Finds the packages' executables from an earlier build in a folder.
pub fn find(folder: &Path, packages: &[String]) -> Result<BTreeMap<String, PathBuf>> {
    let existing =
        packages.iter().map(|name| (name.clone(), folder.join(name))).filter(|(_, path)| path.is_file());
    select(packages, existing.collect())
}

/// Returns the executables, if each package has one.
pub fn select(
    packages: &[String],
    executables: BTreeMap<String, PathBuf>,
) -> Result<BTreeMap<String, PathBuf>> {
    match packages.iter().find(|package| !executables.contains_key(*package)) {
        Some(missing) => Err(Error::Refused(format!("there is no binary for {missing}"))),
        None => Ok(executables),
    }
}

/// Returns the name and path of the binary that a line of cargo's messages reports.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let target = message.get("target").filter(|_| message["reason"] == "compiler-artifact")?;
    if !target["kind"].as_array()?.iter().any(|kind| kind == "bin") {
        return None;
    }
    Some((target["name"].as_str()?.to_owned(), PathBuf::from(message["executable"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executables_of_binary_targets_count() {
        let binary = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"auth"},"executable":"/t/auth"}"#;
        let library =
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"auth"},"executable":null}"#;
        assert_eq!(executable(binary), Some(("auth".to_owned(), PathBuf::from("/t/auth"))));
        assert_eq!(executable(library), None);
        assert_eq!(executable("warning: something"), None);
    }

    #[test]
    fn a_missing_binary_is_named() {
        let root = tempfile::tempdir().unwrap();
        let missing = find(root.path(), &["no-such-function".to_owned()]).unwrap_err();
        assert_eq!(missing.to_string(), "there is no binary for no-such-function");
    }
}
