//! Strict decoding of query parameters: guessing a byte would search for something else.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::api::{FieldError, FieldErrors, field_errors::shown};

pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, FieldErrors> {
    let (mut pairs, mut errors) = (Vec::new(), FieldErrors::default());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(name), decode(value)) {
            (Some(name), Some(value)) => pairs.push((name, value)),
            (name, _) => errors.push(FieldError {
                location: name.map_or_else(|| "query".to_owned(), |name| format!("query.{}", shown(&name))),
                code: "INVALID_VALUE",
                message: "must be percent-encoded UTF-8".to_owned(),
            }),
        }
    }
    if errors.is_empty() { Ok(pairs) } else { Err(errors) }
}

/// Decodes a text; `None` if a percent-encoding or the UTF-8 is invalid.
fn decode(text: &str) -> Option<String> {
    let is_byte = |code: &str| code.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_byte) {
        return None;
    }
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_not_utf8_is_rejected_by_name() {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs("a=x+y%26&&b"), Ok(vec![own("a", "x y&"), own("b", "")]));
        assert_eq!(pairs("s=%C3%BC"), Ok(vec![own("s", "ü")]));
        for (query, location) in [
            ("s=%ff", "query.s"),
            ("s=%zz", "query.s"),
            ("s=%4", "query.s"),
            ("%ff=1", "query"),
            ("s=%+1", "query.s"),
        ] {
            assert_eq!(pairs(query).unwrap_err().into_parts().0[0].location, location, "{query}");
        }
    }
}
