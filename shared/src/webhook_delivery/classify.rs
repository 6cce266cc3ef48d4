//! Classification of endpoints' responses.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;

use crate::{
    control::deliveries::Attempt,
    egress::{EndpointResponse, Failure},
};

/// The result of a POST.
pub(super) struct PostOutcome {
    pub(super) attempt: Attempt,
    pub(super) took: Duration,
    pub(super) verdict: Verdict,
}

/// The meaning of a response. `asked` is its `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    /// 410: the partner no longer accepts events.
    Gone,
    /// 429: the endpoint works, but cannot accept this rate.
    Rejected {
        asked: Option<Duration>,
    },
    /// Any other response, or none. `asked` is set for a 503 only.
    Failure {
        asked: Option<Duration>,
    },
}

/// Classifies the response to a POST that started at `at` and lasted `took`.
pub(super) fn classify(
    answer: Result<EndpointResponse, Failure>,
    at: Timestamp,
    took: Duration,
) -> PostOutcome {
    let duration_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let mut attempt =
        Attempt { at, status_code: None, duration_ms, error_message: None, answer: String::new() };
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            attempt.error_message = Some(failure.to_string());
            return PostOutcome { attempt, took, verdict: Verdict::Failure { asked: None } };
        }
    };
    attempt.status_code = Some(answer.status.as_u16());
    let verdict = match answer.status {
        status if status.is_success() => Verdict::Success,
        StatusCode::GONE => Verdict::Gone,
        StatusCode::TOO_MANY_REQUESTS => Verdict::Rejected { asked: answer.retry_after },
        StatusCode::SERVICE_UNAVAILABLE => Verdict::Failure { asked: answer.retry_after },
        _ => Verdict::Failure { asked: None },
    };
    if verdict != Verdict::Success {
        attempt.error_message = Some(explain(&answer));
        // Store the body only if it may explain a failure: an endpoint can return any data.
        attempt.answer = answer.body;
    }
    PostOutcome { attempt, took, verdict }
}

fn explain(answer: &EndpointResponse) -> String {
    let status = answer.status.as_u16();
    match &answer.location {
        Some(location) => {
            format!("the endpoint answered {status}, redirected to {location}; redirects are not followed")
        }
        None if answer.status.is_redirection() => {
            format!("the endpoint answered {status}; redirects are not followed")
        }
        None => format!("the endpoint answered {status}"),
    }
}
