//! The events that partners' endpoints receive, for the description's `webhooks`.

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::domain::{EventScope, delivery::Payload};

/// The headers of each POST, with an example of each.
const HEADERS: [(&str, &str, &str); 7] = [
    (
        "webhook-id",
        "The id of the event, the same on every attempt and retry. Use it to ignore events that you have \
            already processed.",
        "DemoOffice-4711",
    ),
    (
        "webhook-timestamp",
        "The time of the attempt in seconds since 1970-01-01T00:00:00Z. Reject it if it is more than five \
            minutes from your clock.",
        "1773057600",
    ),
    (
        "webhook-signature",
        "One or more signatures, separated by spaces: `v1,` and the Base64 of the HMAC-SHA256 of \
            `{webhook-id}.{webhook-timestamp}.{body}` (Standard Webhooks). While a rotated secret is still \
            valid, there are two. Accept the request if any of them is right.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
    ("x-officepro-event", "The member `event` of the body.", "Patients"),
    ("x-officepro-event-id", "The id of the event.", "DemoOffice-4711"),
    ("x-officepro-delivery-id", "The id of the delivery, for `GET /v1/webhooks/deliveries/{id}`.", "10"),
    ("x-request-id", "The id of the call that caused the event. Omitted if none did.", "req-7f3a"),
];

/// Adds the schemas of the events to the components.
pub(super) fn define(definitions: &mut Vec<(String, RefOr<Schema>)>) {
    definitions.push((Payload::name().into_owned(), Payload::schema()));
    Payload::schemas(definitions);
}

/// Returns the webhooks by name: one for each event that a partner can subscribe to.
pub(super) fn webhooks() -> Value {
    let mut webhooks = serde_json::Map::new();
    for scope in EventScope::ALL {
        webhooks.insert(scope.as_str().to_owned(), webhook(scope.as_str()));
    }
    Value::Object(webhooks)
}

fn webhook(event: &str) -> Value {
    let parameters: Vec<Value> = HEADERS
        .iter()
        .map(|(name, description, example)| {
            json!({
                "name": name, "in": "header", "required": *name != "x-request-id",
                "description": description, "example": example, "schema": { "type": "string" },
            })
        })
        .collect();
    json!({ "post": {
        "operationId": format!("on{event}"),
        "tags": ["Webhooks"],
        "summary": format!("A record of `{event}` was created, updated or deleted."),
        "description": "Sent to the subscription's `hookUrl`. Answer with a status of 200 to 299 within 15 \
            seconds, and process the event afterwards. Events can arrive more than once and in any order. \
            The body contains ids only: read the record to get its data.",
        "security": [],
        "parameters": parameters,
        "requestBody": { "required": true, "content": { "application/json": {
            "schema": { "$ref": format!("#/components/schemas/{}", Payload::name()) },
            "example": {
                "eventId": "DemoOffice-4711", "event": event, "action": "updated",
                "practicepass": "DemoOffice", "logId": 4711, "recordId": 1001,
                "occurredAt": "2026-03-09T12:00:00Z",
            },
        } } },
        "responses": {
            "2XX": { "description": "The event was received." },
            "410": { "description": "The endpoint is gone. The subscription is disabled." },
            "429": { "description": "Too many requests. `Retry-After` holds all events of the endpoint." },
            "default": { "description": "The event is sent again later." },
        },
    } })
}
