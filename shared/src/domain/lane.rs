//! The lanes that deliver webhook events.

/// A lane, which determines how long an endpoint may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// As long as a quick endpoint, so that the rest of the batch waits no longer than that.
    #[default]
    Fast,
    /// As long as the documentation promises.
    Slow,
}

impl Lane {
    /// Returns the lane's name in logs and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
        }
    }
}
