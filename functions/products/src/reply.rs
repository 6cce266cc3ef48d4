//! Products as partners see them, and what became of a bulk request.

use serde::Serialize;
use shared::{api::FieldError, catalog::products::Listed, domain::money::Cents};
use utoipa::ToSchema;

/// A product; fields that are not set are null.
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
    description: Option<String>,
    #[serde(rename = "UPC")]
    upc: Option<String>,
    active: bool,
    #[schema(value_type = String, format = DateTime)]
    updated_at: jiff::Timestamp,
}

/// What became of a bulk request.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct BulkResult {
    created: usize,
    updated: usize,
    unchanged: usize,
    failed: usize,
    /// One for each product that was sent, in their order.
    results: Vec<ItemResult>,
}

/// What became of one product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemResult {
    /// Its place in `products`, from 0.
    pub(crate) index: usize,
    pub(crate) status: ItemStatus,
    /// Everything that is wrong with it; empty unless it failed.
    pub(crate) errors: Vec<FieldError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ItemStatus {
    Created,
    Updated,
    /// It is stored as it was sent already.
    Unchanged,
    /// It was not stored.
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

impl BulkResult {
    pub(crate) fn push(&mut self, result: ItemResult) {
        let total = match result.status {
            ItemStatus::Created => &mut self.created,
            ItemStatus::Updated => &mut self.updated,
            ItemStatus::Unchanged => &mut self.unchanged,
            ItemStatus::Failed => &mut self.failed,
        };
        *total += 1;
        self.results.push(result);
    }
}
