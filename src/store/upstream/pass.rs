//! What passes to the upstream and back: configurations of buckets and objects that touch neither bodies nor keys, where the operator
//! lists them.

use bytes::Bytes;
use http::Method;

use super::client::{Again, Call, Client};
use super::failure::Failure;
use super::lock::{past, with_document};
use super::settings::{Mapped, Settings};
use super::target::{Spot, Target};
use super::xml;
use crate::store::{Crossing, Error, Governance, Passage, Passed, Passing, Verb};
use crate::types::BucketName;

/// What an upstream says of the gateway and not of the client's request.
const OURS: [&str; 9] = [
    "AccessDenied",
    "InvalidAccessKeyId",
    "InvalidSecurityToken",
    "NoSuchBucket",
    "RequestTimeTooSkewed",
    "SecurityTokenExpired",
    "SignatureDoesNotMatch",
    "UserDisable",
    "UserSuspended",
];

/// Whether a bucket's upstream is to be asked. Not for a bucket that is a part of an upstream's: what is said there would
/// be said of the others in it, too.
pub(super) fn passes(settings: &Settings, name: &BucketName, passage: Passage) -> Crossing {
    match settings.place(name).prefix.is_empty() {
        true => Crossing::by(settings.pass_through.iter(), passage),
        false => Crossing::Never,
    }
}

/// Asks, and gives the answer.
pub(super) async fn pass(
    target: &Target,
    name: &BucketName,
    passing: &Passing,
    document: Bytes,
) -> Result<Passed, Error> {
    let passage = passing.passage;
    let Mapped { bucket, .. } = target.settings.place(name);
    let mut call = Call::bucket(method_of(passage), &bucket);
    call.query.clone_from(&passing.query);
    ask(&target.client, call, passage, document).await
}

/// The same of an object's version.
pub(super) async fn pass_of_object(
    spot: &Spot,
    passing: &Passing,
    governance: Governance,
    document: Bytes,
) -> Result<Passed, Error> {
    let passage = passing.passage;
    let mut call = past(spot.call(method_of(passage)), governance);
    call.query.extend(passing.query.iter().cloned());
    ask(&spot.target.client, call, passage, document).await
}

fn method_of(passage: Passage) -> Method {
    match passage.verb() {
        Verb::Delete => Method::DELETE,
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
    }
}

async fn ask(client: &Client, call: Call, passage: Passage, document: Bytes) -> Result<Passed, Error> {
    let call = if passage.sends() { with_document(call, &document) } else { call };
    // A step that was taken cannot be taken twice.
    let again = if passage.verb() == Verb::Post { Again::IfRefused } else { Again::Always };
    match client.ask(&call, document, again).await {
        Ok((headers, answer)) if passage.verb() != Verb::Get || is_of(passage, &answer) => {
            let told = passage.tells().and_then(|name| headers.get(name)).and_then(|value| value.to_str().ok());
            let document = if passage.verb() == Verb::Get { answer } else { Bytes::new() };
            Ok(Passed::Done { document, made: told.map(str::to_owned) })
        }
        Ok(_) => Err(Error::Unsupported("this configuration, in the store behind sealgate,")),
        // It knows who asks: what it does not let him is to loosen a lock.
        Err(failure) if passage.sub().is_of_objects() && passage.verb() == Verb::Put && failure.is_denial() => {
            Err(Error::Held)
        }
        Err(failure) => refused(failure),
    }
}

fn refused(failure: Failure) -> Result<Passed, Error> {
    match failure {
        Failure::Answer { status, code, message, .. }
            if (status.is_client_error() || status.as_u16() == 501) && is_code(&code) && !OURS.contains(&&*code) =>
        {
            Ok(Passed::Refused { status: status.as_u16(), code, message })
        }
        failure => match Error::from(failure) {
            // Of a bucket that is there for the gateways.
            Error::NoSuchBucket | Error::NoSuchObject => {
                Err(Error::Unavailable("the upstream does not know the bucket".to_owned()))
            }
            other => Err(other),
        },
    }
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a document describes this sub-resource, and is not the answer to a plain GET.
pub(super) fn is_of(passage: Passage, document: &[u8]) -> bool {
    xml::parse(document).is_ok_and(|root| passage.has_root(&root.name))
}

/// The first of the listed sub-resources that the upstream does not know: asked for it, it lists the bucket. What it would
/// do instead of a deletion nobody wants to know. Asked about an object, here one of this name, it gives the object.
pub(super) async fn unknown(client: &Client, settings: &Settings, key: &str) -> Result<Option<Passage>, Failure> {
    for &passage in &settings.pass_through {
        let asked = passage.reading();
        let key = if asked.sub().is_of_objects() { key } else { "" };
        let call = Call::object(Method::GET, &settings.reserved, key).query(asked.name(), "");
        match client.ask(&call, Bytes::new(), Again::Always).await {
            Ok((_, document)) if !is_of(asked, &document) => return Ok(Some(passage)),
            Err(failure @ (Failure::Unreached(_) | Failure::Broken(_))) => return Err(failure),
            // That it has none, or that it does not do this, it says itself.
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::upstream::Wire;
    use http::{HeaderMap, StatusCode};

    fn answered(status: u16, code: &str) -> Result<Passed, Error> {
        let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
        refused(Failure::answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes()))
    }

    #[test]
    fn what_the_client_did_wrong_is_its_business_and_nothing_else() {
        for (status, code) in [(404, "NoSuchLifecycleConfiguration"), (400, "MalformedXML"), (501, "NotImplemented")] {
            let expected = Passed::Refused { status, code: code.to_owned(), message: "m".to_owned() };
            assert_eq!(answered(status, code).unwrap(), expected);
        }
        for (status, code) in [
            (403, "SignatureDoesNotMatch"),
            (403, "AccessDenied"),
            (404, "NoSuchBucket"),
            (500, "InternalError"),
            (400, "<b>"),
            (404, ""),
        ] {
            assert!(matches!(answered(status, code), Err(Error::Unavailable(_))), "{status} {code}");
        }
    }

    #[test]
    fn a_listing_describes_nothing() {
        let accelerate = Passage::parse(Wire::S3, "GET accelerate").unwrap();
        let inventory = Passage::parse(Wire::Oss, "GET inventory").unwrap();
        assert!(is_of(accelerate, b"<AccelerateConfiguration xmlns=\"x\"/>"));
        assert!(is_of(inventory, b"<ListInventoryConfigurationsResult/>"));
        assert!(!is_of(accelerate, b"<ListBucketResult></ListBucketResult>"));
        assert!(!is_of(accelerate, b""));
    }
}
