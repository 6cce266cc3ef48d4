//! Searching folded texts: every word must be in them somewhere.

use crate::domain::fold::fold;

/// What escapes the wildcards of LIKE.
const ESCAPE: char = '!';

/// The conditions that `search_text` has every word, with the values of their placeholders, which are numbered from 1. The
/// conditions hold constants and placeholder numbers only.
pub(super) fn has_words(words: &[String]) -> (Vec<String>, Vec<String>) {
    let condition = |number| format!("search_text like ${number} escape '{ESCAPE}'");
    ((1..=words.len()).map(condition).collect(), words.iter().map(|word| pattern(&fold(word))).collect())
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
        let (conditions, values) = has_words(&["50%_!".to_owned(), "Gél".to_owned()]);
        assert_eq!(conditions, ["search_text like $1 escape '!'", "search_text like $2 escape '!'"]);
        assert_eq!(values, ["%50!%!_!!%", "%gel%"]);
    }
}
