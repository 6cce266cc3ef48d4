//! Applies the items of a bulk request to the stored products, one after another.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};
use shared::{
    api::{FieldError, FieldErrors, Fields, FromFields, RawObject, read_only, repeated, says_the_same},
    catalog::products::{Key, Listed, Product},
};

use crate::{
    bulk::{self, Bulk},
    item::ProductItem,
    reply::{BulkResult, ItemStatus, ProductBody},
};

/// The products after the request, by key, and the result to return.
pub(crate) struct Merged {
    products: BTreeMap<Key, State>,
    pub(crate) result: BulkResult,
}

struct State {
    product: Product,
    /// The product in the database; `None` for a new one.
    stored: Option<Listed>,
}

impl Merged {
    pub(crate) fn new(bulk: &Bulk, stored: BTreeMap<Key, Listed>) -> Self {
        let known = |(key, listed): (Key, Listed)| {
            (key, State { product: listed.product.clone(), stored: Some(listed) })
        };
        let mut merged =
            Self { products: stored.into_iter().map(known).collect(), result: BulkResult::default() };
        for (index, item) in bulk.0.iter().enumerate() {
            let location = format!("body.products[{index}]");
            let (status, errors) = match merged.add(item, &location) {
                Ok(status) => (status, FieldErrors::default()),
                Err(errors) => (ItemStatus::Failed, errors),
            };
            merged.result.push(index, status, errors);
        }
        merged
    }

    fn add(&mut self, item: &RawValue, location: &str) -> Result<ItemStatus, FieldErrors> {
        let mut object = bulk::object(item, location)?;
        let mut errors = repeated(item.get().as_bytes(), location);
        // Codes that the EMR wrote may have surrounding spaces: the exact key wins.
        let keys = bulk::codes(&object).map(|exact| [bulk::trimmed(&exact), exact]);
        let found =
            keys.as_ref().and_then(|keys| keys.iter().rev().find(|key| self.products.contains_key(key)));
        let before = found.and_then(|key| self.products.get_mut(key));
        if let Some(State { product, stored: Some(stored) }) = before.as_deref() {
            errors.extend(leave_changes(&mut object, product, stored, location));
        }
        let fields = Fields::of_raw(&object, location.to_owned());
        let read = ProductItem::read(fields).map_err(|more| errors.append(more)).ok();
        let item = read.filter(|_| errors.is_empty()).ok_or(errors)?;
        if before.is_none() {
            let wrong = item.check_new(location);
            if !wrong.is_empty() {
                return Err(wrong);
            }
        }
        let Some(after) = item.applied_to(before.as_deref().map(|it| &it.product)) else {
            return Err(nameless(location).into());
        };
        match before {
            Some(before) if after == before.product => Ok(ItemStatus::Unchanged),
            Some(before) => {
                before.product = after;
                Ok(ItemStatus::Updated)
            }
            None => {
                self.products.insert(after.key(), State { product: after, stored: None });
                Ok(ItemStatus::Created)
            }
        }
    }

    /// Returns the products that are not stored yet, ordered by key.
    pub(crate) fn new_products(&self) -> Vec<&Product> {
        self.products.values().filter(|it| it.stored.is_none()).map(|it| &it.product).collect()
    }

    /// Returns the changed products, before and after the change, ordered by key.
    pub(crate) fn changed_products(&self) -> Vec<(&Product, &Product)> {
        let stored =
            self.products.values().filter_map(|it| Some((&it.stored.as_ref()?.product, &it.product)));
        stored.filter(|(before, after)| before != after).collect()
    }
}

/// Removes the fields that equal the stored product's: even if invalid, they change nothing.
///
/// Returns an error if a read-only field has another value.
fn leave_changes(
    object: &mut RawObject<'_>,
    product: &Product,
    stored: &Listed,
    location: &str,
) -> Option<FieldError> {
    let mut current = stored.clone();
    current.product = product.clone();
    let current = serde_json::to_value(ProductBody::from(current)).unwrap_or_default();
    let sent = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let is_other =
        object.remove(READ_ONLY).is_some_and(|raw| !says_the_same(&current[READ_ONLY], &sent(raw)));
    object.retain(|name, raw| {
        ["VendorCode", "ProductCode"].contains(&name.as_str())
            || current.get(name).is_none_or(|stored| !says_the_same(stored, &sent(raw)))
    });
    is_other.then(|| read_only(location, READ_ONLY))
}

/// The field of a product that requests cannot change.
const READ_ONLY: &str = "UpdatedAt";

fn nameless(location: &str) -> FieldError {
    FieldError {
        location: format!("{location}.Product"),
        code: "REQUIRED",
        message: "is required for a new product".to_owned(),
    }
}
