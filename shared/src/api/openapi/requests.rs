//! Limits that apply to the values of every request, described in one place.

use std::collections::BTreeSet;

use utoipa::openapi::{
    Components, KnownFormat, Object, ObjectBuilder, OpenApi, RefOr, Schema, SchemaFormat, Type,
    path::{Operation, Parameter},
    schema::{AdditionalProperties, ArrayItems, OneOfBuilder},
};

/// The pattern of dates in requests: years 1900 to 2999.
const DATE: &str = "^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";

/// Ids that bodies may contain as integers or as strings of digits.
const INTEGER_IDS: [&str; 4] = ["PatientId", "ProviderId", "TagId", "VisitId"];

/// The maximum number of items in an array whose schema does not set one.
const MOST_ITEMS: usize = 100;
/// The maximum length of an instant, in characters.
const LONGEST_INSTANT: usize = 40;

/// Describes what all requests have in common: no unknown fields, limits of dates, text headers.
pub(super) fn tighten(openapi: &mut OpenApi) {
    let (mut named, mut bodies) = (Vec::new(), Vec::new());
    for item in openapi.paths.paths.values_mut() {
        for (_, operation) in super::operations_of(item) {
            tighten_parameters(operation, &mut named);
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                let schemas = body.content.values_mut().filter_map(|content| match content {
                    RefOr::T(content) => content.schema.as_mut(),
                    RefOr::Ref(_) => None,
                });
                schemas.for_each(|schema| visit(schema, &mut bodies));
            }
        }
    }
    if let Some(components) = &mut openapi.components {
        visit_all(components, named);
        for name in visit_all(components, bodies) {
            if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(&name) {
                object.properties.values_mut().for_each(accept_digits);
            }
        }
    }
}

/// Allows an id as a string of digits, since some endpoints return ids in this form.
fn accept_digits(property: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(parts)) = property {
        let has_id = parts.items.iter().any(is_id);
        if has_id {
            parts.items.push(digits());
        }
    } else if is_id(property) {
        let id = property.clone();
        *property = RefOr::T(OneOfBuilder::new().item(id).item(digits()).build().into());
    }
}

fn is_id(schema: &RefOr<Schema>) -> bool {
    let RefOr::Ref(reference) = schema else { return false };
    let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
    INTEGER_IDS.contains(&name)
}

fn digits() -> RefOr<Schema> {
    let digits = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[1-9][0-9]{0,14}$"));
    digits.build().into()
}

fn tighten_parameters(operation: &mut Operation, named: &mut Vec<String>) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(Parameter { name, schema: Some(schema), description, .. }) = parameter else { continue };
        match name.as_str() {
            "page" => _ = description.get_or_insert_with(|| "The page number; the first is 1.".to_owned()),
            "limit" => _ = description.get_or_insert_with(|| "The maximum number of items.".to_owned()),
            _ => (),
        }
        match name.as_str() {
            super::IDEMPOTENCY_KEY => *schema = text("^[!-~]+$", 255),
            "If-Match" | "If-None-Match" => *schema = text("^[ !-~]+$", 1000),
            _ => visit(schema, named),
        }
    }
}

fn text(pattern: &str, max_length: usize) -> RefOr<Schema> {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(max_length))
        .pattern(Some(pattern));
    text.build().into()
}

/// Tightens the named components and all components they refer to; returns their names.
fn visit_all(components: &mut Components, mut named: Vec<String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while let Some(name) = named.pop() {
        if seen.insert(name.clone())
            && let Some(schema) = components.schemas.get_mut(&name)
        {
            visit(schema, &mut named);
        }
    }
    seen
}

/// Tightens a schema in place and notes the components it refers to.
fn visit(schema: &mut RefOr<Schema>, named: &mut Vec<String>) {
    let schema = match schema {
        RefOr::Ref(reference) => {
            named.extend(reference.ref_location.rsplit('/').next().map(str::to_owned));
            return;
        }
        RefOr::T(schema) => schema,
    };
    let parts = match schema {
        Schema::Object(object) => return visit_object(object, named),
        Schema::Array(array) => {
            array.max_items.get_or_insert(MOST_ITEMS);
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                visit(items, named);
            }
            return;
        }
        Schema::OneOf(parts) => &mut parts.items,
        Schema::AnyOf(parts) => &mut parts.items,
        Schema::AllOf(parts) => &mut parts.items,
        _ => return,
    };
    for part in parts.iter_mut() {
        visit(part, named);
    }
}

fn visit_object(object: &mut Object, named: &mut Vec<String>) {
    if object.format == Some(SchemaFormat::KnownFormat(KnownFormat::Date)) {
        object.pattern = Some(DATE.to_owned());
    }
    if object.format == Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)) {
        object.max_length = Some(LONGEST_INSTANT);
    }
    if !object.properties.is_empty() {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    object.properties.values_mut().for_each(|property| visit(property, named));
}
