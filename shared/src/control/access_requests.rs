//! Requests for access to the API, from the public form to the key.

use aws_sdk_dynamodb::types::TransactWriteItem;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, ListPage, Result, Store, Table, instant,
    listing::Listing,
    store::{Item, key, to_item},
};
use crate::{
    auth::{equal_in_constant_time, sha256_hex},
    domain::{
        PracticePass, Scope,
        ids::{AccessRequestId, KeyId, PartnerId},
    },
};

/// How long an undecided request is kept.
const UNDECIDED_RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a decided request is kept.
const DECIDED_RETENTION: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How long a claim link is valid.
pub const CLAIM_VALID: SignedDuration = SignedDuration::from_hours(72);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessStatus {
    Pending,
    Approved,
    Denied,
    /// Approved, but withdrawn before the link was used.
    Withdrawn,
}

/// The grants of an approval, and its claim link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    pub partner_id: PartnerId,
    pub practicepass: PracticePass,
    pub scopes: Vec<Scope>,
    /// SHA-256 of the link's token.
    pub claim_hash: String,
    pub claim_until: Timestamp,
    /// When the key will expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The networks from which the key may be used; empty for all.
    #[serde(default)]
    pub allowed_cidrs: Vec<IpNet>,
    /// The key's calls per minute.
    pub rate_limit: u32,
    /// The key that was created through the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
}

/// A request for access. Table Control, `ACCESS#<id>` / `ACCESS`.
///
/// `gsi1`: `ACCESS_REQUESTS` / creation time, id; `gsi2`: `ACCESS_REQUESTS#<status>` / the same.
/// Expired items are ignored until the store deletes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessRequest {
    pub id: AccessRequestId,
    pub company: String,
    /// The practice as the applicant wrote it; not necessarily a `PPass`.
    pub practice: String,
    pub contact: String,
    pub email: String,
    pub requested_scopes: Vec<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub status: AccessStatus,
    #[serde(with = "instant")]
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// The reason for a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Unix seconds.
    pub expires_at: i64,
    /// Raised by every change; 1 for a new request.
    pub version: i64,
}

/// The token of a claim link: `<request id>.<secret>`.
pub struct ClaimToken {
    pub request: AccessRequestId,
    text: String,
}

impl ClaimToken {
    /// Creates a token from 32 random bytes.
    pub fn from_random(request: &AccessRequestId, random: [u8; 32]) -> Self {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        Self { request: request.clone(), text: format!("{request}.{}", URL_SAFE_NO_PAD.encode(random)) }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (request, secret) = text.split_once('.')?;
        let plain = |part: &str| {
            (1..=64).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        (plain(request) && plain(secret))
            .then(|| Self { request: AccessRequestId(request.to_owned()), text: text.to_owned() })
    }

    pub fn reveal(&self) -> &str {
        &self.text
    }

    pub fn hash(&self) -> String {
        sha256_hex(self.text.as_bytes())
    }
}

impl AccessRequest {
    /// Returns the approval that this token claims, used or not, if its link is still valid.
    pub fn claimed_by(&self, token: &ClaimToken, now: Timestamp) -> Option<&Approval> {
        let same = |it: &&Approval| equal_in_constant_time(it.claim_hash.as_bytes(), token.hash().as_bytes());
        let approval = self.approval.as_ref().filter(|_| self.status == AccessStatus::Approved);
        // A link is invalid if the key would already have expired.
        let is_open = |it: &&Approval| now < it.claim_until && it.expires_at.is_none_or(|at| now < at);
        approval.filter(same).filter(is_open)
    }

    /// Returns until when a request made at `now` waits for a decision, in Unix seconds.
    pub fn undecided_until(now: Timestamp) -> i64 {
        (now + UNDECIDED_RETENTION).as_second()
    }

    /// Decides the request, or changes the decision.
    pub fn decide(&mut self, status: AccessStatus, now: Timestamp) {
        self.status = status;
        self.decided_at = Some(now);
        self.expires_at = (now + DECIDED_RETENTION).as_second();
        self.version += 1;
    }

    fn is_kept(&self, now: Timestamp) -> bool {
        now.as_second() < self.expires_at
    }

    fn item(&self) -> Result<Item> {
        let at = format!("{}#{}", instant::text(self.created_at), self.id);
        let place = [
            ("gsi2pk", list_of(self.status)),
            ("gsi2sk", at.clone()),
            ("pk", pk(&self.id)),
            ("sk", SK.to_owned()),
            ("gsi1pk", LIST.to_owned()),
            ("gsi1sk", at),
        ];
        to_item(self, &place)
    }
}

const SK: &str = "ACCESS";
const LIST: &str = "ACCESS_REQUESTS";

/// Returns the partition of `gsi2` with the requests of one status.
fn list_of(status: AccessStatus) -> String {
    let status = match status {
        AccessStatus::Pending => "pending",
        AccessStatus::Approved => "approved",
        AccessStatus::Denied => "denied",
        AccessStatus::Withdrawn => "withdrawn",
    };
    format!("{LIST}#{status}")
}

fn pk(id: &AccessRequestId) -> String {
    format!("ACCESS#{id}")
}

impl Store {
    /// Returns a request, with a strongly consistent read; `None` if it has expired.
    pub async fn access_request(
        &self,
        id: &AccessRequestId,
        now: Timestamp,
    ) -> Result<Option<AccessRequest>> {
        let found: Option<AccessRequest> = self.get(Table::Control, key(pk(id), SK), true).await?;
        Ok(found.filter(|it| it.is_kept(now)))
    }

    /// Builds the write of a new request (version 1) or of one over its previous version.
    pub fn access_request_write(&self, request: &AccessRequest) -> Result<TransactWriteItem> {
        self.next_version_write(Table::Control, request.item()?, request.version)
    }

    /// Returns up to `limit` unexpired requests, newest first; optionally of one status. One query.
    pub async fn access_requests(
        &self,
        status: Option<AccessStatus>,
        limit: usize,
        after: Option<&Cursor>,
        now: Timestamp,
    ) -> Result<ListPage<AccessRequest>> {
        let is_kept = |it: &AccessRequest| it.is_kept(now);
        let partition = status.map_or_else(|| LIST.to_owned(), list_of);
        let listing = match status {
            Some(_) => Listing::of_second_index(&partition),
            None => Listing::of_index(&partition),
        };
        self.list(listing.newest_first(), limit, after, is_kept).await
    }
}
