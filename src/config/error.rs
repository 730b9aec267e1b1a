//! What can be wrong with a configuration. Every message is one line that names the field and where it was read.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::layer::Source;

/// A configuration that cannot be used. Never carries a secret's text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field's value is not one.
    #[error("{field} (from {origin}): {reason}")]
    Invalid {
        /// The field, as the file writes it: `listen`, `users[0].name`.
        field: String,
        /// Where the value stands.
        origin: Origin,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A field contradicts, or lacks, another.
    #[error("{field} {reason}")]
    Conflict {
        /// The field to change.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has a field that does not exist.
    #[error("{field} (from {origin}): there is no such setting")]
    Unknown {
        /// The name as written.
        field: String,
        /// Which file.
        origin: Origin,
    },
    /// The file is no TOML.
    #[error("config file {}, line {line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// The configuration file cannot be read.
    #[error("config file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither flag, file nor environment has a root credential.
    #[error(
        "access_key_id and secret_access_key are not set: there is no default credential; \
         set SEALGATE_ACCESS_KEY_ID and SEALGATE_SECRET_ACCESS_KEY"
    )]
    NoRootCredential,
}

/// Where a value was read, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error {
    pub(super) fn invalid(field: impl Into<String>, source: &Source, reason: impl Into<String>) -> Self {
        let field = field.into();
        let origin = Origin(source.describe(&field));
        Self::Invalid { field, origin, reason: reason.into() }
    }

    pub(super) fn unknown(field: impl Into<String>, source: &Source) -> Self {
        let field = field.into();
        let origin = Origin(source.describe(&field));
        Self::Unknown { field, origin }
    }

    /// The same of an entry `[[upstream]]`, whose fields are those of the short form without their beginning.
    pub(super) fn of_entry(self, nth: usize) -> Self {
        let named = |field: String| format!("upstream[{nth}].{}", field.strip_prefix("upstream_").unwrap_or(&field));
        match self {
            Self::Invalid { field, origin, reason } => {
                Self::Invalid { field: named(field), origin, reason: reason.replace("upstream_", "") }
            }
            Self::Conflict { field, reason } => {
                Self::Conflict { field: named(field), reason: reason.replace("upstream_", "") }
            }
            Self::Unknown { field, origin } => Self::Unknown { field: named(field), origin },
            other => other,
        }
    }

    pub(super) fn conflict(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Conflict { field: field.into(), reason: reason.into() }
    }
}
