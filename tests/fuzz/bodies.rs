//! What must hold for any input: the fuzzer's targets check this, and so does the test suite, on
//! generated inputs.

use std::sync::LazyLock;

use jiff::Timestamp;
use shared::{
    auth::{api_key::ApiKey, token::TokenRing},
    domain::{
        contact,
        search::{end_of_prefix, terms_of, words_of},
        webhook_event::{EventMessage, classify},
    },
    function::sqs::SqsEvent,
};

static RING: LazyLock<TokenRing> = LazyLock::new(|| {
    TokenRing::from_secret(r#"{"active":"a","a":"0123456789abcdef0123456789abcdef"}"#, "us").unwrap()
});

/// Tokens, API keys and signing keys: text that was not issued is never accepted, and no text makes
/// the parsers panic.
pub(crate) fn token(text: &str) {
    assert!(RING.verify(text, Timestamp::UNIX_EPOCH).is_none(), "a token that nobody issued: {text}");
    if let Some(key) = ApiKey::parse(text) {
        assert_eq!(key.reveal(), text);
    }
    if let Ok(ring) = TokenRing::from_secret(text, "us") {
        assert!(ring.verify("x.y.z", Timestamp::UNIX_EPOCH).is_none());
    }
}

/// Search words: a stored text is found by itself, and a prefix range has a greater end.
pub(crate) fn search(text: &str) {
    let words = words_of([text], None, []);
    assert!(words.iter().all(|word| !word.is_empty() && word.len() <= 256));
    for term in terms_of(text) {
        assert!(!term.alternatives.is_empty());
        for prefix in term.alternatives.iter().flatten() {
            if let Some(end) = end_of_prefix(prefix) {
                assert!(end > *prefix);
                assert!(words.iter().filter(|word| word.starts_with(prefix)).all(|word| *word < end));
            }
        }
    }
    // A name finds itself, if it is a name: numbers and addresses are matched by their own rules.
    if text.chars().all(|c| c.is_alphabetic() || c.is_whitespace()) && text.len() <= 200 {
        for term in terms_of(text) {
            let found = |prefix: &String| words.iter().any(|word| word.starts_with(prefix.as_str()));
            assert!(
                term.alternatives.iter().any(|prefixes| prefixes.iter().all(found)),
                "{text:?}: {term:?}"
            );
        }
    }
    assert_eq!(contact::fold(&contact::fold(text)), contact::fold(text), "folding twice changes {text:?}");
    let _ = (contact::is_email(text), contact::check_phone(text), contact::phone_key(text));
}

/// Messages of the queue: they round-trip.
pub(crate) fn message(data: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<EventMessage>(data) {
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<EventMessage>(&text).unwrap(), message);
        assert!(message.event().event_id().starts_with(message.practicepass().as_str()));
    }
    if let Ok(event) = serde_json::from_slice::<SqsEvent>(data) {
        for record in event.records {
            let _ = serde_json::from_str::<EventMessage>(&record.body);
        }
    }
}

/// Rows of the EMR's log: a table's name and a verb, in any spelling, are an event or none.
pub(crate) fn log(table: &str, action: &str) {
    let event = classify(table, action);
    assert_eq!(event, classify(&table.to_ascii_uppercase(), &format!(" {action} ")));
    if let Some((scope, action)) = event {
        assert_eq!(scope.as_str().parse(), Ok(scope));
        assert_eq!(action.as_str().parse(), Ok(action));
    }
}
