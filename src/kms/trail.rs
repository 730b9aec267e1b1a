//! What a key service tells of each use and change of a CMK, and to whom. The trail itself is another room's.

use std::fmt;

use async_trait::async_trait;

use super::{EncryptionContext, Error, Principal};

/// One use or one change of a CMK. It never has key material; a context's values are the caller's own words, as AWS
/// CloudTrail shows them.
#[derive(Debug, Clone, Copy)]
pub struct KeyEvent<'a> {
    /// The API's name of what was done, such as `GenerateDataKey`.
    pub operation: &'a str,
    /// Who did it.
    pub principal: &'a Principal,
    /// The CMK's ARN, or what was named where nothing was found.
    pub key: &'a str,
    /// The version of the CMK that wrapped or unwrapped, where one did.
    pub version: Option<u32>,
    /// The encryption context of a use; a change has none.
    pub context: Option<&'a EncryptionContext>,
    /// How it ended: the error's name in AWS KMS's words.
    pub outcome: Result<(), &'static str>,
}

/// Keeps the events of CMKs.
#[async_trait]
pub trait AuditTrail: Send + Sync + fmt::Debug {
    /// Whether what happens now can be kept. A key whose use cannot be told of is not used.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn admits(&self) -> Result<(), Error>;

    /// Takes the event of a use. Does not wait; the event is on the disk soon.
    fn used(&self, event: &KeyEvent<'_>);

    /// Takes the event of a change. It is durable when this returns.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: the change must not be acknowledged.
    async fn changed(&self, event: &KeyEvent<'_>) -> Result<(), Error>;
}

/// A trail that keeps nothing: for tools and tests.
#[derive(Debug, Clone, Copy)]
pub struct NoTrail;

#[async_trait]
impl AuditTrail for NoTrail {
    fn admits(&self) -> Result<(), Error> {
        Ok(())
    }

    fn used(&self, _: &KeyEvent<'_>) {}

    async fn changed(&self, _: &KeyEvent<'_>) -> Result<(), Error> {
        Ok(())
    }
}

impl Error {
    /// AWS KMS's name of this error, as a trail shows it.
    #[must_use]
    pub fn aws_name(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFoundException",
            Self::Disabled(_) => "DisabledException",
            Self::PendingDeletion(_) | Self::PendingImport(_) => "KMSInvalidStateException",
            Self::InvalidKeyUsage(_) => "InvalidKeyUsageException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::Denied(_) => "AccessDeniedException",
            Self::Invalid(_) => "ValidationException",
            Self::AlreadyExists(_) => "AlreadyExistsException",
            Self::Unavailable(_) => "KeyUnavailableException",
            Self::Corrupt(_) => "KMSInternalException",
        }
    }
}
