//! Rows of the EMR's log: a table's name and a verb, however they are spelled, are an event or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::domain::webhook_event::classify;

fuzz_target!(|row: (&str, &str)| {
    let (table, action) = row;
    let event = classify(table, action);
    assert_eq!(event, classify(&table.to_ascii_uppercase(), &format!(" {action} ")));
    if let Some((scope, action)) = event {
        assert_eq!(scope.as_str().parse(), Ok(scope));
        assert_eq!(action.as_str().parse(), Ok(action));
    }
});
