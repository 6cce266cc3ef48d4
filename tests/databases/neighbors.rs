//! A practice's tables beside those of its EMR.
//!
//! They are in a schema of their own, whatever the EMR's tables are called and whoever uses the
//! connection.

use shared::sql;
use std::time::Duration;

use shared::{
    auth::CatalogGrant,
    catalog, in_transaction,
    sql::{Error, ServerTimeouts},
    tenant::{self, migrate::give_defaults},
};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{count, migrated, opened, practice, session, with_causes};
use crate::office::{Engine, Office, new_database, pooled, run_sql, timeouts};

/// Tables of an EMR with the same names but other columns, and one of no relevance.
const OF_AN_EMR: &str = "
    create table log (entry text); insert into log values ('theirs');
    create table patients (pid int primary key, name text); insert into patients values (1001, 'Theirs');
    create table visits (id int, patients int references patients (pid)); insert into visits values (1, 1001);
    create table _sqlx_migrations (version text); insert into _sqlx_migrations values ('theirs');
    create table tenant (name text);
    create view providers as select 'theirs' as name;
    create function enter() returns int language sql as 'select 1';
    create type tickets as enum ('theirs');
";
/// Lists everything in the schema `public`, with the rows of its tables.
const PUBLIC: &str = "select string_agg(it, ', ' order by it) from (
        select relkind::text || ' ' || relname from pg_class where relnamespace = 'public'::regnamespace
        union all select proname from pg_proc where pronamespace = 'public'::regnamespace
        union all select typname from pg_type where typnamespace = 'public'::regnamespace
        union all select tgname from pg_trigger join pg_class c on c.oid = tgrelid where relnamespace = \
        'public'::regnamespace
        union all select entry from public.log union all select name from public.patients
        union all select version from public._sqlx_migrations) as whole (it)";

async fn text(session: &mut PgConnection, query: &str) -> String {
    let row = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch_one(session).await.unwrap();
    sqlx::Row::get_unchecked::<String, _>(&row, 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emr_tables_with_the_same_names_stay_unchanged() {
    let dsn = new_database("neighbors").await;
    let mut emr = session(&dsn).await;
    emr.execute(OF_AN_EMR).await.unwrap();
    let before = text(&mut emr, PUBLIC).await;
    for secret in [dsn.clone(), pooled(&dsn)] {
        let checked = tenant::check::practice(&practice("Neighbors"), &secret).await.unwrap().join("; ");
        assert!(checked.contains("a practice can be created in it"), "{checked}");
        assert_eq!(text(&mut emr, PUBLIC).await, before);
        assert_eq!(
            count(&mut emr, "select count(*) from pg_namespace where nspname = 'partner_api'").await,
            0
        );
        migrated("Neighbors", &secret).await.unwrap().close().await;
        migrated("Neighbors", &secret).await.unwrap().close().await;
        assert_eq!(text(&mut emr, PUBLIC).await, before);
        let db = opened("Neighbors", &secret, timeouts::DATABASE).await.unwrap();
        assert!(db.is_empty().await.unwrap(), "their rows are not ours");
        assert_eq!(db.schema_version().await.unwrap(), tenant::migrate::newest());
        run_sql(
            &db,
            "set search_path = partner_api; insert into log (table_name, action, record_id, \
            logged_at) values ('visits', 'insert', 1, now())",
        )
        .await;
        assert!(!db.is_empty().await.unwrap());
        db.close().await;
        assert_eq!(text(&mut emr, PUBLIC).await, before);
        // Nothing of the product is outside its schema, including the extension that it created.
        let extension = "select count(*) from pg_extension where extname = 'btree_gist' and extnamespace = \
            'partner_api'::regnamespace";
        assert_eq!(count(&mut emr, extension).await, 1);
        emr.execute("drop schema partner_api cascade").await.unwrap();
    }
    // Rights to the schema's contents are granted explicitly, not inherited.
    migrated("Neighbors", &dsn).await.unwrap().close().await;
    let open = "select count(*) from pg_namespace where nspname = 'partner_api' and \
        has_schema_privilege('pg_monitor', oid, 'usage')";
    assert_eq!(count(&mut emr, open).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooled_connection_with_another_search_path_finds_our_tables() {
    let mut office = Office::open(Engine::Postgres).await;
    let direct = office.dsn().to_owned();
    let mut emr = session(&direct).await;
    emr.execute(OF_AN_EMR).await.unwrap();
    office.pool();
    let by_pooler = pooled(&direct);
    let name =
        "select current_setting('search_path') || ' ' || first_name from patients where patient_id = 1001";
    for round in 0..4 {
        // Another client leaves the pooler's connections, at most two, with its own search path.
        let (mut one, mut other) = (session(&by_pooler).await, session(&by_pooler).await);
        for session in [&mut one, &mut other] {
            session.execute("begin").await.unwrap();
            session.execute("set search_path = public").await.unwrap();
        }
        for session in [&mut one, &mut other] {
            session.execute("commit").await.unwrap();
        }
        assert_eq!(text(&mut one, "show search_path").await, "public", "{round}");
        let found = office.get("/v1/DemoOffice/prospects/1001").await;
        assert_eq!(found.expect(200)["data"]["FirstName"], "Ada");
        let db = opened("DemoOffice", &by_pooler, timeouts::DATABASE).await.unwrap();
        let read: String = in_transaction!(db, sql::Error, |conn| {
            let sql::Conn::Postgres(connection) = conn else { panic!() };
            let row = sqlx::raw_sql(name).fetch_one(&mut **connection).await?;
            Ok(sqlx::Row::get_unchecked(&row, 0))
        })
        .unwrap();
        assert_eq!(read, "partner_api Ada");
        assert_eq!(text(&mut other, "show search_path").await, "public", "nothing is left behind");
    }
    assert_eq!(count(&mut emr, "select count(*) from public.patients").await, 1);
}

/// Creates two roles of a database: the practice's own and the EMR's.
async fn roles(dsn: &str, rights: &str) -> (PgConnection, String, String) {
    let (server, _) = dsn.split_once('?').unwrap();
    let (_, name) = server.rsplit_once('/').unwrap();
    let (ours, theirs) = (format!("{name}_ours"), format!("{name}_theirs"));
    let mut admin = session(dsn).await;
    let roles = format!(
        "create role {ours} login; create role {theirs} login; alter schema public owner to {theirs};"
    );
    let rights = rights.replace("{ours}", &ours).replace("{name}", name);
    admin.execute(AssertSqlSafe(roles + &rights)).await.unwrap();
    let of = |role: &str| dsn.replace("postgres@", &format!("{role}@"));
    (admin, of(&ours), of(&theirs))
}

const LIMITS: ServerTimeouts = ServerTimeouts {
    lock: Duration::from_millis(71_001),
    statement: Duration::from_millis(72_001),
    idle: Duration::from_millis(73_001),
};

#[tokio::test]
async fn a_dedicated_role_starts_in_our_schema_and_a_shared_one_is_unchanged() {
    let dsn = new_database("neighbors").await;
    let rights =
        "grant create on database {name} to {ours}; grant create on database {name} to {name}_theirs;";
    let (mut admin, ours, theirs) = roles(&dsn, rights).await;
    let mut emr = session(&theirs).await;
    emr.execute(OF_AN_EMR).await.unwrap();
    let before = text(&mut emr, PUBLIC).await;

    let db = migrated("Neighbors", &ours).await.unwrap();
    assert!(give_defaults(&db, LIMITS).await.unwrap());
    assert!(!give_defaults(&db, LIMITS).await.unwrap(), "it has them");
    db.close().await;
    let begun = "select current_setting('search_path') || ' ' || current_setting('lock_timeout')";
    assert_eq!(text(&mut session(&ours).await, begun).await, "partner_api 71001ms");
    assert_eq!(text(&mut session(&theirs).await, begun).await, "\"$user\", public 0");
    assert_eq!(text(&mut admin, PUBLIC).await, before);
    // A default that was changed manually is set again.
    let reset = AssertSqlSafe(format!(
        "alter role {0} in database {1} set search_path = public",
        name(&ours).1,
        name(&ours).0
    ));
    admin.execute(reset).await.unwrap();
    let db = opened("Neighbors", &ours, timeouts::DATABASE).await.unwrap();
    assert_eq!(
        db.schema_version().await.unwrap(),
        tenant::migrate::newest(),
        "the session sets its own search path"
    );
    assert!(give_defaults(&db, LIMITS).await.unwrap());
    assert_eq!(text(&mut session(&ours).await, "show search_path").await, "partner_api");

    // Registering the EMR's own login changes nothing for the EMR's program.
    admin.execute("drop schema partner_api cascade").await.unwrap();
    let db = migrated("Neighbors", &theirs).await.unwrap();
    assert!(!give_defaults(&db, LIMITS).await.unwrap());
    assert!(db.is_empty().await.unwrap());
    assert_eq!(text(&mut session(&theirs).await, begun).await, "\"$user\", public 0");
    assert_eq!(text(&mut admin, PUBLIC).await, before);
}

/// Returns the database and the role of a connection string.
fn name(dsn: &str) -> (&str, &str) {
    let (server, _) = dsn.split_once('?').unwrap();
    let (_, name) = server.rsplit_once('/').unwrap();
    let (_, role) = dsn.split_once("//").unwrap();
    (name, role.split_once('@').unwrap().0)
}

#[tokio::test]
async fn a_role_without_create_uses_the_schema_prepared_for_it() {
    let dsn = new_database("neighbors").await;
    let rights = "create schema partner_api authorization {ours}; create extension btree_gist schema public;";
    let (mut admin, ours, _) = roles(&dsn, rights).await;
    tenant::check::practice(&practice("Neighbors"), &ours).await.unwrap();
    let db = migrated("Neighbors", &ours).await.unwrap();
    assert!(db.is_empty().await.unwrap());
    let made = "select count(*) from pg_constraint where conname like 'visits_%_free' and connamespace = \
        'partner_api'::regnamespace";
    assert_eq!(count(&mut admin, made).await, 3);
    let not_ours = format!(
        "select count(*) from pg_class where relnamespace = 'partner_api'::regnamespace and relowner <> \
            '{}'::regrole",
        name(&ours).1
    );
    assert_eq!(count(&mut admin, &not_ours).await, 0);
    // Without the schema, the error names the reason.
    db.close().await;
    admin.execute("drop schema partner_api cascade").await.unwrap();
    let error = migrated("Neighbors", &ours).await.unwrap_err();
    assert!(with_causes(&error).contains("permission denied for database"), "{}", with_causes(&error));
}

#[tokio::test]
async fn practice_and_catalog_reject_the_databases_of_each_other() {
    let of_practice = new_database("neighbors").await;
    migrated("Neighbors", &of_practice).await.unwrap().close().await;
    let grant = CatalogGrant::for_operations();
    for refused in [
        catalog::migrate::migrate(&grant, &of_practice).await.map(|_| ()),
        catalog::migrate::check(&grant, &of_practice).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(Error::WrongDatabase)), "{refused:?}");
    }
    let of_catalog = new_database("neighbors").await;
    catalog::migrate::migrate(&grant, &of_catalog).await.unwrap().close().await;
    let elsewhere = new_database("neighbors").await;
    session(&elsewhere).await.execute("create table tenant_identity (ppass text)").await.unwrap();
    for (dsn, reason) in [(&of_catalog, "is the catalog's"), (&elsewhere, "not in the schema partner_api")] {
        for refused in [
            migrated("Neighbors", dsn).await.map(|_| ()),
            tenant::check::practice(&practice("Neighbors"), dsn).await.map(|_| ()),
        ] {
            let error = refused.unwrap_err();
            assert!(with_causes(&error).contains(reason), "{}", with_causes(&error));
        }
        let made = "select count(*) from pg_namespace where nspname = 'partner_api'";
        assert_eq!(count(&mut session(dsn).await, made).await, 0);
    }
}
