//! Unusual times from an EMR: partners get the time at which the row was found.

use serde_json::json;

use super::{deliver, poll, row};
use crate::{
    office::{Office, Receiver, on_both_databases, run_sql},
    webhooks::sign_up,
};

async fn times_before_christ_and_other_odd_times_are_never_sent(office: Office) {
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let times = if office.is_postgres().await {
        [
            "'0044-03-15 12:00:00 BC'",
            "'4713-01-01 BC'",
            "'-infinity'",
            "'infinity'",
            "'20000-01-01'",
            "'0001-01-01'",
        ]
    } else {
        [
            "'-0044-03-15 12:00:00'",
            "'0000-01-01 00:00:00+23:59'",
            "'-infinity'",
            "'infinity'",
            "-99999999999999",
            "1e300",
        ]
    };
    for (id, time) in (1..).zip(times) {
        run_sql(&office.db, &row(id, "claims").replace("'2026-03-09T12:00:00Z'", time)).await;
    }
    poll(&office).await;
    deliver(&office).await;
    let sent = receiver.received();
    assert_eq!(sent.len(), times.len());
    for sent in sent {
        let body = sent.json();
        assert_eq!(body["occurredAt"], "2026-03-09T12:00:00Z", "when it was found: {body}");
    }
    let all = json!({ "from": "0001-01-01T00:00:00Z", "to": "0001-01-20T00:00:00Z" });
    assert_eq!(office.post("/v1/webhooks/replay", &all).await.expect(201)["data"]["events"], 0);
}
on_both_databases!(times_before_christ_and_other_odd_times_are_never_sent);
