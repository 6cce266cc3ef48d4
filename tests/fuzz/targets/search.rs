//! Search words: whatever is stored is found by what was stored, and prefixes have an end that is greater.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::domain::{
    contact,
    search::{end_of_prefix, terms_of, words_of},
};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
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
    // A name is found by itself, if it is a name: numbers and addresses are matched by rules of their own.
    if text.chars().all(|c| c.is_alphabetic() || c.is_whitespace()) && text.len() <= 200 {
        for term in terms_of(text) {
            let found = |prefix: &String| words.iter().any(|word| word.starts_with(prefix.as_str()));
            assert!(term.alternatives.iter().any(|prefixes| prefixes.iter().all(found)), "{text:?}: {term:?}");
        }
    }
    assert_eq!(contact::fold(&contact::fold(text)), contact::fold(text), "folding twice changes {text:?}");
    let _ = (contact::is_email(text), contact::is_phone(text), contact::phone_key(text));
});
