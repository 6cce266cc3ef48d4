//! The errors of the local stack. Each displays as a message for the user.

pub use officepro_operator::error::{Error, Result};

/// `template.yaml` contains something that the local stack does not support.
#[derive(Debug, thiserror::Error)]
#[error("template.yaml: {0}")]
pub struct TemplateError(pub String);

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        Self::Refused(error.to_string())
    }
}
