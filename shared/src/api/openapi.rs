//! What every operation's description shares.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, Info, License, OpenApi, OpenApiVersion, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{FieldError, Problem, error::Code};

const TOKEN: &str = "accessToken";
const ADMIN_SECRET: &str = "adminSecret";
const SESSION: &str = "portalSession";

/// Completes the description of the routes: title, security, and the problem that any operation may answer.
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
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().filter_map(Option::as_mut) {
            complete(operation, credential);
        }
    }
    openapi
}

fn complete(operation: &mut Operation, credential: &str) {
    let no_scopes: [&str; 0] = [];
    let either = [credential, SESSION].map(|name| SecurityRequirement::new(name, no_scopes));
    operation.security.get_or_insert_with(|| either.to_vec());
    let schema = Ref::from_schema_name(Problem::name());
    let problem = ResponseBuilder::new()
        .description("Any other failure")
        .content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build())
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
}
