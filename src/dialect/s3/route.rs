//! Which operation a request is, by an allow-list: what is not here is answered with 501 NotImplemented and never falls
//! through to a plain operation (a `GET ?acl` must not return the object).

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

pub(super) use crate::dialect::query::query_pairs;

use super::error::Face;
use super::sse_request::Accepts;

/// The operations that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// AbortMultipartUpload.
    AbortMultipartUpload,
    /// CompleteMultipartUpload.
    CompleteMultipartUpload,
    /// CopyObject.
    CopyObject,
    /// CreateBucket.
    CreateBucket,
    /// CreateMultipartUpload.
    CreateMultipartUpload,
    /// DeleteBucket.
    DeleteBucket,
    /// DeleteBucketEncryption.
    DeleteBucketEncryption,
    /// DeleteObject.
    DeleteObject,
    /// DeleteObjects.
    DeleteObjects,
    /// GetBucketEncryption.
    GetBucketEncryption,
    /// GetBucketLocation.
    GetBucketLocation,
    /// GetBucketVersioning.
    GetBucketVersioning,
    /// GetObject.
    GetObject,
    /// HeadBucket.
    HeadBucket,
    /// HeadObject.
    HeadObject,
    /// ListBuckets.
    ListBuckets,
    /// ListMultipartUploads.
    ListMultipartUploads,
    /// ListObjectVersions.
    ListObjectVersions,
    /// ListObjects, both versions.
    ListObjects,
    /// ListParts.
    ListParts,
    /// PutBucketEncryption.
    PutBucketEncryption,
    /// PutBucketVersioning.
    PutBucketVersioning,
    /// DeleteBucketTagging.
    DeleteBucketTagging,
    /// DeleteObjectTagging.
    DeleteObjectTagging,
    /// GetBucketTagging.
    GetBucketTagging,
    /// GetObjectAttributes.
    GetObjectAttributes,
    /// GetObjectTagging.
    GetObjectTagging,
    /// PutBucketTagging.
    PutBucketTagging,
    /// PutObjectTagging.
    PutObjectTagging,
    /// DeleteBucketPolicy.
    DeleteBucketPolicy,
    /// GetBucketPolicy.
    GetBucketPolicy,
    /// GetBucketPolicyStatus.
    GetBucketPolicyStatus,
    /// PutBucketPolicy.
    PutBucketPolicy,
    /// DeletePublicAccessBlock.
    DeletePublicAccessBlock,
    /// GetBucketAcl.
    GetBucketAcl,
    /// GetObjectAcl.
    GetObjectAcl,
    /// GetPublicAccessBlock.
    GetPublicAccessBlock,
    /// PutBucketAcl.
    PutBucketAcl,
    /// PutObjectAcl.
    PutObjectAcl,
    /// PutPublicAccessBlock.
    PutPublicAccessBlock,
    /// DeleteBucketCors.
    DeleteBucketCors,
    /// GetBucketCors.
    GetBucketCors,
    /// PutBucketCors.
    PutBucketCors,
    /// PutObject.
    PutObject,
    /// UpdateObjectEncryption.
    UpdateObjectEncryption,
    /// UploadPart.
    UploadPart,
    /// UploadPartCopy.
    UploadPartCopy,
}

/// What a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// There should be none; it is not read.
    None,
    /// An object's or part's plaintext.
    Stream,
    /// A small XML document.
    Xml,
    /// A small JSON document.
    Json,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Root,
    Bucket,
    Object,
}

/// Query parameters that name a sub-resource or another operation. Every other parameter is an ordinary one.
const SUBRESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "events",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "select-type",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// What a path names; `virtual_host`: the bucket is in the host.
pub(super) fn target(path: &str, virtual_host: bool) -> Target {
    let path = path.strip_prefix('/').unwrap_or(path);
    if virtual_host {
        return if path.is_empty() { Target::Bucket } else { Target::Object };
    }
    // An encoded slash separates like a plain one: s3s decodes the path before it splits it.
    let decoded = percent_decode_str(path).collect::<Vec<u8>>();
    match decoded.iter().position(|&byte| byte == b'/') {
        None if decoded.is_empty() => Target::Root,
        None => Target::Bucket,
        Some(slash) if slash.checked_add(1) == Some(decoded.len()) => Target::Bucket,
        Some(_) => Target::Object,
    }
}

/// The sub-resources that a query names, each once.
pub(super) fn named_in(query: &str) -> Vec<&'static str> {
    let known = |name: &str| SUBRESOURCES.iter().find(|known| **known == name).copied();
    let mut named: Vec<&str> = query_pairs(query).filter_map(|(name, _)| known(&name)).collect();
    named.sort_unstable();
    named.dedup();
    named
}

impl Operation {
    /// The operation that a request is.
    pub(super) fn resolve(
        method: &Method,
        target: Target,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, Face> {
        let named = named_in(query.unwrap_or_default());
        let copy = headers.contains_key("x-amz-copy-source");
        let found = match target {
            Target::Root => Self::on_service(method, &named),
            Target::Bucket => Self::on_bucket(method, &named),
            Target::Object => Self::on_object(method, &named, copy),
        };
        found.ok_or_else(|| match named.first() {
            Some(name) => Face::not_implemented(format_args!("{method} with the parameter {name}")),
            None => Face::new(
                http::StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            ),
        })
    }

    fn on_service(method: &Method, named: &[&str]) -> Option<Self> {
        (*method == Method::GET && named.is_empty()).then_some(Self::ListBuckets)
    }

    fn on_bucket(method: &Method, named: &[&str]) -> Option<Self> {
        Some(match (method.as_str(), named) {
            ("GET", []) => Self::ListObjects,
            ("GET", ["encryption"]) => Self::GetBucketEncryption,
            ("GET", ["location"]) => Self::GetBucketLocation,
            ("GET", ["uploads"]) => Self::ListMultipartUploads,
            ("GET", ["versioning"]) => Self::GetBucketVersioning,
            ("GET", ["versions"]) => Self::ListObjectVersions,
            ("HEAD", []) => Self::HeadBucket,
            ("POST", ["delete"]) => Self::DeleteObjects,
            ("PUT", []) => Self::CreateBucket,
            ("PUT", ["encryption"]) => Self::PutBucketEncryption,
            ("PUT", ["versioning"]) => Self::PutBucketVersioning,
            ("DELETE", []) => Self::DeleteBucket,
            ("DELETE", ["encryption"]) => Self::DeleteBucketEncryption,
            ("GET", ["acl"]) => Self::GetBucketAcl,
            ("PUT", ["acl"]) => Self::PutBucketAcl,
            ("GET", ["publicAccessBlock"]) => Self::GetPublicAccessBlock,
            ("PUT", ["publicAccessBlock"]) => Self::PutPublicAccessBlock,
            ("DELETE", ["publicAccessBlock"]) => Self::DeletePublicAccessBlock,
            ("GET", ["cors"]) => Self::GetBucketCors,
            ("PUT", ["cors"]) => Self::PutBucketCors,
            ("DELETE", ["cors"]) => Self::DeleteBucketCors,
            ("GET", ["policy"]) => Self::GetBucketPolicy,
            ("GET", ["policyStatus"]) => Self::GetBucketPolicyStatus,
            ("PUT", ["policy"]) => Self::PutBucketPolicy,
            ("DELETE", ["policy"]) => Self::DeleteBucketPolicy,
            ("GET", ["tagging"]) => Self::GetBucketTagging,
            ("PUT", ["tagging"]) => Self::PutBucketTagging,
            ("DELETE", ["tagging"]) => Self::DeleteBucketTagging,
            _ => return None,
        })
    }

    fn on_object(method: &Method, named: &[&str], copy: bool) -> Option<Self> {
        Some(match (method.as_str(), named) {
            ("GET", [] | ["versionId"] | ["partNumber"] | ["partNumber", "versionId"]) => Self::GetObject,
            ("GET", ["attributes"] | ["attributes", "versionId"]) => Self::GetObjectAttributes,
            ("GET", ["acl"] | ["acl", "versionId"]) => Self::GetObjectAcl,
            ("PUT", ["acl"] | ["acl", "versionId"]) => Self::PutObjectAcl,
            ("PUT", ["encryption"] | ["encryption", "versionId"]) => Self::UpdateObjectEncryption,
            ("GET", ["tagging"] | ["tagging", "versionId"]) => Self::GetObjectTagging,
            ("PUT", ["tagging"] | ["tagging", "versionId"]) => Self::PutObjectTagging,
            ("DELETE", ["tagging"] | ["tagging", "versionId"]) => Self::DeleteObjectTagging,
            ("GET", ["uploadId"]) => Self::ListParts,
            ("HEAD", [] | ["versionId"] | ["partNumber"] | ["partNumber", "versionId"]) => Self::HeadObject,
            ("PUT", []) if copy => Self::CopyObject,
            ("PUT", []) => Self::PutObject,
            ("PUT", ["partNumber", "uploadId"]) if copy => Self::UploadPartCopy,
            ("PUT", ["partNumber", "uploadId"]) => Self::UploadPart,
            ("POST", ["uploads"]) => Self::CreateMultipartUpload,
            ("POST", ["uploadId"]) => Self::CompleteMultipartUpload,
            ("DELETE", [] | ["versionId"]) => Self::DeleteObject,
            ("DELETE", ["uploadId"]) => Self::AbortMultipartUpload,
            _ => return None,
        })
    }

    /// Whether only a user may ever do it, whatever a policy says: what is about the service, and what comes with a document
    /// that would have to be read before anything could be judged.
    pub(super) fn needs_a_user(self) -> bool {
        let on_service = matches!(self, Self::CreateBucket | Self::DeleteBucket | Self::ListBuckets);
        on_service || matches!(self.body(), BodyKind::Xml | BodyKind::Json)
    }

    /// Which encryption headers the operation takes.
    pub(super) fn accepts(self) -> Accepts {
        match self {
            Self::CopyObject => Accepts::WriteCopy,
            Self::CreateMultipartUpload | Self::PutObject => Accepts::Write,
            Self::GetObject | Self::GetObjectAttributes | Self::HeadObject => Accepts::Read,
            Self::CompleteMultipartUpload | Self::ListParts | Self::UploadPart => Accepts::Part,
            Self::UploadPartCopy => Accepts::PartCopy,
            Self::AbortMultipartUpload
            | Self::CreateBucket
            | Self::DeleteBucket
            | Self::DeleteBucketEncryption
            | Self::DeleteObject
            | Self::DeleteObjects
            | Self::GetBucketEncryption
            | Self::GetBucketLocation
            | Self::GetBucketVersioning
            | Self::HeadBucket
            | Self::ListBuckets
            | Self::ListMultipartUploads
            | Self::ListObjectVersions
            | Self::ListObjects
            | Self::PutBucketEncryption
            | Self::PutBucketVersioning
            | Self::DeleteBucketTagging
            | Self::DeleteObjectTagging
            | Self::GetBucketTagging
            | Self::GetObjectTagging
            | Self::PutBucketTagging
            | Self::PutObjectTagging
            | Self::DeleteBucketPolicy
            | Self::GetBucketPolicy
            | Self::GetBucketPolicyStatus
            | Self::PutBucketPolicy
            | Self::DeleteBucketCors
            | Self::GetBucketCors
            | Self::PutBucketCors
            | Self::DeletePublicAccessBlock
            | Self::GetBucketAcl
            | Self::GetObjectAcl
            | Self::GetPublicAccessBlock
            | Self::PutBucketAcl
            | Self::PutObjectAcl
            | Self::PutPublicAccessBlock
            | Self::UpdateObjectEncryption => Accepts::Nothing,
        }
    }

    /// What the body of such a request is.
    pub(super) fn body(self) -> BodyKind {
        match self {
            Self::PutObject | Self::UploadPart => BodyKind::Stream,
            Self::CompleteMultipartUpload
            | Self::CreateBucket
            | Self::DeleteObjects
            | Self::PutBucketEncryption
            | Self::PutBucketTagging
            | Self::PutBucketVersioning
            | Self::PutObjectTagging
            | Self::PutBucketAcl
            | Self::PutObjectAcl
            | Self::PutBucketCors
            | Self::PutPublicAccessBlock
            | Self::UpdateObjectEncryption => BodyKind::Xml,
            Self::PutBucketPolicy => BodyKind::Json,
            Self::AbortMultipartUpload
            | Self::CopyObject
            | Self::CreateMultipartUpload
            | Self::DeleteBucket
            | Self::DeleteBucketEncryption
            | Self::DeleteObject
            | Self::GetBucketEncryption
            | Self::GetBucketLocation
            | Self::GetBucketVersioning
            | Self::GetObject
            | Self::HeadBucket
            | Self::HeadObject
            | Self::ListBuckets
            | Self::ListMultipartUploads
            | Self::ListObjectVersions
            | Self::ListObjects
            | Self::ListParts
            | Self::UploadPartCopy
            | Self::DeleteBucketTagging
            | Self::DeleteObjectTagging
            | Self::GetBucketTagging
            | Self::GetObjectAttributes
            | Self::GetObjectTagging
            | Self::DeleteBucketPolicy
            | Self::GetBucketPolicy
            | Self::GetBucketPolicyStatus
            | Self::DeleteBucketCors
            | Self::GetBucketCors
            | Self::DeletePublicAccessBlock
            | Self::GetBucketAcl
            | Self::GetObjectAcl
            | Self::GetPublicAccessBlock => BodyKind::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn resolve(method: &str, target: Target, query: &str) -> Result<Operation, &'static str> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Operation::resolve(&method, target, Some(query), &HeaderMap::new()).map_err(|face| face.code)
    }

    #[test]
    fn every_operation_has_its_route() {
        use Target::{Bucket, Object, Root};
        let table = [
            ("GET", Root, "", Operation::ListBuckets),
            ("GET", Bucket, "list-type=2&prefix=acl", Operation::ListObjects),
            ("GET", Bucket, "location", Operation::GetBucketLocation),
            ("GET", Bucket, "uploads=&prefix=a", Operation::ListMultipartUploads),
            ("GET", Bucket, "versioning", Operation::GetBucketVersioning),
            ("PUT", Bucket, "versioning", Operation::PutBucketVersioning),
            ("GET", Bucket, "versions&prefix=a", Operation::ListObjectVersions),
            ("GET", Bucket, "encryption", Operation::GetBucketEncryption),
            ("PUT", Bucket, "encryption", Operation::PutBucketEncryption),
            ("DELETE", Bucket, "encryption", Operation::DeleteBucketEncryption),
            ("PUT", Bucket, "", Operation::CreateBucket),
            ("HEAD", Bucket, "", Operation::HeadBucket),
            ("DELETE", Bucket, "", Operation::DeleteBucket),
            ("GET", Bucket, "acl", Operation::GetBucketAcl),
            ("PUT", Bucket, "acl", Operation::PutBucketAcl),
            ("GET", Object, "acl&versionId=null", Operation::GetObjectAcl),
            ("PUT", Object, "acl", Operation::PutObjectAcl),
            ("PUT", Object, "encryption&versionId=null", Operation::UpdateObjectEncryption),
            ("GET", Bucket, "publicAccessBlock", Operation::GetPublicAccessBlock),
            ("PUT", Bucket, "publicAccessBlock", Operation::PutPublicAccessBlock),
            ("DELETE", Bucket, "publicAccessBlock", Operation::DeletePublicAccessBlock),
            ("GET", Bucket, "cors", Operation::GetBucketCors),
            ("PUT", Bucket, "cors", Operation::PutBucketCors),
            ("DELETE", Bucket, "cors", Operation::DeleteBucketCors),
            ("GET", Bucket, "policy", Operation::GetBucketPolicy),
            ("GET", Bucket, "policyStatus", Operation::GetBucketPolicyStatus),
            ("PUT", Bucket, "policy", Operation::PutBucketPolicy),
            ("DELETE", Bucket, "policy", Operation::DeleteBucketPolicy),
            ("GET", Bucket, "tagging", Operation::GetBucketTagging),
            ("PUT", Bucket, "tagging", Operation::PutBucketTagging),
            ("DELETE", Bucket, "tagging", Operation::DeleteBucketTagging),
            ("GET", Object, "tagging&versionId=null", Operation::GetObjectTagging),
            ("PUT", Object, "tagging", Operation::PutObjectTagging),
            ("DELETE", Object, "tagging&versionId=null", Operation::DeleteObjectTagging),
            ("GET", Object, "attributes&versionId=null", Operation::GetObjectAttributes),
            ("GET", Object, "partNumber=1", Operation::GetObject),
            ("HEAD", Object, "partNumber=1&versionId=null", Operation::HeadObject),
            ("POST", Bucket, "delete", Operation::DeleteObjects),
            ("GET", Object, "x-id=GetObject&versionId=null", Operation::GetObject),
            ("HEAD", Object, "", Operation::HeadObject),
            ("PUT", Object, "x-id=PutObject", Operation::PutObject),
            ("DELETE", Object, "", Operation::DeleteObject),
            ("POST", Object, "uploads", Operation::CreateMultipartUpload),
            ("PUT", Object, "partNumber=1&uploadId=x", Operation::UploadPart),
            ("POST", Object, "uploadId=x", Operation::CompleteMultipartUpload),
            ("DELETE", Object, "uploadId=x", Operation::AbortMultipartUpload),
            ("GET", Object, "uploadId=x&max-parts=2", Operation::ListParts),
        ];
        for (method, target, query, operation) in table {
            assert_eq!(resolve(method, target, query), Ok(operation), "{method} {query}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-copy-source", HeaderValue::from_static("b/k"));
        let copy = |query| Operation::resolve(&Method::PUT, Object, Some(query), &headers);
        assert_eq!(copy(""), Ok(Operation::CopyObject));
        assert_eq!(copy("uploadId=x&partNumber=1"), Ok(Operation::UploadPartCopy));
    }

    #[test]
    fn every_other_sub_resource_is_not_implemented_on_any_method() {
        for name in SUBRESOURCES {
            for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
                for target in [Target::Root, Target::Bucket, Target::Object] {
                    match resolve(method, target, name) {
                        Err(code) => assert_eq!(code, "NotImplemented", "{method} {target:?} {name}"),
                        Ok(_) => assert!(
                            matches!(
                                *name,
                                "acl"
                                    | "attributes"
                                    | "cors"
                                    | "delete"
                                    | "encryption"
                                    | "location"
                                    | "partNumber"
                                    | "policy"
                                    | "policyStatus"
                                    | "publicAccessBlock"
                                    | "tagging"
                                    | "uploadId"
                                    | "uploads"
                                    | "versionId"
                                    | "versioning"
                                    | "versions"
                            ),
                            "{method} {target:?} {name}"
                        ),
                    }
                }
            }
        }
        assert_eq!(resolve("DELETE", Target::Bucket, "versioning"), Err("NotImplemented"));
        // Encoded names, and one sub-resource hidden behind another.
        assert_eq!(resolve("GET", Target::Object, "%72estore"), Err("NotImplemented"));
        assert_eq!(resolve("GET", Target::Object, "uploadId=x&restore"), Err("NotImplemented"));
        assert_eq!(resolve("PUT", Target::Object, "uploadId=x"), Err("NotImplemented"));
        assert_eq!(resolve("PUT", Target::Object, "partNumber=1"), Err("NotImplemented"));
        assert_eq!(resolve("PATCH", Target::Object, ""), Err("MethodNotAllowed"));
        assert_eq!(resolve("POST", Target::Bucket, ""), Err("MethodNotAllowed"));
    }

    #[test]
    fn paths_name_what_s3s_finds_in_them() {
        let table = [
            ("/", Target::Root),
            ("/b", Target::Bucket),
            ("/b/", Target::Bucket),
            ("/b/k", Target::Object),
            ("/b//", Target::Object),
            ("/b%2Fk", Target::Object),
        ];
        for (path, expected) in table {
            assert_eq!(target(path, false), expected, "{path}");
        }
        assert_eq!((target("/", true), target("/k", true)), (Target::Bucket, Target::Object));
    }
}
