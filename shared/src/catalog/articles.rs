//! The `kb_articles` table: the knowledge base.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use crate::{
    domain::ids::ArticleId,
    tenant::{
        Conn, Result,
        bounded::short,
        foreign::{Columns, ForeignRow, FromColumns, Read, accept_all, is_true},
        on, round_trip,
        search_texts::{SearchText, having_words},
    },
};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    pub kb_id: ArticleId,
    pub title: String,
    /// The text; in a [`page`], `None` when it is longer than [`LONGEST_LISTED`].
    pub article: Option<String>,
    pub category: Option<String>,
    pub kind: Option<String>,
    pub tags: Option<String>,
    pub active: bool,
}

/// What a list is narrowed by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Each must be somewhere in title, text or tags.
    pub words: Vec<String>,
    /// In whatever case, with or without the spaces around it.
    pub category: Option<String>,
    /// As the category.
    pub kind: Option<String>,
    pub inactive_too: bool,
}

/// Characters of the longest text that is given in a list, so that a page can't outgrow what Lambda may answer.
pub const LONGEST_LISTED: usize = 2000;

/// What searches look through.
pub const SEARCHED: SearchText = SearchText {
    table: "kb_articles",
    id: "kb_id",
    text: "title || ' ' || coalesce(tags, '') || ' ' || article",
    longest: 100_800,
};

impl FromColumns for Article {
    const TABLE: &'static str = "kb_articles";
    const KEY: &'static str = "kb_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let id = columns.required("kb_id")?;
        let (title, article, category) =
            (columns.text("title")?, columns.optional("article")?, columns.optional("category")?);
        let (kind, tags, active) =
            (columns.optional("type")?, columns.optional("tags")?, columns.or("active", false)?);
        Ok(id.map(|kb_id| Self { kb_id, title, article, category, kind, tags, active }))
    }
}

/// All columns but the text, of bounded size.
macro_rules! short_columns {
    () => {
        concat!(
            short!("title", 255),
            ", ",
            short!("category", 2000),
            ", ",
            short!("type", 2000),
            ", ",
            short!("tags", 500),
            ", active"
        )
    };
}

pub async fn find(conn: &mut Conn, id: ArticleId) -> Result<Option<Article>> {
    let row: Option<Read<Article>> = on!(&mut *conn, c => sqlx::query_as(concat!(
        "select kb_id, ", short!("article", 100000), ", ", short_columns!(), " from kb_articles where kb_id = $1",
    )).bind(id).fetch_optional(c).await)?;
    Ok(row.and_then(|row| row.accept(conn)))
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

/// Writes what is not as it was. The other columns stay as the EMR wrote them, also those that could not be read.
pub async fn update(conn: &mut Conn, (before, article): (&Article, &Article), now: Timestamp) -> Result<()> {
    on!(conn, c => sqlx::query(
        "update kb_articles set title = case when $9 then $1 else title end,
                article = case when $10 then $2 else article end,
                category = case when $11 then $3 else category end,
                type = case when $12 then $4 else type end,
                tags = case when $13 then $5 else tags end,
                active = case when $14 then $6 else active end,
                updated_at = $7
         where kb_id = $8",
    )
    .bind(&article.title)
    .bind(&article.article)
    .bind(&article.category)
    .bind(&article.kind)
    .bind(&article.tags)
    .bind(article.active)
    .bind(now.to_sqlx())
    .bind(article.kb_id)
    .bind(article.title != before.title)
    .bind(article.article != before.article)
    .bind(article.category != before.category)
    .bind(article.kind != before.kind)
    .bind(article.tags != before.tags)
    .bind(article.active != before.active)
    .execute(c).await.map(|_| ()))?;
    Ok(())
}

/// How many articles the filter leaves.
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let (clause, values) = filtered(conn, filter);
    let statement = format!("select count(*) from kb_articles {clause}");
    Ok(on!(conn, c => {
        let query = sqlx::query_scalar(AssertSqlSafe(statement));
        values.iter().fold(query, sqlx::query::QueryScalar::bind).fetch_one(c).await
    })?)
}

/// Up to `limit` articles after the first `offset`, lowest id first.
pub async fn page(conn: &mut Conn, filter: &Filter, limit: i64, offset: i64) -> Result<Vec<Article>> {
    let (clause, values) = filtered(conn, filter);
    let statement = format!(
        "select kb_id, case when length(article) <= {LONGEST_LISTED} and octet_length(article) <= 4 * {LONGEST_LISTED} then article end as article,
                {}
         from kb_articles {clause} order by kb_id limit ${} offset ${}",
        short_columns!(),
        values.len() + 1,
        values.len() + 2,
    );
    let rows: Vec<Read<Article>> = on!(&mut *conn, c => {
        let query = sqlx::query_as(AssertSqlSafe(statement));
        let query = values.iter().fold(query, sqlx::query::QueryAs::bind);
        query.bind(limit).bind(offset).fetch_all(c).await
    })?;
    Ok(accept_all(conn, rows))
}

/// The condition of the filter, of constants and placeholders only, and the placeholders' values.
fn filtered(conn: &Conn, filter: &Filter) -> (String, Vec<String>) {
    let (mut conditions, mut values) = having_words(&filter.words);
    if !filter.inactive_too {
        conditions.push(is_true(conn, "active"));
    }
    for (column, value) in [("category", &filter.category), ("type", &filter.kind)] {
        if let Some(value) = value {
            if !conn.can_hold(value) {
                conditions.push("1 = 0".to_owned());
                continue;
            }
            values.extend([value.clone(), value.trim().to_owned()]);
            let (exact, trimmed) = (values.len() - 1, values.len());
            conditions.push(format!("lower({column}) in (lower(${exact}), lower(${trimmed}))"));
        }
    }
    let clause =
        if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
    (clause, values)
}
