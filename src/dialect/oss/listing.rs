//! ListObjects in both versions: pages, markers, tokens, the `url` encoding.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/listobjects>

use crate::dialect::token;
use crate::gateway::{ListedEntry, ListedObject, Listing};
use crate::store::ListQuery;
use crate::types::UserId;

use super::buckets::owner;
use super::error::{face, quoted};
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Encoding, Writer, time};
use super::{describe, query::Query};

/// The most rows on a page, when nothing is said.
const PAGE: u16 = 100;

/// What every listing of keys is asked for.
pub(super) struct Rows<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    pub(super) limit: u16,
    pub(super) encoding: Encoding,
}

impl<'a> Rows<'a> {
    pub(super) fn of(query: &'a Query, limit: &'static str, default: u16) -> Result<Self, Face> {
        Ok(Self {
            prefix: query.get("prefix").unwrap_or_default(),
            delimiter: query.get("delimiter"),
            limit: query.page(limit, default)?,
            encoding: query.encoding()?,
        })
    }

    /// Writes back what was asked for.
    pub(super) fn echo(&self, out: &mut Writer, limit: &str, truncated: bool) {
        out.text("Prefix", &self.encoding.write(self.prefix));
        out.show(limit, self.limit);
        out.text("Delimiter", &self.encoding.write(self.delimiter.unwrap_or_default()));
        self.echo_encoding(out);
        out.show("IsTruncated", truncated);
    }

    /// Says how names are written, where that is not plain.
    pub(super) fn echo_encoding(&self, out: &mut Writer) {
        if self.encoding == Encoding::Url {
            out.text("EncodingType", "url");
        }
    }

    /// A rolled-up prefix.
    pub(super) fn common_prefix(&self, out: &mut Writer, prefix: &str) {
        out.within("CommonPrefixes", |out| out.text("Prefix", &self.encoding.write(prefix)));
    }
}

/// What a listing says of an object, whatever it is called there.
pub(super) fn object(out: &mut Writer, object: &ListedObject, encoding: Encoding) {
    out.text("Key", &encoding.write(object.key.as_str()));
    out.text("LastModified", &time(object.modified));
    out.text("ETag", &quoted(&object.etag));
    out.text("Type", describe::kind(object.kind));
    out.show("Size", object.size);
    out.text("StorageClass", "Standard");
}

fn rows(out: &mut Writer, listing: &Listing, asked: &Rows<'_>, by: Option<&UserId>) {
    for entry in &listing.entries {
        if let ListedEntry::Object(row) = entry {
            out.within("Contents", |out| {
                object(out, row, asked.encoding);
                if let Some(by) = by {
                    owner(out, by);
                }
            });
        }
    }
    for entry in &listing.entries {
        if let ListedEntry::Prefix(prefix) = entry {
            asked.common_prefix(out, prefix);
        }
    }
}

/// The last row, when more follow.
fn last(listing: &Listing) -> Option<&str> {
    listing.entries.last().filter(|_| listing.truncated).map(|entry| match entry {
        ListedEntry::Object(object) => object.key.as_str(),
        ListedEntry::Prefix(prefix) => prefix,
    })
}

impl OssDialect {
    pub(super) async fn list_objects(&self, call: Call) -> Result<Reply, Face> {
        match call.query.get("list-type") {
            None => self.list_v1(&call).await,
            Some("2") => self.list_v2(&call).await,
            Some(other) => Err(Face::argument("list-type", other, "Invalid list type specified in request.")),
        }
    }

    async fn rows_of(&self, call: &Call, asked: &Rows<'_>, after: Option<String>) -> Result<Listing, Face> {
        let query = ListQuery {
            prefix: asked.prefix.to_owned(),
            delimiter: asked.delimiter.map(str::to_owned),
            after,
            limit: usize::from(asked.limit),
        };
        let name = call.bucket()?;
        self.gateway.list_objects(&call.requester, &name, query).await.map_err(|error| face(&error))
    }

    async fn list_v1(&self, call: &Call) -> Result<Reply, Face> {
        let asked = Rows::of(&call.query, "max-keys", PAGE)?;
        let marker = call.query.get("marker");
        let listing = self.rows_of(call, &asked, marker.map(str::to_owned)).await?;
        let mut out = Writer::new("ListBucketResult");
        out.text("Name", call.resource.bucket.as_deref().unwrap_or_default());
        out.text("Marker", &asked.encoding.write(marker.unwrap_or_default()));
        asked.echo(&mut out, "MaxKeys", listing.truncated);
        out.some("NextMarker", last(&listing).map(|last| asked.encoding.write(last)).as_deref());
        rows(&mut out, &listing, &asked, Some(&listing.owner));
        Ok(Reply::xml(out.finish()))
    }

    async fn list_v2(&self, call: &Call) -> Result<Reply, Face> {
        let asked = Rows::of(&call.query, "max-keys", PAGE)?;
        let (start, token) = (call.query.get("start-after"), call.query.get("continuation-token"));
        // A token is further than where the listing started.
        let after = match token {
            None => start.map(str::to_owned),
            Some(text) => Some(token::row(text).ok_or_else(|| {
                Face::argument("continuation-token", text, "The continuation token provided is incorrect.")
            })?),
        };
        let listing = self.rows_of(call, &asked, after).await?;
        let with_owner = call.query.get("fetch-owner").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let mut out = Writer::new("ListBucketResult");
        out.text("Name", call.resource.bucket.as_deref().unwrap_or_default());
        out.some("StartAfter", start.map(|start| asked.encoding.write(start)).as_deref());
        out.some("ContinuationToken", token);
        asked.echo(&mut out, "MaxKeys", listing.truncated);
        out.some("NextContinuationToken", last(&listing).map(token::token).as_deref());
        rows(&mut out, &listing, &asked, with_owner.then_some(&listing.owner));
        out.show("KeyCount", listing.entries.len());
        Ok(Reply::xml(out.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml::{Element, parse};
    use super::*;
    use crate::sse::ObjectKind;
    use crate::types::Timestamp;

    fn listing(truncated: bool) -> Listing {
        let row = ListedObject {
            key: "a b+é".parse().unwrap(),
            etag: "ab".into(),
            size: 5,
            modified: Timestamp(784_111_777_123),
            kind: ObjectKind::Appendable,
        };
        let entries = vec![ListedEntry::Object(row), ListedEntry::Prefix("d/".into())];
        Listing { entries, truncated, owner: UserId::new("alice") }
    }

    fn written(encoding: Encoding, by: Option<&UserId>) -> Element {
        let asked = Rows { prefix: "", delimiter: Some("/"), limit: 100, encoding };
        let mut out = Writer::new("ListBucketResult");
        asked.echo(&mut out, "MaxKeys", true);
        rows(&mut out, &listing(true), &asked, by);
        parse(&out.finish(), "ListBucketResult").unwrap()
    }

    #[test]
    fn a_row_has_what_oss2_requires() {
        let alice = UserId::new("alice");
        let root = written(Encoding::Plain, Some(&alice));
        let row = root.child("Contents").unwrap();
        for (name, value) in [
            ("Key", "a b+é"),
            ("LastModified", "1994-11-06T08:49:37.000Z"),
            ("ETag", "\"AB\""),
            ("Type", "Appendable"),
            ("Size", "5"),
            ("StorageClass", "Standard"),
        ] {
            assert_eq!(row.value(name), Some(value), "{name}");
        }
        assert_eq!(row.child("Owner").unwrap().value("DisplayName"), Some("alice"));
        assert_eq!((root.value("IsTruncated"), root.value("EncodingType")), (Some("true"), None));
        assert_eq!(root.child("CommonPrefixes").unwrap().value("Prefix"), Some("d/"));
    }

    #[test]
    fn names_are_encoded_on_demand_and_owners_shown_on_demand() {
        let root = written(Encoding::Url, None);
        let row = root.child("Contents").unwrap();
        assert_eq!((row.value("Key"), row.child("Owner").is_none()), (Some("a%20b%2B%C3%A9"), true));
        assert_eq!(root.value("EncodingType"), Some("url"));
    }

    #[test]
    fn the_next_page_begins_after_the_last_row_and_only_if_there_is_one() {
        assert_eq!(last(&listing(true)), Some("d/"));
        assert_eq!(last(&listing(false)), None);
    }
}
