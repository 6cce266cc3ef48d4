//! Amounts of money as exact decimals, never as binary floating-point numbers.

use std::fmt;

use serde::{Serialize, Serializer, ser::Error};
use serde_json::value::RawValue;

/// A nonnegative amount in cents. In JSON, it is a number with at most two decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx_macros::Type)]
#[sqlx(transparent)]
pub struct Cents(pub i64);

/// Why a number is not a valid amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAmount {
    /// It has fractions of a cent.
    TooExact,
    /// It is negative or greater than [`Cents::MAX`].
    OutOfRange,
}

impl Cents {
    /// The largest amount: 99,999,999.99.
    pub const MAX: Self = Self(9_999_999_999);

    /// Parses the text of a JSON number without rounding.
    ///
    /// `99.99`, `1e2` and `5.500` are amounts; `0.001` is not.
    pub fn from_json_number(text: &str) -> Result<Self, NoAmount> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let negative = mantissa.starts_with('-');
        let (whole, fraction) = mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        if negative {
            return Err(NoAmount::OutOfRange);
        }
        // The value is 0.significant × 10^magnitude. An exponent that does not fit counts as the
        // smallest or largest one, depending on its sign.
        let leading = digits.len() - digits.trim_start_matches('0').len();
        let read = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let exponent =
            exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
        let magnitude = exponent.saturating_add(read(whole.trim_start_matches('-').len()) - read(leading));
        if read(significant.len()).saturating_sub(magnitude) > 2 {
            return Err(NoAmount::TooExact);
        }
        // An amount has at most ten digits in cents, so at most eight before the decimal point.
        if magnitude > 8 {
            return Err(NoAmount::OutOfRange);
        }
        let zeros = usize::try_from(magnitude + 2 - read(significant.len())).unwrap_or_default();
        let cents = format!("{significant}{}", "0".repeat(zeros)).parse().unwrap_or(i64::MAX);
        if cents <= Self::MAX.0 { Ok(Self(cents)) } else { Err(NoAmount::OutOfRange) }
    }
}

impl fmt::Display for Cents {
    /// Writes the shortest decimal: `99.99`, `5.5`, `100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, cents) if cents % 10 == 0 => write!(f, "{whole}.{}", cents / 10),
            (whole, cents) => write!(f, "{whole}.{cents:02}"),
        }
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_to_the_cent() {
        for (text, cents, written) in [
            ("99.99", 9999, "99.99"),
            ("0", 0, "0"),
            ("-0", 0, "0"),
            ("0e5", 0, "0"),
            ("0.07", 7, "0.07"),
            ("0.1", 10, "0.1"),
            ("5.500", 550, "5.5"),
            ("1e2", 10_000, "100"),
            ("1.5E+1", 1500, "15"),
            ("1234.5e-1", 12_345, "123.45"),
            ("100", 10_000, "100"),
            ("0.0001e2", 1, "0.01"),
            ("99999999.99", 9_999_999_999, "99999999.99"),
            ("9999999999e-2", 9_999_999_999, "99999999.99"),
        ] {
            assert_eq!(Cents::from_json_number(text), Ok(Cents(cents)), "{text}");
            assert_eq!(serde_json::to_string(&Cents(cents)).unwrap(), written);
        }
        for cents in 0..20_000 {
            let written = serde_json::to_string(&Cents(cents)).unwrap();
            assert_eq!(Cents::from_json_number(&written), Ok(Cents(cents)));
        }
    }

    #[test]
    fn an_invalid_amount_is_rejected_with_the_reason() {
        use NoAmount::{OutOfRange, TooExact};
        for (text, why) in [
            ("99.999", TooExact),
            ("0.001", TooExact),
            // As a double this would be 99.99.
            ("99.9900000000000000000001", TooExact),
            ("1e-3", TooExact),
            ("1e-99999999999999999999", TooExact),
            ("-1", OutOfRange),
            ("-0.01", OutOfRange),
            ("100000000", OutOfRange),
            ("99999999.991e1", OutOfRange),
            ("1e400", OutOfRange),
            ("1e99999999999999999999", OutOfRange),
        ] {
            assert_eq!(Cents::from_json_number(text), Err(why), "{text}");
        }
    }
}
