//! The words a patient is found by, and the words a search asks for.

use std::collections::BTreeSet;

use super::contact::{fold, phone_digits};

/// Longest word that is kept or asked for, in bytes.
const MAX_WORD: usize = 64;
/// Most words of one search that are looked at.
const MAX_WORDS: usize = 8;
/// A phone number is also found by its last digits: local number with and without area code, and the last four.
const PHONE_TAILS: [usize; 3] = [10, 7, 4];

/// The words of a patient: parts of names, e-mail address, digits of phones and their ends.
pub fn words_of<'a>(
    names: impl IntoIterator<Item = &'a str>,
    email: Option<&str>,
    phones: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for name in names {
        words.extend(name_words(name));
    }
    words.extend(email.map(|email| clip(&fold(email.trim()))));
    for phone in phones {
        let digits = phone_digits(phone);
        for tail in PHONE_TAILS {
            if digits.len() > tail {
                words.insert(digits[digits.len() - tail..].to_owned());
            }
        }
        words.insert(digits);
    }
    words.remove("");
    words
}

/// The prefixes a search asks for; a patient is found when each begins one of its words. At most eight.
///
/// Neighbouring parts of a phone number ("(555) 010-0199") are one prefix of digits.
pub fn prefixes_of(search: &str) -> Vec<String> {
    let mut prefixes = Vec::new();
    let mut digits = String::new();
    for token in search.split_whitespace() {
        if is_phone_part(token) {
            digits.extend(token.chars().filter(char::is_ascii_digit));
            continue;
        }
        if !digits.is_empty() {
            prefixes.push(std::mem::take(&mut digits));
        }
        if token.contains('@') {
            prefixes.push(clip(&fold(token)));
        } else {
            prefixes.extend(name_words(token));
        }
    }
    prefixes.push(digits);
    prefixes.retain(|prefix| !prefix.is_empty());
    prefixes.truncate(MAX_WORDS);
    prefixes.iter_mut().for_each(|prefix| *prefix = clip(prefix));
    prefixes
}

/// The first text greater than every text that begins with `prefix`; `None` when there is none.
pub fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn name_words(name: &str) -> impl Iterator<Item = String> {
    let folded = fold(name);
    let parts: Vec<String> =
        folded.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(clip).collect();
    parts.into_iter()
}

fn is_phone_part(token: &str) -> bool {
    token.contains(|c: char| c.is_ascii_digit())
        && token.chars().all(|c| c.is_ascii_digit() || "+().-/".contains(c))
}

fn clip(word: &str) -> String {
    word[..word.floor_char_boundary(MAX_WORD)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(search: &str) -> bool {
        let words = words_of(["José-Luis", "O'Hara"], Some("Jose@Example.com"), ["(212) 555-0123"]);
        let prefixes = prefixes_of(search);
        !prefixes.is_empty()
            && prefixes.iter().all(|prefix| words.iter().any(|word| word.starts_with(prefix)))
    }

    #[test]
    fn a_person_is_found_by_any_part_in_any_spelling() {
        for search in [
            "jose",
            "JOSÉ",
            "lui har",
            "o'hara",
            "jose@ex",
            "555-0123",
            "(555) 0123",
            "5550123",
            "212 555 0123",
            "0123",
            "hara 555-0123",
        ] {
            assert!(finds(search), "{search}");
        }
        for search in ["maria", "jose smith", "5550124", "ose", "  ", "--"] {
            assert!(!finds(search), "{search}");
        }
    }

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        assert_eq!(end_of_prefix("ab"), Some("ac".into()));
        assert_eq!(end_of_prefix("a\u{10ffff}"), Some("b".into()));
        assert_eq!(end_of_prefix("\u{d7ff}"), Some("\u{e000}".into()));
        assert_eq!(end_of_prefix("\u{10ffff}"), None);
    }
}
