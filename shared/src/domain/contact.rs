//! Validation and normal forms of e-mail addresses and phone numbers, for comparison and search.

use icu_properties::{CodePointSetData, props::Dash};
use unicode_normalization::UnicodeNormalization;

pub use super::fold::fold;
use super::fold::is_ignorable;

/// The number of digits in a phone number; 15 is the limit of ITU-T E.164.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// The maximum number of digits in an extension.
const EXTENSION_DIGITS: usize = 11;

/// Returns a phone number as it is stored: trimmed and without invisible characters.
///
/// Pasted text often contains invisible characters, such as directional marks.
pub fn visible(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_ignorable(*c) && *c != '\u{200b}').collect();
    visible.trim().to_owned()
}

/// Converts a number to what a person would type.
///
/// The result has ASCII digits, spaces and hyphens, lower-case letters and no `tel:` prefix.
fn typed_number(text: &str) -> String {
    let dashes = CodePointSetData::new::<Dash>();
    let typed: String = visible(text)
        .nfkc()
        .map(|c| match c {
            c if c.is_whitespace() && !c.is_control() => ' ',
            c if dashes.contains(c) => '-',
            '·' | '•' | '‧' | '∙' => '.',
            c => c,
        })
        .collect();
    let typed = fold(&typed);
    typed.strip_prefix("tel:").map_or(typed.trim(), str::trim).to_owned()
}

/// Returns the digits of a phone number, without its extension.
///
/// "+1 (555) 010-0199 x12" gives "15550100199". Only the first number of a text counts.
pub fn phone_digits(text: &str) -> String {
    phone_numbers(text).into_iter().next().unwrap_or_default()
}

/// Returns the digits of each phone number in a text, without extensions.
///
/// The EMR's programs write words and several numbers into one column:
/// "Fax: 555-0100, home 555-0101 x12" gives "5550100" and "5550101".
pub fn phone_numbers(text: &str) -> Vec<String> {
    let typed = typed_number(text);
    let mut numbers: Vec<String> = Vec::new();
    for part in typed.split([';', ',']) {
        let digits: String = without_extension(part).chars().filter(char::is_ascii_digit).collect();
        // Digits that follow a number and are too few for another one are its extension.
        if numbers.is_empty() || digits.len() >= *PHONE_DIGITS.start() {
            numbers.push(digits);
        }
    }
    if numbers.len() > 1 {
        numbers.retain(|digits| !digits.is_empty());
    }
    numbers
}

/// Returns the text before the extension sign: `#`, or an `x` or `ext` after a number.
///
/// Any other `x` belongs to a word.
fn without_extension(part: &str) -> &str {
    let is_mark = |(at, c): &(usize, char)| {
        let before = part[..*at].trim_end();
        let before = before.strip_suffix('e').unwrap_or(before).trim_end();
        *c == '#' || (*c == 'x' && before.ends_with(|c: char| c.is_ascii_digit() || c == ')' || c == '.'))
    };
    part.char_indices().find(is_mark).map_or(part, |(at, _)| &part[..at])
}

/// Whether a text is one phone number, recognizable by its `tel:` prefix or its extension.
///
/// Without these, a search text may also consist of several numbers.
pub fn is_marked_phone(text: &str) -> bool {
    let typed = typed_number(text);
    let marked =
        visible(text).to_ascii_lowercase().starts_with("tel:") || typed.contains(['x', '#', ';', ',']);
    marked && check_phone(text).is_ok()
}

/// Returns the text in ASCII if it can be part of a phone number: digits and any of `+().-/`.
pub fn phone_part(text: &str) -> Option<String> {
    let typed = typed_number(text);
    let is_part = typed.contains(|c: char| c.is_ascii_digit())
        && typed.chars().all(|c| c.is_ascii_digit() || "+().-/".contains(c));
    is_part.then_some(typed)
}

/// Returns a phone number's last ten digits, which are the same with and without a country code.
pub fn phone_key(text: &str) -> String {
    let digits = phone_digits(text);
    digits[digits.len().saturating_sub(10)..].to_owned()
}

/// Returns the address trimmed and in lower case, so that equal addresses compare as equal.
pub fn email_key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Whether the text has the form of an e-mail address (RFC 5321, section 4.1.2).
///
/// Quoted forms are not accepted. The address has at most 254 bytes: a local part of at most 64,
/// one `@`, and a domain of two or more labels separated by dots.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let local_ok = (1..=64).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local
            .chars()
            .all(|c| !c.is_control() && (c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)));
    let labels: Vec<&str> = domain.split('.').collect();
    let label_ok = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 254 && local_ok && labels.len() >= 2 && labels.iter().all(label_ok)
}

/// Checks that the text is a phone number.
///
/// It must have 7 to 15 digits (ITU-T E.164) among spaces, dashes and `+().-/`. It may start with
/// `tel:` and end with an extension: `ext`, `ext.`, `extension`, `x`, `#` or `;ext=`, and 1 to 11
/// digits.
///
/// # Errors
/// What the text must be.
pub fn check_phone(text: &str) -> Result<(), &'static str> {
    let typed = typed_number(text);
    let (number, extension) = split_extension(&typed);
    let known = |c: char| c.is_ascii_digit() || " +().-/".contains(c);
    if number.chars().any(char::is_alphabetic) {
        return Err("may contain letters only in an extension, such as 'ext. 12'");
    }
    if !number.chars().all(known) {
        return Err(
            "must contain only digits, spaces, dashes and +()./, and optionally an extension such as 'ext. \
                12'",
        );
    }
    if !PHONE_DIGITS.contains(&number.chars().filter(char::is_ascii_digit).count()) {
        return Err("must contain 7 to 15 digits");
    }
    match extension.map(str::trim) {
        Some(digits)
            if !(1..=EXTENSION_DIGITS).contains(&digits.len())
                || !digits.bytes().all(|it| it.is_ascii_digit()) =>
        {
            Err("must have an extension of 1 to 11 digits, and nothing after it")
        }
        _ => Ok(()),
    }
}

/// Splits a typed number at the extension sign, if it has one.
fn split_extension(typed: &str) -> (&str, Option<&str>) {
    let separators = [' ', ',', ';', '-'];
    for sign in ["extension", "ext", "x", "#"] {
        if let Some((number, extension)) = typed.split_once(sign) {
            return (
                number.trim_end_matches(separators),
                Some(extension.trim_start_matches(['.', ':', '=', ' '])),
            );
        }
    }
    (typed, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_phone_number_has_one_key_in_any_notation() {
        for text in ["(212) 555-0123", "+1 212 555 0123", "212.555.0123", "1-212-555-0123 x9"] {
            assert_eq!(phone_key(text), "2125550123", "{text}");
            assert_eq!(check_phone(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn every_phone_number_in_a_text_has_a_key_but_no_extension_does() {
        for (text, numbers) in [
            ("Fax: 212-555-7788", vec!["2125557788"]),
            ("Max (son) 212-555-7788 ext 4", vec!["2125557788"]),
            ("Exchange 212-555-7788x4", vec!["2125557788"]),
            ("212-555-7788, home 212 555 0101 x12", vec!["2125557788", "2125550101"]),
            ("212-555-7788; ext=12", vec!["2125557788"]),
            ("none", vec![""]),
        ] {
            assert_eq!(phone_numbers(text), numbers, "{text}");
        }
    }

    #[test]
    fn a_phone_number_is_accepted_in_any_pasted_form() {
        for text in [
            "212\u{a0}555\u{a0}0123",
            "212–555–0123",
            "212—555―0123",
            "212‐555‑0123",
            "212\u{2212}555\u{2212}0123",
            "212\u{2009}555\u{202f}0123",
            "２１２\u{3000}５５５－０１２３",
            "＋1 212 555 0123",
            "\u{202a}+1 (212) 555-0123\u{202c}",
            "\u{200e}(212) 555-0123\u{200f}",
            "\u{feff}212.555.0123",
            "tel:+1-212-555-0123",
            "TEL: 212 555 0123",
            "tel:+12125550123;ext=12",
            "212 555 0123 Ext 12",
            "212 555 0123 ext. 12",
            "212-555-0123, EXT: 12",
            "212-555-0123 Extension 12",
            "212-555-0123X12",
            "212-555-0123 #12",
            "٢١٢٥٥٥٠١٢٣",
        ] {
            assert_eq!(check_phone(text), Ok(()), "{text}");
            assert_eq!(phone_key(text), "2125550123", "{text}");
        }
    }

    #[test]
    fn the_error_says_what_is_wrong_with_the_phone_number() {
        for (text, said) in [
            ("212 CALL NOW", "letters only in an extension"),
            ("Büro 212 555 0123", "letters only in an extension"),
            ("212*555*0123", "only digits, spaces"),
            ("555012", "7 to 15 digits"),
            ("1234567890123456", "7 to 15 digits"),
            ("2125550123 x", "1 to 11 digits"),
            ("2125550123 ext twelve", "1 to 11 digits"),
            ("2125550123 x123456789012", "1 to 11 digits"),
        ] {
            assert!(check_phone(text).unwrap_err().contains(said), "{text}: {:?}", check_phone(text));
        }
    }

    #[test]
    fn an_email_address_without_a_domain_is_rejected() {
        for good in ["john@example.com", "a.b+c@sub.example.co", "o'neil@example.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "@", "a@", "@b.c", "a@b", "a b@c.de", "a@b..c", "a@-b.c", ".a@b.cd", "a\n@b.cd"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
