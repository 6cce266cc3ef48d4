//! The names that tests use, independent of the machine's resolver.

use std::{io, net::IpAddr};

use futures::future::BoxFuture;
use shared::egress::Resolver;

pub(crate) struct Names;

impl Resolver for Names {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let addresses: &[&str] = match name.as_str() {
            "partner.example.com" => &["93.184.216.34"],
            "inside.example.com" => &["93.184.216.34", "10.0.0.5"],
            "localhost" => &["127.0.0.1"],
            _ => &[],
        };
        let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
        Box::pin(async { Ok(addresses) })
    }
}
