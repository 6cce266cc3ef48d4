//! What work at a database is busy with, so that whoever gives it up can say where it hung.

use std::{borrow::Cow, cell::RefCell, time::Duration};

use tokio::time::timeout;

tokio::task_local! {
    static STEP: RefCell<Cow<'static, str>>;
}

/// Does the work, which tells its [`step`]s.
///
/// # Errors
/// When it takes longer than `limit`, with what it was busy with.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let watched = async {
        let done = timeout(limit, work).await;
        done.map_err(|_| current().unwrap_or_default())
    };
    STEP.scope(RefCell::new("beginning".into()), watched).await
}

/// From here on the work is busy with this: "connecting to …". Nobody is told when nobody asked, by [`within`].
pub fn step(doing: impl Into<Cow<'static, str>>) {
    // Outside of `within` there is nothing to be noted.
    let _ = STEP.try_with(|step| *step.borrow_mut() = doing.into());
}

/// What the work is busy with; `None` outside of [`within`].
pub fn current() -> Option<String> {
    STEP.try_with(|step| step.borrow().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_hangs_is_told_with_its_last_step_and_other_work_is_not_mistaken_for_it() {
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
