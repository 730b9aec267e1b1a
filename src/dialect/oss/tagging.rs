//! Tags of objects and buckets.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/putobjecttagging>

use http::HeaderMap;

use crate::dialect::query::query_pairs;
use crate::gateway::{BUCKET_TAGS, Error, OBJECT_TAGS, Tags};
use crate::types::VersionId;

use super::describe;
use super::error::face;
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Element, Writer, parse};

/// The tags that a write gives an object.
const HEADER: &str = "x-oss-tagging";

/// The tags in `x-oss-tagging`, which is a URL query.
pub(super) fn header(headers: &HeaderMap) -> Result<Tags, Face> {
    let Some(value) = headers.get(HEADER) else { return Ok(Tags::default()) };
    let text = value.to_str().map_err(|_| Face::argument(HEADER, "", "The tags must be URL-encoded."))?;
    Tags::new(query_pairs(text), OBJECT_TAGS).map_err(|error| face(&error))
}

/// The tags of a document.
pub(super) fn read(document: &[u8], maximum: usize) -> Result<Tags, Face> {
    let root = parse(document, "Tagging")?;
    let set = root.child("TagSet").ok_or_else(Face::malformed_xml)?;
    let pair = |tag: &Element| {
        let key = tag.child("Key").ok_or_else(Face::malformed_xml)?.raw().to_owned();
        Ok((key, tag.child("Value").map(Element::raw).unwrap_or_default().to_owned()))
    };
    let pairs: Vec<_> = set.children("Tag").map(pair).collect::<Result<_, Face>>()?;
    Tags::new(pairs, maximum).map_err(|error| face(&error))
}

fn document(tags: &Tags) -> Reply {
    let mut out = Writer::new("Tagging");
    out.within("TagSet", |out| {
        for (key, value) in tags.iter() {
            out.within("Tag", |out| {
                out.text("Key", key);
                out.text("Value", value);
            });
        }
    });
    Reply::xml(out.finish())
}

fn of_version(reply: Reply, version: Option<&VersionId>) -> Reply {
    let mut out = HeaderMap::new();
    describe::version(version, &mut out);
    reply.with(out)
}

impl OssDialect {
    pub(super) async fn get_object_tags(&self, call: Call) -> Result<Reply, Face> {
        let (at, version) = (call.object()?, call.version()?);
        let found = self.gateway.object_tags(&call.requester, &at, version).await;
        let (tags, version) = found.map_err(|error| face(&error))?;
        Ok(of_version(document(&tags), version.as_ref()))
    }

    pub(super) async fn put_object_tags(&self, call: Call) -> Result<Reply, Face> {
        let (at, version) = (call.object()?, call.version()?);
        let tags = read(&call.document, OBJECT_TAGS)?;
        let set = self.gateway.put_object_tags(&call.requester, &at, version, tags).await;
        Ok(of_version(Reply::empty(), set.map_err(|error| face(&error))?.as_ref()))
    }

    pub(super) async fn delete_object_tags(&self, call: Call) -> Result<Reply, Face> {
        let (at, version) = (call.object()?, call.version()?);
        let gone = self.gateway.delete_object_tags(&call.requester, &at, version).await;
        Ok(of_version(Reply::no_content(), gone.map_err(|error| face(&error))?.as_ref()))
    }

    /// A bucket without tags has an empty set.
    pub(super) async fn get_bucket_tags(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        match self.gateway.bucket_tags(&call.requester, &name).await {
            Ok(tags) => Ok(document(&tags)),
            Err(Error::NoSuchTagSet) => Ok(document(&Tags::default())),
            Err(other) => Err(face(&other)),
        }
    }

    pub(super) async fn put_bucket_tags(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let tags = read(&call.document, BUCKET_TAGS)?;
        self.gateway.put_bucket_tags(&call.requester, &name, tags).await.map_err(|error| face(&error))?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_bucket_tags(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let none = self.gateway.put_bucket_tags(&call.requester, &name, Tags::default()).await;
        none.map_err(|error| face(&error))?;
        Ok(Reply::no_content())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_and_checked() {
        let tags = |inner: &str| {
            read(format!("<Tagging><TagSet>{inner}</TagSet></Tagging>").as_bytes(), OBJECT_TAGS)
                .map(|tags| tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>())
                .map_err(|face| face.code)
        };
        let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
        assert_eq!(tags(&(tag("b", "2") + &tag("a", ""))).unwrap(), ["a=", "b=2"]);
        assert_eq!(tags(&tag("", "x")), Err("InvalidTag"));
        assert_eq!(tags(&(tag("a", "1") + &tag("a", "2"))), Err("InvalidTag"));
        assert_eq!(tags("<Tag/>"), Err("MalformedXML"));
        assert_eq!(read(b"<Tagging/>", OBJECT_TAGS).unwrap_err().code, "MalformedXML");
    }

    #[test]
    fn the_header_is_a_query() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, http::HeaderValue::from_static("a=1&b%20c=d%2Fe"));
        let tags = header(&headers).unwrap();
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("a", "1"), ("b c", "d/e")]);
    }
}
