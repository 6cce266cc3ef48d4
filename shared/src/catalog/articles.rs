//! The `kb_articles` table: the knowledge base.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use crate::{
    domain::ids::ArticleId,
    sql::{
        Conn, Result,
        bounded::short,
        foreign::{Columns, ForeignRow, FromColumns, Read, is_true},
        on,
        page::{MOST_COUNTED, PageRows},
        round_trip,
        search_texts::{SearchText, having_words},
    },
};

/// An article of the knowledge base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    pub kb_id: ArticleId,
    pub title: String,
    /// The text. In a [`page`], `None` if it is longer than [`LONGEST_LISTED`].
    pub article: Option<String>,
    pub category: Option<String>,
    pub kind: Option<String>,
    pub tags: Option<String>,
    pub active: bool,
}

/// The filter of a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Each word must occur in the title, the text or the tags.
    pub words: Vec<String>,
    /// Matches in any case, with or without surrounding spaces.
    pub category: Option<String>,
    /// Matches like the category.
    pub kind: Option<String>,
    pub inactive_too: bool,
}

/// The longest text that a list includes, in characters.
///
/// It keeps a page below Lambda's response limit.
pub const LONGEST_LISTED: usize = 2000;

/// The text that searches scan.
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

/// All columns except the text, at a bounded size.
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
    let row: Option<Read<Article>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select kb_id, ",
        short!("article", 100000),
        ", ",
        short_columns!(),
        " from kb_articles where kb_id = $1",
    ))
    .bind(id)
    .fetch_optional(c)
    .await)?;
    Ok(row.and_then(|row| row.accept(conn)))
}

/// The same as [`find`], and locks the row until the transaction ends.
pub async fn lock(conn: &mut Conn, id: ArticleId) -> Result<Option<Article>> {
    if let Conn::Postgres(connection) = conn {
        round_trip!(connection, |c| {
            sqlx::query("select 1 from kb_articles where kb_id = $1 for update").bind(id).execute(c).await
        })?;
    }
    find(conn, id).await
}

/// Writes the columns that changed. Others stay as the EMR wrote them, including unreadable ones.
pub async fn update(conn: &mut Conn, (before, article): (&Article, &Article), now: Timestamp) -> Result<()> {
    on!(conn, |c| sqlx::query(
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
    .execute(c)
    .await
    .map(|_| ()))?;
    Ok(())
}

/// Counts the articles that match the filter, up to one more than [`MOST_COUNTED`].
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let (clause, values) = filtered(conn, filter);
    let statement = format!(
        "select count(*) from (select 1 from kb_articles {clause} limit {}) counted",
        MOST_COUNTED + 1
    );
    Ok(on!(conn, |c| {
        let query = sqlx::query_scalar(AssertSqlSafe(statement));
        values.iter().fold(query, sqlx::query::QueryScalar::bind).fetch_one(c).await
    })?)
}

/// Returns up to `limit` articles after the first `offset`, lowest id first.
pub async fn page(conn: &mut Conn, filter: &Filter, limit: i64, offset: i64) -> Result<PageRows<Article>> {
    let (clause, values) = filtered(conn, filter);
    let statement = format!(
        "select kb_id, case when length(article) <= {LONGEST_LISTED} and octet_length(article) <= 4 * \
            {LONGEST_LISTED} then article end as article,
                {}
         from kb_articles {clause} order by kb_id limit ${} offset ${}",
        short_columns!(),
        values.len() + 1,
        values.len() + 2,
    );
    let rows: Vec<Read<Article>> = on!(&mut *conn, |c| {
        let query = sqlx::query_as(AssertSqlSafe(statement));
        let query = values.iter().fold(query, sqlx::query::QueryAs::bind);
        query.bind(limit + 1).bind(offset).fetch_all(c).await
    })?;
    Ok(PageRows::accept(conn, rows, (limit, offset)))
}

/// Returns the filter's condition, of constants and placeholders only, and its values.
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
