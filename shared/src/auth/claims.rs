//! The claims of an access token.

use serde::{Deserialize, Serialize};

use crate::domain::{
    PracticePass, Scope,
    ids::{KeyId, PartnerId},
};

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The API key that was exchanged for the token.
    pub sub: KeyId,
    pub partner: PartnerId,
    /// The practice to which the token gives access: the `{PPass}` in the path.
    pub ppass: PracticePass,
    pub scopes: Vec<Scope>,
    /// The key's version when the token was issued; every rotation raises it.
    #[serde(rename = "keyVersion")]
    pub key_version: i64,
    /// Unix seconds, like the next two fields.
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
}
