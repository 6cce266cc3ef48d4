//! SQS's rules for standard queues, over the store.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Fault;
use super::attributes::{checksum, measure};
use super::database::Database;
use super::messages::{self, Counts, Message, NewMessage, Take};
use crate::clock::now_millis;
use crate::error::{Result, TemplateError};
use crate::random;
use crate::template::{ACCOUNT, Queue, REGION};

/// Maximum size of a message and of a batch, in bytes of bodies and attributes.
pub(super) const SIZE_LIMIT: usize = 1_048_576;

/// All queues.
pub struct Service {
    database: Database,
    queues: HashMap<String, State>,
}

struct State {
    queue: Queue,
    /// Signals a visible message: a new one, or one that was returned.
    arrived: Notify,
}

/// A message to send.
#[derive(Debug, Clone, Default)]
pub struct Send {
    pub body: String,
    /// `None` for the queue's own delay; an explicit zero applies.
    pub delay: Option<Duration>,
    pub attributes: Map<String, Value>,
    pub group_id: Option<String>,
}

/// SQS's receipt for an accepted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub message_id: String,
    pub body_md5: String,
    pub attributes_md5: Option<String>,
}

/// The parameters of a receive.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    pub maximum: usize,
    /// `None` for the queue's own; an explicit zero leaves messages visible.
    pub visibility_timeout: Option<Duration>,
    /// How long to wait for a first message.
    pub wait: Duration,
}

impl Service {
    pub(super) fn open(file: &Path, queues: &[Queue]) -> Result<Self> {
        for queue in queues {
            if let Some(redrive) = &queue.redrive
                && !queues.iter().any(|other| other.id == redrive.queue)
            {
                let message = format!("{}: dead-letter queue {} does not exist", queue.id, redrive.queue);
                return Err(TemplateError(message).into());
            }
        }
        let states = queues
            .iter()
            .map(|queue| (queue.id.clone(), State { queue: queue.clone(), arrived: Notify::new() }))
            .collect();
        Ok(Self { database: Database::open(file)?, queues: states })
    }

    fn state(&self, queue: &str) -> std::result::Result<&State, Fault> {
        self.queues.get(queue).ok_or(Fault::NoSuchQueue)
    }

    /// The queue's settings.
    pub fn queue(&self, queue: &str) -> std::result::Result<&Queue, Fault> {
        self.state(queue).map(|state| &state.queue)
    }

    /// Names of all queues, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.queues.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Validates a message by SQS's rules for its content and prepares it for storage.
    fn prepare(state: &State, send: Send, now: i64) -> std::result::Result<(NewMessage, usize), Fault> {
        if send.body.is_empty() {
            return Err(Fault::MissingParameter("MessageBody".to_owned()));
        }
        if let Some(character) = send.body.chars().find(|character| !is_allowed(*character)) {
            let code = u32::from(character);
            return Err(Fault::InvalidContents(format!(
                "The message contains the invalid character #x{code:X}."
            )));
        }
        let (attributes_size, attributes_md5) = measure(&send.attributes)?;
        let size = send.body.len() + attributes_size;
        if size > SIZE_LIMIT {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {SIZE_LIMIT} bytes."
            );
            return Err(Fault::InvalidParameter(message));
        }
        let delay = send.delay.unwrap_or(state.queue.delay);
        if delay > Duration::from_mins(15) {
            return Err(Fault::InvalidParameter("DelaySeconds must be between 0 and 900.".to_owned()));
        }
        if send.group_id.as_ref().is_some_and(|group| group.is_empty() || group.len() > 128) {
            return Err(Fault::InvalidParameter("MessageGroupId must have 1 to 128 characters.".to_owned()));
        }
        let message = NewMessage {
            message_id: random::uuid().map_err(|error| Fault::Internal(error.to_string()))?,
            body_md5: checksum(&send.body),
            body: send.body,
            attributes: send.attributes,
            attributes_md5,
            group_id: send.group_id,
            visible_at: now + millis(delay),
        };
        Ok((message, size))
    }

    /// Stores messages in one transaction; each one's content is validated by itself.
    pub async fn send(
        &self,
        queue: &str,
        sends: Vec<Send>,
    ) -> std::result::Result<Vec<std::result::Result<Sent, Fault>>, Fault> {
        let state = self.state(queue)?;
        let now = now_millis();
        let prepared: Vec<_> = sends.into_iter().map(|send| Self::prepare(state, send, now)).collect();
        if prepared.iter().flatten().map(|(_, size)| size).sum::<usize>() > SIZE_LIMIT {
            return Err(Fault::BatchTooLong);
        }
        let stored: Vec<NewMessage> = prepared.iter().flatten().map(|(message, _)| message.clone()).collect();
        let name = queue.to_owned();
        if !stored.is_empty() {
            let insert = move |connection: &rusqlite::Connection| {
                stored.iter().try_for_each(|message| messages::insert(connection, &name, now, message))
            };
            self.database.run(insert).await?;
        }
        // For delayed messages, too: a waiting receive must wake up earlier than planned.
        state.arrived.notify_waiters();
        let sent = |(message, _): (NewMessage, usize)| Sent {
            message_id: message.message_id,
            body_md5: message.body_md5,
            attributes_md5: message.attributes_md5,
        };
        Ok(prepared.into_iter().map(|prepared| prepared.map(sent)).collect())
    }

    /// Receives up to `maximum` messages; waits for the first one, not for more.
    pub async fn receive(&self, queue: &str, receive: Receive) -> std::result::Result<Vec<Message>, Fault> {
        let state = self.state(queue)?;
        let end = Instant::now() + receive.wait;
        loop {
            let arrived = state.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let now = now_millis();
            let visibility = receive.visibility_timeout.unwrap_or(state.queue.visibility_timeout);
            let take = Take {
                queue: queue.to_owned(),
                now,
                visible_again_at: now + millis(visibility),
                sent_after: now - millis(state.queue.retention),
                limit: receive.maximum,
                redrive: state.queue.redrive.as_ref().map(|it| (it.queue.clone(), it.maximum_receives)),
                source_arn: format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
            };
            let taken = self.database.run(move |connection| messages::take(connection, &take)).await?;
            if taken.dead_letters > 0
                && let Some(redrive) = &state.queue.redrive
                && let Some(dead_letters) = self.queues.get(&redrive.queue)
            {
                dead_letters.arrived.notify_waiters();
            }
            if !taken.messages.is_empty() || Instant::now() >= end {
                return Ok(taken.messages);
            }
            let wake_at = taken.next_visible_at.map_or(end, |at| {
                let wait = u64::try_from(at - now_millis()).unwrap_or(0);
                end.min(Instant::now() + Duration::from_millis(wait))
            });
            if timeout_at(wake_at, arrived).await.is_err() && wake_at < end {
                // The wall clock and the timer may differ by a millisecond: do not busy-wait.
                sleep_until(wake_at + Duration::from_millis(1)).await;
            }
        }
    }

    /// Deletes a received message; a stale receipt deletes nothing and is not an error.
    pub async fn delete(&self, queue: &str, receipt: &str) -> std::result::Result<(), Fault> {
        self.state(queue)?;
        let row = messages::row_of(receipt).ok_or(Fault::InvalidReceiptHandle)?;
        let (queue, receipt) = (queue.to_owned(), receipt.to_owned());
        self.database.run(move |connection| messages::delete(connection, &queue, row, &receipt)).await
    }

    /// Hides a message in flight for `visibility` from now; zero makes it visible at once.
    pub async fn change_visibility(
        &self,
        queue: &str,
        receipt: &str,
        visibility: Duration,
    ) -> std::result::Result<(), Fault> {
        let state = self.state(queue)?;
        if visibility > Duration::from_hours(12) {
            return Err(Fault::InvalidParameter("VisibilityTimeout must be between 0 and 43200.".to_owned()));
        }
        let row = messages::row_of(receipt).ok_or(Fault::InvalidReceiptHandle)?;
        let (queue, receipt) = (queue.to_owned(), receipt.to_owned());
        let now = now_millis();
        let visible_at = now + millis(visibility);
        let change = move |connection: &rusqlite::Connection| {
            messages::change_visibility(connection, &queue, row, &receipt, now, visible_at)
        };
        let changed = self.database.run(change).await?;
        state.arrived.notify_waiters();
        if changed { Ok(()) } else { Err(Fault::NotInFlight) }
    }

    pub(super) async fn counts(&self, queue: &str) -> std::result::Result<Counts, Fault> {
        self.state(queue)?;
        let (queue, now) = (queue.to_owned(), now_millis());
        self.database.run(move |connection| messages::counts(connection, &queue, now)).await
    }

    pub(super) async fn purge(&self, queue: &str) -> std::result::Result<(), Fault> {
        self.state(queue)?;
        let queue = queue.to_owned();
        self.database.run(move |connection| messages::purge(connection, &queue)).await
    }

    /// Makes messages visible that were in flight when the last stack ended, with their consumers.
    pub async fn release_in_flight(&self) -> std::result::Result<(), Fault> {
        let now = now_millis();
        self.database.run(move |connection| messages::release_in_flight(connection, now)).await
    }

    /// Deletes messages that are older than their queue's retention.
    pub async fn expire(&self) -> std::result::Result<(), Fault> {
        for (name, state) in &self.queues {
            let (queue, until) = (name.clone(), now_millis() - millis(state.queue.retention));
            self.database.run(move |connection| messages::expire(connection, &queue, until)).await?;
        }
        Ok(())
    }
}

/// Whether SQS accepts the character in a body: those of XML 1.0.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
