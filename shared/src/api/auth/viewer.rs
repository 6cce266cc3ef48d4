//! The caller's IP address, as API Gateway or the portal's CloudFront distribution saw it.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header::Entry},
};
use lambda_http::request::RequestContext;

use crate::app::App;

/// The viewer's address. The distribution sets it, whatever the viewer sent.
const VIEWER_ADDRESS: HeaderName = HeaderName::from_static("x-officepro-viewer-address");
/// A secret that only the distribution knows. Without it, anybody may have sent the address.
const EDGE_SECRET: HeaderName = HeaderName::from_static("x-officepro-edge-secret");

/// Returns the caller's address, and removes both headers from the request.
///
/// Later code can neither forward nor log them.
pub(in crate::api) async fn address(app: &App, request: &mut Request) -> Option<IpAddr> {
    let viewer = take_the_only(request.headers_mut(), VIEWER_ADDRESS).and_then(|it| it.parse().ok());
    let secret = take_the_only(request.headers_mut(), EDGE_SECRET);
    // Not `X-Forwarded-For`: whoever calls the API itself can write it. Names that begin with
    // `X-Edge-` or `X-Amz-` are CloudFront's own.
    if let (Some(viewer), Some(secret)) = (viewer, secret)
        && app.is_from_the_edge(&secret).await
    {
        return Some(viewer);
    }
    match request.extensions().get::<RequestContext>()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}

/// Removes a header, and returns its value if it occurred only once.
///
/// API Gateway joins repeated headers with commas, which leaves neither an address nor the secret.
fn take_the_only(headers: &mut HeaderMap, name: HeaderName) -> Option<String> {
    let Entry::Occupied(found) = headers.entry(name) else { return None };
    let (_, mut values) = found.remove_entry_mult();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok().map(str::to_owned))?
}
