//! Why a call failed. Partners see the texts, which reveal nothing of our own network.
//!
//! Each kind of fault has one text. All blocked addresses share one, so that nobody can probe our
//! network through a URL of their choice.

use std::{error::Error, io};

use hyper_util::client::legacy;
use rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};

use super::Refused;

/// Why there is no complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the URL is no longer allowed")]
    Url,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("timed out {0}")]
    TimedOut(Phase),
    #[error("the connection was refused")]
    ConnectionRefused,
    #[error("the connection was reset")]
    Reset,
    #[error("the host can't be reached")]
    Unreachable,
    #[error("the connection could not be established")]
    Connect,
    #[error("the TLS handshake failed: {0}")]
    Tls(TlsFailure),
    #[error("the connection was closed before the answer was complete")]
    Closed,
    #[error("the answer is not HTTP")]
    NotHttp,
}

/// The phase that took too long. Tests compare the texts with the timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Phase {
    #[error("connecting: there was no connection within 5 seconds")]
    Connect,
    #[error("in the TLS handshake, after 10 seconds")]
    Tls,
    #[error("waiting for the first byte of the answer: the call took 15 seconds")]
    FirstByte,
    #[error("reading the body of the answer: the call took 15 seconds")]
    Body,
}

/// Why the TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFailure {
    #[error("the endpoint supports neither TLS 1.2 nor 1.3")]
    Version,
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotValidYet,
    #[error("the certificate is not valid for the host name")]
    Name,
    #[error("the certificate's issuer is unknown; send the full certificate chain")]
    UnknownIssuer,
    #[error("the certificate has been revoked")]
    Revoked,
    #[error("the certificate is not acceptable; a public authority must issue it for the host name")]
    Certificate,
    #[error("the endpoint doesn't speak TLS on this port")]
    NotTls,
    #[error("the connection was closed")]
    Closed,
    #[error("the endpoint rejected it")]
    Refused,
    #[error("the endpoint and the platform support no common parameters")]
    Incompatible,
}

/// Returns the failure for an I/O error; `None` if its kind is not specific.
pub(super) fn of_io(error: &io::Error) -> Option<Failure> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Failure::Reset
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Failure::Unreachable,
        io::ErrorKind::TimedOut => Failure::TimedOut(Phase::Connect),
        _ => return None,
    })
}

pub(super) fn of_handshake(error: &io::Error) -> TlsFailure {
    let Some(error) = error.get_ref().and_then(|it| it.downcast_ref::<TlsError>()) else {
        return TlsFailure::Closed;
    };
    match error {
        TlsError::InvalidCertificate(error) => of_certificate(error),
        TlsError::InvalidMessage(_) => TlsFailure::NotTls,
        TlsError::AlertReceived(AlertDescription::ProtocolVersion)
        | TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => TlsFailure::Version,
        TlsError::AlertReceived(_) => TlsFailure::Refused,
        _ => TlsFailure::Incompatible,
    }
}

fn of_certificate(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotValidYet
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::Name
        }
        CertificateError::UnknownIssuer => TlsFailure::UnknownIssuer,
        CertificateError::Revoked => TlsFailure::Revoked,
        _ => TlsFailure::Certificate,
    }
}

/// Returns the failure for a call without a response.
pub(super) fn of_call(error: &legacy::Error) -> Failure {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return *failure;
        }
        source = cause.source();
    }
    of_exchange(error).unwrap_or(if error.is_connect() { Failure::Connect } else { Failure::Closed })
}

/// Returns the failure for a connection that broke; `None` if it was closed in order.
pub(super) fn of_exchange(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut source = Some(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return Some(Failure::NotHttp);
        }
        if let Some(failure) = cause.downcast_ref::<io::Error>().and_then(of_io) {
            return Some(failure);
        }
        source = cause.source();
    }
    None
}
