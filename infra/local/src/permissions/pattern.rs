//! IAM's wildcards: `*` matches any text, `?` any single character.

/// A text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns a case-insensitive pattern, e.g. for actions; the matched text must be lower case.
    pub(super) fn of_any_case(text: &str) -> Self {
        Self(text.to_ascii_lowercase())
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at, mut of) = (0, 0);
        // Position of the last `*`, and the start of the text that it does not cover yet.
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match pattern.get(of) {
                Some(b'*') => {
                    star = Some((of, at));
                    of += 1;
                }
                Some(&expected) if expected == b'?' || expected == text[at] => {
                    at += 1;
                    of += 1;
                }
                _ => {
                    let Some((back, from)) = star else { return false };
                    star = Some((back, from + 1));
                    at = from + 1;
                    of = back + 1;
                }
            }
        }
        pattern[of..].iter().all(|rest| *rest == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_text_or_any_character() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a", "A", false),
            ("", "", true),
            ("*", "", true),
            ("PRACTICE#*", "PRACTICE#", true),
            ("PRACTICE#*", "PRACTICE#Demo", true),
            ("PRACTICE#*", "XPRACTICE#Demo", false),
            ("PRACTICE#*", "PRACTICE", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-", false),
            ("*/index/*", "table/T/index/due", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("ab*", "aab", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} and {text}");
        }
        assert!(Pattern::of_any_case("dynamodb:Get*").matches("dynamodb:getitem"));
    }
}
