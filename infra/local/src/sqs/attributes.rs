//! Message attributes: their rules, their size and the checksum that SQS returns for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value};

use super::Fault;
use crate::random::hex;

/// Validates the attributes of a request (`{"name":{"DataType","StringValue"|"BinaryValue"}}`).
///
/// Returns their size in bytes and their checksum, which is `None` without attributes.
pub(super) fn measure(attributes: &Map<String, Value>) -> Result<(usize, Option<String>), Fault> {
    if attributes.len() > 10 {
        return Err(invalid("A message can have at most 10 attributes."));
    }
    let mut names: Vec<&String> = attributes.keys().collect();
    names.sort();
    let mut hash = Md5::new();
    let mut size = 0;
    for name in names {
        let attribute = &attributes[name];
        let kind = attribute.get("DataType").and_then(Value::as_str).unwrap_or_default();
        let base = kind.split('.').next().unwrap_or_default();
        let (transport, value) = match base {
            "String" | "Number" => (1, text(attribute, name)?.as_bytes().to_vec()),
            "Binary" => (2, binary(attribute, name)?),
            _ => return Err(invalid(&format!("The type of message attribute '{name}' is invalid."))),
        };
        if name.is_empty() || name.len() > 256 || value.is_empty() {
            return Err(invalid(&format!("Message attribute '{name}' must have a name and a value.")));
        }
        size += name.len() + kind.len() + value.len();
        measured(&mut hash, name.as_bytes());
        measured(&mut hash, kind.as_bytes());
        hash.update([transport]);
        measured(&mut hash, &value);
    }
    Ok((size, (!attributes.is_empty()).then(|| hex(&hash.finalize()))))
}

/// MD5 of a body, in hexadecimal.
pub(super) fn checksum(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

fn measured(hash: &mut Md5, part: &[u8]) {
    hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(part);
}

fn text<'a>(attribute: &'a Value, name: &str) -> Result<&'a str, Fault> {
    let value = attribute.get("StringValue").and_then(Value::as_str);
    value.ok_or_else(|| invalid(&format!("Message attribute '{name}' lacks its StringValue.")))
}

fn binary(attribute: &Value, name: &str) -> Result<Vec<u8>, Fault> {
    let value = attribute.get("BinaryValue").and_then(Value::as_str);
    let value = value.and_then(|value| BASE64.decode(value).ok());
    value.ok_or_else(|| invalid(&format!("Message attribute '{name}' lacks its BinaryValue.")))
}

fn invalid(message: &str) -> Fault {
    Fault::InvalidParameter(message.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_checksum_covers_sorted_length_prefixed_attributes() {
        let attributes = json!({
            "b": { "DataType": "Binary", "BinaryValue": "AQI=" },
            "a": { "DataType": "String", "StringValue": "x" },
        });
        let mut bytes = vec![0, 0, 0, 1, b'a', 0, 0, 0, 6];
        bytes.extend(b"String");
        bytes.extend([1, 0, 0, 0, 1, b'x', 0, 0, 0, 1, b'b', 0, 0, 0, 6]);
        bytes.extend(b"Binary");
        bytes.extend([2, 0, 0, 0, 2, 1, 2]);
        let expected = hex(&Md5::digest(&bytes));
        let measured = measure(attributes.as_object().unwrap()).unwrap();
        assert_eq!(measured, (1 + 6 + 1 + 1 + 6 + 2, Some(expected)));
    }

    #[test]
    fn an_attribute_without_a_value_is_rejected() {
        let attributes = json!({ "a": { "DataType": "String", "StringValue": "" } });
        assert!(measure(attributes.as_object().unwrap()).is_err());
    }
}
