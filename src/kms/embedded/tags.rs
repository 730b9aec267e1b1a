//! Tags and the description of a CMK: what its owner writes on it.

use crate::kms::{KeyRef, Principal};

use super::admin::{AdminError, Page};
use super::keystore::{EmbeddedKms, Inner};
use super::record::Tag;
use super::rights::Right;

/// Tags that a CMK may have, AWS KMS's quota.
const MAX_TAGS: usize = 50;
const MAX_TAG_KEY_CHARS: usize = 128;
const MAX_TAG_VALUE_CHARS: usize = 256;
/// The longest description in characters, as AWS KMS documents it.
const MAX_DESCRIPTION_CHARS: usize = 8192;

impl EmbeddedKms {
    /// Adds tags to a CMK, or gives tags that are there other values. Durable when it returns.
    ///
    /// # Errors
    /// [`AdminError::InvalidTag`], [`AdminError::LimitExceeded`]; [`crate::kms::Error::NotFound`],
    /// [`crate::kms::Error::Denied`], [`crate::kms::Error::PendingDeletion`].
    pub async fn tag_key(&self, principal: &Principal, key: &KeyRef, tags: Vec<Tag>) -> Result<(), AdminError> {
        let done = self.administer(Right::TagResource, principal, key, move |inner, cmk| {
            inner.not_pending_deletion(cmk)?;
            check_tags(&tags)?;
            let mut all = cmk.record.tags.clone();
            all.retain(|there| tags.iter().all(|tag| tag.key != there.key));
            all.extend(tags.iter().cloned());
            all.sort_by(|a, b| a.key.cmp(&b.key));
            if all.len() > MAX_TAGS {
                return Err(AdminError::LimitExceeded(format!("a key may have {MAX_TAGS} tags")));
            }
            inner.keep(Inner::with(cmk, |record| record.tags = all).into())
        });
        done.await
    }

    /// Takes tags of these keys away; one that is not there is none. Durable when it returns.
    ///
    /// # Errors
    /// As [`EmbeddedKms::tag_key`].
    pub async fn untag_key(&self, principal: &Principal, key: &KeyRef, keys: Vec<String>) -> Result<(), AdminError> {
        let done = self.administer(Right::UntagResource, principal, key, move |inner, cmk| {
            inner.not_pending_deletion(cmk)?;
            inner.keep(Inner::with(cmk, |record| record.tags.retain(|tag| !keys.contains(&tag.key))).into())
        });
        done.await
    }

    /// A page of a CMK's tags after the one of key `after`, by key.
    ///
    /// # Errors
    /// [`crate::kms::Error::NotFound`], [`crate::kms::Error::Denied`].
    pub fn list_tags(
        &self,
        principal: &Principal,
        key: &KeyRef,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Tag>, AdminError> {
        let cmk = self.inspect(Right::ListResourceTags, principal, key)?;
        let mut tags = cmk.record.tags.clone();
        tags.retain(|tag| after.is_none_or(|after| tag.key.as_str() > after));
        tags.sort_by(|a, b| a.key.cmp(&b.key));
        tags.truncate(limit.saturating_add(1));
        Ok(Page::cut(tags, limit))
    }

    /// Describes a CMK anew. Durable when it returns.
    ///
    /// # Errors
    /// [`crate::kms::Error::Invalid`], [`crate::kms::Error::NotFound`], [`crate::kms::Error::Denied`],
    /// [`crate::kms::Error::PendingDeletion`].
    pub async fn update_description(
        &self,
        principal: &Principal,
        key: &KeyRef,
        description: String,
    ) -> Result<(), AdminError> {
        let done = self.administer(Right::UpdateKeyDescription, principal, key, move |inner, cmk| {
            inner.not_pending_deletion(cmk)?;
            check_description(&description)?;
            inner.keep(Inner::with(cmk, |record| record.description.clone_from(&description)).into())
        });
        done.await
    }
}

/// # Errors
/// [`AdminError::InvalidTag`] for a key or value that is none, or a key that stands twice; [`AdminError::LimitExceeded`].
pub(super) fn check_tags(tags: &[Tag]) -> Result<(), AdminError> {
    if tags.len() > MAX_TAGS {
        return Err(AdminError::LimitExceeded(format!("a key may have {MAX_TAGS} tags")));
    }
    for (at, tag) in tags.iter().enumerate() {
        let refuse = |why: &str| Err(AdminError::InvalidTag(format!("tag {:?} {why}", tag.key)));
        if !(1..=MAX_TAG_KEY_CHARS).contains(&tag.key.chars().count()) {
            return refuse("has a key of another length than 1 to 128 characters");
        }
        if tag.value.chars().count() > MAX_TAG_VALUE_CHARS {
            return refuse("has a value of more than 256 characters");
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return refuse("begins with aws:, which is the service's");
        }
        if tags.iter().take(at).any(|earlier| earlier.key == tag.key) {
            return refuse("stands twice");
        }
    }
    Ok(())
}

pub(super) fn check_description(description: &str) -> Result<(), AdminError> {
    if description.chars().count() <= MAX_DESCRIPTION_CHARS {
        return Ok(());
    }
    Err(crate::kms::Error::Invalid(format!("the description has more than {MAX_DESCRIPTION_CHARS} characters")).into())
}
