//! Reading an object to see whether it verifies, by the operator and for nobody's eyes.

use crate::kms::Principal;
use crate::sse::SseMode;
use crate::types::{ObjectAt, UserId, VersionId};

use super::{Error, Gateway, PlainOut};

impl Gateway {
    /// The plaintext of a version, to be drained: each chunk has been authenticated, and the end is good only if the whole
    /// is. `None` for an object under a customer's key, of which metadata, layout and manifest verify, and no more can be
    /// said without the key.
    ///
    /// # Errors
    /// [`Error::Integrity`] when something does not verify, the KMS's errors, and those of the store.
    pub async fn verify_object(&self, at: &ObjectAt, version: &VersionId) -> Result<Option<PlainOut>, Error> {
        let (looked, open) = self.open(at, Some(version)).await?;
        if looked.envelope.mode() == SseMode::Customer {
            self.layout(&looked, open.as_ref()).await?;
            self.manifest(&looked, open.as_ref()).await?;
            return Ok(None);
        }
        let operator = Principal { user: UserId::new("sealgate verify"), root: true };
        let data_key = self.data_key_as(&operator, at, &looked.envelope, None).await?;
        self.plaintext(&looked, open.as_ref(), &data_key, None).await.map(Some)
    }
}
