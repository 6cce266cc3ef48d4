//! Identifiers of the EMR's rows and of the control plane's items.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest integer every JSON reader keeps exact (RFC 8259 §6): 2^53 - 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// An integer id.
pub trait IntegerId: From<i64> + Copy {
    /// The smallest and the largest. The EMR chooses the ids of its rows; those that we choose are kept exact by every reader
    /// of JSON.
    const RANGE: (i64, i64);

    fn get(self) -> i64;
}

macro_rules! integer_ids {
    ($min:expr, $max:expr, $schema:tt; $($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
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

integer_ids! { i64::MIN, i64::MAX, (value_type = i64, minimum = -9_223_372_036_854_775_808_i64, maximum = 9_223_372_036_854_775_807_i64);
    /// A row of a practice's `patients`, prospects included.
    PatientId
    /// A row of a practice's `providers`.
    ProviderId
    /// A row of a practice's `resources`; rooms are resources.
    RoomId
    /// A row of a practice's `visits`.
    VisitId
    /// A row of a practice's `tags`.
    TagId
    /// A row of the catalog's `products`.
    ProductId
    /// A row of the catalog's `kb_articles`.
    ArticleId
    /// A row of a practice's `tickets`.
    TicketId
    /// A row of a practice's `ticket_comments`.
    CommentId
}

integer_ids! { 1, MAX_SAFE_INTEGER, (value_type = i64, minimum = 1, maximum = 9_007_199_254_740_991_i64);
    /// A row of a practice's `log`.
    LogId
    /// A webhook subscription, unique over all practices.
    SubscriptionId
    /// A webhook delivery, unique over all practices.
    DeliveryId
}

/// Before the first row of a log.
#[allow(clippy::derivable_impls)] // only of a log's rows is there one before the first
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
            /// An id made of 16 random bytes.
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
    /// A partner company.
    PartnerId "prt_"
    /// A request for access to the API.
    AccessRequestId "arq_"
}

/// The public part of an API key: 12 characters of `[0-9A-Za-z]`.
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
