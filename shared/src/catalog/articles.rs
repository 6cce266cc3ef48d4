//! The `kb_articles` table: the knowledge base.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use super::search::has_words;
use crate::{
    domain::ids::ArticleId,
    tenant::{
        Conn, Result,
        bounded::{set_short, short},
        on, round_trip,
    },
};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Article {
    pub kb_id: ArticleId,
    pub title: String,
    /// The text; in a [`page`], `None` when it is longer than [`LONGEST_LISTED`].
    pub article: Option<String>,
    pub category: Option<String>,
    #[sqlx(rename = "type")]
    pub kind: Option<String>,
    pub tags: Option<String>,
    pub active: bool,
}

/// What a list is narrowed by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Each must be somewhere in title, text or tags.
    pub words: Vec<String>,
    /// In whatever case.
    pub category: Option<String>,
    /// In whatever case.
    pub kind: Option<String>,
    pub inactive_too: bool,
}

/// Characters of the longest text that is given in a list, so that a page can't outgrow what Lambda may answer.
pub const LONGEST_LISTED: usize = 2000;

/// All columns but the text, of bounded size.
macro_rules! short_columns {
    () => {
        concat!(
            short!("title", 255),
            ", ",
            short!("category", 255),
            ", ",
            short!("type", 255),
            ", ",
            short!("tags", 500),
            ", active"
        )
    };
}

pub async fn find(conn: &mut Conn, id: ArticleId) -> Result<Option<Article>> {
    Ok(on!(conn, c => sqlx::query_as(concat!(
        "select kb_id, ", short!("article", 100000), ", ", short_columns!(), " from kb_articles where kb_id = $1",
    )).bind(id).fetch_optional(c).await)?)
}

/// As [`find`], and nobody else changes the row until the transaction ends.
pub async fn lock(conn: &mut Conn, id: ArticleId) -> Result<Option<Article>> {
    if let Conn::Postgres(connection) = conn {
        round_trip!(connection, c => {
            sqlx::query("select 1 from kb_articles where kb_id = $1 for update").bind(id).execute(c).await
        })?;
    }
    find(conn, id).await
}

pub async fn update(conn: &mut Conn, article: &Article, now: Timestamp) -> Result<()> {
    on!(conn, c => sqlx::query(concat!(
        "update kb_articles set ", set_short!("title", 255, "$1"), ", ", set_short!("article", 100000, "$2"), ", ",
        set_short!("category", 255, "$3"), ", ", set_short!("type", 255, "$4"), ", ", set_short!("tags", 500, "$5"),
        ", active = $6, updated_at = $7 where kb_id = $8",
    ))
    .bind(&article.title)
    .bind(&article.article)
    .bind(&article.category)
    .bind(&article.kind)
    .bind(&article.tags)
    .bind(article.active)
    .bind(now.to_sqlx())
    .bind(article.kb_id)
    .execute(c).await.map(|_| ()))?;
    Ok(())
}

/// How many articles the filter leaves.
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let (clause, values) = filtered(filter);
    let statement = format!("select count(*) from kb_articles {clause}");
    Ok(on!(conn, c => {
        let query = sqlx::query_scalar(AssertSqlSafe(statement));
        values.iter().fold(query, sqlx::query::QueryScalar::bind).fetch_one(c).await
    })?)
}

/// Up to `limit` articles after the first `offset`, lowest id first.
pub async fn page(conn: &mut Conn, filter: &Filter, limit: i64, offset: i64) -> Result<Vec<Article>> {
    let (clause, values) = filtered(filter);
    let statement = format!(
        "select kb_id, case when octet_length(article) <= 4 * {LONGEST_LISTED} and length(article) <= {LONGEST_LISTED}
                       then article end as article, {}
         from kb_articles {clause} order by kb_id limit ${} offset ${}",
        short_columns!(),
        values.len() + 1,
        values.len() + 2,
    );
    Ok(on!(conn, c => {
        let query = sqlx::query_as(AssertSqlSafe(statement));
        let query = values.iter().fold(query, sqlx::query::QueryAs::bind);
        query.bind(limit).bind(offset).fetch_all(c).await
    })?)
}

/// The condition of the filter, of constants and placeholders only, and the placeholders' values.
fn filtered(filter: &Filter) -> (String, Vec<String>) {
    let text = "lower(title || ' ' || coalesce(tags, '') || ' ' || article)";
    let (mut conditions, mut values) = has_words(text, &filter.words, 1);
    if !filter.inactive_too {
        conditions.push("active".to_owned());
    }
    for (column, value) in [("category", &filter.category), ("type", &filter.kind)] {
        if let Some(value) = value {
            values.push(value.clone());
            conditions.push(format!("lower({column}) = lower(${})", values.len()));
        }
    }
    let clause =
        if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
    (clause, values)
}
