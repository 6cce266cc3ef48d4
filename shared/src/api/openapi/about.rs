//! Title, contact, license and groups of the description.

use utoipa::openapi::{
    Contact, ExternalDocs, Info, License, OpenApi, Server,
    tag::{Tag, TagBuilder},
};

const INTRODUCTION: &str = "\
Integrate with the electronic medical record of a practice: prospects, tags, availability, bookings, \
webhooks.

Calls are limited per API key and minute. `RateLimit-Policy` and `RateLimit` \
(draft-ietf-httpapi-ratelimit-headers) contain the limit and the number of calls left; `Retry-After` of a \
429 says how long to wait. Several servers count calls and synchronize every few seconds, so the number can \
jump between calls, and a burst can briefly exceed the limit. Do not rely on more calls than the limit.

Unknown fields and query parameters are rejected by name, and so is a field that is sent twice.

Money is an exact decimal number with two digits after the point. Read it as a decimal, not as a binary \
floating-point number.

New fields, error codes and enumeration values can be added to responses at any time. Ignore what you do not \
know.";

/// The groups of operations, in the order of the published reference.
const GROUPS: [(&str, &str); 13] = [
    ("Authentication", "Exchange an API key for an access token that is valid for up to 24 hours."),
    ("Prospects", "Prospects and patients of a practice: search, create, update."),
    ("Tags", "The practice's tags, and the tags of a prospect."),
    ("Providers", "Providers, their scheduled visits and their free times. Requires the scope `Providers`."),
    (
        "Visit Scheduling",
        "Visit types and visits: book, reschedule, cancel. Requires the scope `Scheduling`.",
    ),
    ("Products", "Products of all practices (ProductPro). Requires the scope `ProductPro.Products`."),
    ("Knowledge Base", "Articles of all practices. Requires the scope `KB`."),
    ("Webhooks", "Subscriptions to events of a practice, and their deliveries."),
    ("Tickets", "Support tickets of a practice and their comments. Requires the scope `Tickets`."),
    ("My Information", "The partner and the API key that call."),
    ("Administration", "For administrators, with the header `X-Admin-Secret` or a session of the portal."),
    ("Portal", "What the portal itself calls: sessions, access requests, claims of keys."),
    ("Meta", "Health and this description."),
];

pub(super) fn introduce(openapi: &mut OpenApi) {
    let mut info = Info::new("OfficePro Partner API", env!("CARGO_PKG_VERSION"));
    let mut license = License::new("Apache License 2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    let mut contact = Contact::new();
    contact.name = Some("OfficePro support".to_owned());
    contact.email = Some("support@naturaesoft.com".to_owned());
    info.contact = Some(contact);
    info.description = Some(INTRODUCTION.to_owned());
    openapi.info = info;
    openapi.servers = Some(vec![Server::new("/")]);
    openapi.tags = Some(GROUPS.into_iter().map(|(name, text)| tag(name, text)).collect());
}

fn tag(name: &str, description: &str) -> Tag {
    let mut tag = TagBuilder::new().name(name).description(Some(description)).build();
    if name == "Webhooks" {
        let mut standard = ExternalDocs::new("https://www.standardwebhooks.com");
        standard.description = Some("Standard Webhooks: libraries that verify the signatures".to_owned());
        tag.external_docs = Some(standard);
    }
    tag
}
