//! The overview agrees with the calls that were made.

use serde_json::Value;

use crate::{running::Stack, wait::until};

/// A repeated call with a known status.
struct Calls<'a> {
    token: Option<&'a str>,
    path: &'a str,
    status: u16,
    times: u64,
}

fn figure(overview: &Value, name: &str) -> u64 {
    overview[name].as_u64().unwrap()
}

/// Returns the figures once two readings show no calls other than the reading itself.
async fn settled(stack: &Stack) -> Value {
    let mut before = stack.overview().await;
    until("figures that stand still", async || {
        let now = stack.overview().await;
        let calls = figure(&now, "totalCalls") - figure(&before, "totalCalls");
        if calls == 1 {
            return Ok(now);
        }
        before = now;
        Err(format!("{calls} calls since the last reading"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_counts_every_call_by_status() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path(), &[]).await;
    let token = stack.token().await;
    let narrow = stack.token_where(|key| key["scopes"] == serde_json::json!(["Prospects"])).await;
    let before = settled(&stack).await;

    let script = [
        Calls { token: Some(&token), path: "/v1/DemoOffice/tags", status: 200, times: 60 },
        Calls {
            token: Some(&token),
            path: "/v1/DemoOffice/prospects/9007199254740991",
            status: 404,
            times: 18,
        },
        Calls { token: Some(&token), path: "/v1/products?limit=0", status: 400, times: 10 },
        Calls { token: Some(&narrow), path: "/v1/DemoOffice/visit-types", status: 403, times: 8 },
        Calls { token: None, path: "/v1/me", status: 401, times: 4 },
    ];
    let mut sent = 0;
    for calls in &script {
        for _ in 0..calls.times {
            let url = format!("{}{}", stack.base, calls.path);
            let reply = stack.http.send("GET", &url, calls.token, None).await.unwrap();
            assert_eq!(reply.status, calls.status, "{}: {}", calls.path, reply.body);
            sent += 1;
        }
    }
    assert_eq!(sent, 100);

    // Reading the overview is itself a call, which the next reading includes.
    let mut readings = 0;
    let after = until("all calls in the overview", async || {
        let now = stack.overview().await;
        readings += 1;
        let wanted = figure(&before, "totalCalls") + sent + readings;
        let calls = figure(&now, "totalCalls");
        if calls == wanted { Ok(now) } else { Err(format!("{calls} of {wanted}: {now}")) }
    })
    .await;
    let (calls, errors) = (figure(&after, "totalCalls"), figure(&after, "errorCount"));
    assert_eq!(errors, figure(&before, "errorCount") + 40);
    let rate =
        100.0 * f64::from(u32::try_from(calls - errors).unwrap()) / f64::from(u32::try_from(calls).unwrap());
    assert!((after["successRate"].as_f64().unwrap() - rate).abs() < 0.01, "{rate}: {after}");
    let days = after["days"].as_array().unwrap();
    let sum = |what: &str| days.iter().map(|day| day[what].as_u64().unwrap()).sum::<u64>();
    assert_eq!((days.len(), sum("calls"), sum("errors")), (2, calls, errors), "the days add up: {after}");
    let top = after["topEndpoints"].as_array().unwrap();
    let of = |overview: &Value, endpoint: &str, what: &str| {
        let top = overview["topEndpoints"].as_array().unwrap();
        top.iter()
            .find(|it| it["endpoint"] == endpoint && it["method"] == "GET")
            .map_or(0, |it| it[what].as_u64().unwrap())
    };
    assert!(!top.is_empty());
    assert!(of(&after, "/v1/{PPass}/tags", "calls") >= 60, "{after}");
}
