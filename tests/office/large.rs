//! Many rows in every table that grows with a practice, so that an engine's plans are those of a
//! real one. Their ids are all above those of the fixture.

use shared::sql::Database;

use super::database::{Engine, execute};

/// Rows of each table; two tables have several a patient.
pub(crate) const ROWS: i64 = 10_000;

/// An integer expression from 1 to [`ROWS`] in each of the statements.
const NUMBERS: &str = "with recursive n (n) as (select 1 union all select n + 1 from n where n < 10000)";

/// Expressions that the engines write differently.
struct Dialect(Engine);

impl Dialect {
    /// The date that is `days` after 2024-06-01.
    fn day(&self, days: &str) -> String {
        match self.0 {
            Engine::Sqlite => format!("date('2024-06-01', ({days}) || ' days')"),
            Engine::Postgres => format!("date '2024-06-01' + ({days})"),
        }
    }

    /// The instant that is `minutes` after the begin of 2024-06-01.
    fn instant(&self, minutes: &str) -> String {
        match self.0 {
            Engine::Sqlite => {
                format!("strftime('%Y-%m-%dT%H:%M:%SZ', '2024-06-01', ({minutes}) || ' minutes')")
            }
            Engine::Postgres => {
                format!("timestamptz '2024-06-01 00:00:00Z' + ({minutes}) * interval '1 minute'")
            }
        }
    }

    fn time(&self, text: &str) -> String {
        match self.0 {
            Engine::Sqlite => text.to_owned(),
            Engine::Postgres => format!("({text})::time"),
        }
    }
}

/// Makes `PostgreSQL` report the plan of every statement on a database, as it was executed.
///
/// It reads a whole table only if no index answers: at this size, its choice would depend on
/// samples.
pub(super) fn reporting_plans(database: &str) -> String {
    [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
        ("auto_explain.log_nested_statements", "on"),
        ("auto_explain.log_format", "json"),
        ("auto_explain.log_level", "notice"),
        ("enable_seqscan", "off"),
    ]
    .map(|(name, value)| format!("alter database {database} set {name} = '{value}';"))
    .concat()
}

pub(super) async fn fill(db: &Database, engine: Engine) {
    let it = Dialect(engine);
    // The last of them are younger than the log's and the audit log's retention times.
    let written = it.instant("n * 90");
    let (night, noon) = (it.time("'22:00:00'"), it.time("'23:00:00'"));
    // Two providers, each with five visits a night, from 2024 to 2027.
    let visit_time = it.time(
        "case n / 2 % 5 when 0 then '00:00:00' when 1 then '00:30:00' when 2 then '04:00:00'
         when 3 then '04:30:00' else '05:00:00' end",
    );
    let rows = [
        format!(
            "patients (patient_id, first_name, last_name, full_name, phone, email, dob, prospect, notes, \
                created_at, updated_at)
             {NUMBERS} select 100000 + n, 'First' || n, 'Last' || (n % 500), 'First' || n || ' Last' || (n % \
             500), '(212) 556-' || (1000 + n % 9000), 'patient' || n || '@example.com', {}, {}, 'A note.',
             {written}, {written} from n",
            it.day("n % 900"),
            if engine == Engine::Sqlite { "n % 2" } else { "n % 2 = 1" },
        ),
        format!(
            "patient_words (patient_id, word) {NUMBERS}
             select 100000 + n, 'first' || n from n union all select 100000 + n, 'last' || (n % 500) from n
             union all select 100000 + n, '212556' || (1000 + n % 9000) from n"
        ),
        format!("patient_tags (patient_id, tag_id) {NUMBERS} select 100000 + n, 1 + n % 2 from n"),
        format!(
            "visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
                visit_duration, provider_time, provider_duration, created_at, updated_at)
             {NUMBERS} select 100000 + n, 100001 + n % 2500, 1 + n % 2, 101 + n % 2, 'Consult', {}, \
             {visit_time}, 30, {visit_time}, 30, {written}, {written} from n where n < 10000",
            it.day("n / 10"),
        ),
        format!(
            "schedule_exceptions (exception_id, provider_id, exception_date, kind, start_time, end_time)
             {NUMBERS} select 100000 + n, 1 + n % 3, {}, 'off', {night}, {noon} from n",
            it.day("n / 10"),
        ),
        format!(
            "tickets (ticket_id, subject, status, search_text, created_at, updated_at) {NUMBERS}
             select 100000 + n, 'Printer ' || n, case n % 3 when 0 then 'Open' when 1 then 'Closed' else \
             'Waiting' end, 'printer ' || n, {written}, {written} from n"
        ),
        format!(
            "ticket_comments (comment_id, ticket_id, comment, author, search_text, created_at) {NUMBERS}
             select 100000 + n, 100000 + n, 'Toner', 'Kim', 'toner', {written} from n"
        ),
        format!(
            "ticket_history (history_id, ticket_id, old_status, new_status, author, changed_at) {NUMBERS}
             select 100000 + n, 100000 + n, 'Open', 'Waiting', 'Kim', {written} from n"
        ),
        format!(
            "log (log_id, table_name, action, record_id, logged_at) {NUMBERS}
             select 100000 + n, 'patients', 'update', 100000 + n, {written} from n"
        ),
        audit_and_answers(&it)[0].clone(),
        audit_and_answers(&it)[1].clone(),
    ];
    execute(db, &inserts(&rows)).await;
    execute(db, "delete from unindexed_patients where patient_id >= 100000").await;
    let sequences = [
        ("patients", "patient_id"),
        ("visits", "visit_id"),
        ("schedule_exceptions", "exception_id"),
        ("tickets", "ticket_id"),
        ("ticket_comments", "comment_id"),
        ("ticket_history", "history_id"),
        ("log", "log_id"),
        ("audit_log", "audit_id"),
    ];
    finish(db, engine, &sequences).await;
}

pub(super) async fn fill_catalog(db: &Database, engine: Engine) {
    let it = Dialect(engine);
    let written = it.instant("n * 90");
    let [audit, answers] = audit_and_answers(&it);
    let rows = [
        format!(
            "products (product_id, vendor_code, product_code, product, search_text, created_at, updated_at)
             {NUMBERS} select 100000 + n, 'W' || (n % 50), 'Q' || n, 'Gel ' || n, 'w' || (n % 50) || ' q' || \
             n || ' gel ' || n, {written}, {written} from n"
        ),
        format!(
            "kb_articles (kb_id, title, article, category, type, search_text, created_at, updated_at)
             {NUMBERS} select 100000 + n, 'Article ' || n, 'Text', 'Category ' || (n % 20), 'HowTo', \
             'article ' || n || '  text', {written}, {written} from n"
        ),
        audit,
        answers,
    ];
    execute(db, &inserts(&rows)).await;
    let sequences = [("products", "product_id"), ("kb_articles", "kb_id"), ("audit_log", "audit_id")];
    finish(db, engine, &sequences).await;
}

fn audit_and_answers(it: &Dialect) -> [String; 2] {
    let written = it.instant("n * 90");
    // The answers expire in 2033.
    [
        format!(
            "audit_log (audit_id, at, request_id, key_id, partner_id, action, entity, entity_ids) {NUMBERS}
             select 100000 + n, {written}, 'request' || n, 'key', 'partner', 'prospects.list', 'patient', '' \
             from n"
        ),
        format!(
            "idempotency_keys (key_id, method, path, idempotency_key, body_hash, status, response, \
                expires_at) {NUMBERS}
             select 'key', 'POST', '/v1', 'k' || n, 'hash', 201, '', 2000000000 + n from n"
        ),
    ]
}

fn inserts(rows: &[String]) -> String {
    rows.iter().fold(String::new(), |all, rows| all + "insert into " + rows + ";")
}

/// Lets sequences continue after the rows, and gathers the statistics that plans depend on.
async fn finish(db: &Database, engine: Engine, sequences: &[(&str, &str)]) {
    if engine == Engine::Postgres {
        let set = |(table, id): &(&str, &str)| {
            format!("select setval(pg_get_serial_sequence('{table}', '{id}'), 200000);")
        };
        execute(db, &sequences.iter().map(set).collect::<String>()).await;
    }
    execute(db, "analyze").await;
}
