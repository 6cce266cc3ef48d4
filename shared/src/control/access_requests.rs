//! Requests for access to the API, from the public form to the key.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Cursor, Result, Slice, Store, Table, instant,
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

/// A claim link is good for so long.
pub const CLAIM_VALID: SignedDuration = SignedDuration::from_hours(72);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessStatus {
    Pending,
    Approved,
    Denied,
}

/// What an approval granted, and its claim link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    pub partner_id: PartnerId,
    pub practicepass: PracticePass,
    pub scopes: Vec<Scope>,
    /// SHA-256 of the link's token.
    pub claim_hash: String,
    pub claim_until: Timestamp,
    /// The key that was minted through the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
}

/// Table Control, `ACCESS#<id>` / `ACCESS`; `gsi1`: `ACCESS_REQUESTS` / creation time, id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessRequest {
    pub id: AccessRequestId,
    pub company: String,
    /// As the applicant wrote it; it may be no `PPass`.
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
    /// Why it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Raised by every change; 1 when new.
    pub version: i64,
}

/// The token of a claim link: `<request id>.<secret>`.
pub struct ClaimToken {
    pub request: AccessRequestId,
    text: String,
}

impl ClaimToken {
    /// A new token from 32 random bytes.
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
    /// The approval that this token claims, used or not, if its link is still good.
    pub fn claimed_by(&self, token: &ClaimToken, now: Timestamp) -> Option<&Approval> {
        let same = |it: &&Approval| equal_in_constant_time(it.claim_hash.as_bytes(), token.hash().as_bytes());
        self.approval.as_ref().filter(same).filter(|it| now < it.claim_until)
    }

    fn item(&self) -> Result<Item> {
        let place = [
            ("pk", pk(&self.id)),
            ("sk", SK.to_owned()),
            ("gsi1pk", LIST.to_owned()),
            ("gsi1sk", format!("{}#{}", instant::text(self.created_at), self.id)),
        ];
        to_item(self, &place)
    }
}

const SK: &str = "ACCESS";
const LIST: &str = "ACCESS_REQUESTS";

fn pk(id: &AccessRequestId) -> String {
    format!("ACCESS#{id}")
}

impl Store {
    /// Read strongly: a decision that was answered is seen.
    pub async fn access_request(&self, id: &AccessRequestId) -> Result<Option<AccessRequest>> {
        self.get(Table::Control, key(pk(id), SK), true).await
    }

    /// The write of a new request (version 1) or of one over the version before.
    pub fn save_access_request(&self, request: &AccessRequest) -> Result<TransactWriteItem> {
        self.next_version(Table::Control, request.item()?, request.version)
    }

    /// Requests, the newest first; of one status only if it is given.
    pub async fn access_requests(
        &self,
        status: Option<AccessStatus>,
        limit: usize,
        after: Option<&Cursor>,
    ) -> Result<Slice<AccessRequest>> {
        let wanted = |it: &AccessRequest| status.is_none_or(|status| it.status == status);
        self.list(Listing::of_index(LIST).newest_first(), limit, after, wanted).await
    }
}
