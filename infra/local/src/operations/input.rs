//! Secrets that operators hand over: never on the command line, where other users and the shell's history see them.

use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, Result};

/// A connection string: the first line of a file or of standard input and, below it, certificates in PEM form.
pub fn read_connection_string(file: Option<&Path>, certificate: Option<&Path>) -> Result<String> {
    let read = |file: &Path| std::fs::read_to_string(file).map_err(Error::file(file));
    let mut text = match file {
        Some(file) => read(file)?,
        None => whole_stdin()?,
    };
    line(&text)?;
    if let Some(file) = certificate {
        let certificate = read(file)?;
        if !certificate.contains("-----BEGIN CERTIFICATE-----") {
            let reason = "there is no certificate in PEM form in it";
            return Err(Error::Refused(format!("{}: {reason}", file.display())));
        }
        text = format!("{}\n{certificate}", text.trim_end());
    }
    Ok(text.trim().to_owned())
}

fn whole_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Error::io("standard input"))?;
    Ok(text)
}

/// The first line of standard input.
pub fn read_stdin() -> Result<String> {
    line(&whole_stdin()?)
}

fn line(text: &str) -> Result<String> {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Error::Refused("there is no secret to read".to_owned()));
    }
    Ok(line.to_owned())
}
