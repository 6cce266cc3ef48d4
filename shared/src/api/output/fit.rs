//! Limits the size of responses while they are built, whatever is stored.

use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeSeq},
};
use serde_json::{Value, value::RawValue};

/// The maximum size of a response, in bytes.
pub(in crate::api) const MAX_ANSWER: usize = 1 << 20;
/// The maximum size of one row of a page, in bytes. A hundred rows fit into a response.
const MAX_ROW: usize = 10_000;
/// The maximum size of all rows of a list, in bytes. The list ends with the last that fits.
const MAX_ROWS: usize = 1_000_000;
/// The size of texts and lists, in bytes, above which a row that is too large omits them.
///
/// The longest are omitted first.
const LONG: usize = 1_024;

/// Serializes the rows of a page, each with at most [`MAX_ROW`] bytes; for `serialize_with`.
pub fn rows<T: Serialize, S: Serializer>(rows: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(rows.len()))?;
    for row in rows {
        list.serialize_element(&fitted(row, MAX_ROW).map_err(S::Error::custom)?)?;
    }
    list.end()
}

/// Serializes the data of a response with at most [`MAX_ROWS`] bytes; for `serialize_with`.
pub fn whole<T: Serialize, S: Serializer>(data: &T, serializer: S) -> Result<S::Ok, S::Error> {
    fitted(data, MAX_ROWS).map_err(S::Error::custom)?.serialize(serializer)
}

/// Returns how many of the first rows fit into one response; at least one.
pub(in crate::api) fn as_many_as_fit<T: Serialize>(rows: &[T]) -> usize {
    let sizes = rows.iter().map(|row| fitted(row, MAX_ROW).map_or(0, |it| it.get().len() + 1));
    fill(MAX_ROWS, sizes)
}

/// Truncates the rows to `most` bytes, but keeps at least one; returns how many were removed.
pub fn leave<T: Serialize>(rows: &mut Vec<T>, most: usize) -> usize {
    let all = rows.len();
    let sizes = rows.iter().map(|row| serde_json::to_vec(row).map_or(0, |bytes| bytes.len() + 1));
    rows.truncate(fill(most, sizes));
    all - rows.len()
}

/// Returns the size of a text in a response, in bytes.
pub fn text_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(0, |it| it.len())
}

/// Returns how many of the first parts fit into `most` bytes, given their sizes; at least one.
pub fn fill(most: usize, sizes: impl IntoIterator<Item = usize>) -> usize {
    let mut whole = 0;
    let fits = |size: &usize| {
        whole += size;
        whole <= most
    };
    sizes.into_iter().take_while(fits).count().max(1)
}

fn fitted(row: &impl Serialize, most: usize) -> serde_json::Result<Box<RawValue>> {
    let text = serde_json::to_string(row)?;
    if text.len() <= most {
        return RawValue::from_string(text);
    }
    let mut row: Value = serde_json::from_str(&text)?;
    shrink(&mut row, most);
    serde_json::value::to_raw_value(&row)
}

fn shrink(row: &mut Value, bytes: usize) {
    while size(row) > bytes
        && let Value::Object(members) = row
    {
        let long = members.iter().filter(|(_, value)| value.is_string() || value.is_array());
        let longest = long.map(|(name, value)| (size(value), name)).max().filter(|(size, _)| *size > LONG);
        let Some(name) = longest.map(|(_, name)| name.clone()) else { break };
        members.remove(&name);
    }
    for most in [200, 100, 50, 20] {
        if size(row) <= bytes {
            break;
        }
        cut_texts(row, most);
    }
}

/// Cuts all texts to `most` characters, and all lists to `most` items.
fn cut_texts(value: &mut Value, most: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(most) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => {
            items.truncate(most);
            for item in items.iter_mut() {
                cut_texts(item, most);
            }
        }
        Value::Object(members) => members.values_mut().for_each(|member| cut_texts(member, most)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

fn size(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(row: &Value) -> Value {
        serde_json::from_str(fitted(row, MAX_ROW).unwrap().get()).unwrap()
    }

    #[test]
    fn a_row_that_fits_is_returned_unchanged() {
        let row = json!({ "id": 1, "Notes": "n".repeat(9_000) });
        assert_eq!(shown(&row), row);
    }

    #[test]
    fn a_row_that_is_too_large_loses_its_longest_texts_and_lists() {
        let row = json!({
            "id": 1, "Name": "Ann", "Notes": "n".repeat(9_000), "Tags": vec!["t"; 1000],
            "Url": "u".repeat(2_000),
        });
        assert_eq!(
            shown(&row),
            json!({ "id": 1, "Name": "Ann", "Tags": vec!["t"; 1000], "Url": "u".repeat(2_000) })
        );
        let row = json!({
            "id": 1, "Name": "Ann", "Notes": "n".repeat(9_000), "Tags": vec!["t"; 5000],
            "Url": "u".repeat(2_000),
        });
        assert_eq!(
            shown(&row),
            json!({ "id": 1, "Name": "Ann", "Url": "u".repeat(2_000) }),
            "the longest first"
        );
    }

    #[test]
    fn many_medium_texts_are_truncated_and_every_field_stays() {
        let row: serde_json::Map<String, Value> =
            (0..40).map(|number| (format!("f{number}"), json!("😀".repeat(250)))).collect();
        let shown = shown(&Value::Object(row));
        let members = shown.as_object().unwrap();
        assert_eq!(members.len(), 40);
        assert!(members.values().all(|it| it.as_str().unwrap().ends_with('…')));
        assert!(size(&shown) <= MAX_ROW);
    }

    #[test]
    fn a_list_ends_at_its_size_limit() {
        assert_eq!(fill(1_000_000, [400_000, 600_000, 1]), 2);
        assert_eq!(fill(1_000_000, [2_000_000, 1]), 1, "a larger row is not skipped permanently");
        assert_eq!(fill(1_000_000, [1, 2, 3]), 3);
    }
}
