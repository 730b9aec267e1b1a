//! The audit trail: every use and every change of a CMK as one line of JSON in the shape of AWS CloudTrail's records, each
//! line chained to the one before it by its hash, so that a line that was removed or altered is found.
//!
//! * `origin`: which request an event belongs to.
//! * `event`: what a line says.
//! * `chain`: how lines hang together, and the sealed head that says how far they must go.
//! * `trail`: the thread that writes and syncs them, in files of an hour each.
//! * `closed`: the files that are finished, for who takes them elsewhere.
//! * `read`: verifying and searching the files of a running or stopped gateway.
//!
//! This room knows the key service's events. It must not know keys, objects or buckets but by the names in those.

mod chain;
mod closed;
mod event;
mod origin;
mod read;
#[cfg(test)]
mod tests;
mod trail;

pub use closed::Closed;
pub use origin::{Origin, during};
pub use read::{Found, Question, query, time, verify};
pub use trail::Trail;

/// The trail's directory in the data directory.
pub const DIRECTORY: &str = "audit";

/// Why a trail cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The head's seal cannot be made.
    #[error("the audit trail's head cannot be sealed: {0}")]
    Seal(String),
}

impl Error {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        |source| Self::Io { path, source }
    }
}
