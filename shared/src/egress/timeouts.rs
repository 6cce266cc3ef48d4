//! The time limits of a call to a partner's endpoint.

use std::time::Duration;

/// The time limits of a call to a partner's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP handshake together.
    pub connect: Duration,
    /// From the start of name resolution to the last byte of the response.
    pub total: Duration,
}

impl Timeouts {
    /// Returns the limit of a TLS handshake. It ends before the call's, so the error names TLS.
    pub(super) fn tls(&self) -> Duration {
        self.total.saturating_sub(self.connect)
    }
}

impl Default for Timeouts {
    /// The documented limits, which [`super::Failure`] also states.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) }
    }
}
