//! The part of the description that is for partners.

use serde_json::Value;

use super::components;

/// The groups of operations that partners do not call.
const INTERNAL: [&str; 2] = [super::ADMINISTRATION, "Portal"];

/// Removes what only administrators and the portal use: operations, groups, credentials, and the
/// components that nothing refers to any more.
pub(super) fn keep_only(document: &mut Value) {
    let is_internal = |name: &Value| INTERNAL.iter().any(|it| name == it);
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.retain(|_, item| {
            let Some(operations) = item.as_object_mut() else { return false };
            operations
                .retain(|_, operation| !operation["tags"].as_array().into_iter().flatten().any(is_internal));
            !operations.is_empty()
        });
    }
    if let Some(groups) = document["tags"].as_array_mut() {
        groups.retain(|group| !is_internal(&group["name"]));
    }
    for operation in components::operations(document) {
        if let Some(accepted) = operation.get_mut("security").and_then(Value::as_array_mut) {
            accepted.retain(|it| it.get(super::SESSION).is_none());
        }
    }
    if let Some(schemes) = document["components"]["securitySchemes"].as_object_mut() {
        schemes.retain(|name, _| name == super::TOKEN);
    }
    components::remove_unused(document);
}
