//! Ids of EMR records and of control plane items.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest integer that every JSON reader keeps exact: 2^53 - 1 (RFC 8259, section 6).
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// An integer id.
pub trait IntegerId: From<i64> + Copy {
    /// The smallest and the largest id.
    ///
    /// The EMR chooses the ids of its records freely. Ids that this API chooses stay within what
    /// every JSON reader keeps exact.
    const RANGE: (i64, i64);

    fn get(self) -> i64;
}

macro_rules! integer_ids {
    ($min:expr, $max:expr, $schema:tt; $($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
            sqlx_macros::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        #[schema $schema]
        pub struct $name(pub i64);

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl IntegerId for $name {
            const RANGE: (i64, i64) = ($min, $max);

            fn get(self) -> i64 {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

// Ids of rows in the EMR's tables; a room is a row of `resources`.
integer_ids! { i64::MIN, i64::MAX,
    (value_type = i64, minimum = -9_223_372_036_854_775_808_i64, maximum = 9_223_372_036_854_775_807_i64);
    /// The id of a patient or prospect.
    PatientId
    /// The id of a provider.
    ProviderId
    /// The id of a room.
    RoomId
    /// The id of a visit.
    VisitId
    /// The id of a tag.
    TagId
    /// The id of a product.
    ProductId
    /// The id of a knowledge base article.
    ArticleId
    /// The id of a ticket.
    TicketId
    /// The id of a comment on a ticket.
    CommentId
}

integer_ids! { 1, MAX_SAFE_INTEGER, (value_type = i64, minimum = 1, maximum = 9_007_199_254_740_991_i64);
    /// The id of an entry in a practice's event log.
    LogId
    /// The id of a webhook subscription, unique across all practices.
    SubscriptionId
    /// The id of a webhook delivery, unique across all practices.
    DeliveryId
}

/// The position before the first row of a log.
#[allow(clippy::derivable_impls)] // no other id has such a position
impl Default for LogId {
    fn default() -> Self {
        Self(0)
    }
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")]
        pub struct $name(pub String);

        impl $name {
            /// Creates an id from 16 random bytes.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
                Self(format!(concat!($prefix, "{}"), URL_SAFE_NO_PAD.encode(bytes)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_ids! {
    /// The id of a partner company.
    PartnerId "prt_"
    /// The id of an access request.
    AccessRequestId "arq_"
}

/// The id of an API key, which is the key's public part: 12 letters or digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9]{12}$")]
pub struct KeyId(pub String);

impl KeyId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
