//! Messages of the queue: what is read is written again as it was.
#![no_main]

use aws_lambda_events::event::sqs::SqsEvent;
use libfuzzer_sys::fuzz_target;
use shared::domain::webhook_event::EventMessage;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = serde_json::from_slice::<EventMessage>(data) {
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<EventMessage>(&text).unwrap(), message);
        assert!(message.event().event_id().starts_with(message.practicepass().as_str()));
    }
    if let Ok(event) = serde_json::from_slice::<SqsEvent>(data) {
        for record in event.records {
            let _ = serde_json::from_str::<EventMessage>(record.body.as_deref().unwrap_or_default());
        }
    }
});
