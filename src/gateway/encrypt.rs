//! Bringing under encryption what was in a store before sealgate was.

use std::collections::BTreeMap;

use crate::kms::Principal;
use crate::sse::ObjectKind;
use crate::store::{self, Precondition};
use crate::types::{ObjectAt, UserId};

use super::put::ObjectWrite;
use super::transfer::Intake;
use super::{DeclaredDigests, Error, Gateway, LengthIs};

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// It is encrypted now; this many bytes were.
    Under(u64),
    /// It was encrypted before.
    Already,
    /// It was replaced or deleted meanwhile, by somebody who wrote it encrypted or will be met again.
    Changed,
}

impl Gateway {
    /// Encrypts an object that sealgate did not write, under the default of its bucket and on behalf of the operator. The
    /// new object takes the old one's place in one write: a reader sees either, and never both or neither.
    ///
    /// # Errors
    /// The KMS's errors and those of the store; the object is as it was then.
    pub async fn encrypt_object(&self, at: &ObjectAt) -> Result<Brought, Error> {
        let (looked, open) = match self.open(at, None).await {
            Err(Error::NoSuchKey | Error::DeleteMarker { .. }) => return Ok(Brought::Changed),
            opened => opened?,
        };
        if !looked.foreign {
            return Ok(Brought::Already);
        }
        let bucket = self.store.bucket(&at.bucket).await?;
        let operator = Principal { user: UserId::new("sealgate encrypt-bucket"), root: true };
        let key = self.data_key_as(&operator, at, &looked.envelope, None).await?;
        let len = looked.summary.plain_len.0;
        let stream = match self.plaintext(&looked, open.as_ref(), &key, None).await {
            Err(Error::Conflict) => return Ok(Brought::Changed),
            stream => stream?,
        };
        let write = ObjectWrite {
            at: at.clone(),
            headers: self.with_lock_of_now(looked.headers()),
            choice: self.choose(&bucket, None)?,
            digests: DeclaredDigests::default(),
            precondition: Precondition::Is(looked.object.tag.clone()),
            kind: ObjectKind::Normal,
            target: None,
            bucket,
        };
        let body = Intake { stream, len, length_is: LengthIs::Declared, trailers: None };
        match self.write_object_as(&operator, BTreeMap::new(), write, body).await {
            Ok(_) => Ok(Brought::Under(len)),
            Err(Error::PreconditionFailed(_) | Error::Conflict | Error::Store(store::Error::Changed)) => {
                Ok(Brought::Changed)
            }
            Err(other) => Err(other),
        }
    }
}
