//! Calls to addresses that partners choose.
//!
//! Every address is checked when a connection is opened. So neither a name whose address changes
//! nor an unusual notation of an address can reach our own network. The functions' own runtime
//! listens on loopback.

pub mod address;
mod client;
mod connector;
mod failure;
mod guard;
mod hook_url;
mod timeouts;

pub use client::{Client, EndpointResponse};
pub use failure::{Failure, Phase, TlsFailure};
pub use guard::{Guard, Refused, Resolver, SystemResolver};
pub use hook_url::{HookUrl, UrlRefused};
pub use timeouts::Timeouts;

/// Where calls may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Global unicast addresses, with https on port 443.
    Internet,
    /// Also loopback, with http or any port, for the local stack and tests.
    ///
    /// Other private networks stay blocked.
    InternetAndLoopback,
}

impl Reach {
    pub fn new(allow_loopback: bool) -> Self {
        if allow_loopback { Self::InternetAndLoopback } else { Self::Internet }
    }

    fn includes_loopback(self) -> bool {
        self == Self::InternetAndLoopback
    }
}
