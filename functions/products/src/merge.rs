//! What the items of a bulk request make of the products that are stored, one after the other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shared::{
    api::FieldError,
    catalog::products::{Key, Listed, Product},
};

use crate::{
    bulk::Bulk,
    reply::{BulkResult, ItemResult, ItemStatus},
};

/// What is to be written, by key, and what is answered.
pub(crate) struct Merged {
    products: BTreeMap<Key, State>,
    pub(crate) result: BulkResult,
}

struct State {
    listed: Listed,
    stored: bool,
    changed: bool,
}

impl Merged {
    pub(crate) fn new(bulk: &Bulk, stored: BTreeMap<Key, Listed>, now: Timestamp) -> Self {
        let known = |(key, listed)| (key, State { listed, stored: true, changed: false });
        let mut products: BTreeMap<Key, State> = stored.into_iter().map(known).collect();
        let mut result = BulkResult::default();
        for (index, item) in bulk.0.iter().enumerate() {
            let found = item.keys().into_iter().find(|key| products.contains_key(key));
            let before = found.and_then(|key| products.get_mut(&key));
            let (status, errors) = match item.beside(before.as_deref().map(|it| &it.listed)) {
                Err(errors) => (ItemStatus::Failed, errors),
                Ok(item) => match (item.applied_to(before.as_deref().map(|it| &it.listed.product)), before) {
                    (None, _) => (ItemStatus::Failed, vec![nameless(index)]),
                    (Some(after), Some(before)) if after == before.listed.product => {
                        (ItemStatus::Unchanged, vec![])
                    }
                    (Some(after), Some(before)) => {
                        before.listed.product = after;
                        before.changed = true;
                        (ItemStatus::Updated, vec![])
                    }
                    (Some(product), None) => {
                        let listed = Listed::new(product, now);
                        products.insert(item.key(), State { listed, stored: false, changed: true });
                        (ItemStatus::Created, vec![])
                    }
                },
            };
            result.push(ItemResult { index, status, errors });
        }
        Self { products, result }
    }

    /// Products that aren't stored yet, in the order of their keys.
    pub(crate) fn new_products(&self) -> Vec<&Product> {
        self.products.values().filter(|it| !it.stored).map(|it| &it.listed.product).collect()
    }

    /// Stored products that are different now, in the order of their keys.
    pub(crate) fn changed_products(&self) -> Vec<&Product> {
        self.products.values().filter(|it| it.stored && it.changed).map(|it| &it.listed.product).collect()
    }
}

fn nameless(index: usize) -> FieldError {
    FieldError {
        location: format!("body.products[{index}].Product"),
        code: "REQUIRED",
        message: "is required for a new product".to_owned(),
    }
}
