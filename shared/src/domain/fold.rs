//! Folding of case, accents and Unicode variants, shared by all searches and comparisons of names.

use deunicode::deunicode_char;
use icu_casemap::CaseMapper;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, Script},
};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Folds a text so that different spellings of a name compare as equal.
///
/// Applies full Unicode case folding, resolves compatibility forms, strips accents that only
/// decorate a letter, and replaces Latin letters that do not decompose with what people type:
/// "José" → "jose", "Łukasz" → "lukasz", "WEISS" and "Weiß" → "weiss". Marks remain in scripts
/// where they are vowels or voicing: "राम", "がく".
pub fn fold(text: &str) -> String {
    // Strip marks before case folding, which turns the Greek iota subscript into a letter and "İ"
    // into two characters.
    let folded = CaseMapper::new().fold_string(&strip(text.nfkd())).into_owned();
    let plain = strip(folded.nfkd());
    let mut typed = String::with_capacity(plain.len());
    for c in plain.chars() {
        match typed_as(c) {
            Some(letters) => typed.extend(letters.chars().map(|letter| letter.to_ascii_lowercase())),
            None => typed.push(c),
        }
    }
    typed.nfc().collect()
}

/// Whether a character belongs to a word: a letter, a digit or a mark that [`fold`] keeps.
pub fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Whether a character is invisible and separates nothing: a joiner, directional mark, soft hyphen.
pub fn is_ignorable(c: char) -> bool {
    // U+200B separates words in scripts that do not use spaces.
    c != '\u{200b}' && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Removes ignorable characters, and marks from letters of scripts in which marks are optional.
fn strip(text: impl Iterator<Item = char>) -> String {
    let scripts = CodePointMapData::<Script>::new();
    let mut decorated = false;
    text.filter(|c| {
        if is_ignorable(*c) {
            return false;
        }
        if is_combining_mark(*c) {
            return !decorated;
        }
        decorated = matches!(
            scripts.get(*c),
            Script::Latin | Script::Greek | Script::Cyrillic | Script::Arabic | Script::Hebrew
        );
        true
    })
    .collect()
}

/// Returns what people type for a non-ASCII character, if they type something else.
///
/// Covers Latin letters, apostrophes that are letters ("Kaʻiulani"), and decimal digits of other
/// scripts.
fn typed_as(c: char) -> Option<&'static str> {
    if c.is_ascii() {
        return None;
    }
    let latin = CodePointMapData::<Script>::new().get(c) == Script::Latin;
    let digit = CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DecimalNumber;
    match c {
        // The Azerbaijani letter; `deunicode` takes it for the phonetic symbol.
        'ə' => Some("e"),
        '\u{2b0}'..='\u{2ff}' => deunicode_char(c),
        _ if latin || digit => {
            deunicode_char(c).filter(|typed| typed.bytes().all(|it| it.is_ascii_alphanumeric()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_fold_to_one_form() {
        for (one, other) in [
            ("José ÅNGSTRÖM", "jose angstrom"),
            ("WEISS", "Weiß"),
            ("GROẞ", "gross"),
            ("ΝΙΚΟΣ", "Νίκος"),
            ("IŞIL", "Işıl"),
            ("işil", "Işıl"),
            ("İrem", "irem"),
            ("lukasz", "Łukasz"),
            ("soren", "Søren"),
            ("dokovic", "Đoković"),
            ("thorsdottir", "Þórsdóttir"),
            ("aesir", "Æsir"),
            ("eliyev", "Əliyev"),
            ("nguyen", "Nguyễn"),
            ("ФЁДОР", "Федор"),
            ("أحمد", "احمد"),
            ("שָׁלוֹם", "שלום"),
            ("Müller", "Mu\u{308}ller"),
            ("がく", "か\u{3099}く"),
            ("ﾊﾟﾊﾟ", "パパ"),
            ("Ｓｍｉｔｈ", "smith"),
            ("Kaʻiulani", "Ka`iulani"),
            ("123", "١٢٣"),
            ("علی\u{200c}رضا", "علیرضا"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn vowel_and_voicing_marks_distinguish_names() {
        for (one, other) in
            [("राम", "रीमा"), ("かく", "がく"), ("パパ", "ハハ"), ("กา", "กี"), ("민수", "만수")]
        {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn folding_is_idempotent() {
        for text in ["Łukasz Weiß", "Đoković", "İ", "ᾳ", "ǅ", "ŉ", "がく श्री", "ﬃ", "Kaʻiulani", "\u{345}"]
        {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }
}
