//! GetBucketVersioning and ListObjectVersions of buckets that keep no versions: an empty state, and of every key the
//! null version alone.

use std::sync::Arc;

use s3s::dto::{self, ETag};
use s3s::{S3Response, S3Result};

use crate::gateway::{ListedEntry, ListedObject, Listing};
use crate::store::ListQuery;
use crate::types::{UserId, VersionId};

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket, size, timestamp, version};
use super::context::Call;
use super::error::{Face, failed};
use super::listing::{Encoding, filled, page_length};
use super::owner::owner;

impl Serve<dto::GetBucketVersioningInput> for Adapter {
    type Output = dto::GetBucketVersioningOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketVersioningInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.bucket_versioning(call.caller(), &name).await.map_err(failed)?;
        // Neither a status nor MFA delete: what S3 says of a bucket whose versioning was never set.
        Ok(S3Response::new(dto::GetBucketVersioningOutput::default()))
    }
}

/// The key that a listing continues after. A key has one version here, so whichever version of the key a page ended
/// with, the next page starts with the next key.
fn after(key: Option<&str>, marker: Option<&str>) -> Result<Option<String>, Face> {
    let key = key.filter(|key| !key.is_empty());
    let marker = version(marker.filter(|marker| !marker.is_empty()))?;
    if marker.is_some() && key.is_none() {
        return Err(Face::invalid_argument("A version-id marker cannot be specified without a key marker."));
    }
    Ok(key.map(str::to_owned))
}

/// Where the page after this one starts: a key with its version, or a prefix, which has none.
fn next_markers(listing: &Listing) -> (Option<&str>, Option<VersionId>) {
    match listing.entries.last().filter(|_| listing.truncated) {
        None => (None, None),
        Some(ListedEntry::Object(last)) => (Some(last.key.as_str()), Some(VersionId::null())),
        Some(ListedEntry::Prefix(last)) => (Some(last), None),
    }
}

fn row(object: ListedObject, encoding: Encoding, by: &UserId) -> dto::ObjectVersion {
    dto::ObjectVersion {
        e_tag: Some(ETag::Strong(object.etag)),
        is_latest: Some(true),
        key: Some(encoding.write(object.key.as_str())),
        last_modified: Some(timestamp(object.modified)),
        owner: Some(owner(by)),
        size: Some(size(object.size)),
        storage_class: Some(dto::ObjectVersionStorageClass::from_static("STANDARD")),
        version_id: Some(VersionId::null().as_str().to_owned()),
        ..Default::default()
    }
}

impl Serve<dto::ListObjectVersionsInput> for Adapter {
    type Output = dto::ListObjectVersionsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::ListObjectVersionsInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let limit = page_length(input.max_keys, "max-keys")?;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let delimiter = filled(input.delimiter);
        let query = ListQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: delimiter.clone(),
            after: after(input.key_marker.as_deref(), input.version_id_marker.as_deref())?,
            limit: usize::from(limit.max(1)),
        };
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let mut listing = self.gateway.list_object_versions(call.caller(), &name, query).await.map_err(failed)?;
        if limit == 0 {
            listing.entries.clear();
            listing.truncated = false;
        }
        let (next_key, next_version) = next_markers(&listing);
        let next_key = next_key.map(|key| encoding.write(key));
        let (mut versions, mut prefixes) = (Vec::new(), Vec::new());
        for entry in listing.entries {
            match entry {
                ListedEntry::Object(object) => versions.push(row(object, encoding, &listing.owner)),
                ListedEntry::Prefix(prefix) => {
                    prefixes.push(dto::CommonPrefix { prefix: Some(encoding.write(&prefix)) });
                }
            }
        }
        let write = |text: Option<String>| Some(encoding.write(text.as_deref().unwrap_or_default()));
        Ok(S3Response::new(dto::ListObjectVersionsOutput {
            common_prefixes: Some(prefixes),
            delimiter: delimiter.map(|delimiter| encoding.write(&delimiter)),
            encoding_type: input.encoding_type,
            is_truncated: Some(listing.truncated),
            key_marker: write(input.key_marker),
            max_keys: Some(i32::from(limit)),
            name: Some(input.bucket),
            next_key_marker: next_key,
            next_version_id_marker: next_version.map(|version| version.as_str().to_owned()),
            prefix: write(input.prefix),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            versions: Some(versions),
            ..Default::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_marker_needs_a_key_and_must_be_a_version() {
        let key = |key: &str| Ok(Some(key.to_owned()));
        let table = [
            (None, None, Ok(None)),
            (Some(""), Some(""), Ok(None)),
            (Some("k"), None, key("k")),
            (Some("k"), Some(""), key("k")),
            (Some("k"), Some("null"), key("k")),
            (None, Some("null"), Err("InvalidArgument")),
            (Some(""), Some("null"), Err("InvalidArgument")),
            (Some("k"), Some("1"), Err("InvalidArgument")),
        ];
        for (name, marker, expected) in table {
            assert_eq!(after(name, marker).map_err(|face| face.code), expected, "{name:?} {marker:?}");
        }
    }
}
