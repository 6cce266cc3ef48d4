//! The body of a bulk request: what is wrong with one item is the item's own affair.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};
use shared::api::{
    ApiError, FieldError, FieldProblem, Fields, FromBody, FromFields, RawObject, raw_object, repeated, same,
};
use shared::catalog::products::{Key, Listed};
use utoipa::ToSchema;

use crate::{item::ProductItem, reply::ProductBody};

const MAX_ITEMS: usize = 1000;
/// More errors of one item are only counted: an answer must not outgrow what Lambda may give.
const MAX_ERRORS: usize = 12;

/// The items in order.
pub(crate) struct Bulk(pub(crate) Vec<Item>);

/// One item as it was sent: what it changes shows beside the product that is stored.
pub(crate) struct Item {
    location: String,
    object: Result<BTreeMap<String, Box<RawValue>>, Vec<FieldError>>,
}

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
        Ok(Self(items.into_iter().enumerate().map(|(index, item)| Item::new(index, item)).collect()))
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

impl Item {
    fn new(index: usize, item: &RawValue) -> Self {
        let location = format!("body.products[{index}]");
        let object = serde_json::from_str(item.get()).map_err(|_| {
            let message = "must be an object".to_owned();
            vec![FieldError { location: location.clone(), code: "INVALID_TYPE", message }]
        });
        let object = object.and_then(|object| {
            let repeated = repeated(item.get().as_bytes(), &location);
            if repeated.is_empty() { Ok(object) } else { Err(repeated) }
        });
        Self { location, object }
    }

    /// The codes that name its product, as they were sent and as they would be stored, if they are texts.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let Ok(object) = &self.object else { return Vec::new() };
        let code = |name| object.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let Some(sent) = code("VendorCode").zip(code("ProductCode")) else { return Vec::new() };
        let trimmed = (sent.0.trim().to_owned(), sent.1.trim().to_owned());
        if trimmed == sent { vec![sent] } else { vec![sent, trimmed] }
    }

    /// The product beside the one that is stored, or everything that is wrong with it. A field that says what is stored is
    /// no change, whatever rules it breaks, and `UpdatedAt` must not differ.
    pub(crate) fn beside(&self, stored: Option<&Listed>) -> Result<ProductItem, Vec<FieldError>> {
        let object = self.object.as_ref().map_err(Clone::clone)?;
        let mut view: RawObject<'_> = object.iter().map(|(name, raw)| (name.clone(), raw.as_ref())).collect();
        let updated_at = view.remove("UpdatedAt");
        let mut errors = Vec::new();
        let known = stored.map(|stored| serde_json::json!(ProductBody::from(stored.clone())));
        if let Some(known) = &known {
            let equals = |name: &str, raw: &RawValue| {
                serde_json::from_str(raw.get()).is_ok_and(|sent: Value| same(&known[name], &sent))
            };
            if updated_at.is_some_and(|raw| !equals("UpdatedAt", raw)) {
                errors.push(FieldError {
                    location: format!("{}.UpdatedAt", self.location),
                    code: "READ_ONLY_FIELD",
                    message: "can't be changed; leave it out or send the value that was read".to_owned(),
                });
            }
            view.retain(|name, raw| known.get(name).is_none() || !equals(name, raw));
        } else if let Some(raw) = updated_at {
            view.insert("UpdatedAt".to_owned(), raw);
        }
        // The codes that found a product are right whatever they look like.
        let codes = stored.map(|it| it.product.key());
        let found: Option<(Box<RawValue>, Box<RawValue>)> = codes.as_ref().and(raw("V").zip(raw("P")));
        if let Some((vendor, product)) = &found {
            view.insert("VendorCode".to_owned(), vendor);
            view.insert("ProductCode".to_owned(), product);
        }
        let read = ProductItem::read(Fields::of_raw(&view, self.location.clone())).map_err(|more| errors.extend(more));
        read.ok().filter(|_| errors.is_empty()).map(|item| item.named(codes)).ok_or_else(|| self.bounded(errors))
    }

    fn bounded(&self, mut errors: Vec<FieldError>) -> Vec<FieldError> {
        if errors.len() > MAX_ERRORS {
            let message = format!("has {} more errors", errors.len() - MAX_ERRORS);
            errors.truncate(MAX_ERRORS);
            errors.push(FieldError { location: self.location.clone(), code: "MORE_ERRORS", message });
        }
        errors
    }
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(text).ok()
}
