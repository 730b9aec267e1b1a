//! Sockets, TLS, HTTP/1.1 limits, request ids, access log, drain. This room hands whole requests to a [`Handler`] and
//! must not know buckets, keys, credentials or dialects.
//!
//! What the rest of the house may rely on:
//!
//! * A request that reaches the handler has one unambiguous framing (`framing.rs`): the bytes are read by our own strict
//!   rules before hyper sees them, because hyper forgives what another server in front may read differently (`Host`
//!   twice, `Content-Length` beside `Transfer-Encoding`, equal lengths twice, `identity, chunked`, bare line feeds).
//! * It carries [`ConnInfo`] and [`RequestId`] in its extensions.
//! * An error in a response body resets the connection: a client never takes a cut object for a whole one.
//! * Nothing waits for ever: heads, handshakes and bodies that stand still are cut; so are requests that outlast the
//!   drain after the shutdown signal.
//!
//! The same server, less its log and counters, serves the [`admin`] endpoint.

pub mod admin;
mod connection;
mod framing;
mod guard;
mod record;
mod request;
mod server;
mod signal;
mod stream;
mod tls;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

pub use server::{Drained, Options, Role, bind, serve};
pub use signal::terminated;
pub use tls::{Error as TlsError, server_config};

/// An error of a response body. Its text is logged, never sent.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler answers with.
pub type ResponseBody = UnsyncBoxBody<Bytes, BodyError>;

/// Answers requests. One value serves all connections.
pub trait Handler: Send + Sync + 'static {
    /// The answer to one request. Dropped without an end when the client goes away or the drain runs out; whatever
    /// must not be left half-done belongs into a guard or a task of its own.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// The connection that a request came through, in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnInfo {
    /// The other end of the socket: the client, or a proxy.
    pub peer: SocketAddr,
    /// Whether we ended TLS on this connection.
    pub tls: bool,
}

/// A request's id, in its extensions, its log line and its response: 16 upper-case hex digits of 64 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// A fresh id.
    ///
    /// # Errors
    /// When the system's random generator fails.
    pub fn fresh() -> Result<Self, crate::types::RandomError> {
        crate::types::random().map(|bits| Self::from_bits(u64::from_be_bytes(bits)))
    }

    /// The id of these bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = [b'0'; 16];
        let mut rest = bits;
        for place in text.iter_mut().rev() {
            *place = DIGITS[usize::from(rest.to_le_bytes()[0] & 0xF)];
            rest >>= 4;
        }
        Self(text)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
