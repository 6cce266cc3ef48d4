//! The body of a bulk request: what is wrong with one item is the item's own affair.

use serde_json::value::RawValue;
use shared::api::{
    ApiError, FieldError, FieldErrors, FieldProblem, Fields, FromBody, FromFields, RawObject, raw_object,
    repeated,
};
use utoipa::ToSchema;

use crate::item::ProductItem;

const MAX_ITEMS: usize = 1000;

/// The items in order, each with its product or with everything that is wrong with it.
pub(crate) struct Bulk(pub(crate) Vec<Result<ProductItem, FieldErrors>>);

/// Products to create or update.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `Bulk`")]
pub(crate) struct UpsertProducts {
    /// 1 to 1000.
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
        Ok(Self(items.into_iter().enumerate().map(|(index, item)| read(index, item)).collect()))
    }
}

fn items<'a>(object: &RawObject<'a>) -> Result<Vec<&'a RawValue>, FieldProblem> {
    let raw = object.get("products").ok_or_else(|| FieldProblem::new("REQUIRED", "is required"))?;
    let items: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| FieldProblem::wrong_type("an array"))?;
    match items.len() {
        0 => Err(FieldProblem::new("TOO_SHORT", "must not be empty")),
        1..=MAX_ITEMS => Ok(items),
        _ => Err(FieldProblem::new("TOO_LONG", format!("has more than {MAX_ITEMS} items"))),
    }
}

fn read(index: usize, item: &RawValue) -> Result<ProductItem, FieldErrors> {
    let location = format!("body.products[{index}]");
    let Ok(object) = serde_json::from_str::<RawObject<'_>>(item.get()) else {
        let message = "must be an object".to_owned();
        return Err(FieldError { location, code: "INVALID_TYPE", message }.into());
    };
    let mut errors = repeated(item.get().as_bytes(), &location);
    let read = ProductItem::read(Fields::of_raw(&object, location)).map_err(|more| errors.append(more));
    read.ok().filter(|_| errors.is_empty()).ok_or(errors)
}
