//! The pollers' list of active subscriptions: read again after a change, and only then.

use serde_json::json;
use shared::control::subscriptions::DisabledReason;

use super::fanout::{office_with, subscription};
use crate::{
    office::{Engine, Office, Receiver, store_behind},
    webhooks::sign_up,
};

#[tokio::test]
async fn only_a_change_of_the_active_subscriptions_makes_the_poller_read_their_list_again() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let version = async || office.app.control.subscriptions_version().await.unwrap();
    let first = version().await;
    office.post("/v1/webhooks/rotate-secret", &json!({})).await.expect(200);
    sign_up(&office, &Receiver::start().await.url, &["Claims", "Patients"]).await;
    assert_eq!(version().await, first, "each schedule would read the whole list for half a minute");
    let gone = DisabledReason::EndpointGone;
    let now = office.app.clock.now();
    office.app.control.disable_subscription(&subscription(&office).await, gone, now).await.unwrap();
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let again = version().await;
    assert!(first < again, "it is active again");
    office.delete("/v1/webhooks").await.expect(200);
    assert!(again < version().await);
}

/// As if two sign-ups of other partners wrote the version at the same moment.
#[tokio::test]
async fn a_sign_up_succeeds_although_the_pollers_cannot_be_told() {
    let receiver = Receiver::start().await;
    let mut office = Office::open(Engine::Sqlite).await;
    let store = store_behind(&office, async |call| !call.body.contains("ACTIVE_SUBSCRIPTIONS\"}")).await;
    let app = office.another_app(|parts| parts.control = store);
    office.answer_with(app);
    sign_up(&office, &receiver.url, &["Claims"]).await;
    office.delete("/v1/webhooks").await.expect(200);
}
