//! Messages and the statements on their table. Times are epoch milliseconds.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

/// A message to be stored.
#[derive(Debug, Clone)]
pub(super) struct NewMessage {
    pub(super) message_id: String,
    pub(super) body: String,
    pub(super) body_md5: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) attributes_md5: Option<String>,
    pub(super) group_id: Option<String>,
    pub(super) visible_at: i64,
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Message {
    pub message_id: String,
    /// Names this receive; needed to delete the message or to change its visibility.
    pub receipt: String,
    pub body: String,
    pub body_md5: String,
    /// `{"name":{"DataType","StringValue"|"BinaryValue"}}`.
    pub attributes: Map<String, Value>,
    pub attributes_md5: Option<String>,
    pub group_id: Option<String>,
    /// ARN of the queue that moved the message to this dead-letter queue.
    pub dead_letter_source: Option<String>,
    pub sent_at: i64,
    pub first_received_at: i64,
    pub receive_count: u32,
}

/// The number of messages in a queue, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) visible: i64,
    pub(super) in_flight: i64,
    pub(super) delayed: i64,
}

pub(super) fn insert(
    connection: &Connection,
    queue: &str,
    now: i64,
    new: &NewMessage,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "insert into messages
            (queue, message_id, body, body_md5, attributes, attributes_md5, group_id, sent_at, visible_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let attributes = Value::Object(new.attributes.clone()).to_string();
    statement.execute(params![
        queue,
        new.message_id,
        new.body,
        new.body_md5,
        attributes,
        new.attributes_md5,
        new.group_id,
        now,
        new.visible_at,
    ])?;
    Ok(())
}

/// The settings of a queue that a receive uses.
pub(super) struct Take {
    pub(super) queue: String,
    pub(super) now: i64,
    pub(super) visible_again_at: i64,
    /// Older messages have expired.
    pub(super) sent_after: i64,
    pub(super) limit: usize,
    /// Dead-letter queue and the number of receives after which a message goes there.
    pub(super) redrive: Option<(String, u32)>,
    pub(super) source_arn: String,
}

/// The result of a receive.
pub(super) struct Taken {
    pub(super) messages: Vec<Message>,
    pub(super) dead_letters: usize,
    /// When the next hidden message becomes visible.
    pub(super) next_visible_at: Option<i64>,
}

/// A group with its oldest visible message.
struct Group {
    name: String,
    in_flight: i64,
    oldest: (i64, i64),
}

/// Hides up to `limit` visible messages and returns them.
///
/// Messages received too often move to the dead-letter queue. As in a fair queue, the next message
/// is the oldest of the group with the fewest in flight, so a busy group does not delay the others.
pub(super) fn take(connection: &Connection, take: &Take) -> rusqlite::Result<Taken> {
    let mut select = connection.prepare_cached(
        "select id, message_id, body, body_md5, attributes, attributes_md5, group_id, dead_letter_source, \
            sent_at,
                first_received_at, receive_count
         from messages where id = ?1",
    )?;
    let mut hide = connection.prepare_cached(
        "update messages set visible_at = ?2, receive_count = ?3, first_received_at = ?4, receipt = ?5 where \
            id = ?1",
    )?;
    let mut move_on = connection.prepare_cached(
        "update messages set queue = ?2, dead_letter_source = ?3, visible_at = ?4, receipt = null where id = \
            ?1",
    )?;
    let mut taken = Taken { messages: vec![], dead_letters: 0, next_visible_at: None };
    let mut groups = groups(connection, take)?;
    while taken.messages.len() < take.limit {
        let next = groups.iter().enumerate().min_by_key(|(_, group)| (group.in_flight, group.oldest));
        let Some(at) = next.map(|(at, _)| at) else { break };
        let (id, mut message) = select.query_row([groups[at].oldest.1], |row| message(row, take.now))?;
        if let Some((dead_letters, maximum)) = &take.redrive
            && message.receive_count >= *maximum
        {
            move_on.execute(params![id, dead_letters, take.source_arn, take.now])?;
            taken.dead_letters += 1;
        } else {
            message.receive_count += 1;
            message.receipt = format!("{id}.{}.{}", message.receive_count, message.message_id);
            // A timeout of zero leaves the message visible: this receive must not find it again.
            let visible_at = take.visible_again_at.max(take.now + 1);
            hide.execute(params![
                id,
                visible_at,
                message.receive_count,
                message.first_received_at,
                message.receipt
            ])?;
            taken.messages.push(message);
            groups[at].in_flight += 1;
        }
        match oldest(connection, take, &groups[at].name)? {
            Some(oldest) => groups[at].oldest = oldest,
            None => drop(groups.swap_remove(at)),
        }
    }
    if taken.messages.is_empty() {
        let mut next = connection
            .prepare_cached("select min(visible_at) from messages where queue = ?1 and visible_at > ?2")?;
        taken.next_visible_at = next.query_row(params![take.queue, take.now], |row| row.get(0))?;
    }
    Ok(taken)
}

/// The groups that have visible messages.
fn groups(connection: &Connection, take: &Take) -> rusqlite::Result<Vec<Group>> {
    // One step through the index for each group, for any number of messages.
    let mut names = connection.prepare_cached(
        "with recursive names (name) as (
             select min(coalesce(group_id, '')) from messages where queue = ?1
             union all
             select (select min(coalesce(group_id, '')) from messages
                     where queue = ?1 and coalesce(group_id, '') > names.name)
             from names where names.name is not null)
         select name from names where name is not null",
    )?;
    let mut in_flight = connection.prepare_cached(
        "select count(*) from messages
         where queue = ?1 and coalesce(group_id, '') = ?2 and visible_at > ?3 and receipt is not null",
    )?;
    let mut groups = vec![];
    for name in names.query_map([&take.queue], |row| row.get::<_, String>(0))? {
        let name = name?;
        if let Some(oldest) = oldest(connection, take, &name)? {
            let in_flight = in_flight.query_row(params![take.queue, name, take.now], |row| row.get(0))?;
            groups.push(Group { name, in_flight, oldest });
        }
    }
    Ok(groups)
}

/// Time and id of a group's oldest visible message.
fn oldest(connection: &Connection, take: &Take, group: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut oldest = connection.prepare_cached(
        "select visible_at, id from messages
         where queue = ?1 and coalesce(group_id, '') = ?2 and visible_at <= ?3 and sent_at > ?4
         order by visible_at, id limit 1",
    )?;
    let values = params![take.queue, group, take.now, take.sent_after];
    oldest.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

fn message(row: &Row<'_>, now: i64) -> rusqlite::Result<(i64, Message)> {
    let attributes: String = row.get(4)?;
    let message = Message {
        message_id: row.get(1)?,
        receipt: String::new(),
        body: row.get(2)?,
        body_md5: row.get(3)?,
        attributes: serde_json::from_str(&attributes).unwrap_or_default(),
        attributes_md5: row.get(5)?,
        group_id: row.get(6)?,
        dead_letter_source: row.get(7)?,
        sent_at: row.get(8)?,
        first_received_at: row.get::<_, Option<i64>>(9)?.unwrap_or(now),
        receive_count: row.get(10)?,
    };
    Ok((row.get(0)?, message))
}

/// Whether a receipt has the form of those that [`take`] creates.
pub(super) fn row_of(receipt: &str) -> Option<i64> {
    let mut parts = receipt.splitn(3, '.');
    let id = parts.next()?.parse().ok()?;
    let _count: u32 = parts.next()?.parse().ok()?;
    parts.next().filter(|message_id| message_id.len() == 36).map(|_| id)
}

/// Deletes the message of this receive. Does nothing if a later receive made the receipt stale.
pub(super) fn delete(connection: &Connection, queue: &str, row: i64, receipt: &str) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("delete from messages where id = ?1 and queue = ?2 and receipt = ?3")?;
    statement.execute(params![row, queue, receipt])?;
    Ok(())
}

/// Hides the message of this receive until `visible_at`; false if it is no longer in flight.
pub(super) fn change_visibility(
    connection: &Connection,
    queue: &str,
    row: i64,
    receipt: &str,
    now: i64,
    visible_at: i64,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "update messages set visible_at = ?5 where id = ?1 and queue = ?2 and receipt = ?3 and visible_at > \
            ?4",
    )?;
    Ok(statement.execute(params![row, queue, receipt, now, visible_at])? == 1)
}

pub(super) fn counts(connection: &Connection, queue: &str, now: i64) -> rusqlite::Result<Counts> {
    let mut statement = connection.prepare_cached(
        "select coalesce(sum(visible_at <= ?2), 0),
                coalesce(sum(visible_at > ?2 and receipt is not null), 0),
                coalesce(sum(visible_at > ?2 and receipt is null), 0)
         from messages where queue = ?1",
    )?;
    statement.query_row(params![queue, now], |row| {
        Ok(Counts { visible: row.get(0)?, in_flight: row.get(1)?, delayed: row.get(2)? })
    })
}

pub(super) fn purge(connection: &Connection, queue: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("delete from messages where queue = ?1")?.execute(params![queue]).map(drop)
}

/// Deletes a queue's messages that are older than its retention.
pub(super) fn expire(connection: &Connection, queue: &str, sent_until: i64) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("delete from messages where queue = ?1 and sent_at <= ?2")?;
    statement.execute(params![queue, sent_until]).map(drop)
}

/// Makes messages visible that were in flight when the last stack ended, with their consumers.
pub(super) fn release_in_flight(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "update messages set visible_at = ?1 where receipt is not null and visible_at > ?1",
    )?;
    statement.execute(params![now]).map(drop)
}

impl Message {
    /// SQS's own attributes of a message, by their names.
    pub(crate) fn system_attributes(&self) -> Map<String, Value> {
        let mut attributes = Map::new();
        let mut put = |name: &str, value: String| attributes.insert(name.to_owned(), Value::String(value));
        put("SenderId", "AIDALOCALSTACKLOCALID".to_owned());
        put("SentTimestamp", self.sent_at.to_string());
        put("ApproximateReceiveCount", self.receive_count.to_string());
        put("ApproximateFirstReceiveTimestamp", self.first_received_at.to_string());
        if let Some(group) = &self.group_id {
            put("MessageGroupId", group.clone());
        }
        if let Some(source) = &self.dead_letter_source {
            put("DeadLetterQueueSourceArn", source.clone());
        }
        attributes
    }
}
