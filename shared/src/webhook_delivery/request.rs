//! The signed POST of a delivery.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;

use crate::{
    auth::{DeliveryGrant, webhook_signature::signatures},
    control::{deliveries::Delivery, subscriptions::Subscription},
};

/// Builds the headers and the body.
///
/// `None` if they cannot be built, which no stored subscription causes, or if the permission is for
/// another delivery, which no caller causes.
pub(super) fn build(
    grant: &DeliveryGrant,
    subscription: &Subscription,
    delivery: &Delivery,
    at: Timestamp,
) -> Option<(HeaderMap, Vec<u8>)> {
    if !grant.covers(&subscription.practicepass, &subscription.partner_id, delivery.payload.scope()) {
        return None;
    }
    let body = serde_json::to_vec(&delivery.payload).ok()?;
    let id = &delivery.payload.event_id;
    let signature = signatures(subscription.secrets(at), id, at, &body)?;
    let request_id = delivery.request_id.as_ref().map(|it| ("x-request-id", it.as_str()));
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", concat!("OfficePro-Webhooks/", env!("CARGO_PKG_VERSION"))),
        ("x-officepro-event", &delivery.payload.event),
        ("x-officepro-event-id", id),
        ("x-officepro-delivery-id", &delivery.id.to_string()),
        ("webhook-id", id),
        ("webhook-timestamp", &at.as_second().to_string()),
        ("webhook-signature", &signature),
    ];
    let mut map = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers.into_iter().chain(request_id) {
        map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
    }
    map.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    Some((map, body))
}
