//! `PUT /v1/kb/{id}`

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{
        ApiError, ApiResult, Body, Catalog, IfMatch, Message, Patch, PathId, Problem, Replace, Update,
        UpdateOf, scope,
    },
    body,
    catalog::articles::{self, Article},
    domain::ids::{ArticleId, IntegerId},
    in_transaction,
    tenant::audit,
    text_field,
};

use crate::reply::ArticleBody;

text_field! { ArticleTitle, 1, 200 }
text_field! { lines ArticleText, 1, 100_000 }
text_field! { ArticleCategory, 1, 100 }
text_field! {
    /// Of the practice's own choice, e.g. `HowTo`.
    ArticleType, 1, 50
}
text_field! {
    /// Separated by commas.
    ArticleTags, 1, 500
}

body! {
    /// Absent keeps, null clears. `Title`, `Article` and `Active` can't be cleared.
    #[derive(Clone)]
    pub struct UpdateArticle {
        #[schema(value_type = ArticleTitle, required = false)]
        "Title" => title: Replace<ArticleTitle>,
        #[schema(value_type = ArticleText, required = false)]
        "Article" => article: Replace<ArticleText>,
        #[schema(value_type = Option<ArticleCategory>, required = false)]
        "Category" => category: Patch<ArticleCategory>,
        #[schema(value_type = Option<ArticleType>, required = false)]
        "Type" => kind: Patch<ArticleType>,
        #[schema(value_type = Option<ArticleTags>, required = false)]
        "Tags" => tags: Patch<ArticleTags>,
        #[schema(value_type = bool, required = false)]
        "Active" => active: Replace<bool>,
    }
}

impl UpdateOf for UpdateArticle {
    const READ_ONLY: &'static [&'static str] = &["KBID"];
}

impl UpdateArticle {
    fn apply(self, article: &mut Article) {
        if let Some(title) = self.title.0 {
            article.title = title.into();
        }
        if let Some(text) = self.article.0 {
            article.article = Some(text.into());
        }
        if let Some(active) = self.active.0 {
            article.active = active;
        }
        self.category.apply(&mut article.category);
        self.kind.apply(&mut article.kind);
        self.tags.apply(&mut article.tags);
    }
}

/// Update a specific KB article.
///
/// Fields that are absent keep their values, null clears. An article may be sent back as it was read: what equals the stored
/// value is no change, and a read-only field that differs is `READ_ONLY_FIELD`. With `If-Match` the change is made only to the state that was
/// read.
#[utoipa::path(
    put,
    path = "/v1/kb/{id}",
    tag = "Knowledge Base",
    params(
        ("id" = ArticleId, Path, description = "KBID", example = 12),
        ("If-Match" = Option<String>, Header, description = "An `ETag`, several with commas, or `*`."),
    ),
    request_body = UpdateArticle,
    responses(
        (status = 200, body = Message<ArticleBody>, headers(("ETag" = String, description = "The new state."))),
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
    let data = in_transaction!(catalog.db, ApiError, conn => {
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
