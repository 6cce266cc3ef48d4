//! Path parameters.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use utoipa::IntoParams;

use crate::api::{ApiError, Code, FieldError, Source, input::values::integer_between};
use crate::{app::App, domain::ids::IntegerId};

/// The practice in the path, for the documentation; [`super::Tenant`] gives access to it.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PracticePath {
    /// The practice pass, which identifies the practice.
    #[param(rename = "PPass", example = "DemoOffice", pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{1,63}$")]
    pub ppass: String,
}

impl FromRequestParts<App> for PracticePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        segment(parts, "PPass").await.map(|ppass| Self { ppass }).ok_or_else(ApiError::not_found)
    }
}

/// The integer `{id}` in the path.
pub struct PathId<T>(pub T);

/// The integers `{id}` and `{tagId}` in the path.
pub struct PathPair<A, B>(pub A, pub B);

/// The text `{id}` in the path.
pub struct PathText(pub String);

impl FromRequestParts<App> for PathText {
    type Rejection = ApiError;

    /// Returns 404 for a text that cannot be an id, as for an unknown id.
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let word = |text: &String| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        segment(parts, "id").await.filter(word).map(Self).ok_or_else(ApiError::not_found)
    }
}

impl<T: IntegerId> FromRequestParts<App> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        id(parts, "id").await.map(Self)
    }
}

impl<A: IntegerId + Send, B: IntegerId> FromRequestParts<App> for PathPair<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(Self(id(parts, "id").await?, id(parts, "tagId").await?))
    }
}

pub(in crate::api) async fn segment(parts: &mut Parts, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

async fn id<T: IntegerId>(parts: &mut Parts, name: &str) -> Result<T, ApiError> {
    let text = segment(parts, name).await.unwrap_or_default();
    integer_between(Source::Text(&text), T::RANGE.0, T::RANGE.1).map(T::from).map_err(|problem| {
        ApiError::new(Code::InvalidPath, "An id in the path must be an integer.").with_errors(vec![
            FieldError { location: format!("path.{name}"), code: problem.code, message: problem.message },
        ])
    })
}
