//! The case-folded texts that searches scan, in the column `search_text` beside their sources.
//!
//! Databases fold letters outside ASCII differently, so this program does it. The column is null
//! until then: a new row has none, and triggers clear it when a row's texts change, whoever writes.
//! Only the start of very long EMR texts is searched.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::{Conn, Database, Error, Result, on};
use crate::domain::fold::fold;

/// Characters per statement, and rows per transaction, which locks them.
const CHARACTERS: usize = 200_000;
const AT_ONCE: usize = 50;

/// A table whose rows are searched. All members are constants.
#[derive(Clone, Copy, Debug)]
pub struct SearchText {
    pub table: &'static str,
    pub id: &'static str,
    /// The searched text, as an SQL expression.
    pub text: &'static str,
    /// How many characters of a row are searched: at least as many as a partner may write.
    pub longest: usize,
}

/// Returns the `like … escape '!'` pattern that finds a word's folded form anywhere in a text.
pub(crate) fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in fold(word).chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Returns conditions that a row's text has every word, and the values for `$1` and so on.
pub(crate) fn having_words(words: &[String]) -> (Vec<String>, Vec<String>) {
    let conditions = (1..=words.len()).map(|number| format!("search_text like ${number} escape '!'"));
    (conditions.collect(), words.iter().map(|word| pattern(word)).collect())
}

/// Fills in missing texts before a search, for no longer than [`Timeouts::before_search`].
///
/// [`Timeouts::before_search`]: super::Timeouts::before_search
pub async fn index_before_search(db: &Database, sources: &[SearchText]) {
    let begun = Instant::now();
    for source in sources {
        let left = db.timeouts().before_search.saturating_sub(begun.elapsed());
        if let Err(error) = index(db, *source, left).await {
            tracing::warn!(%error, table = source.table, "rows could not be indexed for search");
        }
    }
}

/// Fills in missing texts, as many as `limit` allows. Returns their number.
///
/// # Errors
/// Errors of the database.
pub async fn index(db: &Database, source: SearchText, limit: Duration) -> Result<usize> {
    let begun = Instant::now();
    let mut all = 0;
    while has_any(db, source).await? {
        let renewed = index_some(db, source).await?;
        all += renewed;
        if renewed == 0 || begun.elapsed() >= limit {
            break;
        }
    }
    Ok(all)
}

async fn has_any(db: &Database, source: SearchText) -> Result<bool> {
    let statement = format!("select exists (select 1 from {} where search_text is null)", source.table);
    let mut conn = db.connection().await?;
    Ok(on!(&mut conn, |c| sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(c).await)?)
}

async fn index_some(db: &Database, source: SearchText) -> Result<usize> {
    crate::in_transaction!(db, Error, |conn| {
        let rows = lock_some(conn, source).await?;
        if !rows.is_empty() {
            store(conn, source, &rows).await?;
        }
        Ok(rows.len())
    })
}

async fn lock_some(conn: &mut Conn, source: SearchText) -> Result<Vec<Row>> {
    let SearchText { table, id, text, longest } = source;
    let at_once = (CHARACTERS / longest).clamp(1, AT_ONCE);
    let lock = if matches!(conn, Conn::Postgres(_)) { "for no key update skip locked" } else { "" };
    let statement = format!(
        "select {id} as id, substr({text}, 1, {longest}) as text from {table} where search_text is null \
            order by {id} limit {at_once} {lock}"
    );
    Ok(on!(conn, |c| sqlx::query_as(AssertSqlSafe(statement)).fetch_all(c).await)?)
}

async fn store(conn: &mut Conn, SearchText { table, id, .. }: SearchText, rows: &[Row]) -> Result<()> {
    let values: Vec<String> = (0..rows.len())
        .map(|row| format!("(cast(${} as bigint), cast(${} as text))", 2 * row + 1, 2 * row + 2))
        .collect();
    let statement = format!(
        "with folded (id, folded_text) as (values {})
         update {table} set search_text = folded_text from folded where {table}.{id} = folded.id",
        values.join(", ")
    );
    on!(conn, |c| {
        let update = sqlx::query(AssertSqlSafe(statement)).persistent(false);
        rows.iter()
            .fold(update, |update, row| update.bind(row.id).bind(fold(&row.text)))
            .execute(c)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

struct Row {
    id: i64,
    /// Empty if the columns hold something other than text, which must not block other rows.
    text: String,
}

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for Row
where
    &'static str: sqlx::ColumnIndex<R>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let id = row.try_get("id")?;
        let text = row.try_get("text").unwrap_or_else(|_| {
            tracing::warn!(id, "a text is unreadable; searches do not find it");
            String::new()
        });
        Ok(Self { id, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_matched_literally_and_letters_after_folding() {
        assert_eq!(["50%_!", "Gel", "ÉVÊQUE"].map(pattern), ["%50!%!_!!%", "%gel%", "%eveque%"]);
    }
}
