//! The database of the one practice that a caller may enter.

use std::{ops::Deref, sync::Arc};

use jiff::tz::TimeZone;
use tokio::sync::OnceCell;

use crate::{
    domain::PracticePass,
    sql::{Database, Result},
};

/// The database of the one practice that the caller has access to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantDb {
    database: Database,
    practicepass: PracticePass,
    time_zone: TimeZone,
    /// Whether the practice's EMR has an outbox, once that is known.
    has_outbox: Arc<OnceCell<bool>>,
    /// Whether changes of the practice's EMR can wait to be applied, once that is known.
    can_refresh: Arc<OnceCell<bool>>,
}

impl TenantDb {
    pub(super) fn new(database: Database, practicepass: PracticePass, time_zone: TimeZone) -> Self {
        let (has_outbox, can_refresh) = (Arc::default(), Arc::default());
        Self { database, practicepass, time_zone, has_outbox, can_refresh }
    }

    pub(super) fn with_time_zone(self, time_zone: TimeZone) -> Self {
        Self { time_zone, ..self }
    }

    /// Whether the practice's EMR has an outbox, once that is known.
    ///
    /// A practice that is attached afterwards is reopened within minutes.
    pub(super) fn has_outbox(&self) -> &OnceCell<bool> {
        &self.has_outbox
    }

    /// Whether changes of the practice's EMR can wait to be applied, once that is known.
    pub(super) fn can_refresh(&self) -> &OnceCell<bool> {
        &self.can_refresh
    }

    pub fn practicepass(&self) -> &PracticePass {
        &self.practicepass
    }

    /// The practice's IANA time zone. Dates and times of its visits are local to it.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// Whether there are neither patients nor rows in the log.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(!self.connection().await?.has_rows(&["patients", "log"]).await?)
    }
}

impl Deref for TenantDb {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}
