//! EMRs on `MariaDB`, whose server `tests/mariadb` starts.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use shared::{
    sql::{Conn, Database},
    tenant::TenantDb,
};
use sqlx::AssertSqlSafe;

const ACCOUNT: &str = include_str!("../../infra/bridges/openemr-mariadb/account.sql");
const OURS: &str = include_str!("../../infra/bridges/openemr-mariadb/mariadb.sql");
const SAMPLE: &str = include_str!("../bridges/openemr-mariadb.sql");
/// Contains the characters that an address must encode.
const PASSWORD: &str = "p@ss/w:rd?";

/// Whether practices are attached to an EMR on `MariaDB`.
pub(crate) fn is_attached() -> bool {
    std::env::var("TEST_ATTACHED").is_ok_and(|it| it == "mariadb")
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is missing; run this inside tests/mariadb"))
}

/// The command line of a client that connects as the administrator, to a database.
pub(crate) fn client(database: &str) -> Command {
    let mut client = Command::new("mariadb");
    client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=admin", "--password=admin"]);
    client.args([
        "--default-character-set=utf8mb4",
        "--skip-column-names",
        "--batch",
        "--port",
        &setting("TEST_MARIADB_PORT"),
    ]);
    if !database.is_empty() {
        client.arg(database);
    }
    client
}

/// Runs statements and returns what they print, or what is wrong.
pub(crate) fn try_run(database: &str, statements: &str) -> Result<String, String> {
    let mut client = client(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the mariadb client");
    let mut input = client.stdin.take().unwrap();
    let statements = statements.to_owned();
    let writer = std::thread::spawn(move || {
        // A client that fails closes its input.
        let _ = input.write_all(statements.as_bytes());
    });
    let done = client.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if done.status.success() { Ok(text(done.stdout)) } else { Err(text(done.stderr)) }
}

pub(crate) fn run(database: &str, statements: &str) -> String {
    try_run(database, statements).unwrap_or_else(|error| panic!("{error}\n{statements}"))
}

/// Creates an EMR with the sample's rows, the bridge's `MariaDB` side and its account; returns the
/// line of the secret.
#[allow(dead_code, reason = "only some use it")]
pub(crate) fn create(database: &str) -> String {
    create_bare(database);
    add_ours(database);
    address(database)
}

pub(crate) fn create_bare(database: &str) {
    run("", &format!("create database {database} character set utf8mb4; use {database}; {SAMPLE}"));
}

/// Runs the administrator's scripts. The account has the database's name.
pub(crate) fn add_ours(database: &str) {
    let account = ACCOUNT
        .replace("'partner_api'", &format!("'{database}'"))
        .replace("a long random password", PASSWORD);
    run(database, &format!("{OURS}\n{account}"));
}

pub(crate) fn address(database: &str) -> String {
    let authority = setting("TEST_POSTGRES_CA");
    format!(
        "mariadb://{database}:p%40ss%2Fw%3Ard%3F@localhost:{}/{database}?ssl-ca={authority}",
        setting("TEST_MARIADB_PORT")
    )
}

/// Connects a copy of an attached practice to an EMR of its own.
pub(crate) async fn copy(db: &TenantDb, database: &str) {
    create(database);
    let statement = format!(
        "do $$ declare it text; begin
            for it in select ftrelid::regclass from pg_foreign_table where ftrelid <> \
            'emr_session'::regclass loop
                execute format('alter foreign table %s options (set dbname ''{database}'')', it);
            end loop;
        end $$;
        alter user mapping for current_user server partner_api_emr options (set username '{database}')"
    );
    raw(db, &statement).await;
}

pub(crate) async fn raw(db: &Database, statement: &str) {
    let Conn::Postgres(connection) = &mut db.connection().await.unwrap() else { panic!("no server") };
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut **connection).await.unwrap();
}

/// The name of the database of a practice's EMR.
pub(crate) async fn database_of(db: &Database) -> Option<String> {
    const DATABASE: &str = "select substr(o, 8) from pg_foreign_table, unnest(ftoptions) o
        where ftrelid = to_regclass('partner_api.emr_outbox') and o like 'dbname=%'";
    let Conn::Postgres(connection) = &mut db.connection().await.unwrap() else { return None };
    sqlx::query_scalar(DATABASE).fetch_optional(&mut **connection).await.unwrap()
}

/// Copies rows that a test wrote to a practice's tables to its EMR, so that they can be booked or
/// moved.
pub(crate) async fn follow(db: &Database, statements: &str) {
    const CATEGORIES: &str = "select string_agg(format('insert into openemr_postcalendar_categories \
        (pc_catname, pc_cattype, pc_active)
        values (%L, 0, \
        %s);', visit_type, active::int), '') from visit_types where visit_type not in (select \
        visit_type from bridge_categories)";
    const EVENTS: &str = "select 'delete from openemr_postcalendar_events;' || coalesce(string_agg(format(
        'insert into openemr_postcalendar_events (pc_eid, pc_catid, pc_aid, pc_pid, pc_eventDate, \
        pc_startTime, pc_duration, pc_apptstatus,
            pc_eventstatus, pc_room) values (%s, %s, %L, %L, %L, %L, %s, %L, %s, \
            %L);', visit_id, coalesce((select min(type_id) from bridge_categories c
            where c.visit_type = v.visit_type), 0), provider_id, patient_id, coalesce(visit_date::text, \
            '0000-00-00'), visit_time, visit_duration * 60,
            case status when 'Cancelled' then 'x' when 'NoShow' then '?' when 'Arrived' then '@' when \
            'Completed' then '>' when 'Confirmed' then 'SMS'
            else '-' end, case when status = 'Deleted' then -1 else 1 end, coalesce((select room from \
            bridge_rooms r where r.resource_id = v.room_id), '')),
        ''), '') from visits v";
    let Some(database) = database_of(db).await else { return };
    let Conn::Postgres(connection) = &mut db.connection().await.unwrap() else { return };
    let mut script = String::from("set @partner_api_writes = 1;");
    let categories: Option<String> =
        sqlx::query_scalar(CATEGORIES).fetch_one(&mut **connection).await.unwrap();
    if let Some(categories) = categories {
        run(&database, &format!("{script}{categories}"));
        sqlx::raw_sql("set partner_api.writing = 'emr'; select bridge_apply_visit_type(0)")
            .execute(&mut **connection)
            .await
            .unwrap();
    }
    if statements.contains("visits") {
        let events: String = sqlx::query_scalar(EVENTS).fetch_one(&mut **connection).await.unwrap();
        script.push_str(&events);
        run(&database, &script);
    }
    sqlx::raw_sql("reset partner_api.writing").execute(&mut **connection).await.unwrap();
}

/// One session of the EMR's program, for transactions and for many statements.
pub(crate) struct Session {
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    pub(crate) fn open(database: &str) -> Self {
        let mut client = client(database);
        let client = client
            .args(["--unbuffered", "--force"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut client = client.spawn().expect("the mariadb client");
        let (input, output) = (client.stdin.take().unwrap(), BufReader::new(client.stdout.take().unwrap()));
        Self { client, input, output }
    }

    /// Runs statements that print nothing; returns how many rows the last of them changed, -1 if it
    /// failed.
    pub(crate) fn run(&mut self, statements: &str) -> i64 {
        self.ask(&format!("{statements} select row_count();"))
    }

    /// Runs statements that print one number.
    pub(crate) fn ask(&mut self, statements: &str) -> i64 {
        writeln!(self.input, "{statements}").unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
