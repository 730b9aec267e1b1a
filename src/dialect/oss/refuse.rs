//! Headers and parameters that ask for what is not implemented. They are refused, never ignored: a client that asked for
//! a callback, an image or another storage class must not be told that it got it.

use http::HeaderMap;

use super::face::Face;
use super::query::Query;
use super::route::Operation;

/// Headers that always ask for something that is not implemented, whatever their value.
const HEADERS: [&str; 4] = ["x-oss-callback", "x-oss-callback-var", "x-oss-process", "x-oss-async-process"];
/// The same in the query. A callback in a URL is one all the same.
const PARAMETERS: [&str; 6] =
    ["callback", "callback-var", "x-oss-callback", "x-oss-callback-var", "x-oss-process", "x-oss-async-process"];
/// Conditions that only reads and copy sources know.
const CONDITIONS: [&str; 4] = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
/// Storage classes of OSS that this gateway does not have.
const OTHER_CLASSES: [&str; 4] = ["IA", "Archive", "ColdArchive", "DeepColdArchive"];

/// Refuses headers that ask for what is not implemented.
pub(super) fn headers(operation: Operation, headers: &HeaderMap) -> Result<(), Face> {
    for name in HEADERS {
        if headers.get(name).is_some_and(|value| !value.is_empty()) {
            return Err(implied(name));
        }
    }
    let writes = matches!(
        operation,
        Operation::AppendObject
            | Operation::CompleteMultipartUpload
            | Operation::CopyObject
            | Operation::InitiateMultipartUpload
            | Operation::PutObject
            | Operation::PutSymlink
            | Operation::UploadPart
            | Operation::UploadPartCopy
    );
    if let Some(name) = CONDITIONS.iter().find(|name| writes && headers.contains_key(**name)) {
        return Err(implied(name));
    }
    match headers.get("x-oss-storage-class").map(|value| value.to_str().unwrap_or("?")) {
        Some(class) => storage_class(class),
        None => Ok(()),
    }
}

/// A feature that a header implies and that is not there.
fn implied(name: &str) -> Face {
    Face::bad("NotImplemented", "A header you provided implies functionality that is not implemented.")
        .with("Header", name)
}

/// Refuses a storage class that is not the only one.
pub(super) fn storage_class(class: &str) -> Result<(), Face> {
    match class {
        "Standard" => Ok(()),
        class if OTHER_CLASSES.contains(&class) => {
            Err(Face::not_implemented(format_args!("The storage class {class}")))
        }
        class => Err(Face::argument("x-oss-storage-class", class, "The storage class you specified is not valid.")),
    }
}

/// Refuses parameters that would be silently without effect.
pub(super) fn query(query: &Query, anonymous: bool) -> Result<(), Face> {
    for (name, _) in query.iter() {
        if PARAMETERS.contains(&name) {
            return Err(Face::not_implemented(format_args!("The parameter {name}")).with("Header", name));
        }
        if anonymous && name.starts_with("response-") {
            return Err(Face::bad(
                "InvalidRequest",
                "The request parameters response-* cannot be used by an anonymous request.",
            )
            .with("ArgumentName", name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(operation: Operation, name: &str, value: &str) -> Result<(), &'static str> {
        let map = HeaderMap::from_iter([(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())]);
        headers(operation, &map).map_err(|face| {
            assert_eq!(face.status, 400);
            face.code
        })
    }

    #[test]
    fn what_asks_for_more_than_is_done_is_refused() {
        let put = Operation::PutObject;
        for name in ["x-oss-callback", "x-oss-process", "if-modified-since", "if-none-match"] {
            assert_eq!(check(put, name, "x"), Err("NotImplemented"), "{name}");
        }
        assert_eq!(check(put, "x-oss-storage-class", "IA"), Err("NotImplemented"));
        assert_eq!(check(put, "x-oss-storage-class", "STANDARD"), Err("InvalidArgument"));
        assert_eq!(check(put, "x-oss-storage-class", "Standard"), Ok(()));
        assert_eq!(check(put, "x-oss-request-payer", "requester"), Ok(()));
        assert_eq!(check(Operation::GetObject, "if-none-match", "x"), Ok(()));
    }

    #[test]
    fn parameters_that_would_do_nothing_are_refused() {
        let ask = |text: &str, anonymous| {
            let uri: http::Uri = format!("/?{text}").parse().unwrap();
            query(&Query::of(&uri), anonymous).map_err(|face| face.code)
        };
        assert_eq!(ask("x-oss-process=image/resize", false), Err("NotImplemented"));
        assert_eq!(ask("callback=x", false), Err("NotImplemented"));
        assert_eq!(ask("response-content-type=a", false), Ok(()));
        assert_eq!(ask("response-content-type=a", true), Err("InvalidRequest"));
        assert_eq!(ask("x-oss-traffic-limit=819200&prefix=callback", true), Ok(()));
    }
}
