//! The guides of the documentation, rendered from `infra/guides` into `infra/portal/docs`.
//!
//! Pages are rendered here instead of in the browser: the content security policy permits neither
//! inline scripts nor HTML from text.

mod catalog;
mod markdown;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use pulldown_cmark::HeadingLevel;
use serde_json::{Value, json};
use shared::{
    api::{ApiError, Code, Problem, edge},
    app::{App, Parts},
};
use tower::ServiceExt;

use crate::{described::described, description::rust_files};
use markdown::{Rendered, render, samples};

/// The guides by heading of the index, in the order in which they are read.
const GUIDES: [(&str, &[&str]); 3] = [
    ("Get started", &["quickstart", "authentication", "environments"]),
    ("Use the API", &["errors", "pagination", "idempotency", "rate-limits", "scheduling", "webhooks"]),
    ("Go live", &["going-live", "security", "changelog"]),
];

const UPDATE: &str = "run UPDATE_SNAPSHOTS=1 cargo test --workspace --test api guides";

fn names() -> impl Iterator<Item = &'static str> {
    GUIDES.into_iter().flat_map(|(_, names)| names.iter().copied())
}

fn infra(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra")).join(path)
}

fn source(name: &str) -> String {
    fs::read_to_string(infra("guides").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn markdown_of(name: &str) -> String {
    let text = source(&format!("{name}.md"));
    if text.contains("{{codes}}") {
        text.replace("{{codes}}", &catalog::catalog(&source("codes.md")))
    } else {
        text
    }
}

/// Returns every file of the documentation with its content.
fn pages() -> BTreeMap<String, String> {
    let guides: Vec<(&str, Rendered)> = names().map(|name| (name, render(&markdown_of(name)))).collect();
    let titles: BTreeMap<&str, &str> =
        guides.iter().map(|(name, guide)| (*name, guide.title.as_str())).collect();
    let mut pages = BTreeMap::new();
    for (name, guide) in &guides {
        let parts = Page {
            title: &guide.title,
            summary: &guide.summary,
            index: index(&titles, Some(name)),
            content: guide.html.clone(),
            toc: toc(guide),
        };
        pages.insert(format!("{name}.html"), parts.fill());
    }
    let parts = Page {
        title: "Guides",
        summary: "Guides to the OfficePro Partner API: authentication, scheduling, webhooks and more.",
        index: index(&titles, None),
        content: overview(&guides),
        toc: String::new(),
    };
    pages.insert("index.html".to_owned(), parts.fill());
    pages.insert("search.json".to_owned(), format!("{}\n", search_index(&guides)));
    pages
}

struct Page<'a> {
    title: &'a str,
    summary: &'a str,
    index: String,
    content: String,
    toc: String,
}

impl Page<'_> {
    fn fill(&self) -> String {
        source("page.html")
            .replace("{{title}}", &escape(self.title))
            .replace("{{summary}}", &escape(self.summary))
            .replace("{{index}}", &self.index)
            .replace("{{toc}}", &self.toc)
            .replace("{{content}}", &self.content)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns the list of all guides; `current` is the one that it is beside.
fn index(titles: &BTreeMap<&str, &str>, current: Option<&str>) -> String {
    let mut html = String::new();
    for (group, names) in GUIDES {
        writeln!(html, "<h2>{group}</h2>\n<ul class=\"plain\">").unwrap();
        for name in names {
            let here = if Some(*name) == current { " aria-current=\"page\"" } else { "" };
            writeln!(html, "<li><a href=\"{name}.html\"{here}>{}</a></li>", escape(titles[name])).unwrap();
        }
        html.push_str("</ul>\n");
    }
    html
}

/// Returns the list of a page's headings.
fn toc(guide: &Rendered) -> String {
    let mut html = "<nav class=\"toc\" aria-label=\"On this page\" tabindex=\"0\" data-scrolls>\n\
                    <h2>On this page</h2>\n<ul class=\"plain\">\n"
        .to_owned();
    for section in guide.sections.iter().skip(1) {
        let class = if section.level == HeadingLevel::H4 { " class=\"code\"" } else { "" };
        let (anchor, title) = (&section.anchor, escape(&section.title));
        writeln!(html, "<li{class}><a href=\"#{anchor}\">{title}</a></li>").unwrap();
    }
    html.push_str("</ul>\n</nav>\n");
    html
}

fn overview(guides: &[(&str, Rendered)]) -> String {
    let mut html = "<h1>OfficePro API documentation</h1>\n<p>Everything that you need to integrate with a \
                    practice: start with the <a href=\"quickstart.html\">quickstart</a>, and look up single \
                    calls in the <a href=\"../#/docs\">API reference</a>.</p>\n"
        .to_owned();
    for (group, names) in GUIDES {
        writeln!(html, "<h2>{group}</h2>\n<ul class=\"plain guide-cards\">").unwrap();
        for (name, guide) in guides.iter().filter(|(name, _)| names.contains(name)) {
            let (title, summary) = (escape(&guide.title), escape(&guide.summary));
            writeln!(html, "<li><a href=\"{name}.html\">{title}</a><p>{summary}</p></li>").unwrap();
        }
        html.push_str("</ul>\n");
    }
    html
}

fn search_index(guides: &[(&str, Rendered)]) -> Value {
    let entries = guides.iter().flat_map(|(name, guide)| {
        guide.sections.iter().enumerate().map(move |(at, section)| {
            let anchor = if at == 0 { String::new() } else { format!("#{}", section.anchor) };
            json!({
                "title": section.title,
                "guide": guide.title,
                "href": format!("{name}.html{anchor}"),
                "text": section.text.split_whitespace().collect::<Vec<_>>().join(" "),
            })
        })
    });
    entries.collect()
}

/// `UPDATE_SNAPSHOTS=1` writes the files instead.
#[test]
fn the_committed_pages_match_the_guides_and_the_codes() {
    let (folder, pages) = (infra("portal/docs"), pages());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in &pages {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let committed: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(committed, pages.keys().cloned().collect(), "{UPDATE}");
    for (name, text) in &pages {
        assert!(fs::read_to_string(folder.join(name)).unwrap() == *text, "{name} is outdated: {UPDATE}");
    }
}

#[test]
fn every_guide_is_listed() {
    let files = fs::read_dir(infra("guides")).unwrap().map(|file| file.unwrap().file_name());
    let files: BTreeSet<String> = files.filter_map(|it| it.into_string().ok()).collect();
    let others = ["codes.md", "page.html"].map(str::to_owned);
    let listed = names().map(|name| format!("{name}.md")).chain(others).collect();
    assert_eq!(files, listed);
}

/// Returns the targets of all links of a page, and its anchors.
fn links_and_anchors(html: &str) -> (Vec<String>, BTreeSet<String>) {
    let values = |attribute: &str| {
        let marker = format!(" {attribute}=\"");
        html.split(&marker).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    (values("href"), values("id").into_iter().collect())
}

#[test]
fn every_link_of_the_guides_leads_somewhere() {
    let pages = pages();
    let described = described();
    let items = described["paths"].as_object().unwrap().values();
    let operations: BTreeSet<String> = items
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|it| format!("../#/docs/{}", it["operationId"].as_str().unwrap()))
        .collect();
    // Pages of the portal, and the description.
    let others =
        ["../#/", "../#/docs", "../#/request-access", "../#/key", "../#/webhooks", "../v1/openapi.json"];
    let mut checked = 0;
    for (name, html) in pages.iter().filter(|(name, _)| *name != "search.json") {
        for link in links_and_anchors(html).0 {
            checked += 1;
            if operations.contains(&link) || others.contains(&link.as_str()) || link.starts_with("https://") {
                continue;
            }
            if link.starts_with("../") {
                assert!(infra("portal/docs").join(&link).is_file(), "{name}: {link}");
                continue;
            }
            let (page, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target = if page.is_empty() {
                html
            } else {
                pages.get(page).unwrap_or_else(|| panic!("{name}: {link}"))
            };
            assert!(
                anchor.is_empty() || links_and_anchors(target).1.contains(anchor),
                "{name}: {link} leads to no anchor"
            );
        }
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn no_anchor_of_a_guide_occurs_twice() {
    for (name, html) in pages() {
        let all = html.matches(" id=\"").count();
        assert_eq!(links_and_anchors(&html).1.len(), all, "{name}");
    }
}

#[test]
fn the_type_of_every_problem_leads_to_its_entry_in_the_catalog() {
    let page = &pages()["errors.html"];
    for origin in ["", "https://portal.example.com"] {
        for code in Code::ALL {
            let problem = Problem::new(*code, String::new(), "req-12345678", origin);
            let anchor = problem.kind.strip_prefix(&format!("{origin}/docs/errors.html#")).unwrap();
            assert_eq!(anchor, code.as_str());
            assert!(page.contains(&format!("<h4 id=\"{anchor}\"")), "{anchor}");
        }
    }
}

/// The portal's origin is configured in the cloud; the local stack serves portal and API together.
#[tokio::test]
async fn an_error_names_its_entry_on_the_portal() {
    for (origin, start) in [(None, ""), (Some("https://portal.example.com"), "https://portal.example.com")] {
        let mut parts = Parts::from_env();
        parts.config.portal_origin = origin.map(str::to_owned);
        let routes = edge(Router::new().fallback(async || ApiError::not_found()), App::new(parts));
        let request = Request::get("/v1/none").body(Body::empty()).unwrap();
        let body = routes.oneshot(request).await.unwrap().into_body();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["type"], format!("{start}/docs/errors.html#NOT_FOUND"));
    }
}

#[test]
fn the_codes_of_single_fields_are_explained() {
    let text = source("errors.md");
    let mut found = BTreeSet::new();
    for file in ["shared/src/api", "functions"].iter().flat_map(|folder| rust_files(folder)) {
        let source = fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        // Administrators read the messages of theirs in the portal.
        if file.components().any(|it| it.as_os_str() == "admin") {
            continue;
        }
        for marker in ["FieldProblem::new(\"", "FieldProblem { code: \"", " code: \""] {
            found.extend(source.split(marker).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    assert!(found.contains("REQUIRED") && found.contains("DUPLICATE_FIELD"), "{found:?}");
    for code in found {
        assert!(text.contains(&format!("`{code}`")), "errors.md does not explain {code}");
    }
}

#[test]
fn every_json_sample_is_json() {
    let mut checked = 0;
    for name in names() {
        for sample in samples(&source(&format!("{name}.md"))).iter().filter(|it| it.language == "json") {
            checked += 1;
            if let Err(error) = serde_json::from_str::<Value>(&sample.code) {
                panic!("{name}: {error}: {}", sample.code);
            }
        }
    }
    assert!(checked > 8, "{checked}");
}
