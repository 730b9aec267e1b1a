//! Which operation a request is, by an allow-list over method and sub-resource: what is not here is refused and never
//! falls through to a plain operation (a `GET ?acl` must not return the object).
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/list-of-operations-by-function>

use http::{HeaderMap, Method, StatusCode};

use super::face::Face;
use super::query::Query;
use super::sse::Accepts;

/// The operations that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    AbortMultipartUpload,
    AppendObject,
    CompleteMultipartUpload,
    CopyObject,
    DeleteBucket,
    DeleteBucketCors,
    DeleteBucketEncryption,
    DeleteBucketPolicy,
    DeleteBucketTagging,
    DeleteMultipleObjects,
    DeleteObject,
    DeleteObjectTagging,
    GetBucketAcl,
    GetBucketCors,
    GetBucketEncryption,
    GetBucketInfo,
    GetBucketLocation,
    GetBucketPolicy,
    GetBucketPolicyStatus,
    GetBucketStat,
    GetBucketTagging,
    GetBucketVersioning,
    GetObject,
    GetObjectAcl,
    GetObjectMeta,
    GetObjectTagging,
    GetSymlink,
    HeadObject,
    InitiateMultipartUpload,
    ListBuckets,
    ListMultipartUploads,
    ListObjects,
    ListObjectVersions,
    ListParts,
    PutBucket,
    PutBucketAcl,
    PutBucketCors,
    PutBucketEncryption,
    PutBucketPolicy,
    PutBucketTagging,
    PutBucketVersioning,
    PutObject,
    PutObjectAcl,
    PutObjectTagging,
    PutSymlink,
    UploadPart,
    UploadPartCopy,
}

/// What a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// There should be none.
    None,
    /// An object's or part's plaintext.
    Stream,
    /// A small document, XML or JSON.
    Document,
}

/// What an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Service,
    Bucket,
    Object,
}

/// Query parameters that name a sub-resource or another operation; every other parameter is an ordinary one. All of them
/// are signed by every version of the signature.
const SUBRESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "cname",
    "comp",
    "cors",
    "delete",
    "encryption",
    "httpsConfig",
    "img",
    "inventory",
    "legalHold",
    "lifecycle",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "objectWorm",
    "overwriteConfig",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "resourceGroup",
    "resourcePool",
    "responseHeader",
    "restore",
    "retention",
    "rtc",
    "seal",
    "sequential",
    "stat",
    "style",
    "symlink",
    "tagging",
    "transferAcceleration",
    "udf",
    "uploadId",
    "uploads",
    "userDefinedLogFieldsConfig",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "withHashContext",
    "worm",
    "wormExtend",
    "wormId",
];

/// Configurations that no bucket here has: asking for one is answered as for a bucket without it.
const NEVER_SET: &[(&str, &str, &str)] = &[
    ("inventory", "NoSuchInventory", "The specified inventory does not exist."),
    ("lifecycle", "NoSuchLifecycle", "No Row found in Lifecycle Table."),
    ("replication", "NoSuchReplicationConfiguration", "The bucket has no replication configuration."),
    (
        "transferAcceleration",
        "NoSuchTransferAccelerationConfiguration",
        "The bucket you specified does not have transfer acceleration configuration.",
    ),
    ("website", "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration."),
    ("worm", "NoSuchWORMConfiguration", "The WORM Configuration does not exist."),
];

impl Operation {
    /// The operation that a request is.
    ///
    /// # Errors
    /// NotImplemented, a NoSuch… of a configuration that is never set, or MethodNotAllowed.
    pub(super) fn resolve(method: &Method, target: Target, query: &Query, headers: &HeaderMap) -> Result<Self, Face> {
        let mut named: Vec<&str> =
            query.iter().map(|(name, _)| name).filter(|name| SUBRESOURCES.contains(name)).collect();
        named.sort_unstable();
        named.dedup();
        let copy = headers.contains_key("x-oss-copy-source");
        let found = match target {
            Target::Service => (*method == Method::GET && named.is_empty()).then_some(Self::ListBuckets),
            Target::Bucket => Self::on_bucket(method, &named),
            Target::Object => Self::on_object(method, &named, copy),
        };
        found.ok_or_else(|| refusal(method, target, &named))
    }

    fn on_bucket(method: &Method, named: &[&str]) -> Option<Self> {
        Some(match (method.as_str(), named) {
            ("GET", []) => Self::ListObjects,
            ("GET", ["acl"]) => Self::GetBucketAcl,
            ("GET", ["bucketInfo"]) => Self::GetBucketInfo,
            ("GET", ["cors"]) => Self::GetBucketCors,
            ("GET", ["encryption"]) => Self::GetBucketEncryption,
            ("GET", ["location"]) => Self::GetBucketLocation,
            ("GET", ["policy"]) => Self::GetBucketPolicy,
            ("GET", ["policyStatus"]) => Self::GetBucketPolicyStatus,
            ("GET", ["stat"]) => Self::GetBucketStat,
            ("GET", ["tagging"]) => Self::GetBucketTagging,
            ("GET", ["uploads"]) => Self::ListMultipartUploads,
            ("GET", ["versioning"]) => Self::GetBucketVersioning,
            ("GET", ["versions"]) => Self::ListObjectVersions,
            ("POST", ["delete"]) => Self::DeleteMultipleObjects,
            ("PUT", []) => Self::PutBucket,
            ("PUT", ["acl"]) => Self::PutBucketAcl,
            ("PUT", ["cors"]) => Self::PutBucketCors,
            ("PUT", ["encryption"]) => Self::PutBucketEncryption,
            ("PUT", ["policy"]) => Self::PutBucketPolicy,
            ("PUT", ["tagging"]) => Self::PutBucketTagging,
            ("PUT", ["versioning"]) => Self::PutBucketVersioning,
            ("DELETE", []) => Self::DeleteBucket,
            ("DELETE", ["cors"]) => Self::DeleteBucketCors,
            ("DELETE", ["encryption"]) => Self::DeleteBucketEncryption,
            ("DELETE", ["policy"]) => Self::DeleteBucketPolicy,
            ("DELETE", ["tagging"]) => Self::DeleteBucketTagging,
            _ => return None,
        })
    }

    fn on_object(method: &Method, named: &[&str], copy: bool) -> Option<Self> {
        Some(match (method.as_str(), named) {
            ("GET", [] | ["versionId"]) => Self::GetObject,
            ("GET", ["acl"] | ["acl", "versionId"]) => Self::GetObjectAcl,
            ("GET" | "HEAD", ["objectMeta"] | ["objectMeta", "versionId"]) => Self::GetObjectMeta,
            ("GET", ["symlink"] | ["symlink", "versionId"]) => Self::GetSymlink,
            ("GET", ["tagging"] | ["tagging", "versionId"]) => Self::GetObjectTagging,
            ("GET", ["uploadId"]) => Self::ListParts,
            ("HEAD", [] | ["versionId"]) => Self::HeadObject,
            ("POST", ["append"]) => Self::AppendObject,
            ("POST", ["uploadId"]) => Self::CompleteMultipartUpload,
            ("POST", ["uploads"]) => Self::InitiateMultipartUpload,
            ("PUT", []) if copy => Self::CopyObject,
            ("PUT", []) => Self::PutObject,
            ("PUT", ["acl"] | ["acl", "versionId"]) => Self::PutObjectAcl,
            ("PUT", ["partNumber", "uploadId"]) if copy => Self::UploadPartCopy,
            ("PUT", ["partNumber", "uploadId"]) => Self::UploadPart,
            ("PUT", ["symlink"]) => Self::PutSymlink,
            ("PUT", ["tagging"] | ["tagging", "versionId"]) => Self::PutObjectTagging,
            ("DELETE", [] | ["versionId"]) => Self::DeleteObject,
            ("DELETE", ["tagging"] | ["tagging", "versionId"]) => Self::DeleteObjectTagging,
            ("DELETE", ["uploadId"]) => Self::AbortMultipartUpload,
            _ => return None,
        })
    }

    /// Whether only a user may ever do it, whatever a policy says: what is about the service, and what comes with a document
    /// that would have to be read before anything could be judged.
    pub(super) fn needs_a_user(self) -> bool {
        let on_service = matches!(self, Self::PutBucket | Self::DeleteBucket | Self::ListBuckets);
        on_service || self.body() == BodyKind::Document
    }

    /// Which encryption headers the operation takes.
    pub(super) fn accepts(self) -> Accepts {
        match self {
            Self::AppendObject => Accepts::Append,
            Self::CopyObject => Accepts::WriteCopy,
            Self::InitiateMultipartUpload | Self::PutObject => Accepts::Write,
            Self::GetObject | Self::GetObjectMeta | Self::HeadObject => Accepts::Read,
            Self::CompleteMultipartUpload | Self::ListParts | Self::UploadPart => Accepts::Part,
            Self::UploadPartCopy => Accepts::PartCopy,
            Self::AbortMultipartUpload
            | Self::DeleteBucket
            | Self::DeleteBucketCors
            | Self::DeleteBucketEncryption
            | Self::DeleteBucketPolicy
            | Self::DeleteBucketTagging
            | Self::DeleteMultipleObjects
            | Self::DeleteObject
            | Self::DeleteObjectTagging
            | Self::GetBucketAcl
            | Self::GetBucketCors
            | Self::GetBucketEncryption
            | Self::GetBucketInfo
            | Self::GetBucketLocation
            | Self::GetBucketPolicy
            | Self::GetBucketPolicyStatus
            | Self::GetBucketStat
            | Self::GetBucketTagging
            | Self::GetBucketVersioning
            | Self::GetObjectAcl
            | Self::GetObjectTagging
            | Self::GetSymlink
            | Self::ListBuckets
            | Self::ListMultipartUploads
            | Self::ListObjects
            | Self::ListObjectVersions
            | Self::PutBucket
            | Self::PutBucketAcl
            | Self::PutBucketCors
            | Self::PutBucketEncryption
            | Self::PutBucketPolicy
            | Self::PutBucketTagging
            | Self::PutBucketVersioning
            | Self::PutObjectAcl
            | Self::PutObjectTagging
            | Self::PutSymlink => Accepts::Nothing,
        }
    }

    /// What the body of such a request is.
    pub(super) fn body(self) -> BodyKind {
        match self {
            Self::AppendObject | Self::PutObject | Self::UploadPart => BodyKind::Stream,
            Self::CompleteMultipartUpload
            | Self::DeleteMultipleObjects
            | Self::PutBucket
            | Self::PutBucketCors
            | Self::PutBucketEncryption
            | Self::PutBucketPolicy
            | Self::PutBucketTagging
            | Self::PutBucketVersioning
            | Self::PutObjectTagging => BodyKind::Document,
            Self::AbortMultipartUpload
            | Self::CopyObject
            | Self::DeleteBucket
            | Self::DeleteBucketCors
            | Self::DeleteBucketEncryption
            | Self::DeleteBucketPolicy
            | Self::DeleteBucketTagging
            | Self::DeleteObject
            | Self::DeleteObjectTagging
            | Self::GetBucketAcl
            | Self::GetBucketCors
            | Self::GetBucketEncryption
            | Self::GetBucketInfo
            | Self::GetBucketLocation
            | Self::GetBucketPolicy
            | Self::GetBucketPolicyStatus
            | Self::GetBucketStat
            | Self::GetBucketTagging
            | Self::GetBucketVersioning
            | Self::GetObject
            | Self::GetObjectAcl
            | Self::GetObjectMeta
            | Self::GetObjectTagging
            | Self::GetSymlink
            | Self::HeadObject
            | Self::InitiateMultipartUpload
            | Self::ListBuckets
            | Self::ListMultipartUploads
            | Self::ListObjects
            | Self::ListObjectVersions
            | Self::ListParts
            | Self::PutBucketAcl
            | Self::PutObjectAcl
            | Self::PutSymlink
            | Self::UploadPartCopy => BodyKind::None,
        }
    }
}

fn refusal(method: &Method, target: Target, named: &[&str]) -> Face {
    let Some(name) = named.first() else {
        let resource = match target {
            Target::Service => "SERVICE",
            Target::Bucket => "BUCKET",
            Target::Object => "OBJECT",
        };
        return Face::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        )
        .with("Method", method)
        .with("ResourceType", resource);
    };
    if *method == Method::POST && named.contains(&"restore") {
        return Face::bad(
            "OperationNotSupported",
            "The operation is not supported for this resource: it is not archived.",
        );
    }
    let unset = NEVER_SET.iter().find(|(known, _, _)| known == name);
    match unset.filter(|_| *method == Method::GET && target == Target::Bucket) {
        Some((_, code, message)) => Face::missing(code, *message),
        None => Face::not_implemented(format_args!("{method} with the parameter {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn resolve(method: &str, target: Target, query: &str) -> Result<Operation, (u16, &'static str)> {
        let uri: http::Uri = format!("/?{query}").parse().unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let found = Operation::resolve(&method, target, &Query::of(&uri), &HeaderMap::new());
        found.map_err(|face| (face.status.as_u16(), face.code))
    }

    #[test]
    fn what_the_clients_send_has_its_route() {
        use Target::{Bucket, Object, Service};
        let table = [
            ("GET", Service, "marker&prefix", Operation::ListBuckets),
            ("GET", Bucket, "delimiter&encoding-type=url&marker&max-keys=1000&prefix=", Operation::ListObjects),
            ("GET", Bucket, "list-type=2&fetch-owner=true", Operation::ListObjects),
            ("GET", Bucket, "encoding-type=url&versions&key-marker", Operation::ListObjectVersions),
            ("GET", Bucket, "uploads&max-parts=1000", Operation::ListMultipartUploads),
            ("GET", Bucket, "bucketInfo=", Operation::GetBucketInfo),
            ("GET", Bucket, "stat", Operation::GetBucketStat),
            ("GET", Bucket, "acl", Operation::GetBucketAcl),
            ("PUT", Bucket, "", Operation::PutBucket),
            ("POST", Bucket, "delete&encoding-type=url", Operation::DeleteMultipleObjects),
            ("DELETE", Bucket, "encryption", Operation::DeleteBucketEncryption),
            ("HEAD", Object, "objectMeta", Operation::GetObjectMeta),
            ("HEAD", Object, "versionId=1", Operation::HeadObject),
            ("GET", Object, "response-content-type=a&x-oss-traffic-limit=1", Operation::GetObject),
            ("POST", Object, "append&position=0", Operation::AppendObject),
            ("POST", Object, "uploads&encoding-type=url", Operation::InitiateMultipartUpload),
            ("PUT", Object, "partNumber=1&uploadId=x", Operation::UploadPart),
            ("POST", Object, "uploadId=x", Operation::CompleteMultipartUpload),
            ("GET", Object, "uploadId=x&max-parts=10", Operation::ListParts),
            ("PUT", Object, "symlink", Operation::PutSymlink),
            ("GET", Object, "tagging&versionId=1", Operation::GetObjectTagging),
            ("DELETE", Object, "versionId=1", Operation::DeleteObject),
        ];
        for (method, target, query, operation) in table {
            assert_eq!(resolve(method, target, query), Ok(operation), "{method} {target:?} {query}");
        }
    }

    #[test]
    fn a_copy_source_makes_a_copy() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-oss-copy-source"),
            HeaderValue::from_static("/b/k"),
        )]);
        let of = |query: &str| {
            let uri: http::Uri = format!("/?{query}").parse().unwrap();
            Operation::resolve(&Method::PUT, Target::Object, &Query::of(&uri), &headers).unwrap()
        };
        assert_eq!(of(""), Operation::CopyObject);
        assert_eq!(of("partNumber=1&uploadId=x"), Operation::UploadPartCopy);
    }

    #[test]
    fn what_is_not_served_is_never_something_else() {
        use Target::{Bucket, Object, Service};
        let table = [
            ("GET", Bucket, "lifecycle", (404, "NoSuchLifecycle")),
            ("GET", Bucket, "website", (404, "NoSuchWebsiteConfiguration")),
            ("PUT", Bucket, "lifecycle", (400, "NotImplemented")),
            ("GET", Bucket, "logging", (400, "NotImplemented")),
            ("PUT", Object, "retention", (400, "NotImplemented")),
            ("GET", Object, "encryption", (400, "NotImplemented")),
            ("POST", Object, "sequential&uploads", (400, "NotImplemented")),
            ("POST", Object, "restore", (400, "OperationNotSupported")),
            ("GET", Object, "acl&tagging", (400, "NotImplemented")),
            ("POST", Object, "", (405, "MethodNotAllowed")),
            ("HEAD", Bucket, "", (405, "MethodNotAllowed")),
            ("PUT", Service, "", (405, "MethodNotAllowed")),
            ("PATCH", Object, "", (405, "MethodNotAllowed")),
        ];
        for (method, target, query, refusal) in table {
            assert_eq!(resolve(method, target, query), Err(refusal), "{method} {target:?} {query}");
        }
    }

    #[test]
    fn every_sub_resource_is_signed_by_the_oldest_signature() {
        for name in SUBRESOURCES {
            assert!(crate::identity::v1_signs(name.as_bytes()), "{name} could be added to a signed request");
        }
    }
}
