//! Serves the portal's files as CloudFront does, with the same security headers and nothing outside
//! the folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use percent_encoding::percent_decode_str;

use crate::http::HttpResponse;

/// Headers of every response outside the API, which CloudFront adds in AWS.
/// `Strict-Transport-Security` is missing because this is plain HTTP.
static SECURITY_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let listed: BTreeMap<String, String> = serde_json::from_str(include_str!("../../../portal-headers.json"))
        .expect("portal-headers.json is an object of strings");
    let listed = listed.iter().map(|(name, value)| {
        let name = name.parse::<HeaderName>().expect("a valid header name");
        (name, HeaderValue::from_str(value).expect("a valid header value"))
    });
    listed.collect()
});

const NOT_FOUND: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not \
    found</title><h1>Not found</h1><p>This page does not exist. The API is under \
    <code>/v1</code>.</p></html>";

/// The folder of static files.
pub(super) struct Portal {
    folder: PathBuf,
}

impl Portal {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) async fn answer(&self, method: &Method, path: &str) -> HttpResponse {
        if method != Method::GET && method != Method::HEAD {
            let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", Bytes::new());
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match self.file(path).await {
            Some((file, content)) => page(StatusCode::OK, content_type(&file), content.into()),
            None => page(
                StatusCode::NOT_FOUND,
                "text/html; charset=utf-8",
                Bytes::from_static(NOT_FOUND.as_bytes()),
            ),
        }
    }

    async fn file(&self, path: &str) -> Option<(PathBuf, Vec<u8>)> {
        let mut file = self.folder.clone();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let name = percent_decode_str(segment).decode_utf8().ok()?;
            // Only plain file names: no parent, no hidden file, no separator, encoded or not.
            if name.starts_with('.') || name.contains(['/', '\\', ':', '\0']) {
                return None;
            }
            file.push(&*name);
        }
        if path.ends_with('/') {
            file.push("index.html");
        }
        // A symbolic link must not lead out of the folder.
        let file = tokio::fs::canonicalize(file).await.ok()?;
        let folder = tokio::fs::canonicalize(&self.folder).await.ok()?;
        if !file.starts_with(&folder) {
            return None;
        }
        let content = tokio::fs::read(&file).await.ok()?;
        Some((file, content))
    }
}

fn page(status: StatusCode, content_type: &'static str, body: Bytes) -> HttpResponse {
    let mut page = Response::new(Full::new(body));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.extend(SECURITY_HEADERS.clone());
    page
}

fn content_type(file: &std::path::Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_regular_files_in_the_folder_are_served() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("portal");
        std::fs::create_dir_all(folder.join("docs")).unwrap();
        std::fs::write(root.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(folder.join(".hidden"), "secret").unwrap();
        std::fs::write(folder.join("index.html"), "home").unwrap();
        std::fs::write(folder.join("docs/index.html"), "docs").unwrap();
        std::os::unix::fs::symlink(root.path().join("secret.txt"), folder.join("link.txt")).unwrap();
        let portal = Portal::new(folder);
        for found in ["/", "/index.html", "/docs/"] {
            let answer = portal.answer(&Method::GET, found).await;
            assert_eq!(answer.status(), 200, "{found}");
            assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
            assert!(
                answer.headers()["content-security-policy"]
                    .to_str()
                    .unwrap()
                    .contains("trusted-types 'none'")
            );
        }
        for lost in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/docs/..%5c..%5csecret.txt",
            "/.hidden",
            "/link.txt",
            "/docs",
            "/%00",
            "/%ff",
            "/none",
        ] {
            let answer = portal.answer(&Method::GET, lost).await;
            assert_eq!(answer.status(), 404, "{lost}");
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        }
        assert_eq!(portal.answer(&Method::POST, "/").await.status(), 405);
    }

    #[tokio::test]
    async fn a_missing_folder_gets_an_explanatory_page() {
        let portal = Portal::new(PathBuf::from("/does/not/exist"));
        assert_eq!(portal.answer(&Method::GET, "/").await.status(), 404);
    }
}
