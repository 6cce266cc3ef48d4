//! What every operation's description shares.

mod problems;
mod requests;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Info, License, OpenApi, OpenApiVersion, RefOr,
        path::Operation,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{FieldError, Problem, error::Code};
use crate::domain::Scope;

const TOKEN: &str = "accessToken";
const ADMIN_SECRET: &str = "adminSecret";
const SESSION: &str = "portalSession";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Completes the description of the routes: title, security, the problems that any operation may answer, and what is true
/// of every request.
pub fn describe(mut openapi: OpenApi) -> OpenApi {
    openapi.openapi = OpenApiVersion::Version31;
    openapi.info = Info::new("OfficePro Partner API", env!("CARGO_PKG_VERSION"));
    openapi.info.license = Some(License::new("Apache-2.0"));
    openapi.info.description = Some(
        "Integrate with the electronic medical record of a practice: prospects, tags, availability, bookings, webhooks."
            .to_owned(),
    );
    let components = openapi.components.get_or_insert_with(Components::default);
    let schemes = [
        (TOKEN, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))),
        (ADMIN_SECRET, SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Admin-Secret")))),
        (SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-portal-session")))),
    ];
    components.security_schemes.extend(schemes.map(|(name, scheme)| (name.to_owned(), RefOr::T(scheme))));
    let mut schemas: Vec<(String, RefOr<_>)> = vec![
        (Problem::name().into_owned(), Problem::schema()),
        (FieldError::name().into_owned(), FieldError::schema()),
        (Code::name().into_owned(), Code::schema()),
    ];
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    for (path, item) in &mut openapi.paths.paths {
        let credential = if path.starts_with("/v1/admin/") { ADMIN_SECRET } else { TOKEN };
        let changing = [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in changing.into_iter().filter_map(Option::as_mut) {
            complete(operation, credential, false);
        }
        if let Some(operation) = &mut item.get {
            complete(operation, credential, true);
        }
    }
    requests::tighten(&mut openapi);
    openapi
}

fn complete(operation: &mut Operation, credential: &str, safe: bool) {
    let scope = operation.tags.iter().flatten().find_map(|tag| scope_of(tag));
    let scopes: Vec<&str> = scope.iter().map(|scope| scope.as_str()).collect();
    let either = [credential, SESSION].map(|name| SecurityRequirement::new(name, scopes.clone()));
    operation.security.get_or_insert_with(|| either.to_vec());
    problems::complete(operation, scope.is_some(), safe);
}

/// The scope that every operation of a tag needs; a test calls each operation with each single scope.
fn scope_of(tag: &str) -> Option<Scope> {
    match tag {
        "Prospects" | "Tags" => Some(Scope::Prospects),
        "Providers" => Some(Scope::Providers),
        "Visit Scheduling" => Some(Scope::Scheduling),
        "Products" => Some(Scope::Products),
        "Knowledge Base" => Some(Scope::Kb),
        "Tickets" => Some(Scope::Tickets),
        _ => None,
    }
}
