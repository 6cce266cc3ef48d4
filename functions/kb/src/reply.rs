//! The JSON representation of articles.

use serde::Serialize;
use shared::{
    api::{self, ApiError, ApiResult},
    catalog::articles::Article,
    domain::ids::ArticleId,
};
use utoipa::ToSchema;

/// An article. A field without a value is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Article)]
pub(crate) struct ArticleBody {
    #[serde(rename = "KBID")]
    #[schema(example = 12)]
    id: ArticleId,
    #[schema(example = "Insurance Verification Workflow")]
    title: String,
    /// The text. Omitted from lists if it has more than 2,000 characters; read the single article
    /// to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = String, required = false, example = "Step-by-step process...")]
    article: Option<String>,
    #[schema(example = "Billing")]
    category: Option<String>,
    #[serde(rename = "Type")]
    #[schema(example = "HowTo")]
    kind: Option<String>,
    /// Comma-separated tags.
    #[schema(example = "insurance, verification")]
    tags: Option<String>,
    active: bool,
}

impl From<Article> for ArticleBody {
    fn from(it: Article) -> Self {
        Self {
            id: it.kb_id,
            title: it.title,
            article: it.article,
            category: it.category,
            kind: it.kind,
            tags: it.tags,
            active: it.active,
        }
    }
}

impl ArticleBody {
    pub(crate) fn etag(&self) -> ApiResult<String> {
        serde_json::to_value(self).map(|it| api::etag(&it)).map_err(|error| ApiError::internal(&error))
    }
}
