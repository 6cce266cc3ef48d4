//! Searching texts that the database has in ASCII lower case: every word must be in them somewhere.

use std::collections::BTreeSet;

/// What escapes the wildcards of LIKE.
const ESCAPE: char = '!';

/// A condition that `text` (an SQL expression) has every word, with the values of its placeholders, which are numbered
/// from `first`. The condition holds constants and placeholder numbers only.
pub(super) fn has_words(text: &str, words: &[String], first: usize) -> (Vec<String>, Vec<String>) {
    let mut values = Vec::new();
    let conditions = words
        .iter()
        .map(|word| {
            let any: Vec<String> = spellings(word)
                .into_iter()
                .map(|spelling| {
                    values.push(pattern(&spelling));
                    format!("{text} like ${} escape '{ESCAPE}'", first + values.len() - 1)
                })
                .collect();
            format!("({})", any.join(" or "))
        })
        .collect();
    (conditions, values)
}

/// `lower` of both engines knows ASCII alone: a word with other letters is also sought in capitals and capitalised.
fn spellings(word: &str) -> BTreeSet<String> {
    let lower = word.to_lowercase();
    let mut chars = lower.chars();
    let capitalised: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    [lower.to_uppercase(), capitalised, lower].map(|it| it.to_ascii_lowercase()).into()
}

fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.chars() {
        if matches!(c, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_sought_as_they_are() {
        let (conditions, values) = has_words("t", &["50%_!".to_owned(), "Gel".to_owned()], 2);
        assert_eq!(conditions, ["(t like $2 escape '!')", "(t like $3 escape '!')"]);
        assert_eq!(values, ["%50!%!_!!%", "%gel%"]);
    }

    #[test]
    fn letters_beyond_ascii_are_sought_in_either_case() {
        let (conditions, values) = has_words("t", &["évêque".to_owned()], 1);
        assert_eq!(conditions.len(), 1);
        for stored in ["évêque", "Évêque", "ÉVÊQUE"].map(str::to_ascii_lowercase) {
            assert!(values.contains(&format!("%{stored}%")), "{stored}");
        }
    }
}
