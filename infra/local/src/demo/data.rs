//! The words of the demo data, from JSON files beside this one.
//!
//! All persons are fictional. Example domains and the telephone numbers 555-0100 to 555-0199 belong
//! to nobody (RFC 2606, North American Numbering Plan).

use std::sync::LazyLock;

use serde::{Deserialize, de::DeserializeOwned};

pub(super) static NAMES: LazyLock<Names> = LazyLock::new(|| read(include_str!("names.json")));
pub(super) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| read(include_str!("catalog.json")));
pub(super) static TICKETS: LazyLock<Vec<Ticket>> = LazyLock::new(|| read(include_str!("tickets.json")));

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Names {
    pub(super) female: Vec<String>,
    pub(super) male: Vec<String>,
    pub(super) last: Vec<String>,
    pub(super) streets: Vec<String>,
    /// Area codes of telephone numbers; each has a hundred numbers reserved for fiction.
    pub(super) area_codes: Vec<String>,
    pub(super) domains: Vec<String>,
    /// Reasons for visits.
    pub(super) complaints: Vec<String>,
    pub(super) tags: Vec<Tag>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) color: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalog {
    /// The lines in which each vendor has every product.
    pub(super) lines: Vec<String>,
    pub(super) vendors: Vec<Vendor>,
    /// The first has id 1; 12 is the example in the API's documentation.
    pub(super) articles: Vec<Article>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vendor {
    pub(super) code: String,
    pub(super) brand: String,
    pub(super) category: String,
    pub(super) products: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Article {
    pub(super) title: String,
    pub(super) category: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) tags: Option<String>,
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ticket {
    pub(super) subject: String,
    pub(super) description: String,
    pub(super) status: String,
    pub(super) priority: String,
    pub(super) assignee: Option<String>,
    pub(super) comments: Vec<Comment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    pub(super) author: String,
    pub(super) text: String,
}

fn read<T: DeserializeOwned + Default>(text: &str) -> T {
    // A test reads each file.
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_readable() {
        assert!(NAMES.last.len() > 90 && CATALOG.vendors.len() == 8 && TICKETS.len() == 12);
        assert_eq!(CATALOG.articles[11].title, "Insurance Verification Workflow");
    }
}
