//! Work that continues after the response of the invocation that started it.

use std::sync::Arc;

use tokio::sync::watch;

/// The background work of this process. Lambda is notified when it has ended.
#[derive(Clone)]
pub struct Background(Arc<watch::Sender<usize>>);

impl Default for Background {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

/// One piece of work, which ends when this is dropped, even by a panic.
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

    /// Returns the number of pieces in progress.
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until all work has ended.
    pub async fn ended(&self) {
        // This cannot fail: the sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}
