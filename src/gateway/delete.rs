//! DeleteObject.

use crate::identity::{Action, Caller};
use crate::store::{Deleted, Precondition};
use crate::types::{ObjectAt, VersionId};

use super::{Error, Gateway};

impl Gateway {
    /// Deletes an object. That it was not there is no error. No key is needed, not even a customer's.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn delete_object(
        &self,
        caller: &Caller,
        at: &ObjectAt,
        version: Option<VersionId>,
    ) -> Result<Deleted, Error> {
        self.bucket_for(caller, &at.bucket, Action::DeleteObject).await?;
        Ok(self.store.delete(at, version.as_ref(), Precondition::None).await?)
    }
}
