//! Which request an event belongs to. It goes along with the request's task and not through every call: the rooms between
//! the listener and the key service have no use for it.

use std::future::Future;
use std::net::IpAddr;

tokio::task_local! {
    static ORIGIN: Origin;
}

/// A request, as the trail names it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The request's id, as its answer shows it.
    pub request_id: String,
    /// The other end of the connection.
    pub peer: IpAddr,
}

/// Runs a request; what it does to keys is told as its.
pub async fn during<F: Future>(origin: Origin, request: F) -> F::Output {
    ORIGIN.scope(origin, request).await
}

/// The request of this task; what the gateway does by itself has none.
pub(super) fn current() -> Option<Origin> {
    ORIGIN.try_with(Clone::clone).ok()
}
