//! Values of attributes in DynamoDB.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Returns an instant as RFC 3339.
pub(super) fn text(instant: Timestamp) -> AttributeValue {
    AttributeValue::S(instant.to_string())
}
