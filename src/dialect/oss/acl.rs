//! ACLs of buckets and objects: one word each. A bucket's reaches the objects that have none of their own.
//! <https://www.alibabacloud.com/help/en/oss/user-guide/bucket-acl>

use http::HeaderMap;

use crate::gateway::{Acl, AclReach, BucketAcl, CannedAcl};

use super::buckets::owner;
use super::error::face;
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::xml::Writer;

const BUCKET: &str = "x-oss-acl";
const OBJECT: &str = "x-oss-object-acl";
/// An object's word for having no ACL of its own.
const DEFAULT: &str = "default";

/// A bucket's ACL as OSS means it.
pub(super) fn reaching(acl: CannedAcl) -> BucketAcl {
    BucketAcl { acl, reach: AclReach::Objects }
}

/// The ACL of a word. S3's others have none in OSS.
fn named(header: &str, text: &str) -> Result<CannedAcl, Face> {
    match text {
        "private" => Ok(CannedAcl::Private),
        "public-read" => Ok(CannedAcl::PublicRead),
        "public-read-write" => Ok(CannedAcl::PublicReadWrite),
        other => Err(Face::argument(header, other, "no such bucket access control exists")),
    }
}

/// `x-oss-acl`.
pub(super) fn of_bucket(headers: &HeaderMap) -> Result<Option<CannedAcl>, Face> {
    let Some(value) = headers.get(BUCKET) else { return Ok(None) };
    named(BUCKET, value.to_str().unwrap_or_default()).map(Some)
}

/// `x-oss-object-acl`; none where it is absent or says so.
pub(super) fn of_object(headers: &HeaderMap) -> Result<Option<CannedAcl>, Face> {
    match headers.get(OBJECT).map(|value| value.to_str().unwrap_or_default()) {
        None | Some(DEFAULT) => Ok(None),
        Some(text) => named(OBJECT, text).map(Some),
    }
}

/// The word for an ACL. OSS has none for what only S3 clients can set: nobody but users reads such an object.
fn word(acl: &Acl) -> &'static str {
    match acl.acl {
        _ if acl.inherited => DEFAULT,
        CannedAcl::PublicRead => "public-read",
        CannedAcl::PublicReadWrite => "public-read-write",
        CannedAcl::AuthenticatedRead
        | CannedAcl::BucketOwnerFullControl
        | CannedAcl::BucketOwnerRead
        | CannedAcl::Private => "private",
    }
}

fn document(acl: &Acl) -> Reply {
    let mut out = Writer::new("AccessControlPolicy");
    owner(&mut out, &acl.owner);
    out.within("AccessControlList", |out| out.text("Grant", word(acl)));
    Reply::xml(out.finish())
}

fn missing(header: &'static str) -> Face {
    Face::bad("MissingArgument", "Missing Some Required Arguments.").with("ArgumentName", header)
}

/// The word for a bucket's ACL.
pub(super) fn bucket_word(acl: &Acl) -> &'static str {
    word(acl)
}

impl OssDialect {
    pub(super) async fn get_bucket_acl(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let acl = self.gateway.bucket_acl(&call.requester, &name).await.map_err(|error| face(&error))?;
        Ok(document(&acl))
    }

    pub(super) async fn put_bucket_acl(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let acl = of_bucket(&call.headers)?.ok_or_else(|| missing(BUCKET))?;
        let set = self.gateway.put_bucket_acl(&call.requester, &name, reaching(acl)).await;
        set.map_err(|error| face(&error))?;
        Ok(Reply::empty())
    }

    pub(super) async fn get_object_acl(&self, call: Call) -> Result<Reply, Face> {
        let (at, version) = (call.object()?, call.version()?);
        let acl = self.gateway.object_acl(&call.requester, &at, version).await.map_err(|error| face(&error))?;
        Ok(document(&acl))
    }

    pub(super) async fn put_object_acl(&self, call: Call) -> Result<Reply, Face> {
        let (at, version) = (call.object()?, call.version()?);
        if !call.headers.contains_key(OBJECT) {
            return Err(missing(OBJECT));
        }
        let acl = of_object(&call.headers)?;
        let set = self.gateway.put_object_acl(&call.requester, &at, version, acl).await;
        set.map_err(|error| face(&error))?;
        Ok(Reply::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::UserId;
    use http::{HeaderName, HeaderValue};

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn osss_words_are_taken_and_s3s_others_are_not() {
        assert_eq!(of_bucket(&headers(BUCKET, "public-read")), Ok(Some(CannedAcl::PublicRead)));
        assert_eq!(of_object(&headers(OBJECT, "default")), Ok(None));
        assert_eq!(of_object(&headers(OBJECT, "private")), Ok(Some(CannedAcl::Private)));
        for bad in ["", "default", "authenticated-read", "Private"] {
            let face = of_bucket(&headers(BUCKET, bad)).unwrap_err();
            assert_eq!((face.code, face.extra.len()), ("InvalidArgument", 2), "{bad}");
        }
    }

    #[test]
    fn an_object_without_an_acl_of_its_own_says_default() {
        let acl = |acl, inherited| Acl { owner: UserId::new("a"), bucket_owner: UserId::new("a"), acl, inherited };
        assert_eq!(word(&acl(CannedAcl::PublicRead, true)), "default");
        assert_eq!(word(&acl(CannedAcl::PublicRead, false)), "public-read");
        assert_eq!(word(&acl(CannedAcl::AuthenticatedRead, false)), "private");
    }
}
