//! Where a call comes from: as API Gateway saw it or, when it came by the portal's distribution, as that did.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header::Entry},
};
use lambda_http::request::RequestContext;

use crate::app::App;

/// The address of who called the distribution, which sets it whatever was sent to it.
const VIEWER_ADDRESS: HeaderName = HeaderName::from_static("x-officepro-viewer-address");
/// What only the distribution knows. Without it the address is anybody's word.
const EDGE_SECRET: HeaderName = HeaderName::from_static("x-officepro-edge-secret");

/// The caller's address. Both headers are taken off the request: nothing behind this can pass them on or write them down.
pub(super) async fn address(app: &App, request: &mut Request) -> Option<IpAddr> {
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

/// The header's value, if it came once only. API Gateway joins several by commas, so that neither an address nor the secret
/// is left of them.
fn take_the_only(headers: &mut HeaderMap, name: HeaderName) -> Option<String> {
    let Entry::Occupied(found) = headers.entry(name) else { return None };
    let (_, mut values) = found.remove_entry_mult();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok().map(str::to_owned))?
}
