//! Whether the tables respond.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::{
    ListPage, Result, Store, Table,
    listing::Listing,
    store::{key, pk},
};

/// How long a cold start waits for a store that does not respond.
const WARM_UP_LIMIT: Duration = Duration::from_secs(1);

/// No item has this key.
const PROBE: &str = "PROBE";

impl Store {
    /// Opens the first call's connection during the cold start, when Lambda provides more CPU.
    ///
    /// Errors are ignored; the first call will report them.
    pub async fn warm_up(&self) {
        if self.table_names().control.is_some() {
            // Every role with access to the table may read keys that start like a practice's.
            let read = self.get::<IgnoredAny>(Table::Control, key("PRACTICE#", "WARM_UP"), false);
            let _ = tokio::time::timeout(WARM_UP_LIMIT, read).await;
        }
    }

    /// Reads an item that does not exist, to check that the table responds.
    ///
    /// # Errors
    /// Errors of the read.
    pub async fn probe(&self, table: Table) -> Result<()> {
        match table {
            Table::Control => {
                let _: Option<IgnoredAny> = self.get(table, key(PROBE, PROBE), true).await?;
            }
            Table::Deliveries | Table::Ephemeral => {
                let _: Option<IgnoredAny> = self.get(table, pk(PROBE), true).await?;
            }
            // The administrators' role may only query calls and usage by day.
            Table::Activity => {
                let _: ListPage<IgnoredAny> =
                    self.list(Listing::of_partition(table, PROBE), 1, None, |_| true).await?;
            }
        }
        Ok(())
    }
}
