//! Claims whose response was lost.

use shared::{
    control::deliveries::{Claimed, Delivery},
    domain::webhook_event::EventMessage,
};

use super::fanout::{message, office_with};
use crate::office::Receiver;

/// As the SDK repeats a write whose response was lost.
#[tokio::test]
async fn a_claim_that_was_written_twice_is_the_callers() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let event: EventMessage = serde_json::from_str(&message(&office, 1).await).unwrap();
    let (control, now) = (&office.app.control, office.app.clock.now());
    let own = Delivery::of_event(&event, control.next_delivery_id().await.unwrap(), now);
    for _ in 0..2 {
        let claimed = control.claim_first(own.clone(), now).await.unwrap();
        assert!(matches!(claimed, Claimed::Yes(_)), "it would wait for itself: {claimed:?}");
    }
    let other = Delivery::of_event(&event, control.next_delivery_id().await.unwrap(), now);
    assert!(matches!(control.claim_first(other, now).await.unwrap(), Claimed::Busy(_)));
}
