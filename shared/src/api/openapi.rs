//! The parts of the OpenAPI description that all operations share.

mod examples;
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

use crate::api::{FieldError, Problem, error::Code};
use crate::domain::{EventScope, Scope};

const TOKEN: &str = "accessToken";
const ADMIN_SECRET: &str = "adminSecret";
const SESSION: &str = "portalSession";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Completes the description of the routes.
///
/// Adds the title, security, examples, the problems that any operation can return, and the limits
/// of all requests.
pub fn describe(mut openapi: OpenApi) -> OpenApi {
    openapi.openapi = OpenApiVersion::Version31;
    openapi.info = Info::new("OfficePro Partner API", env!("CARGO_PKG_VERSION"));
    openapi.info.license = Some(License::new("Apache-2.0"));
    openapi.info.description = Some(
        "Integrate with the electronic medical record of a practice: prospects, tags, availability, \
         bookings, webhooks.\n\n\
         Calls are limited per API key and minute. `RateLimit-Policy` and `RateLimit` \
         (draft-ietf-httpapi-ratelimit-headers) contain the limit and the number of calls left; \
         `Retry-After` of a 429 says how long to wait. Several servers count calls and synchronize every \
         few seconds, so the number can jump between calls, and a burst can briefly exceed the limit. \
         Do not rely on more calls than the limit.\n\n\
         Unknown fields and query parameters are rejected by name, and so is a field that is sent twice."
            .to_owned(),
    );
    let components = openapi.components.get_or_insert_with(Components::default);
    let schemes = [
        (TOKEN, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))),
        (ADMIN_SECRET, SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Admin-Secret")))),
        (SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-portal-session")))),
    ];
    components.security_schemes.extend(schemes.map(|(name, scheme)| (name.to_owned(), RefOr::T(scheme))));
    let mut definitions: Vec<(String, RefOr<_>)> = vec![
        (Problem::name().into_owned(), Problem::schema()),
        (FieldError::name().into_owned(), FieldError::schema()),
        (Code::name().into_owned(), Code::schema()),
    ];
    Problem::schemas(&mut definitions);
    components.schemas.extend(definitions);
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
    show_examples(&mut openapi);
    openapi
}

fn show_examples(openapi: &mut OpenApi) {
    for (name, example) in examples::all() {
        let Some((method, path)) = name.split_once(' ') else { continue };
        let Some(item) = openapi.paths.paths.get_mut(path) else { continue };
        let operation = match method {
            "GET" => &mut item.get,
            "POST" => &mut item.post,
            "PUT" => &mut item.put,
            "PATCH" => &mut item.patch,
            "DELETE" => &mut item.delete,
            _ => continue,
        };
        if let Some(operation) = operation {
            examples::show(operation, path, example);
        }
    }
}

fn complete(operation: &mut Operation, credential: &str, safe: bool) {
    let scopes = operation.tags.iter().flatten().flat_map(|tag| scopes_of(tag)).collect::<Vec<_>>();
    let sets: Vec<Vec<&str>> = match scopes.as_slice() {
        [] => vec![Vec::new()],
        scopes => scopes.iter().map(|scope| vec![scope.as_str()]).collect(),
    };
    let each = |name| sets.iter().map(move |set| SecurityRequirement::new(name, set.clone()));
    operation.security.get_or_insert_with(|| [credential, SESSION].into_iter().flat_map(each).collect());
    problems::complete(operation, !scopes.is_empty(), safe);
}

/// Returns the scopes of which every operation with this tag needs one.
///
/// A test calls each operation with each single scope.
fn scopes_of(tag: &str) -> Vec<Scope> {
    match tag {
        "Prospects" | "Tags" => vec![Scope::Prospects],
        "Providers" => vec![Scope::Providers],
        "Visit Scheduling" => vec![Scope::Scheduling],
        "Products" => vec![Scope::Products],
        "Knowledge Base" => vec![Scope::Kb],
        "Tickets" => vec![Scope::Tickets],
        "Webhooks" => EventScope::ALL.iter().map(|event| event.required()).collect(),
        _ => Vec::new(),
    }
}
