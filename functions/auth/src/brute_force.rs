//! Limits on guessing: strict and counted before the answer, for each address and each key.

use std::net::IpAddr;

use jiff::Timestamp;
use shared::{
    api::{ApiError, ApiResult},
    app::App,
    auth::api_key::ApiKey,
    control::ledger::window_start,
};

const WINDOW_SECONDS: i64 = 60;
/// Failed attempts a minute from one address.
const PER_ADDRESS: u64 = 30;
/// Failed attempts a minute for one key.
const PER_KEY: u64 = 10;

pub(crate) struct Attempt<'a> {
    app: &'a App,
    now: Timestamp,
    /// The names of the counts with their limits.
    counts: Vec<(String, u64)>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(app: &'a App, address: Option<IpAddr>, key: Option<&ApiKey>, now: Timestamp) -> Self {
        let address = address.map(|it| (format!("failed-tokens#ip#{}", it.to_canonical()), PER_ADDRESS));
        let key = key.map(|it| (format!("failed-tokens#key#{}", it.id), PER_KEY));
        Self { app, now, counts: address.into_iter().chain(key).collect() }
    }

    /// # Errors
    /// 429 when there were too many failures in this minute.
    pub(crate) async fn check(&self) -> ApiResult<()> {
        let start = window_start(self.now, WINDOW_SECONDS);
        for (name, limit) in &self.counts {
            if self.app.control.window(name, start).await? >= *limit {
                return Err(ApiError::rate_limited(start + WINDOW_SECONDS - self.now.as_second()));
            }
        }
        Ok(())
    }

    /// Counts a failure.
    pub(crate) async fn failed(&self) -> ApiResult<()> {
        let start = window_start(self.now, WINDOW_SECONDS);
        for (name, _) in &self.counts {
            self.app.control.add_to_window(name, start, 1).await?;
        }
        Ok(())
    }
}
