//! The terms of an API key.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use shared::{
    api::{FieldError, FieldProblem, FieldValue, Source, check_text, integer_between},
    auth::canonical_network,
    text_field,
};
use utoipa::ToSchema;

/// Maximum number of networks.
const MOST_NETWORKS: usize = 50;

text_field! {
    /// The display name of a key.
    KeyName, 1, 100
}

/// Calls per minute.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = u32, minimum = 1, maximum = 100_000, default = 600)]
pub(crate) struct RateLimit(pub u32);

impl From<RateLimit> for u32 {
    fn from(limit: RateLimit) -> Self {
        limit.0
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self(600)
    }
}

impl FieldValue for RateLimit {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let calls = integer_between(source, 1, 100_000)?;
        u32::try_from(calls).map(Self).map_err(|_| FieldProblem::invalid("is not a rate limit"))
    }
}

/// An IPv4 or IPv6 network, or a single address.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, max_length = 43, example = "203.0.113.0/24")]
pub(crate) struct Network(pub IpNet);

impl FieldValue for Network {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 1, 43)?;
        let network: Option<IpNet> =
            text.parse().ok().or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok());
        let invalid = || FieldProblem::invalid("must be a network like 203.0.113.0/24");
        network.map(|network| Self(canonical_network(network.trunc()))).ok_or_else(invalid)
    }
}

/// Networks without duplicates, at most 50. Without any, there is no restriction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks(Vec<IpNet>);

impl FieldValue for Networks {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let mut networks: Vec<IpNet> = Vec::<Network>::read(source)?.into_iter().map(|it| it.0).collect();
        networks.sort_unstable();
        networks.dedup();
        if networks.len() > MOST_NETWORKS {
            let message = format!("must have at most {MOST_NETWORKS} networks");
            return Err(FieldProblem::new("TOO_LONG", message));
        }
        Ok(Self(networks))
    }
}

impl From<Networks> for Vec<IpNet> {
    fn from(networks: Networks) -> Self {
        networks.0
    }
}

/// Returns the expiry if it is in the future, otherwise an error.
pub(crate) fn expiry(at: Timestamp, now: Timestamp) -> Result<Timestamp, FieldError> {
    let past = || FieldError {
        location: "body.expiresAt".into(),
        code: "IN_PAST",
        message: "must be in the future; to end a key now, revoke it".into(),
    };
    (at > now).then_some(at).ok_or_else(past)
}
