//! Handles `PUT /v1/kb/{id}`.

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{ApiError, ApiResult, Body, Catalog, IfMatch, Message, PathId, Problem, Update, UpdateOf, scope},
    catalog::articles::{self, Article},
    domain::ids::{ArticleId, IntegerId},
    in_transaction, patch,
    sql::audit,
    text_field,
};

use crate::reply::ArticleBody;

text_field! { ArticleTitle, 1, 200 }
text_field! { lines ArticleText, 1, 100_000 }
text_field! { ArticleCategory, 1, 100 }
text_field! {
    /// A type of your choice, such as `HowTo`.
    ArticleType, 1, 50
}
text_field! {
    /// Comma-separated tags.
    ArticleTags, 1, 500
}

patch! {
    /// The fields to change. An absent field keeps its value; null clears it.
    ///
    /// `Title`, `Article` and `Active` cannot be cleared.
    #[derive(Clone)]
    pub struct UpdateArticle {
        "Title" => title: Replace<ArticleTitle>,
        "Article" => article: Replace<ArticleText>,
        "Category" => category: Patch<ArticleCategory>,
        "Type" => kind: Patch<ArticleType>,
        "Tags" => tags: Patch<ArticleTags>,
        "Active" => active: Replace<bool>,
    }
}

impl UpdateOf for UpdateArticle {
    const READ_ONLY: &'static [&'static str] = &["KBID"];
}

impl UpdateArticle {
    fn apply(self, article: &mut Article) {
        self.title.apply(&mut article.title);
        if let Some(text) = self.article.0 {
            article.article = Some(text.into());
        }
        self.active.apply(&mut article.active);
        self.category.apply(&mut article.category);
        self.kind.apply(&mut article.kind);
        self.tags.apply(&mut article.tags);
    }
}

/// Update a specific KB article.
///
/// An absent field keeps its value; null clears it. You can send an article back as you read it: a
/// value that equals the stored one is not a change, and a read-only field with another value is
/// rejected as `READ_ONLY_FIELD`. With `If-Match`, the article is changed only if it is still in
/// the state that you read.
#[utoipa::path(
    put,
    path = "/v1/kb/{id}",
    tag = "Knowledge Base",
    params(
        ("id" = ArticleId, Path, description = "KBID", example = 12),
        ("If-Match" = Option<String>, Header, description = "Entity tags, separated by commas, or `*`."),
    ),
    request_body = UpdateArticle,
    responses(
        (status = 200, body = Message<ArticleBody>, headers(("ETag" = String,
            description = "The new entity tag."))),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 412, body = Problem, description = "`PRECONDITION_FAILED`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`"),
    ),
)]
pub(crate) async fn update_article(
    catalog: Catalog<scope::Kb>,
    PathId(id): PathId<ArticleId>,
    if_match: IfMatch,
    Body(update): Body<Update<UpdateArticle>>,
) -> ApiResult<impl IntoResponse> {
    let data = in_transaction!(catalog.db, ApiError, |conn| {
        let mut article = articles::lock(conn, id).await?.ok_or_else(|| update.of_nothing())?;
        let (read, before) = (ArticleBody::from(article.clone()), article.clone());
        let change = update.against(&read)?;
        if_match.check(&read.etag()?)?;
        change.apply(&mut article);
        articles::update(conn, (&before, &article), catalog.now).await?;
        audit::record(conn, &catalog.audit("kb.update", "article", &[id.get()])).await?;
        Ok(ArticleBody::from(article))
    })?;
    Ok(([(ETAG, data.etag()?)], Message { message: "Article updated successfully", data }))
}
