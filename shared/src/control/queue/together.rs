//! Single messages of concurrent callers, sent together: SQS accepts and bills ten as one call.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::Client;
use tokio::sync::oneshot;

use super::{Message, send_to};

/// How long a message waits for others.
const GATHER: Duration = Duration::from_millis(2);

/// A message, and the caller that waits to hear whether it was accepted.
type Waiting = (Message, oneshot::Sender<bool>);

/// The messages to one queue that are not yet sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Together(Arc<Mutex<Vec<Waiting>>>);

impl Together {
    /// Returns whether the queue accepted the message.
    ///
    /// The message is sent even if the caller stops waiting.
    pub(super) async fn send(&self, client: &Client, url: &str, message: Message) -> bool {
        let (done, accepted) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting();
            waiting.push((message, done));
            waiting.len() == 1
        };
        if is_first {
            tokio::spawn(self.clone().send_all(client.clone(), url.to_owned()));
        }
        accepted.await.unwrap_or(false)
    }

    async fn send_all(self, client: Client, url: String) {
        tokio::time::sleep(GATHER).await;
        let (messages, callers): (Vec<_>, Vec<_>) = std::mem::take(&mut *self.waiting()).into_iter().unzip();
        for (caller, accepted) in callers.into_iter().zip(send_to(&client, &url, &messages).await) {
            // The caller may have stopped waiting.
            let _ = caller.send(accepted);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
