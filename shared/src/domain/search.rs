//! The words under which patients are indexed, and the words of a search.

use std::collections::BTreeSet;

use super::{
    contact::{is_marked_phone, phone_digits, phone_numbers, phone_part},
    fold::{fold, is_word_char},
};

/// The maximum length of an indexed or searched word, in bytes. Longer words are cut.
const MAX_WORD: usize = 256;
/// How many last digits of a phone number are also indexed.
///
/// They are the local number with and without area code, and the last four digits.
const PHONE_TAILS: [usize; 3] = [10, 7, 4];
/// The number of digits from which a part of a search counts as a complete phone number.
const WHOLE_NUMBER: usize = 7;

/// One word of a search.
///
/// A patient matches if there is an alternative of which each prefix starts a word of the patient.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    pub alternatives: Vec<Vec<String>>,
}

impl Term {
    fn one(prefix: String) -> Self {
        Self { alternatives: vec![vec![prefix]] }
    }
}

/// Returns the words under which a patient is indexed.
///
/// They are the parts of names, the e-mail address, and the digits of phone numbers and their ends.
pub fn words_of<'a>(
    names: impl IntoIterator<Item = &'a str>,
    email: Option<&str>,
    phones: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for name in names.into_iter().flat_map(str::split_whitespace) {
        // "Muñoz-O'Hara" is also found by "ohara" and "munozohara".
        words.extend([name].into_iter().chain(name.split('-')).map(|part| clip(&name_words(part).concat())));
        words.extend(name_words(name));
    }
    words.extend(email.map(email_word));
    for digits in phones.into_iter().flat_map(phone_numbers) {
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

/// Returns the word under which an e-mail address is indexed.
pub fn email_word(email: &str) -> String {
    clip(&fold(email.trim()))
}

/// Returns the longest indexed word of a name; `None` if it has no letter or digit.
pub fn longest_name_word(name: &str) -> Option<String> {
    name_words(name).into_iter().max_by_key(String::len)
}

/// Returns the terms of a search; a patient must match all of them.
///
/// Adjacent parts of one phone number ("(555) 010-0199") form one term. The result is empty if the
/// search has no letter or digit.
pub fn terms_of(search: &str) -> Vec<Term> {
    if is_marked_phone(search) {
        return vec![number_term(&phone_digits(search))];
    }
    let mut terms = BTreeSet::new();
    let mut number = String::new();
    for token in search.split_whitespace() {
        if let Some(part) = phone_part(token) {
            let digits: String = part.chars().filter(char::is_ascii_digit).collect();
            if number.len() >= WHOLE_NUMBER && digits.len() >= WHOLE_NUMBER {
                terms.insert(number_term(&std::mem::take(&mut number)));
            }
            number.push_str(&digits);
            continue;
        }
        if !number.is_empty() {
            terms.insert(number_term(&std::mem::take(&mut number)));
        }
        terms.extend(text_term(token));
    }
    if !number.is_empty() {
        terms.insert(number_term(&number));
    }
    terms.into_iter().collect()
}

/// Returns the first text greater than all texts that start with `prefix`; `None` if there is none.
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

/// Returns the term of a phone number.
///
/// Its alternative, the last ten digits, finds numbers that were stored without a country code.
fn number_term(digits: &str) -> Term {
    let mut term = Term::one(clip(digits));
    if digits.len() > 10 {
        term.alternatives.push(vec![digits[digits.len() - 10..].to_owned()]);
    }
    term
}

fn text_term(token: &str) -> Option<Term> {
    let token = fold(token);
    let parts = name_words(&token);
    if parts.is_empty() {
        return None;
    }
    if token.contains('@') {
        return Some(Term::one(clip(token.trim_matches([',', ';', '<', '>', '"']))));
    }
    let token = token.trim_matches(|c: char| !is_word_char(c));
    let punctuated = parts.len() > 1;
    let mut alternatives = vec![parts];
    if punctuated {
        // "j.smith" may be the parts of a name or the start of an e-mail address.
        alternatives.push(vec![clip(token)]);
    }
    Some(Term { alternatives })
}

fn name_words(name: &str) -> Vec<String> {
    let folded = fold(name);
    folded.split(|c: char| !is_word_char(c)).filter(|part| !part.is_empty()).map(clip).collect()
}

fn clip(word: &str) -> String {
    word[..word.floor_char_boundary(MAX_WORD)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(search: &str) -> bool {
        let words = words_of(["José-Luis", "O'Hara"], Some("J.Garcia@Example.com"), ["(212) 555-0123"]);
        let begins = |prefix: &String| words.iter().any(|word| word.starts_with(prefix));
        let terms = terms_of(search);
        !terms.is_empty()
            && terms.iter().all(|term| term.alternatives.iter().any(|prefixes| prefixes.iter().all(begins)))
    }

    #[test]
    fn a_person_is_found_by_any_part_of_the_name_in_any_spelling() {
        for search in [
            "jose",
            "JOSÉ",
            "lui har",
            "o'hara",
            "O’Hara,",
            "ohara",
            "j.garcia@ex",
            "J.Gar",
            "555-0123",
            "(555) 0123",
            "5550123",
            "212 555 0123",
            "+1 (212) 555-0123",
            "0123",
            "hara 555-0123",
            "2125550123 5550123",
            "212\u{a0}555–0123",
            "tel:+12125550123;ext=12",
            "(212) 555-0123 Ext 12",
            "２１２５５５０１２３",
        ] {
            assert!(finds(search), "{search}");
        }
        for search in [
            "maria",
            "jose smith",
            "5550124",
            "ose",
            "garcia",
            "example.com",
            "212555012 5550124",
            "  ",
            "--",
        ] {
            assert!(!finds(search), "{search}");
        }
    }

    #[test]
    fn a_prefix_range_ends_before_the_next_text() {
        assert_eq!(end_of_prefix("ab"), Some("ac".into()));
        assert_eq!(end_of_prefix("a\u{10ffff}"), Some("b".into()));
        assert_eq!(end_of_prefix("\u{d7ff}"), Some("\u{e000}".into()));
        assert_eq!(end_of_prefix("\u{10ffff}"), None);
    }
}
