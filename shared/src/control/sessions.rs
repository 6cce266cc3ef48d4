//! Sessions of the portal. The id that opens one is in no store: only its hash.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, pk, to_item},
};
use crate::{auth::sha256_hex, domain::ids::KeyId};

/// Without a call for so long a session ends.
pub const IDLE: SignedDuration = SignedDuration::from_mins(15);
/// A session ends after so long in any case.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(8);
/// That a session was used is written at most so often.
const SEEN_STEP: SignedDuration = SignedDuration::from_mins(1);

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", rename_all_fields = "camelCase", tag = "role")]
pub enum SessionOwner {
    /// With an API key.
    Partner {
        key_id: KeyId,
        /// The version of the key's secret that was shown.
        key_version: i64,
    },
    /// With the admin secret.
    Admin {
        /// SHA-256 of session id and secret: the session ends when the secret does, and the secret can't be guessed from it.
        proof: String,
    },
}

/// Table Ledger, `SESSION#<SHA-256 of the id>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[serde(flatten)]
    pub owner: SessionOwner,
    pub created_at: Timestamp,
    /// Up to a minute behind the session's last call.
    pub seen_at: Timestamp,
    /// Unix seconds; DynamoDB deletes it some time later.
    expires_at: i64,
}

impl Session {
    pub fn new(owner: SessionOwner, now: Timestamp) -> Self {
        Self { owner, created_at: now, seen_at: now, expires_at: (now + LONGEST).as_second() }
    }

    /// When the session ends unless it is used before.
    pub fn ends_at(&self) -> Timestamp {
        (self.seen_at + IDLE).min(self.created_at + LONGEST)
    }
}

fn place(id: &str) -> String {
    format!("SESSION#{}", sha256_hex(id.as_bytes()))
}

impl Store {
    /// The session with this id, if it hasn't ended.
    pub async fn session(&self, id: &str, now: Timestamp) -> Result<Option<Session>> {
        let found: Option<Session> = self.get(Table::Ledger, pk(place(id)), true).await?;
        Ok(found.filter(|session| now < session.ends_at()))
    }

    /// The writes that begin a session and end the one that the same browser had `before`.
    pub fn begin_session(
        &self,
        id: &str,
        session: &Session,
        before: Option<&str>,
    ) -> Result<Vec<TransactWriteItem>> {
        let begin = self.new_item(Table::Ledger, to_item(session, &[("pk", place(id))])?)?;
        let end = before.map(|before| self.end_session(before)).transpose()?;
        Ok(std::iter::once(begin).chain(end).collect())
    }

    /// Puts off the session's end, at most once a minute. One that was ended meanwhile stays so.
    pub async fn see_session(&self, id: &str, session: &mut Session, now: Timestamp) -> Result<()> {
        if now.duration_since(session.seen_at) < SEEN_STEP {
            return Ok(());
        }
        let update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Ledger)?)
            .set_key(Some(pk(place(id))))
            .update_expression("SET seenAt = :now")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match update {
            Ok(_) => session.seen_at = now,
            Err(Error::ConditionFailed) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The write that ends a session.
    pub fn end_session(&self, id: &str) -> Result<TransactWriteItem> {
        let delete = Delete::builder()
            .table_name(self.name(Table::Ledger)?)
            .set_key(Some(pk(place(id))))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
