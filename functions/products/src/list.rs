//! Handles `GET /v1/products`.

use shared::{
    api::{ApiResult, Catalog, Limit, Page, PageNumber, Paging, Problem, Query, SearchWords, scope},
    catalog::products::{self, Filter},
    params,
    sql::search_texts,
};

use crate::{item::VendorCode, reply::ProductBody};

params! {
    pub(crate) struct ListProducts {
        /// Every word must occur in the name or one of the codes. Case and accents are ignored.
        "search" => search: Option<SearchWords>,
        /// Lists only the products of this vendor.
        "vendorCode" => vendor_code: Option<VendorCode>,
        /// Also lists inactive products. Defaults to false.
        "includeInactive" => include_inactive: Option<bool>,
        "page" => page: Option<PageNumber>,
        "limit" => limit: Option<Limit>,
    }
}

/// List available products.
///
/// Lists only active products by default, ordered by `VendorCode` and `ProductCode`.
#[utoipa::path(
    get,
    path = "/v1/products",
    tag = "Products",
    params(ListProducts),
    responses((status = 200, body = Page<ProductBody>), (status = 400, body = Problem,
        description = "`INVALID_QUERY`")),
)]
pub(crate) async fn list_products(
    catalog: Catalog<scope::Products>,
    Query(query): Query<ListProducts>,
) -> ApiResult<Page<ProductBody>> {
    let paging = Paging::new(query.page, query.limit);
    let filter = Filter {
        words: query.search.map_or_else(Vec::new, |it| it.0),
        vendor_code: query.vendor_code.map(Into::into),
        inactive_too: query.include_inactive.unwrap_or(false),
    };
    if !filter.words.is_empty() {
        search_texts::index_before_search(&catalog.db, &[products::SEARCHED]).await;
    }
    let mut conn = catalog.db.connection().await?;
    let page = products::page(&mut conn, &filter, paging.limit, paging.offset()).await?;
    let length = match page.length() {
        Some(length) => length,
        None => page.counted(products::count(&mut conn, &filter).await?),
    };
    let pagination = paging.of(length, page.has_more);
    let data: Vec<ProductBody> = page.rows.into_iter().map(Into::into).collect();
    Ok(Page { count: data.len(), data, pagination })
}
