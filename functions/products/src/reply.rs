//! The JSON representation of products and of the result of a bulk request.

use serde::Serialize;
use shared::{
    api::{FieldError, FieldErrors},
    catalog::products::Listed,
    domain::money::Cents,
};
use utoipa::ToSchema;

/// A product. A field without a value is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Product)]
pub(crate) struct ProductBody {
    #[schema(example = "V001")]
    vendor_code: String,
    #[schema(example = "P001")]
    product_code: String,
    /// The product's name.
    #[schema(example = "Example Product")]
    product: String,
    #[schema(value_type = Option<f64>, example = 99.99)]
    retail_price: Option<Cents>,
    #[schema(value_type = Option<f64>, example = 42.5)]
    cost: Option<Cents>,
    category: Option<String>,
    /// Omitted from lists if the product exceeds 10,000 bytes.
    #[schema(required = false)]
    description: Option<String>,
    #[serde(rename = "UPC")]
    upc: Option<String>,
    active: bool,
    #[schema(value_type = String, format = DateTime)]
    updated_at: jiff::Timestamp,
}

/// The result of a bulk request.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct BulkResult {
    created: usize,
    updated: usize,
    unchanged: usize,
    failed: usize,
    /// One result for each product sent, in the same order.
    results: Vec<ItemResult>,
    /// Size of the errors listed so far, in bytes.
    #[serde(skip)]
    reported: usize,
}

/// The result of one product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemResult {
    /// Index of the product in `products`, from 0.
    index: usize,
    status: ItemStatus,
    /// At most 20 errors; empty unless the product failed. If the errors of all products are too
    /// large for a response, the last products have only `errorsOmitted`: send them again without
    /// the others.
    errors: Vec<FieldError>,
    /// Number of errors that are not listed. Omitted if all are.
    #[serde(rename = "errorsOmitted", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    errors_omitted: Option<usize>,
}

/// What a bulk request did with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ItemStatus {
    Created,
    Updated,
    /// The stored product already has these values.
    Unchanged,
    /// The product was not stored because it has errors.
    Failed,
}

impl From<Listed> for ProductBody {
    fn from(listed: Listed) -> Self {
        let updated_at = listed.updated_at();
        let it = listed.product;
        Self {
            vendor_code: it.vendor_code,
            product_code: it.product_code,
            product: it.name,
            retail_price: it.retail_price,
            cost: it.cost,
            category: it.category,
            description: it.description,
            upc: it.upc,
            active: it.active,
            updated_at,
        }
    }
}

/// Maximum size of all errors in a response, in bytes.
///
/// The rest of a response has ample room for a thousand results without errors.
const MOST_REPORTED: usize = 400_000;

impl BulkResult {
    pub(crate) fn push(&mut self, index: usize, status: ItemStatus, errors: FieldErrors) {
        let (mut errors, mut omitted) = errors.into_parts();
        let bytes = serde_json::to_vec(&errors).map_or(0, |it| it.len());
        if self.reported + bytes > MOST_REPORTED {
            omitted += errors.len();
            errors.clear();
        } else {
            self.reported += bytes;
        }
        let total = match status {
            ItemStatus::Created => &mut self.created,
            ItemStatus::Updated => &mut self.updated,
            ItemStatus::Unchanged => &mut self.unchanged,
            ItemStatus::Failed => &mut self.failed,
        };
        *total += 1;
        let errors_omitted = (omitted > 0).then_some(omitted);
        self.results.push(ItemResult { index, status, errors, errors_omitted });
    }
}
