//! ListObjects in both versions and ListMultipartUploads: pages, markers, tokens, the `url` encoding.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{self, ETag};
use s3s::{S3Response, S3Result};

use crate::dialect::token;
pub(super) use crate::dialect::token::token;
use crate::gateway::{ListedEntry, ListedObject, ListedUploadEntry, Listing};
use crate::store::{ListQuery, UploadQuery};
use crate::types::UserId;

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket, size, timestamp};
use super::context::Call;
use super::error::{Face, failed};
use super::owner::{initiator, owner};

/// The most rows on one page.
const PAGE: u16 = 1000;
/// What `encoding-type=url` leaves plain. A space becomes `%20`, which every decoder reads; S3 itself writes `+`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// The row that a token continues after; one that we never made is refused.
pub(super) fn after_token(token: &str) -> Result<String, Face> {
    token::row(token).ok_or_else(|| Face::invalid_argument("The continuation token provided is incorrect"))
}

/// A page's length: 1,000 when not named, capped there, never negative.
pub(super) fn page_length(asked: Option<i32>, parameter: &str) -> Result<u16, Face> {
    match asked {
        None => Ok(PAGE),
        Some(asked) if asked < 0 => {
            Err(Face::invalid_argument(format!("Argument {parameter} must be an integer between 0 and 2147483647")))
        }
        Some(asked) => Ok(u16::try_from(asked).map_or(PAGE, |asked| asked.min(PAGE))),
    }
}

/// How keys are written: plain, or percent-encoded on demand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(super) fn of(asked: Option<&dto::EncodingType>) -> Self {
        // Other values were refused before.
        if asked.is_some() { Self::Url } else { Self::Plain }
    }

    pub(super) fn write(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => utf8_percent_encode(text, PLAIN).to_string(),
        }
    }
}

/// The rows of a page as `s3s` writes them.
#[derive(Default)]
struct Page {
    contents: Vec<dto::Object>,
    prefixes: Vec<dto::CommonPrefix>,
    /// The last row, raw, when more follow.
    next: Option<String>,
    truncated: bool,
}

impl Page {
    fn of(listing: Listing, encoding: Encoding, with_owner: bool) -> Self {
        let mut page = Self { truncated: listing.truncated, ..Self::default() };
        if listing.truncated {
            page.next = listing.entries.last().map(|entry| match entry {
                ListedEntry::Object(object) => object.key.as_str().to_owned(),
                ListedEntry::Prefix(prefix) => prefix.clone(),
            });
        }
        for entry in listing.entries {
            match entry {
                ListedEntry::Object(object) => {
                    page.contents.push(row(object, encoding, with_owner.then_some(&listing.owner)));
                }
                ListedEntry::Prefix(prefix) => {
                    page.prefixes.push(dto::CommonPrefix { prefix: Some(encoding.write(&prefix)) });
                }
            }
        }
        page
    }

    fn rows(&self) -> i32 {
        i32::try_from(self.contents.len().saturating_add(self.prefixes.len())).unwrap_or(i32::MAX)
    }
}

fn row(object: ListedObject, encoding: Encoding, by: Option<&UserId>) -> dto::Object {
    dto::Object {
        e_tag: Some(ETag::Strong(object.etag)),
        key: Some(encoding.write(object.key.as_str())),
        last_modified: Some(timestamp(object.modified)),
        owner: by.map(owner),
        size: Some(size(object.size)),
        storage_class: Some(dto::ObjectStorageClass::from_static("STANDARD")),
        ..Default::default()
    }
}

impl Adapter {
    /// One page of a bucket. A page of no rows still needs the bucket and the right to list it.
    async fn page(&self, call: &Call, name: &str, query: ListQuery) -> S3Result<Listing> {
        let bucket = bucket(name)?;
        self.check_owner(call, &bucket, EXPECTED_OWNER).await?;
        let none = query.limit == 0;
        let query = ListQuery { limit: query.limit.max(1), ..query };
        let listing = self.gateway.list_objects(call.caller(), &bucket, query).await.map_err(failed)?;
        Ok(if none { Listing { entries: Vec::new(), truncated: false, ..listing } } else { listing })
    }
}

pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl Serve<dto::ListObjectsInput> for Adapter {
    type Output = dto::ListObjectsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::ListObjectsInput) -> S3Result<S3Response<Self::Output>> {
        let limit = page_length(input.max_keys, "max-keys")?;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let (prefix, marker) = (input.prefix.unwrap_or_default(), input.marker.unwrap_or_default());
        let delimiter = filled(input.delimiter);
        let query = ListQuery {
            prefix: prefix.clone(),
            delimiter: delimiter.clone(),
            after: filled(Some(marker.clone())),
            limit: usize::from(limit),
        };
        let page = Page::of(self.page(&call, &input.bucket, query).await?, encoding, true);
        // S3 names the next marker only beside a delimiter; without one it is the last key of the page.
        let next_marker = page.next.as_deref().filter(|_| delimiter.is_some()).map(|last| encoding.write(last));
        Ok(S3Response::new(dto::ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encoding.write(&prefix)),
            marker: Some(encoding.write(&marker)),
            max_keys: Some(i32::from(limit)),
            is_truncated: Some(page.truncated),
            contents: Some(page.contents),
            common_prefixes: Some(page.prefixes),
            delimiter: delimiter.map(|delimiter| encoding.write(&delimiter)),
            next_marker,
            encoding_type: input.encoding_type,
            request_charged: None,
        }))
    }
}

impl Serve<dto::ListObjectsV2Input> for Adapter {
    type Output = dto::ListObjectsV2Output;

    async fn on(&self, call: Arc<Call>, input: dto::ListObjectsV2Input) -> S3Result<S3Response<Self::Output>> {
        let limit = page_length(input.max_keys, "max-keys")?;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let prefix = input.prefix.unwrap_or_default();
        let delimiter = filled(input.delimiter);
        // A token is further than where the listing started.
        let after = match input.continuation_token.as_deref() {
            Some(token) => Some(after_token(token)?),
            None => filled(input.start_after.clone()),
        };
        let query =
            ListQuery { prefix: prefix.clone(), delimiter: delimiter.clone(), after, limit: usize::from(limit) };
        let with_owner = input.fetch_owner.unwrap_or(false);
        let page = Page::of(self.page(&call, &input.bucket, query).await?, encoding, with_owner);
        Ok(S3Response::new(dto::ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encoding.write(&prefix)),
            max_keys: Some(i32::from(limit)),
            key_count: Some(page.rows()),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.truncated),
            next_continuation_token: page.next.as_deref().map(token),
            contents: Some(page.contents),
            common_prefixes: Some(page.prefixes),
            delimiter: delimiter.map(|delimiter| encoding.write(&delimiter)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|start| encoding.write(&start)),
            request_charged: None,
        }))
    }
}

/// Where a listing of uploads continues. Without a key marker, an upload marker means nothing (as S3 documents).
fn uploads_after(
    key: Option<&str>,
    upload: Option<&str>,
) -> Result<Option<(String, Option<crate::types::UploadId>)>, Face> {
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(None) };
    let upload = match upload.filter(|upload| !upload.is_empty()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Face::invalid_argument("Invalid uploadId marker"))?),
    };
    Ok(Some((key.to_owned(), upload)))
}

impl Serve<dto::ListMultipartUploadsInput> for Adapter {
    type Output = dto::ListMultipartUploadsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::ListMultipartUploadsInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let limit = page_length(input.max_uploads, "max-uploads")?;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let delimiter = filled(input.delimiter);
        let query = UploadQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: delimiter.clone(),
            after: uploads_after(input.key_marker.as_deref(), input.upload_id_marker.as_deref())?,
            limit: usize::from(limit.max(1)),
        };
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let mut listing = self.gateway.list_uploads(call.caller(), &name, query).await.map_err(failed)?;
        if limit == 0 {
            listing.entries.clear();
            listing.truncated = false;
        }
        let (next_key, next_upload) = match listing.entries.last().filter(|_| listing.truncated) {
            None => (None, None),
            Some(ListedUploadEntry::Upload(last)) => {
                (Some(encoding.write(last.key.as_str())), Some(last.id.as_str().to_owned()))
            }
            Some(ListedUploadEntry::Prefix(last)) => (Some(encoding.write(last)), Some(String::new())),
        };
        let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
        for entry in listing.entries {
            match entry {
                ListedUploadEntry::Upload(upload) => uploads.push(dto::MultipartUpload {
                    initiated: Some(timestamp(upload.initiated)),
                    initiator: Some(initiator(&upload.owner)),
                    key: Some(encoding.write(upload.key.as_str())),
                    owner: Some(owner(&upload.owner)),
                    storage_class: Some(dto::StorageClass::from_static("STANDARD")),
                    upload_id: Some(upload.id.as_str().to_owned()),
                    ..Default::default()
                }),
                ListedUploadEntry::Prefix(prefix) => {
                    prefixes.push(dto::CommonPrefix { prefix: Some(encoding.write(&prefix)) });
                }
            }
        }
        let write = |text: Option<String>| Some(encoding.write(text.as_deref().unwrap_or_default()));
        Ok(S3Response::new(dto::ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            common_prefixes: Some(prefixes),
            delimiter: delimiter.map(|delimiter| encoding.write(&delimiter)),
            encoding_type: input.encoding_type,
            is_truncated: Some(listing.truncated),
            key_marker: write(input.key_marker),
            max_uploads: Some(i32::from(limit)),
            next_key_marker: next_key,
            next_upload_id_marker: next_upload,
            prefix: write(input.prefix),
            request_charged: None,
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            uploads: Some(uploads),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;
    use proptest::prelude::*;

    fn listing(truncated: bool) -> Listing {
        let object = ListedObject {
            key: "a b+é".parse().unwrap(),
            etag: "e".into(),
            size: 5,
            modified: Timestamp(1_500_000_000_123),
            kind: crate::sse::ObjectKind::Normal,
        };
        let entries = vec![ListedEntry::Object(object), ListedEntry::Prefix("d/".into())];
        Listing { entries, truncated, owner: UserId::new("alice") }
    }

    #[test]
    fn a_page_keeps_rows_prefixes_and_where_to_go_on() {
        let page = Page::of(listing(true), Encoding::Plain, true);
        assert_eq!((page.rows(), page.next.as_deref()), (2, Some("d/")));
        assert_eq!(page.contents[0].key.as_deref(), Some("a b+é"));
        assert_eq!(page.contents[0].size, Some(5));
        assert!(page.contents[0].owner.is_some());
        let last = Page::of(listing(false), Encoding::Url, false);
        assert_eq!((last.next, last.truncated), (None, false));
        assert_eq!(last.contents[0].key.as_deref(), Some("a%20b%2B%C3%A9"));
        assert_eq!(last.prefixes[0].prefix.as_deref(), Some("d/"));
        assert!(last.contents[0].owner.is_none());
    }

    #[test]
    fn page_lengths_are_capped_and_never_negative() {
        assert_eq!(page_length(None, "max-keys").unwrap(), 1000);
        assert_eq!(page_length(Some(0), "max-keys").unwrap(), 0);
        assert_eq!(page_length(Some(7), "max-keys").unwrap(), 7);
        assert_eq!(page_length(Some(i32::MAX), "max-keys").unwrap(), 1000);
        assert_eq!(page_length(Some(-1), "max-keys").unwrap_err().code, "InvalidArgument");
    }

    #[test]
    fn tokens_that_we_never_made_are_refused() {
        for junk in ["", "junk", "AQ", "AGE", "!!!!", "AWE=", "Af_-"] {
            assert_eq!(after_token(junk).unwrap_err().code, "InvalidArgument", "{junk:?}");
        }
    }

    #[test]
    fn an_upload_marker_counts_only_beside_a_key_marker() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(uploads_after(None, Some(id)).unwrap(), None);
        assert_eq!(uploads_after(Some("k"), None).unwrap(), Some(("k".into(), None)));
        assert_eq!(uploads_after(Some("k"), Some(id)).unwrap(), Some(("k".into(), Some(id.parse().unwrap()))));
        assert_eq!(uploads_after(Some("k"), Some("junk")).unwrap_err().code, "InvalidArgument");
    }

    proptest! {
        #[test]
        fn an_encoded_key_decodes_to_itself_and_is_plain_ascii(key in any::<String>()) {
            let encoded = Encoding::Url.write(&key);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+'));
            prop_assert_eq!(percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap(), key);
        }
    }
}
