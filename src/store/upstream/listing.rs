//! One page of an upstream's listing, as it comes.

use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use super::client::{Again, Call, Client};
use super::failure::Failure;
use super::headers::unquoted;
use super::xml::{self, Element};
use crate::types::Timestamp;

/// The most rows of a page, whatever is asked for.
pub(super) const MOST: usize = 1000;

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size: u64,
    /// In whole seconds, as HEAD has it.
    pub(super) modified: Timestamp,
}

/// A page: objects and rolled-up prefixes, each in bytewise order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) prefixes: Vec<String>,
    pub(super) truncated: bool,
}

/// A version as a listing shows it, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// The upstream's id of it.
    pub(super) own: String,
    pub(super) latest: bool,
    pub(super) marker: bool,
    /// A marker has neither ETag nor size.
    pub(super) row: Row,
}

/// A page of versions: by key, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeptPage {
    pub(super) rows: Vec<Kept>,
    /// Where it goes on, if it does: after this version of this key.
    pub(super) next: Option<(String, Option<String>)>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    pub(super) after: Option<&'a str>,
    pub(super) limit: usize,
}

impl Client {
    /// A page of the objects of a bucket.
    pub(super) async fn page(&self, bucket: &str, ask: &Ask<'_>) -> Result<Page, Failure> {
        let mut call = Call::bucket(Method::GET, bucket)
            .query("list-type", "2")
            .query("encoding-type", "url")
            .query("max-keys", ask.limit.min(MOST).to_string());
        for (name, value) in [("prefix", Some(ask.prefix)), ("delimiter", ask.delimiter), ("start-after", ask.after)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                call = call.query(name, value);
            }
        }
        let (_, body) = self.ask(&call, Bytes::new(), Again::Always).await?;
        let unreadable = || Failure::Broken("its listing cannot be read".to_owned());
        let root = xml::parse(&body).map_err(|_| unreadable())?;
        page_of(&root).ok_or_else(unreadable)
    }
}

impl Client {
    /// A page of the versions of a bucket's objects. After a key alone, upstreams differ in whether that key's own versions
    /// come: the caller passes over them.
    pub(super) async fn page_of_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&(String, Option<String>)>,
        limit: usize,
    ) -> Result<KeptPage, Failure> {
        let mut call = Call::bucket(Method::GET, bucket)
            .query("versions", "")
            .query("encoding-type", "url")
            .query("max-keys", limit.min(MOST).to_string());
        if !prefix.is_empty() {
            call = call.query("prefix", prefix);
        }
        if let Some((key, own)) = after {
            call = call.query("key-marker", key.clone());
            if let Some(own) = own {
                call = call.query("version-id-marker", own.clone());
            }
        }
        let (_, body) = self.ask(&call, Bytes::new(), Again::Always).await?;
        let unreadable = || Failure::Broken("its listing of versions cannot be read".to_owned());
        let root = xml::parse(&body).map_err(|_| unreadable())?;
        kept_page_of(&root).ok_or_else(unreadable)
    }
}

fn kept_page_of(root: &Element) -> Option<KeptPage> {
    if root.name != "ListVersionsResult" {
        return None;
    }
    let encoded = root.text("EncodingType") == "url";
    let name = |text: &str| if encoded { url_decoded(text) } else { Some(text.to_owned()) };
    let mut rows: Vec<(Kept, OffsetDateTime)> = Vec::new();
    for child in &root.children {
        let marker = child.name == "DeleteMarker";
        if !marker && child.name != "Version" {
            continue;
        }
        let modified = child.text("LastModified");
        let kept = Kept {
            own: child.text("VersionId").to_owned(),
            latest: child.text("IsLatest") == "true",
            marker,
            row: Row {
                key: name(child.text("Key"))?,
                etag: unquoted(child.text("ETag")),
                size: if marker { 0 } else { child.text("Size").parse().ok()? },
                modified: iso_date(modified)?,
            },
        };
        rows.push((kept, OffsetDateTime::parse(modified, &Rfc3339).ok()?));
    }
    let apart = are_apart(&rows);
    if apart {
        rows.sort_by(|(a, of_a), (b, of_b)| {
            let newest_first = b.latest.cmp(&a.latest).then(of_b.cmp(of_a));
            a.row.key.cmp(&b.row.key).then(newest_first)
        });
    }
    let rows: Vec<Kept> = rows.into_iter().map(|(kept, _)| kept).collect();
    let own = |text: &str| Some(text.to_owned()).filter(|own| !own.is_empty());
    let last = if apart {
        name(root.text("NextKeyMarker")).map(|key| (key, own(root.text("NextVersionIdMarker"))))
    } else {
        // The last row says where to go on: the markers that a page names are not encoded alike everywhere.
        rows.last().map(|last| (last.row.key.clone(), own(&last.own)))
    };
    let next = last.filter(|_| root.text("IsTruncated") == "true");
    Some(KeptPage { rows, next })
}

/// Whether a page has its versions and its delete markers in two runs, as some servers write them. Which of a key's is newer
/// is told by their dates then, by fractions of a second too; everywhere else the order of the rows does, and no clock.
fn are_apart(rows: &[(Kept, OffsetDateTime)]) -> bool {
    let turns = rows.windows(2).filter(|pair| matches!(pair, [(a, _), (b, _)] if a.marker != b.marker)).count();
    let in_order = rows.windows(2).all(|pair| match pair {
        [(a, of_a), (b, of_b)] => {
            let same = a.row.key == b.row.key;
            a.row.key <= b.row.key && !(same && b.latest) && !(same && a.marker != b.marker && of_a < of_b)
        }
        _ => true,
    });
    turns == 1 && !in_order
}

fn page_of(root: &Element) -> Option<Page> {
    if root.name != "ListBucketResult" {
        return None;
    }
    let encoded = root.text("EncodingType") == "url";
    let name = |text: &str| {
        if encoded { url_decoded(text) } else { Some(text.to_owned()) }
    };
    let mut page = Page { truncated: root.text("IsTruncated") == "true", ..Page::default() };
    for row in root.all("Contents") {
        page.rows.push(Row {
            key: name(row.text("Key"))?,
            etag: unquoted(row.text("ETag")),
            size: row.text("Size").parse().ok()?,
            modified: iso_date(row.text("LastModified"))?,
        });
    }
    for prefix in root.all("CommonPrefixes") {
        page.prefixes.push(name(prefix.text("Prefix"))?);
    }
    Some(page)
}

/// A name in a listing that was asked for with `encoding-type=url`: a plus is a blank there.
pub(super) fn url_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', "%20");
    percent_decode_str(&text).decode_utf8().ok().map(|name| name.into_owned())
}

/// A listing's date, cut to the second.
pub(super) fn iso_date(text: &str) -> Option<Timestamp> {
    seconds(OffsetDateTime::parse(text, &Rfc3339).ok()?)
}

/// A header's date.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    seconds(OffsetDateTime::parse(text, &Rfc2822).ok()?)
}

fn seconds(at: OffsetDateTime) -> Option<Timestamp> {
    u64::try_from(at.unix_timestamp()).ok().and_then(|seconds| seconds.checked_mul(1000)).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_names_decoded_and_dates_cut_to_seconds() {
        let text = "<ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>\
            <Contents><Key>a%2Fb+c%2B%00%C3%A9</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>\
            <ETag>&quot;e-2&quot;</ETag><Size>17</Size></Contents>\
            <CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes></ListBucketResult>";
        let page = page_of(&xml::parse(text.as_bytes()).unwrap()).unwrap();
        let row =
            Row { key: "a/b c+\0é".into(), etag: "e-2".into(), size: 17, modified: Timestamp(1_767_323_045_000) };
        assert_eq!(page, Page { rows: vec![row], prefixes: vec!["p/".into()], truncated: true });
        assert_eq!(http_date("Fri, 02 Jan 2026 03:04:05 GMT"), Some(Timestamp(1_767_323_045_000)));
    }

    #[test]
    fn versions_are_read_in_their_order_or_put_into_it() {
        let row = |kind: &str, key: &str, own: &str, latest: bool, second: u32| {
            let size = if kind == "Version" { "<ETag>\"e\"</ETag><Size>5</Size>" } else { "" };
            format!(
                "<{kind}><Key>{key}</Key><VersionId>{own}</VersionId><IsLatest>{latest}</IsLatest>\
                 <LastModified>2026-01-02T03:04:{second:02}.000Z</LastModified>{size}</{kind}>"
            )
        };
        let page = |rows: &[String], more: bool| {
            let rows = rows.concat();
            let text = format!("<ListVersionsResult><IsTruncated>{more}</IsTruncated>{rows}</ListVersionsResult>");
            kept_page_of(&xml::parse(text.as_bytes()).unwrap()).unwrap()
        };
        let (newest, marker) = (row("Version", "a", "3", true, 1), row("DeleteMarker", "a", "2", false, 9));
        let (oldest, other) = (row("Version", "a", "1", false, 5), row("Version", "b", "7", true, 1));
        let ids = |page: &KeptPage| page.rows.iter().map(|kept| kept.own.clone()).collect::<Vec<_>>();
        // Clocks say something else here, and are not asked.
        let in_order = page(&[newest.clone(), marker.clone(), oldest.clone(), other.clone()], true);
        assert_eq!(
            (ids(&in_order), &in_order.next),
            (vec!["3".into(), "2".into(), "1".into(), "7".into()], &Some(("b".into(), Some("7".into()))))
        );
        assert_eq!((in_order.rows[1].marker, in_order.rows[1].row.size, in_order.rows[0].row.size), (true, 0, 5));
        let apart = page(&[newest, oldest, other, marker], false);
        assert_eq!((ids(&apart), &apart.next), (vec!["3".into(), "2".into(), "1".into(), "7".into()], &None));
    }

    #[test]
    fn what_is_no_listing_is_none() {
        for bad in ["<Error/>", "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>"] {
            assert_eq!(page_of(&xml::parse(bad.as_bytes()).unwrap()), None, "{bad}");
        }
    }
}
