//! The `tickets`, `ticket_comments` and `ticket_history` tables.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use crate::domain::{
    ids::{CommentId, TicketId},
    ticket::{TicketPriority, TicketStatus},
};
use crate::sql::{
    Conn, Result,
    bounded::short,
    foreign::{Columns, ForeignRow, FromColumns, Read, accept_all, instant_order},
    free_ids::free_id,
    on,
    page::{MOST_COUNTED, PageRows},
    round_trip,
    search_texts::{SearchText, pattern},
};

/// The fields of a ticket that partners write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketDetails {
    pub subject: String,
    pub description: Option<String>,
    pub status: TicketStatus,
    pub priority: TicketPriority,
    pub assignee: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Ticket {
    pub id: TicketId,
    pub details: TicketDetails,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Comment {
    pub comment_id: CommentId,
    pub comment: String,
    pub author: String,
    created_at: Timestamp,
}

/// A change of status.
#[derive(Clone, Debug)]
pub struct Change {
    pub old_status: String,
    pub new_status: String,
    pub author: String,
    changed_at: Timestamp,
}

/// The filter of a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<TicketStatus>,
    /// Each word must occur in the subject, the description or a comment.
    pub words: Vec<String>,
}

impl FromColumns for Ticket {
    const TABLE: &'static str = "tickets";
    const KEY: &'static str = "ticket_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let id = columns.required("ticket_id")?;
        let details = TicketDetails {
            subject: columns.text("subject")?,
            description: columns.optional("description")?,
            status: columns.parsed("status")?.unwrap_or(TicketStatus::Open),
            priority: columns.parsed("priority")?.unwrap_or(TicketPriority::Normal),
            assignee: columns.optional("assignee")?,
        };
        let (created_at, updated_at) = (columns.instant("created_at")?, columns.instant("updated_at")?);
        Ok(id.map(|id| Self { id, details, created_at, updated_at }))
    }
}

impl FromColumns for Comment {
    const TABLE: &'static str = "ticket_comments";
    const KEY: &'static str = "comment_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let id = columns.required("comment_id")?;
        let (comment, author) = (columns.text("comment")?, columns.text("author")?);
        let created_at = columns.instant("created_at")?;
        Ok(id.map(|comment_id| Self { comment_id, comment, author, created_at }))
    }
}

impl FromColumns for Change {
    const TABLE: &'static str = "ticket_history";
    const KEY: &'static str = "history_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        Ok(Some(Self {
            old_status: columns.text("old_status")?,
            new_status: columns.text("new_status")?,
            author: columns.text("author")?,
            changed_at: columns.instant("changed_at")?,
        }))
    }
}

impl Comment {
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }
}

impl Change {
    pub fn changed_at(&self) -> Timestamp {
        self.changed_at
    }
}

/// The texts that searches scan.
pub const SEARCHED: [SearchText; 2] = [
    SearchText {
        table: "tickets",
        id: "ticket_id",
        text: "subject || ' ' || coalesce(description, '')",
        longest: 20_300,
    },
    SearchText { table: "ticket_comments", id: "comment_id", text: "comment || ''", longest: 10_000 },
];

/// A ticket's columns, at a bounded size.
macro_rules! columns {
    ($description:literal) => {
        concat!(
            "ticket_id, ",
            short!("subject", 255),
            ", ",
            short!("description", $description),
            ", status, priority, ",
            short!("assignee", 255),
            ", created_at, updated_at"
        )
    };
}

pub async fn find(conn: &mut Conn, id: TicketId) -> Result<Option<Ticket>> {
    let row: Option<Read<Ticket>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select ",
        columns!(20000),
        " from tickets where ticket_id = $1",
    ))
    .bind(id)
    .fetch_optional(c)
    .await)?;
    Ok(row.and_then(|row| row.accept(conn)))
}

/// The same as [`find`], and locks the row until the transaction ends.
pub async fn lock(conn: &mut Conn, id: TicketId) -> Result<Option<Ticket>> {
    if let Conn::Postgres(connection) = conn {
        round_trip!(connection, |c| {
            sqlx::query("select 1 from tickets where ticket_id = $1 for update").bind(id).execute(c).await
        })?;
    }
    find(conn, id).await
}

pub async fn insert(conn: &mut Conn, details: &TicketDetails, now: Timestamp) -> Result<TicketId> {
    let statement = format!(
        "insert into tickets (ticket_id, subject, description, status, priority, assignee, created_at, \
            updated_at)
         values ({}, $1, $2, $3, $4, $5, $6, $6) returning ticket_id",
        free_id(conn, "tickets", "ticket_id"),
    );
    Ok(on!(conn, |c| sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(&details.subject)
        .bind(&details.description)
        .bind(details.status.as_str())
        .bind(details.priority.as_str())
        .bind(&details.assignee)
        .bind(now.to_sqlx())
        .fetch_one(c)
        .await)?)
}

/// Writes the details; records a new status in the history, with its author.
pub async fn update(
    conn: &mut Conn,
    before: &Ticket,
    details: &TicketDetails,
    author: &str,
    now: Timestamp,
) -> Result<()> {
    // Unchanged columns stay as the EMR wrote them, including unreadable ones.
    let stored = &before.details;
    on!(&mut *conn, |c| sqlx::query(
        "update tickets set subject = case when $1 then $2 else subject end,
                description = case when $3 then $4 else description end,
                status = case when $5 then $6 else status end,
                priority = case when $7 then $8 else priority end,
                assignee = case when $9 then $10 else assignee end,
                updated_at = $11
         where ticket_id = $12",
    )
    .bind(details.subject != stored.subject)
    .bind(&details.subject)
    .bind(details.description != stored.description)
    .bind(&details.description)
    .bind(details.status != stored.status)
    .bind(details.status.as_str())
    .bind(details.priority != stored.priority)
    .bind(details.priority.as_str())
    .bind(details.assignee != stored.assignee)
    .bind(&details.assignee)
    .bind(now.to_sqlx())
    .bind(before.id)
    .execute(c)
    .await
    .map(|_| ()))?;
    if details.status == before.details.status {
        return Ok(());
    }
    let statement = format!(
        "insert into ticket_history (history_id, ticket_id, old_status, new_status, author, changed_at)
         values ({}, $1, $2, $3, $4, $5)",
        free_id(conn, "ticket_history", "history_id"),
    );
    on!(conn, |c| sqlx::query(AssertSqlSafe(statement))
        .bind(before.id)
        .bind(before.details.status.as_str())
        .bind(details.status.as_str())
        .bind(author)
        .bind(now.to_sqlx())
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// Adds a comment, which also updates the ticket's `updated_at`.
pub async fn comment(
    conn: &mut Conn,
    id: TicketId,
    text: &str,
    author: &str,
    now: Timestamp,
) -> Result<CommentId> {
    on!(&mut *conn, |c| sqlx::query("update tickets set updated_at = $1 where ticket_id = $2")
        .bind(now.to_sqlx())
        .bind(id)
        .execute(c)
        .await
        .map(|_| ()))?;
    let statement = format!(
        "insert into ticket_comments (comment_id, ticket_id, comment, author, created_at)
         values ({}, $1, $2, $3, $4) returning comment_id",
        free_id(conn, "ticket_comments", "comment_id"),
    );
    Ok(on!(conn, |c| sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(id)
        .bind(text)
        .bind(author)
        .bind(now.to_sqlx())
        .fetch_one(c)
        .await)?)
}

/// Returns up to `limit` of the ticket's comments, newest first.
///
/// With `before`, only those before that comment.
pub async fn newest_comments(
    conn: &mut Conn,
    id: TicketId,
    before: Option<CommentId>,
    limit: i64,
) -> Result<Vec<Comment>> {
    let before = before.map_or(i64::MAX, |it| it.0);
    let rows: Vec<Read<Comment>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select comment_id, ",
        short!("comment", 10000),
        ", ",
        short!("author", 255),
        ", created_at
         from ticket_comments where ticket_id = $1 and comment_id < $2 order by comment_id desc limit $3",
    ))
    .bind(id)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?;
    Ok(accept_all(conn, rows))
}

/// Returns up to `limit` of the ticket's status changes, newest first.
pub async fn newest_changes(conn: &mut Conn, id: TicketId, limit: i64) -> Result<Vec<Change>> {
    let rows: Vec<Read<Change>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select history_id, ",
        short!("old_status", 50),
        ", ",
        short!("new_status", 50),
        ", ",
        short!("author", 255),
        ", changed_at
         from ticket_history where ticket_id = $1 order by history_id desc limit $2",
    ))
    .bind(id)
    .bind(limit)
    .fetch_all(c)
    .await)?;
    Ok(accept_all(conn, rows))
}

/// Counts the tickets that match the filter, up to one more than [`MOST_COUNTED`].
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let (clause, values) = filtered(filter);
    let statement =
        format!("select count(*) from (select 1 from tickets {clause} limit {}) counted", MOST_COUNTED + 1);
    Ok(on!(conn, |c| {
        let query = sqlx::query_scalar(AssertSqlSafe(statement));
        values.iter().fold(query, sqlx::query::QueryScalar::bind).fetch_one(c).await
    })?)
}

/// Returns up to `limit` tickets after the first `offset`, newest first.
pub async fn page(conn: &mut Conn, filter: &Filter, limit: i64, offset: i64) -> Result<PageRows<Ticket>> {
    let (clause, values) = filtered(filter);
    let statement = format!(
        "select {} from tickets {clause} order by {} desc, ticket_id desc limit ${} offset ${}",
        columns!(10000),
        instant_order(conn, "tickets.created_at"),
        values.len() + 1,
        values.len() + 2,
    );
    let rows: Vec<Read<Ticket>> = on!(&mut *conn, |c| {
        let query = sqlx::query_as(AssertSqlSafe(statement));
        let query = values.iter().fold(query, sqlx::query::QueryAs::bind);
        query.bind(limit + 1).bind(offset).fetch_all(c).await
    })?;
    Ok(PageRows::accept(conn, rows, (limit, offset)))
}

/// Returns the filter's condition, of constants and placeholders only, and its values.
fn filtered(filter: &Filter) -> (String, Vec<String>) {
    let mut values: Vec<String> = filter.status.iter().map(ToString::to_string).collect();
    let mut conditions: Vec<String> = values.iter().map(|_| "status = $1".to_owned()).collect();
    for word in &filter.words {
        values.push(pattern(word));
        let number = values.len();
        conditions.push(format!(
            "(tickets.search_text like ${number} escape '!' or exists (
                select 1 from ticket_comments where ticket_comments.ticket_id = tickets.ticket_id
                and ticket_comments.search_text like ${number} escape '!'))"
        ));
    }
    let clause =
        if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
    (clause, values)
}
