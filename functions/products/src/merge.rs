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
    /// As it is in the database.
    stored: Option<Product>,
}

impl Merged {
    pub(crate) fn new(bulk: &Bulk, stored: BTreeMap<Key, Product>) -> Self {
        let known = |(key, product): (Key, Product)| (key, State { stored: Some(product.clone()), product });
        let mut products: BTreeMap<Key, State> = stored.into_iter().map(known).collect();
        let mut result = BulkResult::default();
        for (index, item) in bulk.0.iter().enumerate() {
            let (status, errors) = match item {
                Err(errors) => (ItemStatus::Failed, errors.clone()),
                Ok(item) => {
                    // One that the EMR wrote is known by its codes as they are.
                    let exact = item.key();
                    let key = if products.contains_key(&exact) { exact } else { item.trimmed_key() };
                    let before = products.get_mut(&key);
                    let location = format!("body.products[{index}]");
                    let wrong =
                        if before.is_none() { item.check_new(&location) } else { FieldErrors::default() };
                    if !wrong.is_empty() {
                        result.push(index, ItemStatus::Failed, wrong);
                        continue;
                    }
                    match (item.applied_to(before.as_deref().map(|it| &it.product)), before) {
                        (None, _) => (ItemStatus::Failed, nameless(index).into()),
                        (Some(after), Some(before)) if after == before.product => {
                            (ItemStatus::Unchanged, FieldErrors::default())
                        }
                        (Some(after), Some(before)) => {
                            before.product = after;
                            (ItemStatus::Updated, FieldErrors::default())
                        }
                        (Some(product), None) => {
                            products.insert(key, State { product, stored: None });
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
        self.products.values().filter(|it| it.stored.is_none()).map(|it| &it.product).collect()
    }

    /// Stored products that are different now, as they were and as they are, in the order of their keys.
    pub(crate) fn changed_products(&self) -> Vec<(&Product, &Product)> {
        let stored = self.products.values().filter_map(|it| Some((it.stored.as_ref()?, &it.product)));
        stored.filter(|(before, after)| before != after).collect()
    }
}

fn nameless(index: usize) -> FieldError {
    FieldError {
        location: format!("body.products[{index}].Product"),
        code: "REQUIRED",
        message: "is required for a new product".to_owned(),
    }
}
