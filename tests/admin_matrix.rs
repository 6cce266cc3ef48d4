//! Tests every operation of the administration and of portal sessions with every kind of
//! credential: exactly the documented admin secrets and sessions are accepted.

use serde_json::json;

use crate::{
    access_matrix::{Access, Operation, operations},
    office::{ADMIN_SECRET, Engine, OLD_ADMIN_SECRET, Office, Reply},
};

const HOST: (&str, &str) = ("host", "portal.example.com");
const ORIGIN: (&str, &str) = ("origin", "https://portal.example.com");
const PORTAL: (&str, &str) = ("x-requested-with", "portal");

/// Signs in; returns what the browser sends back.
async fn cookie(office: &Office, access_key: &str) -> String {
    let body = json!({ "accessKey": access_key }).to_string();
    let headers = [("content-type", "application/json"), HOST];
    let reply = office.call("POST", "/v1/portal/session", &headers, Some(&body)).await;
    reply.expect(201);
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn call(office: &Office, operation: &Operation, credential: &[(&str, &str)]) -> Reply {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend_from_slice(credential);
    office.call(&operation.method, &operation.filled(), &headers, Some("{}")).await
}

fn behind(access: &Access) -> Vec<Operation> {
    operations().into_iter().filter(|it| it.access == *access).collect()
}

/// Attempts are limited per minute, so each operation gets its own minute.
fn set_minute(office: &Office, minute: usize) {
    office.set_time(&format!("2026-03-09T12:{minute:02}:00Z"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_admin_secrets_and_admin_sessions_open_the_admin_operations() {
    let office = Office::open(Engine::Sqlite).await;
    let token = format!("Bearer {}", office.token("all").await);
    let secret_as_token = format!("Bearer {ADMIN_SECRET}");
    let partners = cookie(&office, office.api_key("all")).await;
    let operations = behind(&Access::Admin);
    assert!(operations.len() >= 15, "{}", operations.len());
    for (minute, operation) in operations.iter().enumerate() {
        set_minute(&office, minute);
        let what = operation.name();
        let with = async |credential: &[(&str, &str)]| call(&office, operation, credential).await;

        // The order matters: a caller that has proved knowledge of the secret is rejected later.
        let refused: [&[(&str, &str)]; 8] = [
            &[],
            &[("x-admin-secret", "")],
            &[("x-admin-secret", "not the secret of anybody at all")],
            &[("x-admin-secret", &token)],
            &[("x-admin-secret", office.api_key("all"))],
            &[("authorization", &token)],
            &[("authorization", &secret_as_token)],
            &[("cookie", &partners), HOST, ORIGIN, PORTAL],
        ];
        for credential in refused {
            let reply = with(credential).await;
            assert_eq!(reply.body["code"], "INVALID_ADMIN_SECRET", "{what} with {credential:?}");
            reply.expect_problem(401, "INVALID_ADMIN_SECRET");
        }

        let admins = cookie(&office, ADMIN_SECRET).await;
        let accepted: [&[(&str, &str)]; 3] = [
            &[("x-admin-secret", ADMIN_SECRET)],
            &[("x-admin-secret", OLD_ADMIN_SECRET)],
            &[("cookie", &admins), HOST, ORIGIN, PORTAL],
        ];
        for credential in accepted {
            let reply = with(credential).await;
            let status = reply.status.as_u16();
            // The body is empty and the ids do not exist, which causes other statuses.
            assert!(![401, 403, 429].contains(&status) && status < 500, "{what}: {status} {}", reply.body);
        }
        // A token takes precedence over the cookie, and a change that another site makes the
        // browser send is rejected.
        let beside = [("cookie", admins.as_str()), ("authorization", token.as_str()), HOST, ORIGIN, PORTAL];
        with(&beside).await.expect_problem(401, "INVALID_ADMIN_SECRET");
        if operation.method != "GET" {
            with(&[("cookie", &admins), HOST]).await.expect_problem(403, "CROSS_SITE_REFUSED");
        }
    }
    // An hour later the sessions have ended.
    let admins = cookie(&office, ADMIN_SECRET).await;
    for (minute, operation) in operations.iter().enumerate() {
        office.set_time(&format!("2026-03-09T14:{minute:02}:00Z"));
        let reply = call(&office, operation, &[("cookie", &admins), HOST, ORIGIN, PORTAL]).await;
        reply.expect_problem(401, "INVALID_ADMIN_SECRET");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_operations_accept_only_the_callers_live_session() {
    let office = Office::open(Engine::Sqlite).await;
    let token = format!("Bearer {}", office.token("all").await);
    let operations = behind(&Access::Session);
    assert_eq!(operations.len(), 2);
    for operation in &operations {
        office.set_time(crate::office::NOW);
        let what = operation.name();
        let own = cookie(&office, office.api_key("all")).await;
        let others = cookie(&office, office.api_key("other")).await;
        let ended = cookie(&office, office.api_key("all")).await;
        let with = async |headers: &[(&str, &str)]| call(&office, operation, headers).await;
        let portal = async |cookie: &str| with(&[("cookie", cookie), HOST, ORIGIN, PORTAL]).await;
        let sign_out = [("cookie", ended.as_str()), HOST, ORIGIN, PORTAL];
        office.call("DELETE", "/v1/portal/session", &sign_out, None).await.expect(200);

        let forged = format!("__Host-portal-session={}", "A".repeat(43));
        let refused: [&[(&str, &str)]; 5] = [
            &[],
            &[("authorization", &token)],
            &[("x-admin-secret", ADMIN_SECRET)],
            &[("cookie", &forged), HOST, ORIGIN, PORTAL],
            &[("cookie", &ended), HOST, ORIGIN, PORTAL],
        ];
        for credential in refused {
            let reply = with(credential).await;
            assert_eq!(reply.body["code"], "UNAUTHENTICATED", "{what} with {credential:?}");
            reply.expect_problem(401, "UNAUTHENTICATED");
        }
        // Each one sees or ends its own session; the other session continues.
        let reply = portal(&others).await;
        reply.expect(200);
        if operation.method == "GET" {
            assert_eq!(reply.body["data"]["practicepass"], "OtherOffice");
        }
        let still = office.call("GET", "/v1/portal/session", &[("cookie", &own), HOST], None).await;
        assert_eq!(still.expect(200)["data"]["practicepass"], "DemoOffice");
        office.set_time("2026-03-09T12:15:00Z");
        portal(&own).await.expect_problem(401, "UNAUTHENTICATED");
    }
}
