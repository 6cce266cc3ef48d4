//! The body of a bulk request: what is wrong with one item is the item's own affair.

use serde_json::value::RawValue;
use shared::api::{
    ApiError, FieldError, FieldProblem, Fields, FromBody, FromFields, RawObject, raw_object, repeated,
};
use utoipa::ToSchema;

use crate::item::ProductItem;

const MAX_ITEMS: usize = 1000;
/// More errors of one item are only counted: an answer must not outgrow what Lambda may give.
const MAX_ERRORS: usize = 12;

/// The items in order, each with its product or with everything that is wrong with it.
pub(crate) struct Bulk(pub(crate) Vec<Result<ProductItem, Vec<FieldError>>>);

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
            fields.finish(items, &["products"]).map_err(|more| errors.extend(more)).unwrap_or_default();
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

fn read(index: usize, item: &RawValue) -> Result<ProductItem, Vec<FieldError>> {
    let location = format!("body.products[{index}]");
    let problem = |code, message| FieldError { location: location.clone(), code, message };
    let object: RawObject<'_> = serde_json::from_str(item.get())
        .map_err(|_| vec![problem("INVALID_TYPE", "must be an object".to_owned())])?;
    let mut errors = repeated(item.get().as_bytes(), &location);
    let read =
        ProductItem::read(Fields::of_raw(&object, location.clone())).map_err(|more| errors.extend(more));
    read.ok().filter(|_| errors.is_empty()).ok_or(errors).map_err(|mut errors| {
        if errors.len() > MAX_ERRORS {
            let more = errors.len() - MAX_ERRORS;
            errors.truncate(MAX_ERRORS);
            errors.push(problem("MORE_ERRORS", format!("has {more} more errors")));
        }
        errors
    })
}
