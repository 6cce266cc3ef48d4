//! Extracts from DynamoDB expressions what policy conditions need: attribute names and the
//! partition key's value.

use serde_json::Value;

const KEYWORDS: [&str; 9] = ["SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"];

/// Returns the top-level attributes of an expression's paths.
pub(super) fn attributes(body: &Value, expression: &str) -> Vec<String> {
    let words = words(body[expression].as_str().unwrap_or_default());
    let is_function = |at: usize| words.get(at + 1) == Some(&"(");
    let is_inside = |at: usize| at > 0 && words[at - 1] == ".";
    let tops = words.iter().enumerate().filter(|(at, _)| !is_function(*at) && !is_inside(*at));
    tops.filter_map(|(_, word)| attribute(body, word)).map(str::to_owned).collect()
}

/// Returns the value that the key condition requires of this attribute.
pub(super) fn equal_to<'a>(body: &'a Value, key: &str) -> Option<&'a Value> {
    let words = words(body["KeyConditionExpression"].as_str()?);
    let is_key = |word: &str| attribute(body, word) == Some(key);
    let value = words.windows(3).find_map(|three| match three {
        [name, "=", value] if value.starts_with(':') && is_key(name) => Some(*value),
        [value, "=", name] if value.starts_with(':') && is_key(name) => Some(*value),
        _ => None,
    })?;
    body["ExpressionAttributeValues"].get(value)
}

/// Returns the attribute that a word or its placeholder names.
fn attribute<'a>(body: &'a Value, word: &'a str) -> Option<&'a str> {
    if word.starts_with('#') {
        return body["ExpressionAttributeNames"][word].as_str();
    }
    let is_name = word.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    let is_keyword = KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
    (is_name && !is_keyword).then_some(word)
}

/// Splits an expression into names, placeholders and single symbols.
fn words(mut expression: &str) -> Vec<&str> {
    let in_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let mut words = vec![];
    while let Some(first) = expression.trim_start().chars().next() {
        expression = expression.trim_start();
        let begin = first.len_utf8();
        let begins_word = in_word(first) || first == '#' || first == ':';
        let end = if begins_word {
            expression[begin..].find(|it| !in_word(it)).map_or(expression.len(), |at| begin + at)
        } else {
            begin
        };
        words.push(&expression[..end]);
        expression = &expression[end..];
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_expression_lists_the_top_level_attributes_of_its_paths() {
        let body = json!({
            "UpdateExpression": "SET #n0 = if_not_exists(used, :zero), a.b = :v ADD counts[0] :one REMOVE c",
            "ConditionExpression": "attribute_exists(pk) AND (revision = :before OR size(d.e)>:x)",
            "ExpressionAttributeNames": { "#n0": "lastUsedAt" },
        });
        assert_eq!(attributes(&body, "UpdateExpression"), ["lastUsedAt", "used", "a", "counts", "c"]);
        assert_eq!(attributes(&body, "ConditionExpression"), ["pk", "revision", "d"]);
        assert!(attributes(&body, "ProjectionExpression").is_empty());
    }

    #[test]
    fn the_partition_key_value_is_found_in_any_notation() {
        for condition in ["pk = :a AND sk > :b", "sk>:b and #k=:a", "sk BETWEEN :b AND :c AND :a = pk"] {
            let body = json!({
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": { "#k": "pk" },
                "ExpressionAttributeValues": { ":a": { "S": "mine" }, ":b": { "S": "x" },
                    ":c": { "S": "y" } },
            });
            assert_eq!(equal_to(&body, "pk"), Some(&json!({ "S": "mine" })), "{condition}");
            assert_eq!(equal_to(&body, "other"), None);
        }
    }
}
