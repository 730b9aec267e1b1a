//! OSS's symbolic links: objects without bytes of their own, whose target stands under the MAC of their metadata. Reading
//! one reads what it leads to, one hop far and in the same bucket; the caller must be allowed to read both.
//! See <https://www.alibabacloud.com/help/en/oss/developer-reference/putsymlink>.

use crate::identity::{Action, Requester};
use crate::sse::{self, ObjectKind, SseChoice};
use crate::store::Bucket;
use crate::types::{ObjectAt, ObjectKey, VersionId};

use super::acl::check_acl;
use super::get::read_action;
use super::opened::Looked;
use super::put::ObjectWrite;
use super::transfer::Intake;
use super::{DeclaredDigests, Error, Gateway, ObjectInfo, SymlinkRequest, Written};

/// Where a link leads, among what [`crate::store::Metadata::access`] keeps of an object.
const TARGET_FIELD: &str = "target";

impl Gateway {
    /// Makes a symbolic link. Nothing need be at its target, and nothing of it is encrypted but an empty body: it holds
    /// no data, so no CMK is used for it.
    ///
    /// # Errors
    /// As writing an object.
    pub async fn put_symlink(&self, caller: &Requester, request: SymlinkRequest) -> Result<Written, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        check_acl(&bucket, request.headers.acl)?;
        let precondition = self.precondition(&request.at, &request.conditions).await?;
        let write = ObjectWrite {
            choice: SseChoice::resolve(None, None, self.default),
            at: request.at,
            headers: request.headers,
            digests: DeclaredDigests::default(),
            precondition,
            kind: ObjectKind::Symlink,
            target: Some(request.target),
            bucket,
        };
        self.write_object(caller, write, Intake::nothing()).await
    }

    /// What is known of a symbolic link itself; its target is in [`ObjectInfo::symlink`]. No KMS call.
    ///
    /// # Errors
    /// [`Error::NotSymlink`] for any other object, and as [`Gateway::head_object`].
    pub async fn symlink(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
    ) -> Result<ObjectInfo, Error> {
        let bucket = self.read_for(caller, at, version.as_ref(), read_action(version.as_ref())).await?;
        let looked = self.alarm.heed(self.look(at, version.as_ref()).await);
        let looked = looked.map_err(|error| self.seen_by(caller, &bucket, error))?;
        if looked.summary.kind != ObjectKind::Symlink {
            return Err(Error::NotSymlink);
        }
        self.info(&bucket, &looked, None)
    }

    /// Where a link leads, for a caller who may read what is there; `None` for an object that is no link.
    pub(super) async fn target_for(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        link: &Looked,
    ) -> Result<Option<ObjectAt>, Error> {
        let Some(key) = link.link_target()? else { return Ok(None) };
        let at = ObjectAt { bucket: bucket.name.clone(), key };
        self.read_for(caller, &at, None, Action::GetObject).await?;
        Ok(Some(at))
    }

    /// What a failed look at a link's target may say.
    pub(super) fn target_seen_by(&self, caller: &Requester, bucket: &Bucket, error: Error) -> Error {
        match self.seen_by(caller, bucket, error) {
            Error::NoSuchKey | Error::DeleteMarker { .. } => Error::SymlinkTargetMissing,
            other => other,
        }
    }
}

impl Looked {
    /// Where the object leads, if it is a symbolic link.
    pub(super) fn link_target(&self) -> Result<Option<ObjectKey>, Error> {
        if self.summary.kind != ObjectKind::Symlink {
            return Ok(None);
        }
        let target = self.object.metadata.access.get(TARGET_FIELD).and_then(|target| target.parse().ok());
        target.map(Some).ok_or(Error::Integrity(sse::Error::Malformed("a symbolic link without a target")))
    }
}

/// What a target must be to be read through a link.
pub(super) fn check_target(target: &Looked) -> Result<(), Error> {
    if target.summary.kind == ObjectKind::Symlink { Err(Error::SymlinkToSymlink) } else { Ok(()) }
}

/// What an answer says that came through a link: bytes, ETag, digests and encryption are the target's, the later of the
/// two dates counts, and the rest is the link's.
pub(super) fn through(link: ObjectInfo, target: ObjectInfo) -> ObjectInfo {
    ObjectInfo {
        modified: link.modified.max(target.modified),
        version: link.version,
        headers: link.headers,
        kind: link.kind,
        symlink: link.symlink,
        ..target
    }
}

/// The field that says where a link leads.
pub(super) fn field_of(target: &ObjectKey) -> (String, String) {
    (TARGET_FIELD.to_owned(), target.as_str().to_owned())
}
