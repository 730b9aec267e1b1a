//! Tags of objects and buckets. An object's stand under its metadata's MAC: a store that alters them is found out.

use std::collections::BTreeMap;

use crate::identity::{Action, Requester};
use crate::store::{self, Bucket, Metadata, NewMetadata};
use crate::types::{BucketName, ObjectAt, VersionId};

use super::opened::shown_version;
use super::{Error, Gateway};

/// The kind under which the store keeps a bucket's tags.
const TAGGING: &str = "tagging";
/// How often a change of tags is tried while others change the same object.
const TRIES: usize = 16;
/// The most tags that an object may have (S3).
pub const OBJECT_TAGS: usize = 10;
/// The most tags that a bucket may have (S3).
pub const BUCKET_TAGS: usize = 50;
/// The most characters of a tag's key.
const KEY_LEN: usize = 128;
/// The most characters of a tag's value.
const VALUE_LEN: usize = 256;

/// A set of tags, valid by construction.
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Takes pairs of key and value, at most `maximum`.
    ///
    /// # Errors
    /// [`Error::InvalidTag`], [`Error::TooManyTags`].
    pub fn new<T: Into<String>>(pairs: impl IntoIterator<Item = (T, T)>, maximum: usize) -> Result<Self, Error> {
        let mut tags = BTreeMap::new();
        for (key, value) in pairs {
            let (key, value) = (key.into(), value.into());
            check_text(&key, KEY_LEN, "key")?;
            check_text(&value, VALUE_LEN, "value")?;
            if key.is_empty() || key.to_ascii_lowercase().starts_with("aws:") {
                return Err(Error::InvalidTag("The TagKey you have provided is invalid".to_owned()));
            }
            if tags.insert(key, value).is_some() {
                return Err(Error::InvalidTag("Cannot provide multiple Tags with the same key".to_owned()));
            }
            if tags.len() > maximum {
                return Err(Error::TooManyTags { maximum });
            }
        }
        Ok(Self(tags))
    }

    /// Tags as they were kept: checked when they came, and authentic.
    pub(super) fn kept(tags: BTreeMap<String, String>) -> Self {
        Self(tags)
    }

    /// The tags by key.
    pub(super) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Letters, digits and blanks of any script, and `+ - = . _ : / @`.
fn check_text(text: &str, maximum: usize, which: &str) -> Result<(), Error> {
    let fits = text.chars().count() <= maximum;
    let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
    if fits && text.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::InvalidTag(format!(
        "The Tag{} you have provided is invalid",
        if which == "key" { "Key" } else { "Value" }
    )))
}

/// Which right a call on an object takes: `plain` on the current version, `versioned` on one that is named.
pub(super) fn action_on(version: Option<&VersionId>, plain: Action, versioned: Action) -> Action {
    if version.is_some() { versioned } else { plain }
}

impl Gateway {
    /// The tags of an object, and its version where the bucket has versions. No KMS call.
    ///
    /// # Errors
    /// As [`Gateway::head_object`], save those of keys.
    pub async fn object_tags(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
    ) -> Result<(Tags, Option<VersionId>), Error> {
        let action = action_on(version.as_ref(), Action::GetObjectTagging, Action::GetObjectVersionTagging);
        let bucket = self.object_for(caller, at, action).await?;
        let looked = self.alarm.heed(self.look(at, version.as_ref()).await);
        let looked = looked.map_err(|error| self.seen_by(caller, &bucket, error))?;
        let shown = shown_version(&bucket, &looked.object.version);
        Ok((looked.headers().tags, shown))
    }

    /// Replaces the tags of an object; body, ETag and date stay. No KMS call.
    ///
    /// # Errors
    /// As [`Gateway::object_tags`]; [`Error::Conflict`] when others change the object without end.
    pub async fn put_object_tags(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
        tags: Tags,
    ) -> Result<Option<VersionId>, Error> {
        let action = action_on(version.as_ref(), Action::PutObjectTagging, Action::PutObjectVersionTagging);
        self.set_tags(caller, action, at, version, tags).await
    }

    /// Takes all tags of an object away.
    ///
    /// # Errors
    /// As [`Gateway::put_object_tags`].
    pub async fn delete_object_tags(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
    ) -> Result<Option<VersionId>, Error> {
        let action = action_on(version.as_ref(), Action::DeleteObjectTagging, Action::DeleteObjectVersionTagging);
        self.set_tags(caller, action, at, version, Tags::default()).await
    }

    async fn set_tags(
        &self,
        caller: &Requester,
        action: Action,
        at: &ObjectAt,
        version: Option<VersionId>,
        tags: Tags,
    ) -> Result<Option<VersionId>, Error> {
        let bucket = self.object_for(caller, at, action).await?;
        self.amend(caller, &bucket, at, version, |metadata| metadata.tags = tags.clone().into_map()).await
    }

    /// Changes the metadata of an object; body, ETag and date stay. No KMS call.
    pub(super) async fn amend(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        at: &ObjectAt,
        version: Option<VersionId>,
        change: impl Fn(&mut Metadata) + Send,
    ) -> Result<Option<VersionId>, Error> {
        for _ in 0..TRIES {
            let looked = self.alarm.heed(self.look(at, version.as_ref()).await);
            let looked = looked.map_err(|error| self.seen_by(caller, bucket, error))?;
            let mut metadata = looked.object.metadata.clone();
            change(&mut metadata);
            self.keys.bind(at, &mut metadata, &looked.envelope)?;
            let new = NewMetadata {
                version: Some(looked.object.version.clone()),
                was: looked.object.tag,
                metadata,
                summary: looked.object.summary,
            };
            match self.store.set_metadata(at, new).await {
                // Written or changed since it was looked at: look again.
                Err(store::Error::Changed | store::Error::NoSuchObject) => {}
                Err(other) => return Err(other.into()),
                Ok(stored) => return Ok(shown_version(bucket, &stored.version)),
            }
        }
        Err(Error::Conflict)
    }

    /// The tags of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchTagSet`], [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn bucket_tags(&self, caller: &Requester, name: &BucketName) -> Result<Tags, Error> {
        let bucket = self.bucket_for(caller, name, Action::GetBucketTagging).await?;
        let value = bucket.configs.get(TAGGING).ok_or(Error::NoSuchTagSet)?;
        let damaged = |_| Error::Store(store::Error::Corrupt(format!("the tags of bucket {name}")));
        Ok(Tags::kept(serde_json::from_slice(value).map_err(damaged)?))
    }

    /// Replaces the tags of a bucket; none at all take the set away.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn put_bucket_tags(&self, caller: &Requester, name: &BucketName, tags: Tags) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::PutBucketTagging).await?;
        let value = (!tags.is_empty()).then(|| serde_json::to_vec(&tags.into_map())).transpose();
        let value = value.map_err(|_| Error::Store(store::Error::Corrupt("tags cannot be written".to_owned())))?;
        Ok(self.store.set_bucket_config(name, TAGGING, value).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(pairs: &[(&str, &str)]) -> Result<Tags, Error> {
        Tags::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())), OBJECT_TAGS)
    }

    #[test]
    fn tags_keep_within_s3s_rules() {
        assert_eq!(made(&[("b", ""), ("a+-=._:/@ ü", "1")]).unwrap().len(), 2);
        let long = "é".repeat(128);
        assert!(made(&[(&long, &long)]).is_ok());
        for bad in [("", "x"), ("aws:x", "x"), ("AWS:x", "x"), ("a\n", "x"), ("a", "<x>"), (&*format!("{long}x"), "x")]
        {
            assert!(matches!(made(&[bad]), Err(Error::InvalidTag(_))), "{bad:?}");
        }
        assert!(matches!(made(&[("a", "1"), ("a", "1")]), Err(Error::InvalidTag(_))));
        let eleven: Vec<_> = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"].map(|key| (key, "")).to_vec();
        assert!(made(&eleven[..10]).is_ok());
        assert!(matches!(made(&eleven), Err(Error::TooManyTags { maximum: 10 })));
    }
}
