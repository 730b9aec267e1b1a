//! DeleteObject.

use crate::identity::{Action, Requester};
use crate::store::{Deleted, Governance, Precondition};
use crate::types::{ObjectAt, VersionId};

use super::{Conditions, Error, Gateway};

impl Gateway {
    /// Deletes an object: the version named, for good; otherwise the object, of which a bucket with versions keeps what
    /// there was. That it was not there is no error, unless a condition says so. No key is needed, not even a customer's.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`]; with conditions [`Error::NoSuchKey`],
    /// [`Error::PreconditionFailed`] and [`Error::Conflict`].
    pub async fn delete_object(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
        conditions: &Conditions,
        governance: Governance,
    ) -> Result<Deleted, Error> {
        let action = if version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject };
        let bucket = self.object_for(caller, at, action).await?;
        let precondition = match conditions.if_match {
            None => Precondition::None,
            Some(_) => self.alarm.heed(self.delete_precondition(at, version.as_ref(), conditions).await)?,
        };
        match &version {
            Some(version) => self.delete_version(caller, &bucket, (at, version), precondition, governance).await,
            None => Ok(self.store.delete(at, None, precondition).await?),
        }
    }

    async fn delete_precondition(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
        conditions: &Conditions,
    ) -> Result<Precondition, Error> {
        let looked = self.look(at, version).await?;
        let only_match = Conditions { if_match: conditions.if_match.clone(), ..Conditions::default() };
        only_match.judge_write(Some((&looked.object, &looked.etag())))
    }
}
