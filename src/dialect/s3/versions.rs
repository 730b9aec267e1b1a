//! Bucket versioning, and ListObjectVersions: a bucket that never kept versions has an empty state, and of every key the
//! null version.

use std::sync::Arc;

use s3s::dto::{self, ETag};
use s3s::{S3Response, S3Result};

use crate::gateway::{ListedObject, ListedVersion, VersionListing};
use crate::store::{VersionQuery, Versioning};
use crate::types::{Timestamp, UserId, VersionId};

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
        let status = match self.gateway.bucket_versioning(call.caller(), &name).await.map_err(failed)? {
            // Neither a status nor MFA delete: what S3 says of a bucket whose versioning was never set.
            Versioning::Never => None,
            Versioning::Enabled => Some(dto::BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(dto::BucketVersioningStatus::SUSPENDED),
        };
        let status = status.map(dto::BucketVersioningStatus::from_static);
        Ok(S3Response::new(dto::GetBucketVersioningOutput { status, ..Default::default() }))
    }
}

impl Serve<dto::PutBucketVersioningInput> for Adapter {
    type Output = dto::PutBucketVersioningOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutBucketVersioningInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let wanted = wanted(&input.versioning_configuration)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_bucket_versioning(call.caller(), &name, wanted).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutBucketVersioningOutput::default()))
    }
}

/// What a configuration asks for. Deleting only with a second factor is not offered, so it must not seem to be.
fn wanted(configuration: &dto::VersioningConfiguration) -> Result<Versioning, Face> {
    if configuration.mfa_delete.as_ref().is_some_and(|mfa| mfa.as_str() != dto::MFADelete::DISABLED) {
        return Err(Face::not_implemented("MFA delete"));
    }
    match configuration.status.as_ref().map(dto::BucketVersioningStatus::as_str) {
        Some(dto::BucketVersioningStatus::ENABLED) => Ok(Versioning::Enabled),
        Some(dto::BucketVersioningStatus::SUSPENDED) => Ok(Versioning::Suspended),
        Some(_) => Err(Face::malformed_xml()),
        None => Err(Face::bad("IllegalVersioningConfigurationException", "The Versioning element must be specified")),
    }
}

/// Where a listing continues: after a key, or after one version of it.
fn after(key: Option<&str>, marker: Option<&str>) -> Result<Option<(String, Option<VersionId>)>, Face> {
    let key = key.filter(|key| !key.is_empty());
    let marker = version(marker.filter(|marker| !marker.is_empty()))?;
    if marker.is_some() && key.is_none() {
        return Err(Face::invalid_argument("A version-id marker cannot be specified without a key marker."));
    }
    Ok(key.map(|key| (key.to_owned(), marker)))
}

/// Where the page after this one starts: a key with its version, or a prefix, which has none.
fn next_markers(listing: &VersionListing) -> (Option<&str>, Option<&VersionId>) {
    match listing.entries.last().filter(|_| listing.truncated) {
        None => (None, None),
        Some(ListedVersion::Object { object, version, .. }) => (Some(object.key.as_str()), Some(version)),
        Some(ListedVersion::Marker { key, version, .. }) => (Some(key.as_str()), Some(version)),
        Some(ListedVersion::Prefix(last)) => (Some(last), None),
    }
}

/// The rows of a page as `s3s` writes them: versions and delete markers each in a list of their own.
struct Page<'a> {
    encoding: Encoding,
    by: &'a UserId,
    versions: Vec<dto::ObjectVersion>,
    markers: Vec<dto::DeleteMarkerEntry>,
    prefixes: Vec<dto::CommonPrefix>,
}

impl Page<'_> {
    fn add(&mut self, entry: ListedVersion) {
        match entry {
            ListedVersion::Object { object, version, latest } => self.add_version(object, &version, latest),
            ListedVersion::Marker { key, version, latest, modified } => {
                self.add_marker(key.as_str(), &version, latest, modified);
            }
            ListedVersion::Prefix(prefix) => {
                self.prefixes.push(dto::CommonPrefix { prefix: Some(self.encoding.write(&prefix)) });
            }
        }
    }

    fn add_version(&mut self, object: ListedObject, version: &VersionId, latest: bool) {
        self.versions.push(dto::ObjectVersion {
            e_tag: Some(ETag::Strong(object.etag)),
            is_latest: Some(latest),
            key: Some(self.encoding.write(object.key.as_str())),
            last_modified: Some(timestamp(object.modified)),
            owner: Some(owner(self.by)),
            size: Some(size(object.size)),
            storage_class: Some(dto::ObjectVersionStorageClass::from_static("STANDARD")),
            version_id: Some(version.as_str().to_owned()),
            ..Default::default()
        });
    }

    fn add_marker(&mut self, key: &str, version: &VersionId, latest: bool, modified: Timestamp) {
        self.markers.push(dto::DeleteMarkerEntry {
            is_latest: Some(latest),
            key: Some(self.encoding.write(key)),
            last_modified: Some(timestamp(modified)),
            owner: Some(owner(self.by)),
            version_id: Some(version.as_str().to_owned()),
        });
    }
}

impl Serve<dto::ListObjectVersionsInput> for Adapter {
    type Output = dto::ListObjectVersionsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::ListObjectVersionsInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let limit = page_length(input.max_keys, "max-keys")?;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let delimiter = filled(input.delimiter);
        let query = VersionQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: delimiter.clone(),
            after: after(input.key_marker.as_deref(), input.version_id_marker.as_deref())?,
            limit: usize::from(limit),
        };
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let listing = self.gateway.list_object_versions(call.caller(), &name, query).await.map_err(failed)?;
        let (next_key, next_version) = next_markers(&listing);
        let next_key = next_key.map(|key| encoding.write(key));
        let next_version = next_version.map(|version| version.as_str().to_owned());
        let mut page =
            Page { encoding, by: &listing.owner, versions: Vec::new(), markers: Vec::new(), prefixes: Vec::new() };
        listing.entries.into_iter().for_each(|entry| page.add(entry));
        let write = |text: Option<String>| Some(encoding.write(text.as_deref().unwrap_or_default()));
        Ok(S3Response::new(dto::ListObjectVersionsOutput {
            common_prefixes: Some(page.prefixes),
            delete_markers: Some(page.markers),
            delimiter: delimiter.map(|delimiter| encoding.write(&delimiter)),
            encoding_type: input.encoding_type,
            is_truncated: Some(listing.truncated),
            key_marker: write(input.key_marker),
            max_keys: Some(i32::from(limit)),
            name: Some(input.bucket),
            next_key_marker: next_key,
            next_version_id_marker: next_version,
            prefix: write(input.prefix),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            versions: Some(page.versions),
            ..Default::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_marker_needs_a_key_and_must_be_a_version() {
        let key = |key: &str, version: Option<VersionId>| Ok(Some((key.to_owned(), version)));
        let table = [
            (None, None, Ok(None)),
            (Some(""), Some(""), Ok(None)),
            (Some("k"), None, key("k", None)),
            (Some("k"), Some(""), key("k", None)),
            (Some("k"), Some("null"), key("k", Some(VersionId::null()))),
            (None, Some("null"), Err("InvalidArgument")),
            (Some(""), Some("null"), Err("InvalidArgument")),
            (Some("k"), Some("1"), Err("InvalidArgument")),
        ];
        for (name, marker, expected) in table {
            assert_eq!(after(name, marker).map_err(|face| face.code), expected, "{name:?} {marker:?}");
        }
    }
}
