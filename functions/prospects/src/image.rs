//! The `PtImg` field: a picture of the person.

use base64::{Engine, engine::general_purpose::STANDARD};
use shared::{
    api::{FieldProblem, FieldValue, Source, check_text},
    egress::{Client, HookUrl, Reach, Refused},
};
use utoipa::ToSchema;

/// Maximum size of a picture in a data URL, in decoded bytes.
const MAX_BYTES: usize = 256 * 1024;
const MAX_URL: usize = 2048;

/// A picture as a data URL or an https URL.
///
/// A data URL is `data:image/png;base64,…` (png, jpeg, gif or webp) and holds at most 256 KiB of
/// decoded data. An https URL has at most 2048 characters and a host with a public address.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "uri",
    pattern = "^(https://[A-Za-z0-9]|data:image/(png|jpeg|gif|webp);base64,)")]
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
            FieldProblem::invalid(
                "must be a base64 data URL of a PNG, JPEG, GIF or WebP image, or an https URL",
            )
        })?;
    if encoded.len() > MAX_BYTES.div_ceil(3) * 4 {
        return Err(FieldProblem::new("TOO_LONG", "must be a picture of at most 256 KiB"));
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| FieldProblem::invalid("must be valid base64"))?;
    if bytes.len() > MAX_BYTES {
        return Err(FieldProblem::new("TOO_LONG", "must be a picture of at most 256 KiB"));
    }
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let genuine = match kind {
        "png" => begins(b"\x89PNG\r\n\x1a\n"),
        "jpeg" => begins(b"\xff\xd8\xff"),
        "gif" => begins(b"GIF87a") || begins(b"GIF89a"),
        _ => begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
    };
    genuine.then_some(()).ok_or_else(|| FieldProblem::invalid(format!("does not contain a {kind} picture")))
}

fn check_url(text: &str) -> Result<(), FieldProblem> {
    let text = check_text(text, 1, MAX_URL)?;
    if !text.to_ascii_lowercase().starts_with("https:") {
        return Err(FieldProblem::invalid("must be an https URL or a data:image URL"));
    }
    // A URL to a private address would make the viewer's browser call its own network.
    HookUrl::parse(&text, Reach::Internet)
        .map(|_| ())
        .map_err(|refused| FieldProblem::invalid(refused.to_string()))
}

impl Image {
    /// Returns why the host of an https URL is not allowed: it has no public address.
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
