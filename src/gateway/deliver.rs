//! What the service itself has to say, written into a bucket of its users.

use std::collections::BTreeMap;

use crate::kms::Principal;
use crate::sse::{DataCipher, ObjectKind, SseChoice, SseRequest};
use crate::store::{self, Precondition};
use crate::types::{ObjectAt, UserId};

use super::put::ObjectWrite;
use super::{DeclaredDigests, Error, Gateway, ObjectHeaders, PlainBody};

impl Gateway {
    /// Writes an object on the service's own behalf, always encrypted: under the bucket's default, or the service's own key
    /// where that says nothing. It belongs to the bucket's owner. Never replaces: whether it was written; an object that is
    /// there stays.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], the KMS's errors and those of the store.
    pub async fn deliver(&self, service: &str, at: ObjectAt, media: &str, body: PlainBody) -> Result<bool, Error> {
        let bucket = self.store.bucket(&at.bucket).await?;
        let service = Principal { user: UserId::new(service), root: true };
        let choice = match self.choose(&bucket, None)? {
            SseChoice::None => self.choose(&bucket, Some(SseRequest::S3 { cipher: DataCipher::Aes256 }))?,
            encrypted => encrypted,
        };
        let headers = ObjectHeaders {
            system: BTreeMap::from([("content-type".to_owned(), media.to_owned())]),
            ..ObjectHeaders::default()
        };
        let write = ObjectWrite {
            at,
            headers,
            choice,
            digests: DeclaredDigests::default(),
            precondition: Precondition::Absent,
            kind: ObjectKind::Normal,
            target: None,
            bucket,
        };
        match self.write_object_as(&service, BTreeMap::new(), write, body.into()).await {
            Ok(_) => Ok(true),
            Err(Error::PreconditionFailed(_) | Error::Store(store::Error::Changed)) => Ok(false),
            Err(other) => Err(other),
        }
    }
}
