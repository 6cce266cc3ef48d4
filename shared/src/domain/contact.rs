//! Normal forms of e-mail addresses, phone numbers and names, for comparing and searching.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Lower case without accents: "José" → "jose".
pub fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// The digits of a phone number, without extension: "+1 (555) 010-0199 x12" → "15550100199".
pub fn phone_digits(text: &str) -> String {
    let number = text.split(['x', 'X', '#', ';', ',']).next().unwrap_or_default();
    number.chars().filter(char::is_ascii_digit).collect()
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

/// Whether the text can be a phone number: 7 to 15 digits (ITU-T E.164) among spaces and `+().-/`, then perhaps an extension.
pub fn is_phone(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_digit() || " +().-/xX#".contains(c) || c == 't' || c == 'e';
    (7..=15).contains(&phone_digits(text).len()) && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_has_one_key_however_it_is_written() {
        for text in ["(212) 555-0123", "+1 212 555 0123", "212.555.0123", "1-212-555-0123 x9"] {
            assert_eq!(phone_key(text), "2125550123", "{text}");
            assert!(is_phone(text), "{text}");
        }
    }

    #[test]
    fn accents_and_case_do_not_tell_names_apart() {
        assert_eq!(fold("José ÅNGSTRÖM"), "jose angstrom");
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
