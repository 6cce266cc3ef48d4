//! Handles `GET /v1/kb/{id}`.

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{ApiError, ApiResult, Catalog, Data, PathId, Problem, scope},
    catalog::articles,
    domain::ids::ArticleId,
};

use crate::reply::ArticleBody;

/// Get details for a specific KB article.
///
/// Returns inactive articles, too. Send the `ETag` as `If-Match` when you update the article.
#[utoipa::path(
    get,
    path = "/v1/kb/{id}",
    tag = "Knowledge Base",
    params(("id" = ArticleId, Path, description = "KBID", example = 12)),
    responses(
        (status = 200, body = Data<ArticleBody>, headers(("ETag" = String, description = "The entity tag."))),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
    ),
)]
pub(crate) async fn get_article(
    catalog: Catalog<scope::Kb>,
    PathId(id): PathId<ArticleId>,
) -> ApiResult<impl IntoResponse> {
    let mut conn = catalog.db.connection().await?;
    let article = articles::find(&mut conn, id).await?.ok_or_else(ApiError::not_found)?;
    let data = ArticleBody::from(article);
    Ok(([(ETAG, data.etag()?)], Data { data }))
}
