//! Tracks the current step of database work, so that a timeout can say where the work hung.

use std::{borrow::Cow, cell::RefCell, time::Duration};

use tokio::time::timeout;

tokio::task_local! {
    static STEP: RefCell<Cow<'static, str>>;
}

/// Runs work that reports its [`step`]s, with a time limit.
///
/// # Errors
/// If the work takes longer than `limit`: the step that it was in.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let watched = async {
        let done = timeout(limit, work).await;
        done.map_err(|_| current().unwrap_or_default())
    };
    STEP.scope(RefCell::new("beginning".into()), watched).await
}

/// Sets the current step, e.g. "connecting to …". Without [`within`] it has no effect.
pub fn step(doing: impl Into<Cow<'static, str>>) {
    // Outside `within` there is nothing to set.
    let _ = STEP.try_with(|step| *step.borrow_mut() = doing.into());
}

/// Returns the current step; `None` outside [`within`].
pub fn current() -> Option<String> {
    STEP.try_with(|step| step.borrow().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hanging_work_is_reported_with_its_own_last_step() {
        let hanging = |name: &'static str| async move {
            step(format!("connecting to {name}"));
            tokio::task::yield_now().await;
            step(format!("asking {name}"));
            std::future::pending::<()>().await;
        };
        let limit = Duration::from_millis(20);
        let (a, b) = tokio::join!(within(limit, hanging("a")), within(limit, hanging("b")));
        assert_eq!((a, b), (Err("asking a".to_owned()), Err("asking b".to_owned())));
        assert_eq!(within(Duration::MAX, async { current() }).await, Ok(Some("beginning".to_owned())));
        step("nobody's");
        assert_eq!(current(), None);
    }
}
