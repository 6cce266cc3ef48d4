//! Selects the route of a request by the HTTP API's rules.
//!
//! The most specific path wins: a fixed segment before a `{parameter}`, that before a greedy
//! `{parameter+}`. Then a route with the exact method wins over `ANY`. `$default` handles the rest.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::template::{Function, RouteKey};

/// All routes of the API.
pub struct Routes {
    routes: Vec<Route>,
    default: Option<String>,
}

struct Route {
    method: String,
    path: String,
    segments: Vec<Segment>,
    function: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    // Variants are in order of preference.
    Fixed(String),
    Parameter(String),
    Greedy(String),
}

/// The route that matches a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Logical id of the function.
    pub function: String,
    /// E.g. `GET /v1/{PPass}/tags`, or `$default`.
    pub route_key: String,
    /// Decoded values of the path parameters.
    pub parameters: BTreeMap<String, String>,
}

impl Routes {
    /// Collects the routes of all functions.
    pub fn new(functions: &[Function]) -> Self {
        let mut all = Self { routes: vec![], default: None };
        for function in functions {
            for route in &function.routes {
                match route {
                    RouteKey::Default => all.default = Some(function.id.clone()),
                    RouteKey::Path { method, path } => all.routes.push(Route {
                        method: method.clone(),
                        path: path.clone(),
                        segments: split(path).map(Segment::parse).collect(),
                        function: function.id.clone(),
                    }),
                }
            }
        }
        // Sort by preference once, so that the first match is the best.
        all.routes.sort_by(Route::preference);
        all
    }

    /// Returns the route for a method and a raw (still encoded) path.
    pub fn find(&self, method: &str, path: &str) -> Option<Match> {
        let segments: Vec<&str> = split(path).collect();
        for route in &self.routes {
            if route.method != "ANY" && route.method != method {
                continue;
            }
            if let Some(parameters) = route.parameters(&segments) {
                let route_key = format!("{} {}", route.method, route.path);
                return Some(Match { function: route.function.clone(), route_key, parameters });
            }
        }
        let function = self.default.clone()?;
        Some(Match { function, route_key: "$default".to_owned(), parameters: BTreeMap::new() })
    }
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            None => Self::Fixed(text.to_owned()),
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Self::Greedy(name.to_owned()),
                None => Self::Parameter(name.to_owned()),
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Fixed(_) => 0,
            Self::Parameter(_) => 1,
            Self::Greedy(_) => 2,
        }
    }
}

impl Route {
    fn preference(&self, other: &Self) -> Ordering {
        let ranks = |route: &Self| route.segments.iter().map(Segment::rank).collect::<Vec<_>>();
        let by_path = ranks(self).cmp(&ranks(other));
        by_path.then_with(|| (self.method == "ANY").cmp(&(other.method == "ANY")))
    }

    /// Returns the parameters' values if the path matches.
    fn parameters(&self, path: &[&str]) -> Option<BTreeMap<String, String>> {
        let mut parameters = BTreeMap::new();
        for (index, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Fixed(text) => {
                    if path.get(index) != Some(&text.as_str()) {
                        return None;
                    }
                }
                Segment::Parameter(name) => {
                    let value = path.get(index).filter(|value| !value.is_empty())?;
                    parameters.insert(name.clone(), decode(value));
                }
                Segment::Greedy(name) => {
                    let rest = path.get(index..).filter(|rest| rest.iter().any(|part| !part.is_empty()))?;
                    parameters.insert(name.clone(), decode(&rest.join("/")));
                    return Some(parameters);
                }
            }
        }
        (path.len() == self.segments.len()).then_some(parameters)
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn routes(keys: &[&str]) -> Routes {
        let route = |key: &&str| match key.split_once(' ') {
            None => RouteKey::Default,
            Some((method, path)) => RouteKey::Path { method: method.to_owned(), path: path.to_owned() },
        };
        Routes::new(&[Function {
            id: "Function".to_owned(),
            binary: "function".to_owned(),
            timeout: Duration::from_secs(3),
            memory: 128,
            environment: BTreeMap::new(),
            routes: keys.iter().map(route).collect(),
            queues: vec![],
            schedules: vec![],
        }])
    }

    fn key(routes: &Routes, method: &str, path: &str) -> Option<String> {
        routes.find(method, path).map(|found| found.route_key)
    }

    #[test]
    fn a_fixed_segment_beats_a_parameter_beats_a_greedy_one_beats_default() {
        let routes = routes(&["$default", "GET /v1/{all+}", "GET /v1/{PPass}/tags", "GET /v1/webhooks/{id}"]);
        assert_eq!(key(&routes, "GET", "/v1/webhooks/tags").as_deref(), Some("GET /v1/webhooks/{id}"));
        assert_eq!(key(&routes, "GET", "/v1/Demo/tags").as_deref(), Some("GET /v1/{PPass}/tags"));
        assert_eq!(key(&routes, "GET", "/v1/Demo/other").as_deref(), Some("GET /v1/{all+}"));
        assert_eq!(key(&routes, "PUT", "/v1/Demo/tags").as_deref(), Some("$default"));
        assert_eq!(key(&routes, "GET", "/elsewhere").as_deref(), Some("$default"));
    }

    #[test]
    fn a_route_for_the_method_beats_any_on_the_same_path() {
        let routes = routes(&["ANY /a/{x}", "GET /a/{x}", "ANY /a/b"]);
        assert_eq!(key(&routes, "GET", "/a/1").as_deref(), Some("GET /a/{x}"));
        assert_eq!(key(&routes, "PUT", "/a/1").as_deref(), Some("ANY /a/{x}"));
        assert_eq!(key(&routes, "GET", "/a/b").as_deref(), Some("ANY /a/b"));
        assert_eq!(key(&routes, "GET", "/a/"), None, "a parameter is never empty");
        assert_eq!(key(&routes, "GET", "/a/b/"), None, "a trailing slash is another path");
    }

    #[test]
    fn parameters_are_decoded_once_and_never_split_a_segment() {
        let routes = routes(&["GET /a/{x}/b", "GET /files/{path+}"]);
        let found = routes.find("GET", "/a/1%2F2%2525/b").unwrap();
        assert_eq!(found.parameters["x"], "1/2%25");
        let found = routes.find("GET", "/files/a/b%20c").unwrap();
        assert_eq!(found.parameters["path"], "a/b c");
    }

    #[test]
    fn an_unknown_path_has_no_route_without_a_default() {
        assert_eq!(key(&routes(&["GET /a"]), "GET", "/b"), None);
    }
}
