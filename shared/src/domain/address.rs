//! Validation of states, postal codes and countries in postal addresses.

const US_STATES: &str = "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE \
    NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI UM AA AE AP FM MH \
    PW";
const CANADIAN_PROVINCES: &str = "AB BC MB NB NL NS NT NU ON PE QC SK YT";
/// The ISO 3166-1 alpha-2 codes.
const COUNTRY_CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL \
    BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO \
    DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM \
    HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR \
    LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL \
    NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ \
    SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA \
    VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// The country of an address, as far as it decides the form of the state and postal code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    UnitedStates,
    Canada,
    /// No country is given: the address must be in the United States or Canada.
    NorthAmerica,
    Elsewhere,
}

impl Region {
    fn of(country: Option<&str>) -> Self {
        match country.map(str::to_ascii_uppercase).as_deref() {
            None => Self::NorthAmerica,
            Some("US" | "USA" | "U.S." | "U.S.A." | "UNITED STATES" | "UNITED STATES OF AMERICA") => {
                Self::UnitedStates
            }
            Some("CA" | "CAN" | "CANADA") => Self::Canada,
            Some(_) => Self::Elsewhere,
        }
    }
}

/// Whether the text is an ISO 3166-1 alpha-2 code or a country name of 3 to 60 characters.
pub fn is_country(text: &str) -> bool {
    let length = text.chars().count();
    match length {
        2 => listed(COUNTRY_CODES, text),
        3..=60 => {
            text.chars().all(|c| c.is_alphabetic() || " .,'’()&-".contains(c))
                && text.contains(char::is_alphabetic)
        }
        _ => false,
    }
}

/// Checks that a state belongs to the country.
///
/// Without a country, it must belong to the United States or Canada. In any other country, every
/// state is accepted.
///
/// # Errors
/// What the state must be.
pub fn check_state(state: &str, country: Option<&str>) -> Result<(), &'static str> {
    let (us, canada) = (listed(US_STATES, state), listed(CANADIAN_PROVINCES, state));
    match Region::of(country) {
        Region::UnitedStates if !us => Err("must be the two-letter code of a US state"),
        Region::Canada if !canada => Err("must be the two-letter code of a Canadian province"),
        Region::NorthAmerica if !us && !canada => {
            Err("must be a two-letter US state or Canadian province code unless Country is another country")
        }
        _ => Ok(()),
    }
}

/// Checks that a postal code has the form of the country's.
///
/// Without a country, it must have the form of the United States or Canada.
///
/// # Errors
/// What the postal code must be.
pub fn check_postal_code(code: &str, country: Option<&str>) -> Result<(), &'static str> {
    let (us, canada) = (is_us_zip(code), is_canadian_postal_code(code));
    let plausible = (2..=10).contains(&code.len())
        && code.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b'-');
    match Region::of(country) {
        Region::UnitedStates if !us => Err("must be a ZIP code, such as 12345 or 12345-6789"),
        Region::Canada if !canada => Err("must be a Canadian postal code, such as K1A 0B1"),
        Region::NorthAmerica if !us && !canada => {
            Err("must be a US ZIP code or Canadian postal code unless Country is another country")
        }
        Region::Elsewhere if !plausible => Err("must be 2 to 10 letters, digits, spaces or hyphens"),
        _ => Ok(()),
    }
}

/// Whether the code has the form `12345` or `12345-6789`.
fn is_us_zip(code: &str) -> bool {
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    match code.split_once('-') {
        Some((zip, plus_four)) => digits(zip, 5) && digits(plus_four, 4),
        None => digits(code, 5),
    }
}

/// Whether the code has the form `K1A 0B1`; a hyphen may replace the space, or nothing.
///
/// The letters D, F, I, O, Q and U never occur, and W and Z never come first.
fn is_canadian_postal_code(code: &str) -> bool {
    let compact: Vec<u8> = match code.as_bytes() {
        [first @ .., separator, a, b, c] if first.len() == 3 && matches!(separator, b' ' | b'-') => {
            first.iter().chain([a, b, c]).map(u8::to_ascii_uppercase).collect()
        }
        bytes => bytes.to_ascii_uppercase(),
    };
    compact.len() == 6
        && !matches!(compact[0], b'W' | b'Z')
        && compact.iter().enumerate().all(|(place, byte)| {
            if place % 2 == 0 {
                byte.is_ascii_uppercase() && !b"DFIOQU".contains(byte)
            } else {
                byte.is_ascii_digit()
            }
        })
}

fn listed(list: &str, code: &str) -> bool {
    list.split_whitespace().any(|entry| entry.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_belongs_to_its_country() {
        for (state, country) in
            [("NY", None), ("on", None), ("ny", Some("us")), ("QC", Some("Canada")), ("Bayern", Some("DE"))]
        {
            assert_eq!(check_state(state, country), Ok(()), "{state} {country:?}");
        }
        for (state, country) in
            [("ZZ", None), ("ON", Some("US")), ("NY", Some("CA")), ("New York", Some("USA"))]
        {
            assert!(check_state(state, country).is_err(), "{state} {country:?}");
        }
    }

    #[test]
    fn a_postal_code_has_the_form_of_its_country() {
        for (code, country) in [
            ("10001", None),
            ("10001-1234", Some("US")),
            ("k1a0b1", None),
            ("K1A 0B1", Some("CA")),
            ("SW1A 1AA", Some("GB")),
        ] {
            assert_eq!(check_postal_code(code, country), Ok(()), "{code} {country:?}");
        }
        for (code, country) in [
            ("1000", None),
            ("SW1A 1AA", None),
            ("K1A 0B1", Some("US")),
            ("10001", Some("CA")),
            ("D1A 0B1", Some("CA")),
            ("--", Some("GB")),
            ("<script>", Some("GB")),
        ] {
            assert!(check_postal_code(code, country).is_err(), "{code} {country:?}");
        }
    }

    #[test]
    fn a_country_is_an_assigned_code_or_a_name() {
        for good in ["US", "de", "Germany", "Côte d'Ivoire", "USA"] {
            assert!(is_country(good), "{good}");
        }
        for bad in ["", "X", "XX", "U5", "12345", "...", &"a".repeat(61)] {
            assert!(!is_country(bad), "{bad}");
        }
    }
}
