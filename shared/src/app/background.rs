//! Work that goes on after the answer to the invocation that began it.

use std::sync::Arc;

use tokio::sync::watch;

/// The work of this process that nobody waits for with an answer; Lambda is told when it has ended.
#[derive(Clone)]
pub struct Background(Arc<watch::Sender<usize>>);

impl Default for Background {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

/// One piece of work; over when it is dropped, also by a panic.
struct UnderWay(Background);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

impl Background {
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.send_modify(|count| *count += 1);
        let under_way = UnderWay(self.clone());
        tokio::spawn(async move {
            work.await;
            drop(under_way);
        });
    }

    /// How much is under way.
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until nothing is under way.
    pub async fn ended(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}
