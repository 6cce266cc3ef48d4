//! Handles `GET /v1/kb`.

use shared::{
    api::{ApiResult, Catalog, Limit, Page, PageNumber, Paging, Problem, Query, SearchWords, scope},
    catalog::articles::{self, Filter},
    listed_text, params,
    sql::search_texts,
};

use crate::reply::ArticleBody;

listed_text! { CategoryParam }
listed_text! { TypeParam }

params! {
    pub(crate) struct ListArticles {
        /// Every word must occur in the title, the text or the tags. Case and accents are ignored.
        "search" => search: Option<SearchWords>,
        /// Lists only articles of this category. Case is ignored.
        "category" => category: Option<CategoryParam>,
        /// Lists only articles of this type. Case is ignored.
        "type" => kind: Option<TypeParam>,
        /// Also lists inactive articles. Defaults to false.
        "includeInactive" => include_inactive: Option<bool>,
        "page" => page: Option<PageNumber>,
        "limit" => limit: Option<Limit>,
    }
}

/// List KB articles.
///
/// Lists the articles that match every filter, ordered by `KBID`. Lists only active ones by
/// default.
#[utoipa::path(
    get,
    path = "/v1/kb",
    tag = "Knowledge Base",
    params(ListArticles),
    responses((status = 200, body = Page<ArticleBody>), (status = 400, body = Problem,
        description = "`INVALID_QUERY`")),
)]
pub(crate) async fn list_articles(
    catalog: Catalog<scope::Kb>,
    Query(query): Query<ListArticles>,
) -> ApiResult<Page<ArticleBody>> {
    let paging = Paging::new(query.page, query.limit);
    let filter = Filter {
        words: query.search.map_or_else(Vec::new, |it| it.0),
        category: query.category.map(Into::into),
        kind: query.kind.map(Into::into),
        inactive_too: query.include_inactive.unwrap_or(false),
    };
    if !filter.words.is_empty() {
        search_texts::index_before_search(&catalog.db, &[articles::SEARCHED]).await;
    }
    let mut conn = catalog.db.connection().await?;
    let page = articles::page(&mut conn, &filter, paging.limit, paging.offset()).await?;
    let length = match page.length() {
        Some(length) => length,
        None => page.counted(articles::count(&mut conn, &filter).await?),
    };
    let pagination = paging.of(length, page.has_more);
    let data: Vec<ArticleBody> = page.rows.into_iter().map(Into::into).collect();
    Ok(Page { count: data.len(), data, pagination })
}
