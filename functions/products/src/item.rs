//! One product of a bulk request.

use shared::{
    api::{FieldError, FieldErrors, FieldProblem, FieldValue, Source, check_text},
    catalog::products::Product,
    domain::money::Cents,
    listed_text, patch, text_field,
};
use utoipa::ToSchema;

listed_text! {
    /// A vendor's code, exactly as it is listed.
    ///
    /// The code of a new product has 1 to 50 characters and no control characters.
    VendorCode
}
listed_text! {
    /// A product's code, exactly as it is listed.
    ///
    /// The code of a new product has 1 to 50 characters and no control characters.
    ProductCode
}
text_field! { ProductName, 1, 200 }
text_field! { ProductCategory, 1, 100 }
text_field! { lines ProductDescription, 1, 5000 }

/// A UPC, EAN or GTIN of 8 to 14 digits.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, pattern = "^[0-9]{8,14}$", example = "036000291452")]
pub struct Upc(String);

impl FieldValue for Upc {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 1, 20)?;
        let digits = (8..=14).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        digits.then_some(Self(text)).ok_or_else(|| FieldProblem::invalid("must be 8 to 14 digits"))
    }
}

impl From<Upc> for String {
    fn from(upc: Upc) -> Self {
        upc.0
    }
}

patch! {
    /// A product to create or update, identified by `VendorCode` and `ProductCode`.
    ///
    /// An absent field keeps its value; null clears it. A new product needs `Product` and is active
    /// by default. You can send a stored product as you read it, with its `UpdatedAt`: a value that
    /// equals the stored one is not a change.
    #[derive(Clone)]
    pub struct ProductItem {
        #[schema(example = "V001")]
        "VendorCode" => vendor_code: VendorCode,
        #[schema(example = "P001")]
        "ProductCode" => product_code: ProductCode,
        /// The product's name. Cannot be cleared.
        #[schema(example = "Example Product")]
        "Product" => name: Replace<ProductName>,
        /// A price with at most two decimals.
        #[schema(minimum = 0, maximum = 99_999_999.99, example = 99.99)]
        "RetailPrice" => retail_price: Patch<Cents> as f64,
        /// A price with at most two decimals.
        #[schema(minimum = 0, maximum = 99_999_999.99, example = 42.5)]
        "Cost" => cost: Patch<Cents> as f64,
        "Category" => category: Patch<ProductCategory>,
        "Description" => description: Patch<ProductDescription>,
        "UPC" => upc: Patch<Upc>,
        /// Cannot be cleared.
        "Active" => active: Replace<bool>,
    }
}

impl ProductItem {
    /// Returns all errors in the codes of a new product.
    pub(crate) fn check_new(&self, location: &str) -> FieldErrors {
        let wrong = [("VendorCode", &self.vendor_code.0), ("ProductCode", &self.product_code.0)]
            .into_iter()
            .filter_map(|(name, code)| {
                let FieldProblem { code, message, .. } = check_text(code, 1, 50).err()?;
                Some(FieldError { location: format!("{location}.{name}"), code, message })
            });
        let mut errors = FieldErrors::default();
        errors.extend(wrong);
        errors
    }

    /// Returns the product with the changes of this item, or `None` if it is new and has no name.
    pub(crate) fn applied_to(&self, before: Option<&Product>) -> Option<Product> {
        let item = self.clone();
        let (vendor_code, product_code) =
            (self.vendor_code.0.trim().to_owned(), self.product_code.0.trim().to_owned());
        let mut after = match (before, &item.name.0) {
            (Some(before), _) => before.clone(),
            (None, None) => return None,
            (None, Some(name)) => Product {
                vendor_code,
                product_code,
                name: name.0.clone(),
                retail_price: None,
                cost: None,
                category: None,
                description: None,
                upc: None,
                active: true,
            },
        };
        item.name.apply(&mut after.name);
        item.active.apply(&mut after.active);
        item.retail_price.apply(&mut after.retail_price);
        item.cost.apply(&mut after.cost);
        item.category.apply(&mut after.category);
        item.description.apply(&mut after.description);
        item.upc.apply(&mut after.upc);
        Some(after)
    }
}
