//! Promises about what claims an identity in the OSS dialect. See `crate::fuzzing`.

use std::sync::Arc;

use http::HeaderValue;
use http::request::Parts;

use crate::identity::form::{FormFields, policy_promise};
use crate::identity::query::pairs;
use crate::identity::{Caller, Credential, Credentials, Secret};
use crate::types::{AccessKeyId, Clock, Timestamp, UserId};

use super::{OssResource, OssVerifier};

const ACCESS_KEY: &str = "oss-test-ak-0001";
const SECRET: &str = "oss-test-sk-0001-not-a-real-secret";
/// 2026-01-02T03:04:05Z, when the requests of the corpus were signed.
const SECONDS: u64 = 1_767_323_045;

#[derive(Debug)]
struct Then;

impl Clock for Then {
    fn now(&self) -> Timestamp {
        Timestamp(SECONDS * 1000)
    }
}

fn verifier() -> Option<OssVerifier> {
    let user = Credential::of_user(UserId::new("fuzz"), Secret::new(SECRET.to_owned()));
    let credentials = Credentials::new([(AccessKeyId::new(ACCESS_KEY), user)]).ok()?;
    Some(OssVerifier::new(Arc::new(credentials), Arc::new(Then), "cn-hangzhou".to_owned()))
}

/// Whether the request is from a user. Nobody but the one user there is can be.
fn is_user(parts: &Parts) -> bool {
    let readings = [OssResource { bucket: Some("examplebucket".to_owned()), key: Some("obj.txt".to_owned()) }];
    let Some(Ok(identified)) = verifier().map(|verifier| verifier.identify(parts, &readings)) else { return false };
    assert_eq!(identified.reading, 0);
    match identified.caller {
        Caller::Anonymous => false,
        Caller::User(user) => {
            assert_eq!(user.access_key().as_str(), ACCESS_KEY);
            true
        }
    }
}

fn signed_get(authorization: HeaderValue) -> Option<Parts> {
    let request = http::Request::get("/examplebucket/obj.txt")
        .header("host", "oss.test")
        .header("range", "bytes=0-99")
        .header("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
        .header("x-oss-date", "20260102T030405Z")
        .header("authorization", authorization)
        .body(());
    request.ok().map(|request| request.into_parts().0)
}

fn got(query: &str) -> Option<Parts> {
    let request = http::Request::get(format!("/obj.txt?{query}")).header("host", "examplebucket.oss.test").body(());
    request.ok().map(|request| request.into_parts().0)
}

fn form_of(text: &str) -> Option<FormFields> {
    let mut fields = FormFields::default();
    for line in text.lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        fields.add(name, value.to_owned()).ok()?;
    }
    Some(fields)
}

/// The `Authorization` header of a GET: nobody is anybody without one of the signatures that were made for it.
pub(crate) fn oss_authorization(input: &[u8]) {
    const SIGNATURES: [&str; 3] = [
        "JNy1Wc6+GdMumEp3hw13mQlZYOY=",
        "Aoz0Oa/ODx3a0IQoxtqSyVW273Ok4gB51PxBU6Ybk2E=",
        "81791a2c4d83d9bdfa68041f0517a5da6360e5dfe1fe6c87b8ea24010c83ecf9",
    ];
    let Some(parts) = HeaderValue::from_bytes(input).ok().and_then(signed_get) else { return };
    if is_user(&parts) {
        let text = String::from_utf8_lossy(input);
        assert!(SIGNATURES.iter().any(|mark| text.contains(mark)), "a caller without a signature");
    }
}

/// The query of a GET: as above; and what V1 does not sign is no operation.
pub(crate) fn oss_url(input: &[u8]) {
    const SIGNATURES: [&str; 2] =
        ["Uqu5Jm+mScfWrHYojj5/58SjsZI=", "0214f91be2dab93207a239ff69c1b26b973cf51473b3d1589188e8158549e1c5"];
    let Some(parts) = std::str::from_utf8(input).ok().and_then(got) else { return };
    if is_user(&parts) {
        let sent = parts.uri.query().unwrap_or_default();
        let signed = |value: &[u8]| SIGNATURES.iter().any(|mark| mark.as_bytes() == value);
        assert!(pairs(sent).any(|pair| signed(&pair.value)), "a caller without a signature");
        assert!(
            !pairs(sent).any(|pair| *pair.name == *b"acl" || *pair.name == *b"uploads"),
            "an operation that is not signed"
        );
    }
}

/// Lines `name=value` of a form's fields: a user is one of the two whose policies were signed, and these hold.
pub(crate) fn oss_form(input: &[u8]) {
    const SIGNATURES: [&str; 2] =
        ["7RQWVEMwQ4u52FF6SiQSUKdKWpQ=", "f35c084cc3693db94c9c41d2e108d21a3fe104877fc06c6ab89ab64a6931eb0e"];
    let Some(verifier) = verifier() else { return };
    let text = String::from_utf8_lossy(input);
    let Some(fields) = form_of(&text) else { return };
    if let Ok(identified) = verifier.identify_form(&fields, "examplebucket")
        && identified.caller != Caller::Anonymous
    {
        let given = fields.get("signature").or(fields.get("x-oss-signature")).unwrap_or_default();
        assert!(SIGNATURES.contains(&given), "a caller without a signature");
        assert!(fields.get("key").is_some_and(|key| key.starts_with("user/")), "a key that the policy does not allow");
        assert!(fields.get("x-oss-object-acl").is_none(), "an ACL that the policy does not mention");
    }
    policy_promise(&text, &fields);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the promises would hold of nothing.
    #[test]
    fn the_corpus_has_requests_that_are_right() {
        for authorization in [
            include_str!("../../../fuzz/corpus/oss_authorization/v1"),
            include_str!("../../../fuzz/corpus/oss_authorization/v2"),
            include_str!("../../../fuzz/corpus/oss_authorization/v4"),
        ] {
            assert!(is_user(&signed_get(HeaderValue::from_str(authorization).unwrap()).unwrap()), "{authorization}");
        }
        for query in [include_str!("../../../fuzz/corpus/oss_url/v1"), include_str!("../../../fuzz/corpus/oss_url/v4")]
        {
            assert!(is_user(&got(query).unwrap()), "{query}");
        }
        for form in [include_str!("../../../fuzz/corpus/oss_form/v1"), include_str!("../../../fuzz/corpus/oss_form/v4")]
        {
            let identified = verifier().unwrap().identify_form(&form_of(form).unwrap(), "examplebucket").unwrap();
            assert_ne!(identified.caller, Caller::Anonymous);
        }
    }
}
