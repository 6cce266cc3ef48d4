//! Secrets that operators hand over: never on the command line, where other users and the shell's history see them.

use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, Result};

/// The first line of a file, or of standard input.
pub fn read_secret(file: Option<&Path>) -> Result<String> {
    match file {
        Some(file) => line(&std::fs::read_to_string(file).map_err(Error::file(file))?),
        None => read_stdin(),
    }
}

/// The first line of standard input.
pub fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Error::io("standard input"))?;
    line(&text)
}

fn line(text: &str) -> Result<String> {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Error::Refused("there is no secret to read".to_owned()));
    }
    Ok(line.to_owned())
}
