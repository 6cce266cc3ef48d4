//! The problems that an operation can return whatever its handler does.
//!
//! They come from the middleware and the extractors.

use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
        path::{Operation, Parameter, ParameterIn},
        security::SecurityRequirement,
    },
};

use crate::api::{Code, Problem};

const MEDIA_TYPE: &str = "application/problem+json";

/// Adds the problems that the operation's own description does not list.
///
/// Those that it lists get the media type of a problem. `scoped`: the operation requires a scope;
/// `safe`: it changes nothing.
pub(super) fn complete(operation: &mut Operation, scoped: bool, safe: bool) {
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response)
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(MEDIA_TYPE.to_owned(), content);
        }
    }
    for (status, codes) in codes_of(operation, scoped, safe) {
        let listed = operation.responses.responses.entry(status.to_owned());
        listed.or_insert_with(|| RefOr::T(problem(status, &codes)));
    }
}

fn codes_of(operation: &Operation, scoped: bool, safe: bool) -> Vec<(&'static str, Vec<Code>)> {
    let parameters: Vec<&Parameter> = operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .collect();
    let any = |place: ParameterIn| parameters.iter().any(|it| it.parameter_in == place);
    let (in_path, in_query) = (any(ParameterIn::Path), any(ParameterIn::Query));
    let id_in_path = parameters.iter().any(|it| it.parameter_in == ParameterIn::Path && it.name != "PPass");
    let idempotent = parameters.iter().any(|it| it.name == super::IDEMPOTENCY_KEY);
    let body = operation.request_body.is_some();
    let credential =
        operation.security.as_ref().is_some_and(|needed| !needed.contains(&SecurityRequirement::default()));
    let administrators = credential && !scoped && is_for(operation, super::ADMIN_SECRET);
    let when = |condition: bool, code: Code| condition.then_some(code);
    let rows: [(&str, Vec<Option<Code>>); 12] = [
        (
            "400",
            vec![
                when(body, Code::MalformedJson),
                when(id_in_path, Code::InvalidPath),
                when(in_query, Code::InvalidQuery),
                when(idempotent, Code::InvalidHeader),
            ],
        ),
        (
            "401",
            vec![
                when(credential && !administrators, Code::Unauthenticated),
                when(administrators, Code::InvalidAdminSecret),
            ],
        ),
        (
            "403",
            vec![when(scoped, Code::InsufficientScope), when(credential && !safe, Code::CrossSiteRefused)],
        ),
        ("404", vec![when(in_path, Code::NotFound)]),
        ("409", vec![when(idempotent, Code::IdempotencyInProgress)]),
        ("413", vec![when(body, Code::PayloadTooLarge)]),
        ("415", vec![when(body, Code::UnsupportedMediaType)]),
        ("422", vec![when(body, Code::InvalidFields), when(idempotent, Code::IdempotencyKeyReused)]),
        ("429", vec![when(credential, Code::RateLimited)]),
        ("431", vec![Some(Code::HeadersTooLarge)]),
        ("500", vec![Some(Code::Internal), Some(Code::ResponseTooLarge)]),
        ("503", vec![when(credential || in_path || body, Code::Unavailable)]),
    ];
    rows.into_iter()
        .map(|(status, codes)| (status, codes.into_iter().flatten().collect::<Vec<_>>()))
        .filter(|(_, codes)| !codes.is_empty())
        .collect()
}

fn is_for(operation: &Operation, credential: &str) -> bool {
    let no_scopes: [&str; 0] = [];
    operation.security.iter().flatten().any(|it| *it == SecurityRequirement::new(credential, no_scopes))
}

fn problem(status: &str, codes: &[Code]) -> Response {
    let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let problem = ResponseBuilder::new().description(names.join(", ")).content(MEDIA_TYPE, content);
    match status {
        "401" | "403" => {
            problem.header("WWW-Authenticate", header("The credential or scope needed.", Type::String))
        }
        "429" | "503" => problem.header("Retry-After", header("How many seconds to wait.", Type::Integer)),
        _ => problem,
    }
    .build()
}

fn header(description: &str, schema_type: Type) -> utoipa::openapi::Header {
    let schema = ObjectBuilder::new().schema_type(schema_type).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
