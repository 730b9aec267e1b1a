//! Signatures that Alibaba Cloud's own Python SDK made (`alibabacloud_tea_openapi`), and what must not pass for them.

use std::sync::Arc;

use super::super::testing::{SECONDS, StoppedClock, credentials, head, temporary};
use super::super::{Caller, SigV2};
use super::*;

const QUERY: &str = "Action=Encrypt&Format=json&Version=2016-01-20&Timestamp=2013-05-24T00%3A00%3A00Z&SignatureNonce=n0\
    &KeyId=alias%2Fa%20b&Plaintext=a%2B%2F%3D~%2A&EncryptionContext=%7B%22a%22%3A%22%C3%BC%22%7D\
    &SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&AccessKeyId=AKIAIOSFODNN7EXAMPLE";
const RPC: &str = "5bhZ1imO95jWFgiwl21q5gMplPc%3D";
const BODY: &[u8] = b"Recipient=x%20y";
const ACS3_QUERY: &str = "KeyId=alias%2Fa%20b&Plaintext=a%2B%2F%3D~%2A&Empty=";
const SIGNED: &str = "accept;content-type;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
const SIGNATURE: &str = "f212c501b539bbf00b57af49126700d5cfcbd61a8194ae0d096e46cb82d70bf7";
const HEADERS: [(&str, &str); 9] = [
    ("host", "kms.example.com"),
    ("x-acs-version", "2016-01-20"),
    ("x-acs-action", "Encrypt"),
    ("user-agent", "test"),
    ("x-acs-date", "2013-05-24T00:00:00Z"),
    ("x-acs-signature-nonce", "n0"),
    ("accept", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("x-acs-content-sha256", "15ad2a3047e0ec94584ca8d46bc3332949214b5475011d7466e5884580a116ac"),
];

fn verifier(seconds: u64) -> Verifier {
    Verifier::new(credentials(), StoppedClock::at(seconds), "r".to_owned(), SigV2::Refused)
}

fn rpc(method: &str, query: &str, at: u64) -> Result<Caller, AliyunAuthError> {
    let parts = head(method, &format!("/?{query}"), &[("host", "a")]);
    verifier(at).identify_aliyun(&parts, &Parameters::read(query, "").unwrap(), b"")
}

/// A request in the other scheme, changed.
struct Request {
    method: &'static str,
    query: String,
    headers: Vec<(String, String)>,
    authorization: String,
    body: Vec<u8>,
    at: u64,
}

impl Request {
    fn new() -> Self {
        Self {
            method: "POST",
            query: ACS3_QUERY.to_owned(),
            headers: HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            authorization: format!(
                "ACS3-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE,SignedHeaders={SIGNED},Signature={SIGNATURE}"
            ),
            body: BODY.to_vec(),
            at: SECONDS,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Result<Caller, AliyunAuthError> {
        let mut request = Self::new();
        change(&mut request);
        let mut headers: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("authorization", &request.authorization));
        let parts = head(request.method, &format!("/?{}", request.query), &headers);
        let parameters = Parameters::read(&request.query, std::str::from_utf8(&request.body).unwrap()).unwrap();
        verifier(request.at).identify_aliyun(&parts, &parameters, &request.body)
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(there, _)| there == name).unwrap().1
    }
}

fn user_of(caller: &Caller) -> &str {
    caller.user().unwrap().user().as_str()
}

#[test]
fn the_sdks_signatures_are_right() {
    let caller = rpc("POST", &format!("{QUERY}&Signature={RPC}"), SECONDS).unwrap();
    assert_eq!((user_of(&caller), caller.user().unwrap().scheme()), ("ann", Scheme::AliyunRpc));
    // Parameters may stand in a form as well as in the query, and in any order.
    let (first, last) = QUERY.split_once("&KeyId").unwrap();
    let (query, form) = (format!("Signature={RPC}&KeyId{last}"), first);
    let parts = head("POST", &format!("/?{query}"), &[("host", "a")]);
    let parameters = Parameters::read(&query, form).unwrap();
    assert!(verifier(SECONDS).identify_aliyun(&parts, &parameters, form.as_bytes()).is_ok());
    let caller = Request::with(|_| {}).unwrap();
    assert_eq!((user_of(&caller), caller.user().unwrap().scheme()), ("ann", Scheme::AliyunAcs3));
    assert!(caller.user().is_some_and(|user| !user.root()) && !caller.is_sigv4());
}

#[test]
fn a_parameter_that_is_changed_added_or_taken_away_is_found() {
    let signed = |query: &str| rpc("POST", &format!("{query}&Signature={RPC}"), SECONDS);
    let mismatch = |query: &str| {
        let refused = signed(query);
        assert!(matches!(refused, Err(AliyunAuthError::SignatureMismatch(_))), "{query}: {refused:?}");
    };
    mismatch(&QUERY.replace("Encrypt&", "Decrypt&"));
    mismatch(&QUERY.replace("a%20b", "a%20c"));
    mismatch(&QUERY.replace("n0", "n1"));
    mismatch(&format!("{QUERY}&DryRun=true"));
    mismatch(&QUERY.replace("&Plaintext=a%2B%2F%3D~%2A", ""));
    assert!(matches!(
        rpc("GET", &format!("{QUERY}&Signature={RPC}"), SECONDS),
        Err(AliyunAuthError::SignatureMismatch(_))
    ));
    for wrong in ["", "x", "AAAA", &RPC.to_lowercase()] {
        let refused = rpc("POST", &format!("{QUERY}&Signature={wrong}"), SECONDS);
        assert!(matches!(refused, Err(AliyunAuthError::SignatureMismatch(_))), "{wrong}: {refused:?}");
    }
    for (from, to) in
        [("HMAC-SHA1", "none"), ("HMAC-SHA1", "HMAC-SHA256"), ("SignatureVersion=1.0", "SignatureVersion=2.0")]
    {
        assert!(matches!(signed(&QUERY.replace(from, to)), Err(AliyunAuthError::Incomplete(_))));
    }
    for name in ["AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"] {
        let without: Vec<_> = QUERY.split('&').filter(|pair| !pair.starts_with(name)).collect();
        assert_eq!(signed(&without.join("&")), Err(AliyunAuthError::Missing(name)));
    }
    let unknown = signed(&QUERY.replace("AKIAIOSFODNN7EXAMPLE", "AK"));
    assert!(matches!(unknown, Err(AliyunAuthError::AccessKeyUnknown(_))));
    assert_eq!(rpc("POST", QUERY, SECONDS), Ok(Caller::Anonymous));
}

#[test]
fn what_the_header_signs_cannot_be_changed() {
    let changes: [fn(&mut Request); 8] = [
        |request| request.method = "GET",
        |request| request.query.push_str("&DryRun=true"),
        |request| request.query = request.query.replace("a%20b", "a%20c"),
        |request| *request.header("x-acs-action") = "Decrypt".to_owned(),
        |request| *request.header("x-acs-version") = "2016-01-21".to_owned(),
        |request| *request.header("host") = "other.example.com".to_owned(),
        |request| *request.header("content-type") = "application/json".to_owned(),
        |request| request.headers.retain(|(name, _)| name != "accept"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let refused = Request::with(change);
        assert!(matches!(refused, Err(AliyunAuthError::SignatureMismatch(_))), "change {number}: {refused:?}");
    }
    for at in [0, 31, 63] {
        let mut signature = SIGNATURE.as_bytes().to_vec();
        signature[at] = if signature[at] == b'0' { b'1' } else { b'0' };
        let altered = String::from_utf8(signature).unwrap();
        let refused =
            Request::with(|request| request.authorization = request.authorization.replace(SIGNATURE, &altered));
        assert!(matches!(refused, Err(AliyunAuthError::SignatureMismatch(_))));
    }
    assert_eq!(Request::with(|request| request.body.push(b'x')), Err(AliyunAuthError::ContentHash));
    let unsigned = |name: &'static str| {
        Request::with(|request| request.authorization = request.authorization.replace(&format!("{name};"), ""))
    };
    for name in ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "content-type", "x-acs-signature-nonce"]
    {
        assert_eq!(unsigned(name), Err(AliyunAuthError::Header(name.to_owned())));
    }
    for (name, value) in [("x-acs-security-token", "t"), ("x-acs-anything", "x")] {
        let refused = Request::with(|request| request.headers.push((name.to_owned(), value.to_owned())));
        assert_eq!(refused, Err(AliyunAuthError::Header(name.to_owned())));
    }
    let twice = Request::with(|request| request.headers.push(("x-acs-action".to_owned(), "Decrypt".to_owned())));
    assert_eq!(twice, Err(AliyunAuthError::Header("x-acs-action".to_owned())));
}

#[test]
fn a_header_of_another_form_is_incomplete() {
    for text in [
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=a",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=x,Signature=x",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=x-acs-date;host,Signature=x",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=Host,Signature=x",
        "ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=x",
        "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=x",
    ] {
        let refused = Request::with(|request| request.authorization = text.to_owned());
        assert!(matches!(refused, Err(AliyunAuthError::Incomplete(_))), "{text}: {refused:?}");
    }
    let both = Request::with(|request| request.query.push_str("&Signature=x"));
    assert!(matches!(both, Err(AliyunAuthError::Incomplete(_))));
}

#[test]
fn a_signature_holds_for_fifteen_minutes_both_ways() {
    for (at, holds) in [(SECONDS - 901, false), (SECONDS - 899, true), (SECONDS + 899, true), (SECONDS + 901, false)] {
        let caller = rpc("POST", &format!("{QUERY}&Signature={RPC}"), at);
        assert_eq!(caller.is_ok(), holds, "{caller:?}");
        assert!(holds || caller == Err(AliyunAuthError::Expired));
        let caller = Request::with(|request| request.at = at);
        assert!(if holds { caller.is_ok() } else { caller == Err(AliyunAuthError::Expired) });
    }
    for wrong in ["", "x", "20130524T000000Z", "2013-05-24T00:00:00", "2013-05-24 00:00:00Z", "2013-05-24T00:00:00+00"]
    {
        let refused = Request::with(|request| *request.header("x-acs-date") = wrong.to_owned());
        assert_eq!(refused, Err(AliyunAuthError::Expired), "{wrong}");
    }
}

#[test]
fn a_temporary_credential_needs_its_token() {
    let verifier = Verifier::new(temporary(Some("t"), None), StoppedClock::at(SECONDS), "r".to_owned(), SigV2::Refused);
    let query = format!("{QUERY}&Signature={RPC}");
    let parts = head("POST", &format!("/?{query}"), &[("host", "a")]);
    let caller = verifier.identify_aliyun(&parts, &Parameters::read(&query, "").unwrap(), b"");
    assert_eq!(caller, Err(AliyunAuthError::SecurityToken));
    let ended = Arc::clone(&temporary(None, Some(SECONDS - 1)));
    let verifier = Verifier::new(ended, StoppedClock::at(SECONDS), "r".to_owned(), SigV2::Refused);
    let caller = verifier.identify_aliyun(&parts, &Parameters::read(&query, "").unwrap(), b"");
    assert_eq!(caller, Err(AliyunAuthError::SecurityTokenExpired));
}

#[test]
fn a_parameter_stands_once_and_is_text() {
    assert!(matches!(Parameters::read("a=1&%61=2", ""), Err(ParameterError::Twice(name)) if name == "a"));
    assert!(matches!(Parameters::read("a=1", "a=1"), Err(ParameterError::Twice(_))));
    assert!(matches!(Parameters::read("a=%ff", ""), Err(ParameterError::NotText)));
    let parameters = Parameters::read("KeyId=k&Action=x", "Plaintext=secret").unwrap();
    assert_eq!(parameters.asked().collect::<Vec<_>>(), ["KeyId", "Plaintext"]);
    assert!(!format!("{parameters:?}").contains("secret"));
}
