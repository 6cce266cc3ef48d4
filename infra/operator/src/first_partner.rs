//! Creates a partner and its first key through the administrators' API.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use shared::auth::KeyStatus;
use shared::domain::ids::KeyId;

use crate::error::{Error, Result};
use crate::random::hex;
use crate::{Operator, refused};

pub struct FirstPartner {
    pub company: String,
    pub contact: String,
    pub email: String,
    pub practice: String,
    pub key_name: String,
    pub scopes: Vec<String>,
}

impl Operator {
    /// Creates both and prints the key. Repeated within 24 hours, prints the same ones.
    pub async fn first_partner(&self, new: FirstPartner) -> Result<()> {
        let api = self.admin_api().await?;
        let partner = json!({ "company": new.company, "contactName": new.contact, "email": new.email });
        let partner = api.post("/v1/admin/partners", &once(&partner), &partner).await?;
        let id = partner["id"].as_str().unwrap_or_default();
        println!("{} is partner {id}.", new.company);
        let key = json!({
            "partnerId": id, "name": new.key_name, "practicepass": new.practice, "scopes": new.scopes,
        });
        // A replayed response names the first key, which may have been revoked since.
        let mut revoked = None;
        let key = loop {
            let key = api.post("/v1/admin/keys", &once(&json!([key, revoked])), &key).await?;
            if self.is_active(&key).await? {
                break key;
            }
            revoked = Some(key["id"].clone());
        };
        println!(
            "Its API key for {}, shown only once: {}",
            new.practice,
            key["apiKey"].as_str().unwrap_or_default()
        );
        Ok(())
    }

    async fn is_active(&self, key: &Value) -> Result<bool> {
        let id: KeyId =
            serde_json::from_value(key["id"].clone()).map_err(|error| Error::store("a key", error))?;
        let found = self.control.api_key(&id).await.map_err(|error| refused(&error))?;
        Ok(found.is_none_or(|it| it.status == KeyStatus::Active))
    }
}

/// Derives an idempotency key from the body, so that the same input is the same request.
fn once(body: &Value) -> String {
    format!("first-partner-{}", &hex(digest(&SHA256, body.to_string().as_bytes()).as_ref())[..32])
}
