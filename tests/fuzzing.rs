//! The fuzzer's targets on generated inputs, so that they stay up to date and obvious faults are
//! found at once.

use proptest::{collection::vec, prelude::*, string::string_regex};

use crate::fuzz_bodies::{log, message, search, token};

const CASES: u32 = 5_000;

fn check<T: std::fmt::Debug>(inputs: impl Strategy<Value = T>, body: impl Fn(T)) {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&inputs, |input| {
            body(input);
            Ok(())
        })
        .unwrap();
}

fn like(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).unwrap()
}

#[test]
fn arbitrary_text_is_never_a_valid_token_or_key() {
    let text = prop_oneof![
        any::<String>(),
        like("[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,3}"),
        like("op_(live|test)_[A-Za-z0-9]{10,14}_[A-Za-z0-9]{40,44}_[A-Za-z0-9]{0,8}"),
        like("\\{\"active\":\"[a-c]\",\"[a-c]\":\"[0-9a-f]{0,40}\"\\}"),
    ];
    check(text, |text| token(&text));
}

#[test]
fn a_stored_text_is_found_by_searching_for_it() {
    let text = prop_oneof![
        any::<String>(),
        like("\\PC{0,40}"),
        like("[ +()0-9x./-]{0,20}"),
        like("\\p{L}{1,12}( \\p{L}{1,12}){0,3}"),
        like("[a-zé.]{1,8}@[a-zü]{1,8}(\\.[a-z]{1,4}){0,2}"),
    ];
    check(text, |text| search(&text));
}

#[test]
fn a_queue_message_round_trips() {
    let event = |subscription: i64, log: i64, attempt: u32, event: &str, practice: &str| {
        format!(
            r#"{{"v":1,"subscription":{subscription},"generation":{subscription},"partner":"prt_a","attempt":{attempt},
            "ppass":"{practice}","logId":{log},"event":"{event}","action":"created","recordId":{log},
            "occurredAt":"2026-03-09T12:00:00Z"}}"#
        )
    };
    let scope = prop_oneof![Just("Patients"), Just("Claims"), Just("Nonsense")];
    let shaped = (any::<i64>(), any::<i64>(), any::<u32>(), scope, like("[A-Za-z0-9_-]{0,70}")).prop_map(
        move |(id, log, attempt, scope, practice)| event(id, log, attempt, scope, &practice).into_bytes(),
    );
    check(prop_oneof![vec(any::<u8>(), 0..200), shaped], |data| message(&data));
}

#[test]
fn a_log_row_is_the_same_event_in_any_spelling() {
    let table = prop_oneof![any::<String>(), like("(?i)(patients|visits|claims|payments|documents|tags)")];
    let action =
        prop_oneof![any::<String>(), like("(?i) ?(insert|update|delete|created?|cancel)[ed]{0,2} ?")];
    check((table, action), |(table, action)| log(&table, &action));
}
