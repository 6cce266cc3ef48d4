//! Reads secrets from standard input or files.
//!
//! Never from arguments, which other users and the shell history can see.

use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Reads a connection string from the first line of a file or of standard input.
///
/// PEM certificates may follow it; those in the file `certificate` are appended.
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
            let reason = "contains no PEM certificate";
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

/// Reads the first line of standard input.
pub fn read_stdin() -> Result<String> {
    line(&whole_stdin()?)
}

fn line(text: &str) -> Result<String> {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Error::Refused("no secret found: the first line is empty".to_owned()));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::read_connection_string;

    #[test]
    fn a_certificate_file_without_certificates_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        let dsn = write("dsn", "postgres://role:b@db.example/c\n");
        for text in ["", " \n\n", "-----BEGIN PRIVATE KEY-----\n"] {
            let said =
                read_connection_string(Some(&dsn), Some(&write("root.pem", text))).unwrap_err().to_string();
            assert!(said.contains("root.pem: contains no PEM certificate"), "{said}");
        }
        let root = write("root.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
        let read = read_connection_string(Some(&dsn), Some(&root)).unwrap();
        assert!(read.starts_with("postgres://role:b@db.example/c\n-----BEGIN CERTIFICATE-----"), "{read}");
    }
}
