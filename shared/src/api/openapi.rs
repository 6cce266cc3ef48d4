//! The parts of the OpenAPI description that all operations share.

mod about;
mod answers;
mod components;
mod events;
mod examples;
mod partners;
mod problems;
mod requests;
mod served;
mod version_3_0;

pub use served::{Audience, GetDescription, Published, SpecVersion};

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, OpenApi, OpenApiVersion, PathItem, RefOr,
        path::Operation,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::api::{FieldError, Problem, VisitConflict, error::Code};
use crate::domain::{EventScope, Scope};

const TOKEN: &str = "accessToken";
const ADMIN_SECRET: &str = "adminSecret";
/// The group of operations that authenticate administrators.
const ADMINISTRATION: &str = "Administration";
const SESSION: &str = "portalSession";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Returns the complete description of the routes as JSON.
///
/// Adds the title, security, examples, the problems that any operation can return, the limits of
/// all requests, and the events that partners' endpoints receive. Moves what operations share to
/// `components`.
pub fn describe(mut openapi: OpenApi) -> Value {
    openapi.openapi = OpenApiVersion::Version31;
    about::introduce(&mut openapi);
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
        (VisitConflict::name().into_owned(), VisitConflict::schema()),
    ];
    Problem::schemas(&mut definitions);
    VisitConflict::schemas(&mut definitions);
    events::define(&mut definitions);
    components.schemas.extend(definitions);
    for item in openapi.paths.paths.values_mut() {
        for (method, operation) in operations_of(item) {
            complete(operation, method == "GET");
        }
    }
    requests::tighten(&mut openapi);
    examples::show_all(&mut openapi);
    // Serializing fails for no value of this type.
    let mut document = serde_json::to_value(&openapi).unwrap_or_default();
    document["webhooks"] = events::webhooks();
    open_to_everybody(&mut document);
    components::share_schemas(&mut document);
    answers::complete(&mut document);
    components::share(&mut document);
    document
}

/// Returns the operations of a path with their methods.
fn operations_of(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("PATCH", &mut item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Describes operations without a credential by an empty list, which generators of clients
/// understand; `utoipa` writes a list of one empty requirement.
fn open_to_everybody(document: &mut Value) {
    for operation in components::operations(document) {
        if operation["security"] == json!([{}]) {
            operation["security"] = json!([]);
        }
    }
}

/// Adds the operation's id, security and problems. `safe`: it changes nothing.
fn complete(operation: &mut Operation, safe: bool) {
    let for_administrators = operation.tags.iter().flatten().any(|tag| tag == ADMINISTRATION);
    let credential = if for_administrators { ADMIN_SECRET } else { TOKEN };
    operation.operation_id = operation.operation_id.take().map(|it| camel_case(&it));
    let scopes = operation.tags.iter().flatten().flat_map(|tag| scopes_of(tag)).collect::<Vec<_>>();
    let sets: Vec<Vec<&str>> = match scopes.as_slice() {
        [] => vec![Vec::new()],
        scopes => scopes.iter().map(|scope| vec![scope.as_str()]).collect(),
    };
    let each = |name| sets.iter().map(move |set| SecurityRequirement::new(name, set.clone()));
    operation.security.get_or_insert_with(|| [credential, SESSION].into_iter().flat_map(each).collect());
    problems::complete(operation, !scopes.is_empty(), safe);
}

/// Converts `list_prospects` to `listProspects`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        text + &head.to_ascii_uppercase() + tail
    })
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
