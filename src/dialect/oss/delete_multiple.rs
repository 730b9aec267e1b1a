//! DeleteMultipleObjects.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/deletemultipleobjects>

use futures::{StreamExt as _, stream};

use crate::gateway::{Conditions, Error, Governance};
use crate::types::{BucketName, ObjectAt, VersionId};

use super::error::face;
use super::face::Face;
use super::objects::outcome_of;
use super::request::{Call, key, version};
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Writer, parse};

/// How many objects are deleted at a time: enough to share a sync, few enough to be fair.
const AT_ONCE: usize = 16;
/// The most keys that one request may name.
const MAXIMUM: usize = 1000;

/// An object to delete.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    key: String,
    version: Option<String>,
}

/// What became of it.
struct Gone {
    named: Named,
    /// The marker that was made or removed.
    marker: Option<VersionId>,
}

/// The document: whether only failures are told, and the objects.
fn read(document: &[u8]) -> Result<(bool, Vec<Named>), Face> {
    let root = parse(document, "Delete")?;
    let named = |object: &super::xml::Element| {
        let key = object.child("Key").ok_or_else(Face::malformed_xml)?.raw().to_owned();
        Ok(Named { key, version: object.value("VersionId").map(str::to_owned) })
    };
    let objects: Vec<Named> = root.children("Object").map(named).collect::<Result<_, Face>>()?;
    if objects.is_empty() || objects.len() > MAXIMUM {
        return Err(Face::malformed_xml());
    }
    Ok((root.flag("Quiet")?, objects))
}

/// How many objects a document names.
pub(super) fn count(document: &[u8]) -> Result<usize, Face> {
    read(document).map(|(_, objects)| objects.len())
}

impl OssDialect {
    pub(super) async fn delete_multiple(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let encoding = call.query.encoding()?;
        let (quiet, objects) = read(&call.document)?;
        let mut done =
            stream::iter(objects.into_iter().map(|named| self.delete_named(&call, &name, named))).buffered(AT_ONCE);
        let (mut deleted, mut refused) = (Vec::new(), None);
        while let Some(outcome) = done.next().await {
            match outcome {
                Ok(gone) => deleted.push(gone),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        // OSS's list has no place for a key that was not deleted, and silence would be taken for success: the first
        // failure is the request's, after all that could be deleted is.
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        if quiet {
            return Ok(Reply::empty());
        }
        let mut out = Writer::new("DeleteResult");
        if encoding == super::xml::Encoding::Url {
            out.text("EncodingType", "url");
        }
        for gone in &deleted {
            out.within("Deleted", |out| {
                out.text("Key", &encoding.write(&gone.named.key));
                out.some("VersionId", gone.named.version.as_deref());
                if let Some(marker) = &gone.marker {
                    out.text("DeleteMarker", "true");
                    out.text("DeleteMarkerVersionId", marker.as_str());
                }
            });
        }
        Ok(Reply::xml(out.finish()))
    }

    async fn delete_named(&self, call: &Call, bucket: &BucketName, named: Named) -> Result<Gone, Face> {
        let at = ObjectAt { bucket: bucket.clone(), key: key(&named.key)? };
        let version = version(named.version.as_deref())?;
        let none = Conditions::default();
        let deleted =
            self.gateway.delete_object(&call.requester, &at, version.clone(), &none, Governance::Heeded).await;
        let deleted = deleted.map_err(|error: Error| face(&error).with("Key", &named.key))?;
        let (version, marker) = outcome_of(deleted, version);
        Ok(Gone { named, marker: version.filter(|_| marker) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_as_they_are() {
        let text = "<Delete><Object><Key> a&amp;b&#10;</Key></Object><Quiet>true</Quiet><Object><VersionId>null</VersionId><Key>k</Key></Object></Delete>";
        let (quiet, objects) = read(text.as_bytes()).unwrap();
        assert!(quiet);
        let named = |key: &str, version: Option<&str>| Named { key: key.into(), version: version.map(str::to_owned) };
        assert_eq!(objects, [named(" a&b\n", None), named("k", Some("null"))]);
    }

    #[test]
    fn a_list_has_one_to_a_thousand_keys() {
        let list = |count: usize| {
            read(format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(count)).as_bytes())
        };
        assert_eq!(list(1000).unwrap().1.len(), 1000);
        for bad in [0, 1001] {
            assert_eq!(list(bad).unwrap_err().code, "MalformedXML", "{bad}");
        }
        assert_eq!(read(b"<Delete><Object/></Delete>").unwrap_err().code, "MalformedXML");
    }
}
