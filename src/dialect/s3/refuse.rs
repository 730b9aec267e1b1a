//! Headers and parameters that ask for what is not implemented. They are refused, never ignored: a client that asked
//! for a lock, a grant or another storage class must not be told that it got it.

use http::HeaderMap;

use crate::gateway::CannedAcl;

use super::error::Face;
use super::lock;
use super::route::{Operation, query_pairs};

/// Headers that always ask for something that is not implemented, whatever their value.
const REFUSED: &[&str] = &[
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
    "x-amz-rename-source",
    "x-amz-mfa",
    "x-amz-if-match-initiated-time",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
];

/// Headers that have a meaning only as headers: a presigned URL that carries them as parameters would be served without.
const NOT_IN_QUERY: &[&str] = &[
    "x-amz-server-side-encryption",
    "x-amz-copy-source",
    "x-amz-acl",
    "x-amz-grant-",
    "x-amz-tagging",
    "x-amz-object-lock",
    "x-amz-bucket-object-lock",
    "x-amz-bypass-governance",
    "x-amz-storage-class",
    "x-amz-meta-",
    "x-amz-website-redirect-location",
    "x-amz-metadata-directive",
];

/// Refuses headers that ask for what is not implemented.
pub(super) fn headers(operation: Operation, headers: &HeaderMap) -> Result<(), Face> {
    plain_headers(headers)?;
    locks(Some(operation), headers)?;
    for name in headers.keys() {
        match name.as_str() {
            "if-none-match" | "if-unmodified-since"
                if matches!(operation, Operation::DeleteObject | Operation::DeleteObjects) =>
            {
                return Err(Face::not_implemented(format_args!("{name} on a delete")));
            }
            // Each object of a DeleteObjects has its own.
            "if-match" if operation == Operation::DeleteObjects => {
                return Err(Face::not_implemented(format_args!("{name} on a delete")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The same, for what no operation has.
pub(super) fn any_headers(headers: &HeaderMap) -> Result<(), Face> {
    plain_headers(headers)?;
    locks(None, headers)
}

/// Refuses to lock what is not written.
fn locks(operation: Option<Operation>, headers: &HeaderMap) -> Result<(), Face> {
    let given = |name| headers.get(name).is_some_and(|value| !value.is_empty());
    let writes = [Operation::PutObject, Operation::CopyObject, Operation::CreateMultipartUpload];
    if !operation.is_some_and(|operation| writes.contains(&operation))
        && let Some(name) = lock::OF_WRITES.iter().find(|name| given(*name))
    {
        return Err(Face::not_implemented(format_args!("The header {name} with this request")));
    }
    if lock::of_new_bucket(headers)? && operation != Some(Operation::CreateBucket) {
        return Err(Face::not_implemented("Object lock of a bucket that is not new"));
    }
    Ok(())
}

fn plain_headers(headers: &HeaderMap) -> Result<(), Face> {
    for name in REFUSED {
        if headers.get(*name).is_some_and(|value| !value.is_empty()) {
            return Err(Face::not_implemented(format_args!("The header {name}")));
        }
    }
    for (name, value) in headers {
        let text = value.to_str().unwrap_or("?");
        match name.as_str() {
            name if name.starts_with("x-amz-grant-") => {
                return Err(Face::not_implemented(format_args!("The header {name}")));
            }
            "x-amz-acl" if CannedAcl::named(text).is_none() => {
                return Err(Face::invalid_argument("The canned ACL is not known, or not supported."));
            }
            "x-amz-storage-class" if text != "STANDARD" => {
                return Err(Face::bad("InvalidStorageClass", "The storage class you specified is not valid"));
            }
            // ACLs count here, and the bucket's owner may do everything in it all the same.
            "x-amz-object-ownership" if !matches!(text, "BucketOwnerPreferred" | "ObjectWriter") => {
                return Err(Face::not_implemented(format_args!("The object ownership {text:?}")));
            }
            "x-amz-bucket-namespace" if text != "global" => {
                return Err(Face::not_implemented(format_args!("The bucket namespace {text:?}")));
            }
            "x-amz-tagging-directive" if !matches!(text, "COPY" | "REPLACE") => {
                return Err(Face::invalid_argument("Unknown tagging directive."));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses parameters that would be silently without effect.
pub(super) fn query(query: &str, anonymous: bool) -> Result<(), Face> {
    for (name, value) in query_pairs(query) {
        let lower = name.to_ascii_lowercase();
        if NOT_IN_QUERY.iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(Face::not_implemented(format_args!(
                "{lower} as a query parameter (send it as a signed header)"
            )));
        }
        if anonymous && lower.starts_with("response-") {
            return Err(Face::invalid_request(
                "Request specific response headers cannot be used for anonymous GET requests.",
            ));
        }
        if name == "list-type" && value != "2" {
            return Err(Face::invalid_argument("Invalid List Type specified in Request"));
        }
        if name == "encoding-type" && value != "url" {
            return Err(Face::invalid_argument("Invalid Encoding Method specified in Request"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(operation: Operation, name: &str, value: &str) -> Result<(), (u16, &'static str)> {
        let map = HeaderMap::from_iter([(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())]);
        headers(operation, &map).map_err(|face| (face.status.as_u16(), face.code))
    }

    #[test]
    fn what_asks_for_more_than_is_done_is_refused() {
        let refused = Err((501, "NotImplemented"));
        let put = Operation::PutObject;
        for (name, value) in [
            ("x-amz-grant-read", "id=1"),
            ("x-amz-website-redirect-location", "/x"),
            ("x-amz-bucket-object-lock-enabled", "true"),
            ("x-amz-bucket-namespace", "account-regional"),
        ] {
            assert_eq!(check(put, name, value), refused, "{name}");
        }
        assert_eq!(check(put, "x-amz-acl", "everyone"), Err((400, "InvalidArgument")));
        assert_eq!(check(put, "x-amz-storage-class", "GLACIER"), Err((400, "InvalidStorageClass")));
        assert_eq!(check(Operation::DeleteObject, "if-none-match", "*"), refused);
        assert_eq!(check(Operation::DeleteObjects, "if-match", "\"e\""), refused);
        assert_eq!(check(Operation::DeleteObject, "if-match", "\"e\""), Ok(()));
        let (mode, bucket) = ("x-amz-object-lock-mode", "x-amz-bucket-object-lock-enabled");
        for (operation, name, value, expected) in [
            (Operation::UploadPart, mode, "GOVERNANCE", refused),
            (Operation::PutObject, mode, "GOVERNANCE", Ok(())),
            (Operation::CreateBucket, mode, "GOVERNANCE", refused),
            (Operation::CreateBucket, bucket, "true", Ok(())),
            (Operation::CreateBucket, bucket, "maybe", Err((400, "InvalidArgument"))),
            (Operation::PutObject, bucket, "False", Ok(())),
        ] {
            assert_eq!(check(operation, name, value), expected, "{operation:?} {name}");
        }
    }

    #[test]
    fn what_is_done_anyway_is_accepted() {
        for (name, value) in [
            ("x-amz-acl", "private"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("x-amz-storage-class", "STANDARD"),
            ("x-amz-request-payer", "requester"),
            ("x-amz-tagging", "a=b"),
            ("if-match", "\"e\""),
        ] {
            assert_eq!(check(Operation::PutObject, name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn encryption_hidden_in_the_query_is_refused() {
        let code = |text| query(text, false).map_err(|face| face.code);
        assert_eq!(code("X-Amz-Server-Side-Encryption=AES256"), Err("NotImplemented"));
        assert_eq!(code("x-amz-server-side-encryption-customer-algorithm=AES256"), Err("NotImplemented"));
        assert_eq!(code("x-amz-bucket-object-lock-enabled=true"), Err("NotImplemented"));
        assert_eq!(code("X-Amz-Bypass-Governance-Retention=true"), Err("NotImplemented"));
        assert_eq!(code("encoding-type=base64"), Err("InvalidArgument"));
        assert_eq!(code("x-id=GetObject&response-content-type=a%2Fb&prefix=x-amz-acl"), Ok(()));
        assert_eq!(query("response-content-type=a", true).map_err(|face| face.code), Err("InvalidRequest"));
    }
}
