//! Owners as S3 shows them: a canonical id and a display name.

use s3s::dto;

pub(super) use crate::dialect::owner::{canonical_id, means};
use crate::types::UserId;

/// A user as an owner.
pub(super) fn owner(user: &UserId) -> dto::Owner {
    dto::Owner { display_name: Some(user.as_str().to_owned()), id: Some(canonical_id(user)) }
}

/// A user as the initiator of an upload.
pub(super) fn initiator(user: &UserId) -> dto::Initiator {
    dto::Initiator { display_name: Some(user.as_str().to_owned()), id: Some(canonical_id(user)) }
}
