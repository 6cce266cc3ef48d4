//! What the items of a bulk request make of the products that are stored, one after the other.

use std::collections::BTreeMap;

use shared::{
    api::{FieldError, FieldErrors},
    catalog::products::{Key, Product},
};

use crate::{
    bulk::Bulk,
    reply::{BulkResult, ItemStatus},
};

/// What is to be written, by key, and what is answered.
pub(crate) struct Merged {
    products: BTreeMap<Key, State>,
    pub(crate) result: BulkResult,
}

struct State {
    product: Product,
    stored: bool,
    changed: bool,
}

impl Merged {
    pub(crate) fn new(bulk: &Bulk, stored: BTreeMap<Key, Product>) -> Self {
        let known = |(key, product)| (key, State { product, stored: true, changed: false });
        let mut products: BTreeMap<Key, State> = stored.into_iter().map(known).collect();
        let mut result = BulkResult::default();
        for (index, item) in bulk.0.iter().enumerate() {
            let (status, errors) = match item {
                Err(errors) => (ItemStatus::Failed, errors.clone()),
                Ok(item) => {
                    let key = item.key();
                    let before = products.get_mut(&key);
                    match (item.applied_to(before.as_deref().map(|it| &it.product)), before) {
                        (None, _) => (ItemStatus::Failed, nameless(index).into()),
                        (Some(after), Some(before)) if after == before.product => {
                            (ItemStatus::Unchanged, FieldErrors::default())
                        }
                        (Some(after), Some(before)) => {
                            before.product = after;
                            before.changed = true;
                            (ItemStatus::Updated, FieldErrors::default())
                        }
                        (Some(product), None) => {
                            products.insert(key, State { product, stored: false, changed: true });
                            (ItemStatus::Created, FieldErrors::default())
                        }
                    }
                }
            };
            result.push(index, status, errors);
        }
        Self { products, result }
    }

    /// Products that aren't stored yet, in the order of their keys.
    pub(crate) fn new_products(&self) -> Vec<&Product> {
        self.products.values().filter(|it| !it.stored).map(|it| &it.product).collect()
    }

    /// Stored products that are different now, in the order of their keys.
    pub(crate) fn changed_products(&self) -> Vec<&Product> {
        self.products.values().filter(|it| it.stored && it.changed).map(|it| &it.product).collect()
    }
}

fn nameless(index: usize) -> FieldError {
    FieldError {
        location: format!("body.products[{index}].Product"),
        code: "REQUIRED",
        message: "is required for a new product".to_owned(),
    }
}
