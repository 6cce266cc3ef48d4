//! Examines a practice's database after a restore.

use shared::sql;
use shared::{
    app::App,
    auth::PracticeGrant,
    tenant::{
        Practices,
        practices::Location,
        reconciliation::{ExamineRequest, Facts, examine},
    },
};

use crate::database::{in_words, registered};

/// Returns the facts that the database reports, after the requested repairs.
pub(crate) async fn answer(app: &App, request: &ExamineRequest) -> Result<Facts, String> {
    let entry = registered(app, request.practicepass.as_str()).await?;
    let secret = app.secrets.get(&entry.dsn_secret, app.clock.now()).await;
    let dsn = secret.map_err(|error| error.to_string())?;
    let location = Location { dsn: dsn.to_string(), time_zone: entry.time_zone };
    let grant = PracticeGrant::for_operations(entry.practicepass);
    // The query is rare and larger than a call's, so use the limits of background work.
    let practices = Practices::for_background_work(1);
    let facts = async {
        let db = practices.open(&grant, app.clock.now(), async || Ok::<_, sql::Error>(location)).await?;
        let facts = examine(&db, request).await;
        db.close().await;
        facts
    };
    facts.await.map_err(|error| in_words(&error, &dsn))
}
