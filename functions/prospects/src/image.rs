//! `PtImg`: a picture of the person.

use base64::{Engine, engine::general_purpose::STANDARD};
use shared::{
    api::{FieldProblem, FieldValue, Source, check_text},
    egress::{Client, HookUrl, Reach, Refused},
};
use utoipa::ToSchema;

/// Largest picture in a record, in bytes once decoded.
const MAX_BYTES: usize = 256 * 1024;
const MAX_URL: usize = 2048;

/// `data:image/png;base64,…` (png, jpeg, gif or webp; at most 256 KiB once decoded), or an https URL of at most 2048
/// characters whose host has a public address.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "uri", pattern = "^(https://[A-Za-z0-9]|data:image/(png|jpeg|gif|webp);base64,)")]
pub struct Image(String);

impl FieldValue for Image {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = source.text()?.trim();
        match text.strip_prefix("data:") {
            Some(data) => check_data(data)?,
            None => check_url(text)?,
        }
        Ok(Self(text.to_owned()))
    }
}

fn check_data(data: &str) -> Result<(), FieldProblem> {
    let (kind, encoded) = data
        .strip_prefix("image/")
        .and_then(|data| data.split_once(";base64,"))
        .filter(|(kind, _)| matches!(*kind, "png" | "jpeg" | "gif" | "webp"))
        .ok_or_else(|| {
            FieldProblem::invalid("must be data:image/png, jpeg, gif or webp in base64, or an https URL")
        })?;
    if encoded.len() > MAX_BYTES.div_ceil(3) * 4 {
        return Err(FieldProblem::new("TOO_LONG", "is a picture of more than 256 KiB"));
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| FieldProblem::invalid("is not base64"))?;
    if bytes.len() > MAX_BYTES {
        return Err(FieldProblem::new("TOO_LONG", "is a picture of more than 256 KiB"));
    }
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let genuine = match kind {
        "png" => begins(b"\x89PNG\r\n\x1a\n"),
        "jpeg" => begins(b"\xff\xd8\xff"),
        "gif" => begins(b"GIF87a") || begins(b"GIF89a"),
        _ => begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
    };
    genuine.then_some(()).ok_or_else(|| FieldProblem::invalid(format!("is not a {kind} picture")))
}

fn check_url(text: &str) -> Result<(), FieldProblem> {
    let text = check_text(text, 1, MAX_URL)?;
    if !text.to_ascii_lowercase().starts_with("https:") {
        return Err(FieldProblem::invalid("must be an https URL or a data:image URL"));
    }
    // Whoever shows the picture must not be sent to a network of its own.
    HookUrl::parse(&text, Reach::Internet)
        .map(|_| ())
        .map_err(|refused| FieldProblem::invalid(refused.to_string()))
}

impl Image {
    /// Why the host of an https URL may not be called: it has no public address.
    pub(crate) async fn refused(&self, hooks: &Client) -> Option<String> {
        let url = HookUrl::parse(&self.0, Reach::Internet).ok()?;
        match hooks.vet(&url).await {
            // The local stack may be offline.
            Err(Refused::NoAddress | Refused::LookupFailed)
                if hooks.reach() == Reach::InternetAndLoopback =>
            {
                None
            }
            vetted => vetted.err().map(|refused| refused.to_string()),
        }
    }
}

impl From<Image> for String {
    fn from(image: Image) -> Self {
        image.0
    }
}
