//! Normal forms of e-mail addresses, phone numbers and names, for comparing and searching.

use icu_properties::{CodePointSetData, props::Dash};
use unicode_normalization::UnicodeNormalization;

pub use super::fold::fold;
use super::fold::is_ignorable;

/// Fewest and most digits of a phone number (ITU-T E.164).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Most digits of an extension.
const EXTENSION_DIGITS: usize = 11;

/// A phone number as it is stored: without invisible marks, which come with what is pasted, and without spaces around it.
pub fn visible(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_ignorable(*c) && *c != '\u{200b}').collect();
    visible.trim().to_owned()
}

/// The number as it would be typed: ASCII digits, spaces and hyphens, lower case, without `tel:`.
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

/// The digits of a phone number, without extension: "+1 (555) 010-0199 x12" → "15550100199".
pub fn phone_digits(text: &str) -> String {
    phone_numbers(text).into_iter().next().unwrap_or_default()
}

/// The digits of each phone number of a text, without extensions: programs of the EMR write words and several numbers into one
/// column. "Fax: 555-0100, home 555-0101 x12" → "5550100", "5550101".
pub fn phone_numbers(text: &str) -> Vec<String> {
    let typed = typed_number(text);
    let mut numbers: Vec<String> = Vec::new();
    for part in typed.split([';', ',']) {
        let digits: String = without_extension(part).chars().filter(char::is_ascii_digit).collect();
        // What follows a number and is too short for one is its extension.
        if numbers.is_empty() || digits.len() >= *PHONE_DIGITS.start() {
            numbers.push(digits);
        }
    }
    if numbers.len() > 1 {
        numbers.retain(|digits| !digits.is_empty());
    }
    numbers
}

/// What stands before `#`, or before an `x` or `ext` that comes after a digit: other words have an `x`, too.
fn without_extension(part: &str) -> &str {
    let is_mark = |(at, c): &(usize, char)| {
        let before = part[..*at].trim_end();
        let before = before.strip_suffix('e').unwrap_or(before).trim_end();
        *c == '#' || (*c == 'x' && before.ends_with(|c: char| c.is_ascii_digit() || c == ')' || c == '.'))
    };
    part.char_indices().find(is_mark).map_or(part, |(at, _)| &part[..at])
}

/// Whether a text is a whole phone number that only its `tel:` or its extension tells from a few numbers.
pub fn is_marked_phone(text: &str) -> bool {
    let typed = typed_number(text);
    let marked =
        visible(text).to_ascii_lowercase().starts_with("tel:") || typed.contains(['x', '#', ';', ',']);
    marked && check_phone(text).is_ok()
}

/// A part of a phone number in ASCII, if the text is one: digits among `+().-/`.
pub fn phone_part(text: &str) -> Option<String> {
    let typed = typed_number(text);
    let is_part = typed.contains(|c: char| c.is_ascii_digit())
        && typed.chars().all(|c| c.is_ascii_digit() || "+().-/".contains(c));
    is_part.then_some(typed)
}

/// A phone number's last ten digits: equal for equal numbers with and without a country code.
pub fn phone_key(text: &str) -> String {
    let digits = phone_digits(text);
    digits[digits.len().saturating_sub(10)..].to_owned()
}

/// Trimmed and in lower case: what two equal addresses share.
pub fn email_key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Whether the text has the shape of an address (RFC 5321 §4.1.2, without quoted forms): 3 to 254 characters,
/// one `@`, a local part of at most 64, a domain of dot-separated labels.
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

/// Why the text can be no phone number: it must be 7 to 15 digits (ITU-T E.164) among spaces, dashes and `+().-/`, perhaps
/// after `tel:`, then perhaps an extension: `ext`, `ext.`, `extension`, `x`, `#` or `;ext=` and up to 11 digits.
pub fn check_phone(text: &str) -> Result<(), &'static str> {
    let typed = typed_number(text);
    let (number, extension) = split_extension(&typed);
    let known = |c: char| c.is_ascii_digit() || " +().-/".contains(c);
    if number.chars().any(char::is_alphabetic) {
        return Err("must hold letters only in an extension, such as 'ext. 12'");
    }
    if !number.chars().all(known) {
        return Err(
            "must hold only digits, spaces, dashes and +()./, and perhaps an extension such as 'ext. 12'",
        );
    }
    if !PHONE_DIGITS.contains(&number.chars().filter(char::is_ascii_digit).count()) {
        return Err("must have 7 to 15 digits");
    }
    match extension.map(str::trim) {
        Some(digits)
            if !(1..=EXTENSION_DIGITS).contains(&digits.len())
                || !digits.bytes().all(|it| it.is_ascii_digit()) =>
        {
            Err("must have 1 to 11 digits, and nothing else, after the sign of an extension")
        }
        _ => Ok(()),
    }
}

/// A number as it is typed, and what stands behind the sign of an extension.
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
    fn the_same_number_has_one_key_however_it_is_written() {
        for text in ["(212) 555-0123", "+1 212 555 0123", "212.555.0123", "1-212-555-0123 x9"] {
            assert_eq!(phone_key(text), "2125550123", "{text}");
            assert_eq!(check_phone(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn each_number_of_a_text_counts_and_no_word_or_extension() {
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
    fn a_number_is_accepted_however_it_was_pasted() {
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
    fn a_refusal_says_what_is_wrong_with_the_number() {
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
    fn an_address_without_a_domain_is_no_address() {
        for good in ["john@example.com", "a.b+c@sub.example.co", "o'neil@example.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "@", "a@", "@b.c", "a@b", "a b@c.de", "a@b..c", "a@-b.c", ".a@b.cd", "a\n@b.cd"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
