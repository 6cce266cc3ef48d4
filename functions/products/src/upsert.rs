//! Handles `POST /v1/products`.

use axum::http::StatusCode;
use shared::{
    api::{ApiResult, Catalog, JsonAnswer, Message, Once, Problem, scope},
    catalog::products,
    create_once,
    domain::ids::IntegerId,
    sql::audit,
};

use crate::{
    bulk::{Bulk, UpsertProducts},
    merge::Merged,
    reply::BulkResult,
};

/// Bulk update or create products.
///
/// `VendorCode` and `ProductCode` identify a product. The products are processed one by one, in
/// order; valid ones are stored even if others fail. If several have the same codes, each one
/// changes the result of the one before it.
///
/// The maximum size of the body is 5 MiB. Send an `Idempotency-Key` so that a retried request has
/// one effect and one response.
#[utoipa::path(
    post,
    path = "/v1/products",
    tag = "Products",
    params(
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = UpsertProducts,
    responses(
        (status = 200, body = Message<BulkResult>),
        (status = 409, body = Problem, description = "`IDEMPOTENCY_IN_PROGRESS`"),
        (status = 413, body = Problem, description = "`PAYLOAD_TOO_LARGE`"),
        (
            status = 422,
            body = Problem,
            description = "`INVALID_FIELDS`: there are not 1 to 1,000 products; `IDEMPOTENCY_KEY_REUSED`"
        ),
    ),
)]
pub(crate) async fn upsert_products(
    catalog: Catalog<scope::Products>,
    Once { body: bulk, key }: Once<Bulk>,
) -> ApiResult<JsonAnswer> {
    let keys = bulk.keys();
    create_once!(catalog, key, |conn| {
        products::lock_all(conn).await?;
        let merged = Merged::new(&bulk, products::lock(conn, &keys).await?);
        let mut ids = products::insert(conn, &merged.new_products(), catalog.now).await?;
        ids.extend(products::update(conn, &merged.changed_products(), catalog.now).await?);
        if !ids.is_empty() {
            let ids: Vec<i64> = ids.into_iter().map(IntegerId::get).collect();
            audit::record(conn, &catalog.audit("products.upsert", "product", &ids)).await?;
        }
        JsonAnswer::new(StatusCode::OK, &Message { message: "Products processed", data: merged.result })
    })
}
