//! Creates a `PostgreSQL` database for each practice.

use shared::sql::ConnectionString;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::random;

/// Creates a new database on the server and returns its connection string. Never touches existing
/// databases.
///
/// If `server`'s user is a superuser, the database gets its own owner and nobody else can connect.
pub(super) async fn create(server: &str, practicepass: &str) -> Result<String> {
    let failed = |error: sqlx::Error| Error::store("--practice-db", error);
    let mut dsn = parse(server)?;
    let options = ConnectionString::of(dsn.as_str()).options();
    let options = options.map_err(|error| Error::store("--practice-db", error))?;
    let mut admin = PgConnection::connect_with(&options).await.map_err(failed)?;
    // Letters, digits and underscores only, so that no quoting is needed.
    let name = format!("officepro_{}_{}", practicepass.to_lowercase(), random::hex(&random::bytes(4)?));
    let superuser: bool = sqlx::query_scalar("select rolsuper from pg_roles where rolname = current_user")
        .fetch_one(&mut admin)
        .await
        .map_err(failed)?;
    let mut owner = String::new();
    if superuser {
        let password = random::alphanumeric(32)?;
        let role = format!("create role {name} login password '{password}'");
        admin.execute(AssertSqlSafe(role)).await.map_err(failed)?;
        owner = format!("owner {name}");
        if dsn.set_username(&name).and_then(|()| dsn.set_password(Some(&password))).is_err() {
            return Err(unusable());
        }
    }
    admin.execute(AssertSqlSafe(format!("create database {name} {owner}"))).await.map_err(failed)?;
    let close = format!("revoke connect, temporary on database {name} from public");
    admin.execute(AssertSqlSafe(close)).await.map_err(failed)?;
    admin.close().await.map_err(failed)?;
    dsn.set_path(&name);
    Ok(dsn.into())
}

/// Parses the server's URL and adds an `sslmode` if it has none: TLS is required except on
/// loopback.
pub(crate) fn parse(server: &str) -> Result<Url> {
    let mut url = Url::parse(server).map_err(|_| unusable())?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name == "127.0.0.1",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(unusable()),
    };
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(unusable());
    }
    if !url.query_pairs().any(|(name, _)| name == "sslmode" || name == "ssl-mode") {
        let mode = if loopback { "prefer" } else { "verify-full" };
        url.query_pairs_mut().append_pair("sslmode", mode);
    }
    Ok(url)
}

fn unusable() -> Error {
    Error::Refused("--practice-db must be postgres://user:password@host:port/database".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_server_must_have_a_verified_certificate() {
        let mode = |text: &str| parse(text).unwrap().query().unwrap_or_default().to_owned();
        assert_eq!(mode("postgres://u@db.example/postgres"), "sslmode=verify-full");
        assert_eq!(mode("postgres://u@127.0.0.1:5433/postgres"), "sslmode=prefer");
        assert_eq!(mode("postgres://u@[::1]"), "sslmode=prefer");
        assert_eq!(mode("postgres://u@db.example/?sslmode=require"), "sslmode=require");
        for bad in ["mysql://u@db.example", "postgres:", "x", "postgres:///db"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
