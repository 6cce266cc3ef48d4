//! One folding for every search and every comparison of names: case, accents and spelling variants of Unicode.

use deunicode::deunicode_char;
use icu_casemap::CaseMapper;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, Script},
};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Full case folding (Unicode), compatibility forms made plain, accents stripped where they only decorate a letter, and
/// Latin letters that do not decompose as people type them: "José" → "jose", "Łukasz" → "lukasz", "WEISS" and "Weiß" →
/// "weiss". Marks stay in scripts where they are vowels or voicing: "राम", "がく".
pub fn fold(text: &str) -> String {
    // Marks go first: case folding makes a letter of the Greek iota subscript, and two characters of "İ".
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

/// Whether a character belongs to a word: letters, digits and the marks that [`fold`] keeps.
pub fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Whether a character shows nothing by itself and separates nothing: joiners, directional marks, soft hyphens.
pub fn is_ignorable(c: char) -> bool {
    // U+200B ends a word in scripts that write no spaces.
    c != '\u{200b}' && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// The text without ignorable characters, and without marks on letters of scripts that can do without them.
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

/// What people type for a Latin letter beyond ASCII, for an apostrophe that is a letter ("Kaʻiulani"), and for a decimal
/// digit of another script.
fn typed_as(c: char) -> Option<&'static str> {
    if c.is_ascii() {
        return None;
    }
    let latin = CodePointMapData::<Script>::new().get(c) == Script::Latin;
    let digit = CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DecimalNumber;
    match c {
        // Azerbaijani; the table has the phonetic sign.
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
    fn spellings_of_one_name_fold_to_the_same() {
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
    fn marks_that_are_vowels_or_voicing_tell_names_apart() {
        for (one, other) in
            [("राम", "रीमा"), ("かく", "がく"), ("パパ", "ハハ"), ("กา", "กี"), ("민수", "만수")]
        {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn folding_again_changes_nothing() {
        for text in ["Łukasz Weiß", "Đoković", "İ", "ᾳ", "ǅ", "ŉ", "がく श्री", "ﬃ", "Kaʻiulani", "\u{345}"]
        {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }
}
