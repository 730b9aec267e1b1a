//! The service and its buckets: list, make, delete, what is known of one.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/getbucketinfo>

use crate::gateway::{CannedAcl, Error};
use crate::sse::BucketDefault;
use crate::store::{Bucket, Versioning};
use crate::types::{BucketName, UserId};

use super::acl::reaching;
use super::error::{bad_name, face};
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Writer, parse, time};
use super::{acl, refuse, sse};

use crate::dialect::owner::canonical_id;

/// The most rows on a page of buckets, when nothing is said.
const PAGE: u16 = 100;

/// A user as an owner.
pub(super) fn owner(out: &mut Writer, user: &UserId) {
    out.within("Owner", |out| {
        out.text("ID", &canonical_id(user));
        out.text("DisplayName", user.as_str());
    });
}

/// The word for what a bucket keeps; none before it was ever set.
pub(super) fn versioning(state: Versioning) -> Option<&'static str> {
    match state {
        Versioning::Never => None,
        Versioning::Enabled => Some("Enabled"),
        Versioning::Suspended => Some("Suspended"),
    }
}

/// OSS's names have no dots; S3's may, and are served where they are.
fn check_new_name(name: &BucketName) -> Result<(), Face> {
    let text = name.as_str();
    if text.contains('.') { Err(bad_name(&crate::types::ParseError::BucketName, text)) } else { Ok(()) }
}

/// Refuses a bucket that is not as the gateway's are: of one storage class, on one machine.
fn check_configuration(document: &[u8]) -> Result<(), Face> {
    if document.trim_ascii().is_empty() {
        return Ok(());
    }
    let root = parse(document, "CreateBucketConfiguration")?;
    if let Some(class) = root.value("StorageClass") {
        refuse::storage_class(class)?;
    }
    match root.value("DataRedundancyType") {
        None | Some("LRS") => Ok(()),
        Some("ZRS") => Err(Face::not_implemented("The data redundancy type ZRS")),
        Some(other) => Err(Face::argument("DataRedundancyType", other, "The data redundancy type is not valid.")),
    }
}

impl OssDialect {
    /// The region as OSS's documents name it.
    pub(super) fn location(&self, region: &str) -> String {
        if region.starts_with("oss-") { region.to_owned() } else { format!("oss-{region}") }
    }

    pub(super) async fn list_buckets(&self, call: Call) -> Result<Reply, Face> {
        let limit = usize::from(call.query.page("max-keys", PAGE)?);
        let (prefix, marker) = (call.query.get("prefix"), call.query.get("marker"));
        let all = self.gateway.list_buckets(&call.requester).await.map_err(|error| face(&error))?;
        let wanted = all.into_iter().filter(|bucket| {
            let name = bucket.name.as_str();
            prefix.is_none_or(|prefix| name.starts_with(prefix)) && marker.is_none_or(|marker| name > marker)
        });
        let mut rows: Vec<Bucket> = wanted.take(limit.saturating_add(1)).collect();
        let truncated = rows.len() > limit;
        rows.truncate(limit);
        let mut out = Writer::new("ListAllMyBucketsResult");
        if truncated || prefix.is_some() || marker.is_some() || call.query.get("max-keys").is_some() {
            out.text("Prefix", prefix.unwrap_or_default());
            out.text("Marker", marker.unwrap_or_default());
            out.show("MaxKeys", limit);
            out.show("IsTruncated", truncated);
            let next = rows.last().filter(|_| truncated).map(|last| last.name.as_str());
            out.some("NextMarker", next);
        }
        if let Some(user) = call.requester.user() {
            owner(&mut out, user.user());
        }
        out.within("Buckets", |out| {
            for bucket in &rows {
                out.within("Bucket", |out| self.bucket_row(out, bucket, &call.host));
            }
        });
        Ok(Reply::xml(out.finish()))
    }

    /// What a list and a bucket's own description have in common.
    fn bucket_row(&self, out: &mut Writer, bucket: &Bucket, host: &str) {
        let endpoint = self.config.hosts.endpoint(host);
        out.text("Comment", "");
        out.text("CreationDate", &time(bucket.created));
        out.text("ExtranetEndpoint", &endpoint);
        out.text("IntranetEndpoint", &endpoint);
        out.text("Location", &self.location(&bucket.region));
        out.text("Name", bucket.name.as_str());
        out.text("Region", bucket.region.trim_start_matches("oss-"));
        out.text("StorageClass", "Standard");
    }

    pub(super) async fn put_bucket(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        check_new_name(&name)?;
        check_configuration(&call.document)?;
        let acl = acl::of_bucket(&call.headers)?;
        let of_new = reaching(acl.unwrap_or(CannedAcl::Private));
        let made = self.gateway.create_bucket(&call.requester, name.clone(), None, of_new, false).await;
        match (made, acl) {
            (Ok(()), _) => {}
            // To make one's own bucket again is no error, and sets what it says.
            (Err(Error::BucketAlreadyOwnedByYou), None) => {}
            (Err(Error::BucketAlreadyOwnedByYou), Some(acl)) => {
                let set = self.gateway.put_bucket_acl(&call.requester, &name, reaching(acl)).await;
                set.map_err(|error| face(&error))?;
            }
            (Err(other), _) => return Err(face(&other)),
        }
        Ok(Reply::empty())
    }

    pub(super) async fn delete_bucket(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        self.gateway.delete_bucket(&call.requester, &name).await.map_err(|error| face(&error))?;
        Ok(Reply::no_content())
    }

    pub(super) async fn bucket_location(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let bucket = self.gateway.head_bucket(&call.requester, &name).await.map_err(|error| face(&error))?;
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint>{}</LocationConstraint>",
            quick_xml::escape::escape(self.location(&bucket.region))
        );
        Ok(Reply::xml(document.into()))
    }

    pub(super) async fn bucket_info(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let failed = |error: Error| face(&error);
        let bucket = self.gateway.head_bucket(&call.requester, &name).await.map_err(failed)?;
        let acl = self.gateway.bucket_acl(&call.requester, &name).await.map_err(failed)?;
        let rule = self.gateway.bucket_encryption_rule(&call.requester, &name).await.map_err(failed)?;
        let mut out = Writer::new("BucketInfo");
        out.within("Bucket", |out| {
            self.bucket_row(out, &bucket, &call.host);
            out.text("AccessMonitor", "Disabled");
            out.text("CrossRegionReplication", "Disabled");
            out.text("DataRedundancyType", "LRS");
            out.text("TransferAcceleration", "Disabled");
            owner(out, &bucket.owner);
            out.within("AccessControlList", |out| out.text("Grant", acl::bucket_word(&acl)));
            out.within("ServerSideEncryptionRule", |out| match rule.map(|rule| rule.default) {
                None => out.text("SSEAlgorithm", "None"),
                Some(BucketDefault::S3 { cipher }) => out.text("SSEAlgorithm", sse::method_of(cipher)),
                Some(BucketDefault::Kms { key, bucket_key: _, cipher }) => {
                    out.text("SSEAlgorithm", sse::KMS);
                    out.text("KMSMasterKeyID", key.as_deref().unwrap_or_default());
                    out.some("KMSDataEncryption", sse::data_encryption(cipher));
                }
            });
            out.within("BucketPolicy", |out| {
                out.text("LogBucket", "");
                out.text("LogPrefix", "");
            });
            out.some("Versioning", versioning(bucket.versioning));
        });
        Ok(Reply::xml(out.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_bucket_is_what_this_gateway_has() {
        let with = |inner: &str| {
            check_configuration(format!("<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>").as_bytes())
                .map_err(|face| face.code)
        };
        assert_eq!(check_configuration(b" \n"), Ok(()));
        for good in ["", "<StorageClass>Standard</StorageClass><DataRedundancyType>LRS</DataRedundancyType>"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        assert_eq!(with("<StorageClass>IA</StorageClass>"), Err("NotImplemented"));
        assert_eq!(with("<DataRedundancyType>ZRS</DataRedundancyType>"), Err("NotImplemented"));
        assert_eq!(with("<DataRedundancyType>RAID</DataRedundancyType>"), Err("InvalidArgument"));
        assert_eq!(check_configuration(b"<a/>").unwrap_err().code, "MalformedXML");
        assert!(check_new_name(&"a-b".parse().unwrap()).is_ok());
        assert_eq!(check_new_name(&"a.b".parse().unwrap()).unwrap_err().code, "InvalidBucketName");
    }
}
