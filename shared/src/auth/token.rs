//! Access tokens: HS256 JWTs (RFC 7519), valid for 24 hours, with signing keys selected by `kid`.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;

pub use super::claims::Claims;

pub const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// The tolerated clock difference between our own machines.
const LEEWAY_SECONDS: i64 = 5;
/// HS256 requires a key at least as long as its digest (RFC 7518, section 3.2).
const MIN_KEY_BYTES: usize = 32;
const MAX_TOKEN_BYTES: usize = 4096;

/// Returns when a token ends that is issued at `now` for this version of the key's secret.
///
/// That is after [`LIFETIME`], counted in whole seconds, or when the key expires or its previous
/// secret becomes invalid. An administrator can still change the key.
pub fn end_of_token(key: &super::KeyRecord, now: Timestamp) -> Timestamp {
    let issued = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let of_secret = key.previous.as_ref().filter(|it| it.version == key.version).map(|it| it.until);
    [key.expires_at, of_secret].into_iter().flatten().fold(issued + LIFETIME, Timestamp::min)
}

/// The signing keys: one signs and all verify, so that a rotation invalidates no token.
pub struct TokenRing {
    issuer: String,
    active: String,
    keys: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for TokenRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRing").field("active", &self.active).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error(
        "the token keys are not JSON of the form {{\"active\":\"<kid>\",\"keys\":{{\"<kid>\":\"<base64>\"}}}}"
    )]
    Malformed,
    #[error("token key {0:?} is not base64 of at least 32 bytes")]
    WeakKey(String),
    #[error("the active token key {0:?} is not among the keys")]
    NoActiveKey(String),
    #[error("a token could not be signed")]
    Signing,
}

impl TokenRing {
    /// Parses `{"active":"<kid>","keys":{"<kid>":"<base64 of 32 or more bytes>"}}`.
    ///
    /// Keys can also be members beside `active`, as plain text of at least 32 characters, which
    /// Secrets Manager can generate. The members `"next":"<kid>"` and
    /// `"retired":{"<kid>":"<time>"}`, which operators use during a rotation, are not keys.
    pub fn from_secret(secret: &str, issuer: &str) -> Result<Self, RingError> {
        #[derive(Deserialize)]
        struct Stored {
            active: String,
            #[serde(default)]
            keys: BTreeMap<String, String>,
            #[serde(default, rename = "next")]
            _next: Option<String>,
            #[serde(default, rename = "retired")]
            _retired: BTreeMap<String, Timestamp>,
            #[serde(flatten)]
            generated: BTreeMap<String, serde_json::Value>,
        }
        let stored: Stored = serde_json::from_str(secret).map_err(|_| RingError::Malformed)?;
        let mut keys = BTreeMap::new();
        for (kid, text) in stored.keys {
            let bytes = STANDARD.decode(&text).map_err(|_| RingError::WeakKey(kid.clone()))?;
            keys.insert(kid, bytes);
        }
        for (kid, value) in stored.generated {
            let text = value.as_str().ok_or(RingError::Malformed)?;
            keys.insert(kid, text.as_bytes().to_vec());
        }
        if let Some((kid, _)) = keys.iter().find(|(_, key)| key.len() < MIN_KEY_BYTES) {
            return Err(RingError::WeakKey(kid.clone()));
        }
        if !keys.contains_key(&stored.active) {
            return Err(RingError::NoActiveKey(stored.active));
        }
        Ok(Self { issuer: issuer.to_owned(), active: stored.active, keys })
    }

    /// Issues a token for `key`, valid from `now` for [`LIFETIME`].
    pub fn issue(&self, key: &super::KeyRecord, now: Timestamp) -> Result<String, RingError> {
        let iat = now.as_second();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: key.id.clone(),
            partner: key.partner_id.clone(),
            ppass: key.practicepass.clone(),
            scopes: key.scopes.clone(),
            key_version: key.version,
            iat,
            nbf: iat,
            exp: iat + LIFETIME.as_secs(),
        };
        self.sign(&claims)
    }

    /// Signs any claims with the active key.
    pub fn sign(&self, claims: &Claims) -> Result<String, RingError> {
        let header = Header { kid: Some(self.active.clone()), ..Header::new(Algorithm::HS256) };
        let secret =
            self.keys.get(&self.active).ok_or_else(|| RingError::NoActiveKey(self.active.clone()))?;
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret))
            .map_err(|_| RingError::Signing)
    }

    /// Whether the token looks like ours, but its key is not in this ring.
    ///
    /// It may be signed with a newer key or forged.
    pub fn lacks_key_of(&self, token: &str) -> bool {
        token.len() <= MAX_TOKEN_BYTES
            && jsonwebtoken::decode_header(token).is_ok_and(|header| {
                header.alg == Algorithm::HS256 && header.kid.is_some_and(|kid| !self.keys.contains_key(&kid))
            })
    }

    /// Returns the claims of a token that we issued and that is valid at `now`.
    ///
    /// Fails closed: every claim must be present and correct, and no token is accepted for longer
    /// than [`LIFETIME`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let secret = self.keys.get(&kid)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.issuer]);
        // The times are checked below, against `now`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(secret), &validation)
            .ok()?
            .claims;
        let now = now.as_second();
        let in_time = now < claims.exp
            && claims.nbf <= now + LEEWAY_SECONDS
            && claims.iat <= now + LEEWAY_SECONDS
            && claims
                .exp
                .checked_sub(claims.iat)
                .is_some_and(|life| (0..=LIFETIME.as_secs()).contains(&life));
        in_time.then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        PracticePass, Scope,
        ids::{KeyId, PartnerId},
    };

    const SECRET: &str = r#"{"active":"b","keys":{"a":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=","b":"YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY="}}"#;

    fn now() -> Timestamp {
        "2026-03-09T12:00:00Z".parse().unwrap()
    }

    fn claims() -> Claims {
        let iat = now().as_second();
        Claims {
            iss: "us".into(),
            aud: "us".into(),
            sub: KeyId("k".into()),
            partner: PartnerId("p".into()),
            ppass: PracticePass::try_from("DemoOffice").unwrap(),
            scopes: vec![Scope::Prospects],
            key_version: 1,
            iat,
            nbf: iat,
            exp: iat + LIFETIME.as_secs(),
        }
    }

    #[test]
    fn a_token_is_valid_for_exactly_24_hours() {
        let ring = TokenRing::from_secret(SECRET, "us").unwrap();
        let token = ring.sign(&claims()).unwrap();
        assert_eq!(ring.verify(&token, now()), Some(claims()));
        assert!(ring.verify(&token, now() + SignedDuration::from_secs(86_399)).is_some());
        assert!(ring.verify(&token, now() + LIFETIME).is_none());
        assert!(ring.verify(&token, now() - SignedDuration::from_secs(6)).is_none(), "not before");
    }

    #[test]
    fn tokens_of_the_previous_key_survive_a_rotation() {
        let old =
            TokenRing::from_secret(&SECRET.replace(r#""active":"b""#, r#""active":"a""#), "us").unwrap();
        let ring = TokenRing::from_secret(SECRET, "us").unwrap();
        assert!(ring.verify(&old.sign(&claims()).unwrap(), now()).is_some());
    }

    #[test]
    fn a_token_with_any_wrong_claim_is_rejected() {
        let ring = TokenRing::from_secret(SECRET, "us").unwrap();
        let refused = |change: fn(&mut Claims)| {
            let mut changed = claims();
            change(&mut changed);
            assert_eq!(ring.verify(&ring.sign(&changed).unwrap(), now()), None, "{changed:?}");
        };
        refused(|it| it.iss = "them".into());
        refused(|it| it.aud = "them".into());
        refused(|it| it.exp += 1);
        refused(|it| it.exp = it.iat - 1);
        refused(|it| it.iat += 60);
        refused(|it| it.nbf += 60);
        refused(|it| {
            it.iat = i64::MIN;
            it.exp = i64::MAX;
        });
    }

    #[test]
    fn a_token_of_another_key_or_algorithm_is_rejected() {
        let ring = TokenRing::from_secret(SECRET, "us").unwrap();
        let sign = |header: &Header, secret: &[u8]| {
            jsonwebtoken::encode(header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
        };
        let key = b"abcdefghijklmnopqrstuvwxyzabcdef";
        let good = Header { kid: Some("b".into()), ..Header::new(Algorithm::HS256) };
        assert!(ring.verify(&sign(&good, key), now()).is_some());
        assert!(ring.verify(&sign(&good, b"another"), now()).is_none());
        assert!(ring.verify(&sign(&Header::new(Algorithm::HS256), key), now()).is_none(), "no kid");
        assert!(ring.verify(&sign(&Header { kid: Some("c".into()), ..good.clone() }, key), now()).is_none());
        assert!(ring.verify(&sign(&Header { alg: Algorithm::HS384, ..good.clone() }, key), now()).is_none());
    }

    #[test]
    fn weak_or_missing_signing_keys_are_rejected() {
        for secret in [
            "",
            "{}",
            r#"{"active":"a","keys":{}}"#,
            r#"{"active":"a","keys":{"a":""}}"#,
            r#"{"active":"a","a":"short"}"#,
        ] {
            assert!(TokenRing::from_secret(secret, "us").is_err(), "{secret}");
        }
        assert!(
            TokenRing::from_secret(r#"{"active":"a","a":"0123456789abcdef0123456789abcdef"}"#, "us").is_ok()
        );
    }

    #[test]
    fn rotation_notes_are_not_keys() {
        let noted = r#"{"active":"a","a":"0123456789abcdef0123456789abcdef","next":"b",
            "b":"fedcba9876543210fedcba9876543210","retired":{"c":"2026-03-09T12:00:00Z"}}"#;
        let ring = TokenRing::from_secret(noted, "us").unwrap();
        assert_eq!(ring.keys.keys().collect::<Vec<_>>(), ["a", "b"]);
        let wrong = noted.replace("2026-03-09T12:00:00Z", "yesterday");
        assert!(TokenRing::from_secret(&wrong, "us").is_err());
    }
}
