//! The keys of deliveries in their indexes: ordered by outcome, then by id.

use crate::domain::{
    delivery::DeliveryStatus,
    ids::{DeliveryId, PartnerId},
};

/// The partition key of the index `feed`.
pub(super) const PARTITION: &str = "feedPk";
/// The sort key of `feed`: `<outcome>#<id>`.
pub(super) const PLACE: &str = "feedPlace";
/// The sort key of `byPractice`: `<partner>#<outcome>#<id>`.
pub(super) const PLACE_OF_PARTNER: &str = "partnerPlace";
pub(super) const OPEN: &str = "open";
pub(super) const FAILED: &str = "failed";
pub(super) const DELIVERED: &str = "delivered";

pub(super) fn partition(shard: i64) -> String {
    format!("FEED#{shard}")
}

pub(super) fn shard(id: DeliveryId, shards: i64) -> i64 {
    id.0.rem_euclid(shards)
}

/// Formats an id with leading zeros, so that ids sort as text.
pub(super) fn digits(id: DeliveryId) -> String {
    format!("{:016}", id.0)
}

pub(super) fn place(status: DeliveryStatus, id: DeliveryId) -> String {
    let outcome = match status {
        DeliveryStatus::Delivered => DELIVERED,
        status if status.is_open() => OPEN,
        _ => FAILED,
    };
    format!("{outcome}#{}", digits(id))
}

pub(super) fn place_of_partner(partner: &PartnerId, status: DeliveryStatus, id: DeliveryId) -> String {
    format!("{partner}#{}", place(status, id))
}
