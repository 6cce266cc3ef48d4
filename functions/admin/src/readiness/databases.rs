//! Checks whether all practices' databases are migrated, according to the registry.

use shared::{
    app::App,
    control::{self, pollers::MOST_NAMED, practices::Practice},
    domain::{PracticeFault, zones},
    tenant::migrate,
};

use super::check::{Check, CheckName, CheckStatus, ConcernedPractice, ConcernedPractices, ReasonCount};

pub(super) async fn migrations(app: &App) -> control::Result<Vec<Check>> {
    let (schema, tzdata) = (migrate::newest(), zones::version());
    let outdated = app.control.outdated_practices(schema, tzdata).await?;
    let reason = |it: &Practice| {
        if it.schema_version < Some(schema) {
            PracticeFault::OldSchema
        } else {
            PracticeFault::OldTimeZoneRules
        }
    };
    let of = |wanted| i64::try_from(outdated.iter().filter(|it| reason(it) == wanted).count());
    let reasons = [PracticeFault::OldSchema, PracticeFault::OldTimeZoneRules].map(|reason| {
        let count = of(reason).unwrap_or(i64::MAX);
        ReasonCount { reason, count }
    });
    let count = i64::try_from(outdated.len()).unwrap_or(i64::MAX);
    let (status, detail) = if count > 0 {
        (CheckStatus::Degraded, "Some practices' databases are not known to be migrated. Run `migrate`.")
    } else {
        (CheckStatus::Ok, "All practices' databases are migrated.")
    };
    let listed = outdated.iter().take(MOST_NAMED).map(|it| ConcernedPractice {
        practicepass: it.practicepass.clone(),
        reason: reason(it),
        since: None,
    });
    let practices = ConcernedPractices {
        count,
        listed: listed.collect(),
        reasons: reasons.into_iter().filter(|it| it.count > 0).collect(),
    };
    let check = Check::new(CheckName::Migrations, status, detail).at_most("outdated", count, 0);
    Ok(vec![check.figure("schemaVersion", schema).concerning(practices)])
}
