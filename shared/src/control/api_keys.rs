//! API keys as stored, without the key itself.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use futures::{StreamExt, TryStreamExt, stream, try_join};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Cursor, Error, ListPage, Result, Store, Table, instant,
    listing::Listing,
    partners::PartnerStatus,
    store::{SERVICE, from_items, key, to_item},
};
use crate::{
    auth::{KeyRecord, KeyStatus, PartnerAccess},
    domain::{
        PracticePass,
        ids::{KeyId, PartnerId},
    },
};

/// The most keys of a partner in a practice to read, newest first.
const MOST_KEYS: i32 = 100;
/// Concurrent strongly consistent reads of keys.
const CONCURRENCY: usize = 16;

/// Returns a partner's partition in `gsi2`, without revoked keys.
///
/// A delivery reads only these keys, which may be live.
fn keys_of(partner: &PartnerId) -> String {
    format!("KEYS#{partner}")
}

/// Returns the partition of a partner's revoked keys.
fn revoked_keys_of(partner: &PartnerId) -> String {
    format!("REVOKED_KEYS#{partner}")
}

fn list_of(record: &KeyRecord) -> String {
    match record.status {
        KeyStatus::Active => keys_of(&record.partner_id),
        KeyStatus::Revoked => revoked_keys_of(&record.partner_id),
    }
}

/// Returns the key attributes of a key's item.
///
/// Table Control, `KEY#<keyId>` / `KEY`; `gsi1`: `KEYS` / creation time, id; `gsi2`:
/// `KEYS#<partner>`, or `REVOKED_KEYS#<partner>`, / `PPass`, creation time, id.
fn place(record: &KeyRecord) -> Vec<(&'static str, String)> {
    let created = instant::text(record.created_at);
    let mut place = vec![
        ("pk", format!("KEY#{}", record.id)),
        ("sk", "KEY".to_owned()),
        ("gsi1pk", "KEYS".to_owned()),
        ("gsi1sk", format!("{created}#{}", record.id)),
    ];
    place.push(("gsi2pk", list_of(record)));
    place.push(("gsi2sk", format!("{}#{created}#{}", record.practicepass, record.id)));
    place
}

impl Store {
    /// Returns a key, with a strongly consistent read: an acknowledged revocation is visible.
    pub async fn api_key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        self.get(Table::Control, key(format!("KEY#{id}"), "KEY"), true).await
    }

    /// The same as [`Self::api_key`], with the partner's current name.
    ///
    /// `None` also if the partner is suspended or does not exist.
    pub async fn live_api_key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        let Some(record) = self.api_key(id).await? else { return Ok(None) };
        // Read with the key: writing a suspension onto every key would need a fan-out that can stop
        // half-way.
        let partner = self.partner(&record.partner_id).await?;
        let active = partner.filter(|partner| partner.status == PartnerStatus::Active);
        Ok(active.map(|partner| KeyRecord {
            partner: partner.company,
            partner_suspended_at: partner.suspended_at,
            ..record
        }))
    }

    /// Returns what the partner may receive from the practice.
    ///
    /// The index lists the keys and may lag behind. Each key and the partner are then read with
    /// strong consistency, so that an acknowledged revocation, expiry, lost scope or suspension is
    /// visible.
    pub async fn partner_access(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
    ) -> Result<PartnerAccess> {
        let (is_active, keys) =
            try_join!(self.is_active_partner(partner), self.keys_in_practice(practicepass, partner))?;
        Ok(PartnerAccess::new(practicepass.clone(), partner.clone(), is_active, &keys))
    }

    /// Whether the partner exists and is not suspended.
    pub async fn is_active_partner(&self, partner: &PartnerId) -> Result<bool> {
        Ok(self.partner(partner).await?.is_some_and(|it| it.status == PartnerStatus::Active))
    }

    /// Returns the partner's keys in the practice that are not known to be revoked.
    pub async fn keys_in_practice(
        &self,
        practicepass: &PracticePass,
        partner: &PartnerId,
    ) -> Result<Vec<KeyRecord>> {
        let ids = self.key_ids_of(practicepass, partner).await?;
        let keys = stream::iter(ids).map(async |id| self.api_key(&id).await).buffer_unordered(CONCURRENCY);
        let keys: Vec<Option<KeyRecord>> = keys.try_collect().await?;
        Ok(keys.into_iter().flatten().collect())
    }

    /// Returns up to `limit` keys of the partner that are not known to be revoked.
    pub async fn keys_held_by(&self, partner: &PartnerId, limit: usize) -> Result<Vec<KeyRecord>> {
        let partition = keys_of(partner);
        let listing = Listing::of_second_index(&partition).newest_first();
        Ok(self.list(listing, limit, None, |_| true).await?.items)
    }

    /// Returns up to `limit` revoked keys of the partner.
    pub async fn keys_revoked_of(&self, partner: &PartnerId, limit: usize) -> Result<Vec<KeyRecord>> {
        let partition = revoked_keys_of(partner);
        let listing = Listing::of_second_index(&partition).newest_first();
        Ok(self.list(listing, limit, None, |_| true).await?.items)
    }

    /// Returns the partner's keys in the practice that are not known to be revoked, newest first.
    async fn key_ids_of(&self, practicepass: &PracticePass, partner: &PartnerId) -> Result<Vec<KeyId>> {
        #[derive(Deserialize)]
        struct Row {
            id: KeyId,
        }
        let page = self
            .client()
            .query()
            .table_name(self.name(Table::Control)?)
            .index_name("gsi2")
            .key_condition_expression("gsi2pk = :pk AND begins_with(gsi2sk, :practice)")
            .expression_attribute_values(":pk", AttributeValue::S(keys_of(partner)))
            .expression_attribute_values(":practice", AttributeValue::S(format!("{practicepass}#")))
            .scan_index_forward(false)
            .limit(MOST_KEYS)
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error))?;
        Ok(from_items::<Row>(page.items)?.into_iter().map(|row| row.id).collect())
    }

    /// Returns keys, newest first; optionally of one partner.
    ///
    /// For one partner a page can be short although more follow.
    pub async fn api_keys(
        &self,
        partner: Option<&PartnerId>,
        limit: usize,
        after: Option<&Cursor>,
    ) -> Result<ListPage<KeyRecord>> {
        let wanted = |it: &KeyRecord| partner.is_none_or(|partner| it.partner_id == *partner);
        self.list(Listing::of_index("KEYS").newest_first(), limit, after, wanted).await
    }

    /// Builds the write of a new key.
    pub fn new_api_key_write(&self, record: &KeyRecord) -> Result<TransactWriteItem> {
        self.new_item_write(Table::Control, to_item(record, &place(record))?)
    }

    /// Builds the write of a key over its previous revision.
    ///
    /// It leaves the time of the last use alone, which may be updated at any moment.
    pub fn change_api_key_write(&self, record: &KeyRecord) -> Result<TransactWriteItem> {
        let mut update = Update::builder()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("KEY#{}", record.id), "KEY")))
            .condition_expression("attribute_exists(pk) AND revision = :before")
            .expression_attribute_values(":before", AttributeValue::N((record.revision - 1).to_string()));
        let mut item = to_item(record, &[])?;
        item.remove("lastUsedAt");
        item.insert("gsi2pk".to_owned(), AttributeValue::S(list_of(record)));
        let mut set = Vec::new();
        for (at, (name, value)) in item.into_iter().enumerate() {
            set.push(format!("#n{at} = :v{at}"));
            update = update
                .expression_attribute_names(format!("#n{at}"), name)
                .expression_attribute_values(format!(":v{at}"), value);
        }
        let mut change = format!("SET {}", set.join(", "));
        let absent = [("expiresAt", record.expires_at.is_none()), ("previous", record.previous.is_none())];
        let gone: Vec<&str> = absent.iter().filter(|(_, absent)| *absent).map(|(name, _)| *name).collect();
        if !gone.is_empty() {
            change.push_str(" REMOVE ");
            change.push_str(&gone.join(", "));
        }
        let update = update.update_expression(change).build();
        let update = update.map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Creates a key.
    ///
    /// # Errors
    /// [`Error::ConditionFailed`] if a key with this id exists.
    pub async fn create_api_key(&self, record: &KeyRecord) -> Result<()> {
        self.put_new(Table::Control, to_item(record, &place(record))?).await
    }

    /// Replaces an existing key.
    pub async fn replace_api_key(&self, record: &KeyRecord) -> Result<()> {
        self.put(Table::Control, to_item(record, &place(record))?).await
    }

    /// Records when a key was last used. Does nothing if the key no longer exists.
    pub async fn touch_api_key(&self, id: &KeyId, at: Timestamp) -> Result<()> {
        let update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(format!("KEY#{id}"), "KEY")))
            .update_expression("SET lastUsedAt = :at")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":at", AttributeValue::S(at.to_string()))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match update {
            Ok(_) | Err(Error::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
