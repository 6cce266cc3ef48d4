//! Portal sessions. Only a hash of the session id is stored.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Error, Result, Store, Table,
    store::{SERVICE, pk, to_item},
};
use crate::{auth::sha256_hex, domain::ids::KeyId};

/// A session ends after this time without a call.
pub const IDLE: SignedDuration = SignedDuration::from_mins(15);
/// A session ends after this time in any case.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(8);
/// The use of a session is recorded at most this often.
const SEEN_STEP: SignedDuration = SignedDuration::from_mins(1);

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", rename_all_fields = "camelCase", tag = "role")]
pub enum SessionOwner {
    /// Signed in with an API key.
    Partner {
        key_id: KeyId,
        /// The version of the key's secret that was presented.
        key_version: i64,
    },
    /// Signed in with the admin secret.
    Admin {
        /// SHA-256 of session id and secret.
        ///
        /// The session ends with the secret, and the secret cannot be guessed from it.
        proof: String,
    },
}

/// Table Ephemeral, `SESSION#<SHA-256 of the id>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[serde(flatten)]
    pub owner: SessionOwner,
    pub created_at: Timestamp,
    /// At most a minute older than the session's last call.
    pub seen_at: Timestamp,
    /// Unix seconds; DynamoDB deletes the item some time later.
    expires_at: i64,
}

impl Session {
    pub fn new(owner: SessionOwner, now: Timestamp) -> Self {
        Self { owner, created_at: now, seen_at: now, expires_at: (now + LONGEST).as_second() }
    }

    /// Returns when the session ends unless it is used before.
    pub fn ends_at(&self) -> Timestamp {
        (self.seen_at + IDLE).min(self.created_at + LONGEST)
    }
}

fn place(id: &str) -> String {
    format!("SESSION#{}", sha256_hex(id.as_bytes()))
}

impl Store {
    /// Returns the session with this id, unless it has ended.
    pub async fn session(&self, id: &str, now: Timestamp) -> Result<Option<Session>> {
        let found: Option<Session> = self.get(Table::Ephemeral, pk(place(id)), true).await?;
        Ok(found.filter(|session| now < session.ends_at()))
    }

    /// Builds the writes that start a session and end the browser's previous one, `before`.
    pub fn begin_session_writes(
        &self,
        id: &str,
        session: &Session,
        before: Option<&str>,
    ) -> Result<Vec<TransactWriteItem>> {
        let begin = self.new_item_write(Table::Ephemeral, to_item(session, &[("pk", place(id))])?)?;
        let end = before.map(|before| self.end_session_write(before)).transpose()?;
        Ok(std::iter::once(begin).chain(end).collect())
    }

    /// Extends the session, at most once a minute. A session that was ended meanwhile stays ended.
    pub async fn see_session(&self, id: &str, session: &mut Session, now: Timestamp) -> Result<()> {
        if now.duration_since(session.seen_at) < SEEN_STEP {
            return Ok(());
        }
        let update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Ephemeral)?)
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

    /// Builds the write that ends a session.
    pub fn end_session_write(&self, id: &str) -> Result<TransactWriteItem> {
        let delete = Delete::builder()
            .table_name(self.name(Table::Ephemeral)?)
            .set_key(Some(pk(place(id))))
            .build()
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
