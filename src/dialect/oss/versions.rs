//! Bucket versioning and ListObjectVersions.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/listobjectversions-getbucketversions>

use crate::gateway::{ListedVersion, VersionListing};
use crate::store::{VersionQuery, Versioning};
use crate::types::VersionId;

use super::buckets::{owner, versioning};
use super::error::face;
use super::face::Face;
use super::listing::{Rows, object};
use super::request::{Call, version};
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Writer, parse, time};

/// The most rows on a page, when nothing is said.
const PAGE: u16 = 100;

/// Where the listing goes on: after all versions of a key, or after one of them.
fn after(key: Option<&str>, marker: Option<&str>) -> Result<Option<(String, Option<VersionId>)>, Face> {
    let marker = version(marker)?;
    if marker.is_some() && key.is_none() {
        return Err(Face::argument("version-id-marker", "", "A version-id marker needs a key marker."));
    }
    Ok(key.map(|key| (key.to_owned(), marker)))
}

/// Where the page after this one starts: a key with its version, or a prefix, which has none.
fn next_markers(listing: &VersionListing) -> Option<(&str, Option<&VersionId>)> {
    listing.entries.last().filter(|_| listing.truncated).map(|entry| match entry {
        ListedVersion::Object { object, version, .. } => (object.key.as_str(), Some(version)),
        ListedVersion::Marker { key, version, .. } => (key.as_str(), Some(version)),
        ListedVersion::Prefix(last) => (last.as_str(), None),
    })
}

fn row(out: &mut Writer, entry: &ListedVersion, asked: &Rows<'_>, listing: &VersionListing) {
    match entry {
        ListedVersion::Object { object: row, version, latest } => out.within("Version", |out| {
            object(out, row, asked.encoding);
            out.text("VersionId", version.as_str());
            out.show("IsLatest", latest);
            owner(out, &listing.owner);
        }),
        ListedVersion::Marker { key, version, latest, modified } => out.within("DeleteMarker", |out| {
            out.text("Key", &asked.encoding.write(key.as_str()));
            out.text("VersionId", version.as_str());
            out.show("IsLatest", latest);
            out.text("LastModified", &time(*modified));
            owner(out, &listing.owner);
        }),
        ListedVersion::Prefix(prefix) => asked.common_prefix(out, prefix),
    }
}

impl OssDialect {
    pub(super) async fn get_versioning(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let state = self.gateway.bucket_versioning(&call.requester, &name).await.map_err(|error| face(&error))?;
        let mut out = Writer::new("VersioningConfiguration");
        out.some("Status", versioning(state));
        Ok(Reply::xml(out.finish()))
    }

    pub(super) async fn put_versioning(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let wanted = match parse(&call.document, "VersioningConfiguration")?.value("Status") {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            _ => return Err(Face::malformed_xml()),
        };
        let set = self.gateway.put_bucket_versioning(&call.requester, &name, wanted).await;
        set.map_err(|error| face(&error))?;
        Ok(Reply::empty())
    }

    pub(super) async fn list_versions(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let asked = Rows::of(&call.query, "max-keys", PAGE)?;
        let (key, marker) = (call.query.get("key-marker"), call.query.get("version-id-marker"));
        let query = VersionQuery {
            prefix: asked.prefix.to_owned(),
            delimiter: asked.delimiter.map(str::to_owned),
            after: after(key, marker)?,
            limit: usize::from(asked.limit),
        };
        let listing = self.gateway.list_object_versions(&call.requester, &name, query).await;
        let listing = listing.map_err(|error| face(&error))?;
        let mut out = Writer::new("ListVersionsResult");
        out.text("Name", name.as_str());
        out.text("KeyMarker", &asked.encoding.write(key.unwrap_or_default()));
        out.text("VersionIdMarker", marker.unwrap_or_default());
        asked.echo(&mut out, "MaxKeys", listing.truncated);
        if let Some((next, version)) = next_markers(&listing) {
            out.text("NextKeyMarker", &asked.encoding.write(next));
            out.text("NextVersionIdMarker", version.map(VersionId::as_str).unwrap_or_default());
        }
        listing.entries.iter().for_each(|entry| row(&mut out, entry, &asked, &listing));
        Ok(Reply::xml(out.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_marker_needs_a_key_and_must_be_a_version() {
        let key = |version: Option<VersionId>| Ok(Some(("k".to_owned(), version)));
        let table = [
            (None, None, Ok(None)),
            (Some("k"), None, key(None)),
            (Some("k"), Some("null"), key(Some(VersionId::null()))),
            (None, Some("null"), Err("InvalidArgument")),
            (Some("k"), Some("1"), Err("NoSuchVersion")),
        ];
        for (name, marker, expected) in table {
            assert_eq!(after(name, marker).map_err(|face| face.code), expected, "{name:?} {marker:?}");
        }
    }
}
