//! The body of a bulk request. An invalid item fails alone; the others are processed.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use shared::{
    api::{
        ApiError, FieldError, FieldErrors, FieldProblem, Fields, FromBody, RawObject, raw_object, repeated,
    },
    catalog::products::Key,
};
use utoipa::ToSchema;

use crate::item::ProductItem;

const MAX_ITEMS: usize = 1000;

/// The items in order, unparsed: each is read in comparison with its stored product.
pub(crate) struct Bulk(pub(crate) Vec<Box<RawValue>>);

impl Bulk {
    /// Returns the keys under which the products may be stored.
    pub(crate) fn keys(&self) -> BTreeSet<Key> {
        let objects = self.0.iter().filter_map(|item| object(item, "").ok());
        objects.filter_map(|object| codes(&object)).flat_map(|key| [trimmed(&key), key]).collect()
    }
}

/// Products to create or update.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `Bulk`")]
pub(crate) struct UpsertProducts {
    /// 1 to 1,000 products.
    #[schema(min_items = 1, max_items = 1000)]
    products: Vec<ProductItem>,
}

impl FromBody for Bulk {
    const MAX_BYTES: usize = 5 << 20;

    fn from_body(bytes: &[u8]) -> Result<Self, ApiError> {
        let object = raw_object(bytes)?;
        let mut fields = Fields::of_raw(&object, "body".to_owned());
        let items = items(&object).map_err(|problem| fields.note("products", problem)).ok();
        let mut errors = repeated(bytes, "body");
        let items =
            fields.finish(items, &["products"]).map_err(|more| errors.append(more)).unwrap_or_default();
        if !errors.is_empty() {
            return Err(ApiError::fields(errors));
        }
        Ok(Self(items.into_iter().map(ToOwned::to_owned).collect()))
    }
}

fn items<'a>(object: &RawObject<'a>) -> Result<Vec<&'a RawValue>, FieldProblem> {
    let raw = object.get("products").ok_or_else(|| FieldProblem::new("REQUIRED", "is required"))?;
    let items: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| FieldProblem::wrong_type("an array"))?;
    match items.len() {
        0 => Err(FieldProblem::new("TOO_SHORT", "must not be empty")),
        1..=MAX_ITEMS => Ok(items),
        _ => Err(FieldProblem::new("TOO_LONG", format!("must have at most {MAX_ITEMS} items"))),
    }
}

/// Parses the item as an object.
///
/// # Errors
/// `INVALID_TYPE` if the item is not an object.
pub(crate) fn object<'a>(item: &'a RawValue, location: &str) -> Result<RawObject<'a>, FieldErrors> {
    serde_json::from_str(item.get()).map_err(|_| {
        let message = "must be an object".to_owned();
        FieldError { location: location.to_owned(), code: "INVALID_TYPE", message }.into()
    })
}

/// Returns the codes as they were sent, if both are strings.
pub(crate) fn codes(object: &RawObject<'_>) -> Option<Key> {
    let code = |name: &str| serde_json::from_str(object.get(name)?.get()).ok();
    code("VendorCode").zip(code("ProductCode"))
}

/// Returns the codes without surrounding spaces, as a new product stores them.
pub(crate) fn trimmed((vendor, product): &Key) -> Key {
    (vendor.trim().to_owned(), product.trim().to_owned())
}
