//! The documentation's examples, requests that botocore signed, and every refusal.

mod tokens;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};

use crate::identity::testing::*;
use crate::identity::{AuthError, Caller, Flaw, Identified, Payload, Place, Scheme, SigV2, Verifier, sha256};
use crate::types::{AccessKeyId, UserId};

fn verifier_at(clock: std::sync::Arc<StoppedClock>) -> Verifier {
    Verifier::new(credentials(), clock, "us-east-1".to_owned(), SigV2::Allowed)
}

fn identify(parts: &Parts) -> Result<Identified, AuthError> {
    verifier_at(StoppedClock::at(SECONDS)).identify(parts, None)
}

fn error(parts: &Parts) -> AuthError {
    identify(parts).map(|identified| identified.caller).unwrap_err()
}

fn mismatch() -> AuthError {
    AuthError::SignatureMismatch(AccessKeyId::new(ACCESS_KEY))
}

fn insert(parts: &mut Parts, name: &str, value: &str) {
    parts.headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
}

fn append(parts: &mut Parts, name: &str, value: &str) {
    parts.headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
#[test]
fn the_documented_header_examples_verify() {
    let put = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    type Example<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);
    let examples: [Example<'_>; 4] = [
        (
            "GET",
            "/test.txt",
            &[("range", "bytes=0-9")],
            EMPTY,
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            put,
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/?lifecycle",
            &[],
            EMPTY,
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/?max-keys=2&prefix=J",
            &[],
            EMPTY,
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (method, target, headers, payload, signed, signature) in examples {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},\
             Signature={signature}"
        );
        let mut all = vec![
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", payload),
            ("x-amz-date", STAMP),
            ("authorization", &authorization),
        ];
        all.extend_from_slice(headers);
        let identified = identify(&head(method, target, &all)).unwrap();
        let user = identified.caller.user().unwrap();
        assert_eq!((user.user(), user.scheme()), (&UserId::new("ann"), Scheme::SigV4Header));
        assert!(matches!(identified.payload, Payload::Hashed(_)), "{method} {target}");
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
#[test]
fn the_documented_presigned_url_verifies() {
    let target = format!(
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCESS_KEY}%2F20130524%2Fus-east-1%2Fs3\
         %2Faws4_request&X-Amz-Date={STAMP}&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
    let parts = head("GET", &target, &[("host", "examplebucket.s3.amazonaws.com")]);
    let identified = identify(&parts).unwrap();
    assert_eq!(identified.caller.user().unwrap().scheme(), Scheme::SigV4Url);
    assert_eq!(identified.payload, Payload::Unsigned);
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>
#[test]
fn the_documented_sigv2_examples_verify() {
    type Example<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);
    let examples: [Example<'_>; 4] = [
        ("GET", "/photos/puppy.jpg", "Tue, 27 Mar 2007 19:36:42 +0000", &[], "bWq2s1WEIj+Ydj0vQ697zp+IXMU="),
        (
            "PUT",
            "/photos/puppy.jpg",
            "Tue, 27 Mar 2007 21:15:45 +0000",
            &[("content-type", "image/jpeg"), ("content-length", "94328")],
            "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
        ),
        (
            "GET",
            "/?prefix=photos&max-keys=50&marker=puppy",
            "Tue, 27 Mar 2007 19:42:41 +0000",
            &[],
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
        ),
        ("GET", "/?acl", "Tue, 27 Mar 2007 19:44:46 +0000", &[], "c2WLPFtWHVgbEmeEG93a4cG37dM="),
    ];
    for (method, target, date, headers, signature) in examples {
        let authorization = format!("AWS {ACCESS_KEY}:{signature}");
        let mut all = vec![("host", "johnsmith.s3.amazonaws.com"), ("date", date), ("authorization", &authorization)];
        all.extend_from_slice(headers);
        // 2007-03-27T19:43:00Z and 21:15:45Z
        let now = if method == "PUT" { 1_175_030_145 } else { 1_175_024_580 };
        let verifier = verifier_at(StoppedClock::at(now));
        let parts = head(method, target, &all);
        let caller = verifier.identify(&parts, Some("johnsmith")).unwrap().caller;
        assert_eq!(caller.user().unwrap().scheme(), Scheme::SigV2Header, "{target}");
        assert_eq!(verifier.identify(&parts, Some("janesmith")).unwrap_err(), mismatch(), "{target}");
    }
}

#[derive(serde::Deserialize)]
struct Fixture {
    kms_body: String,
    requests: Vec<FixtureRequest>,
}

#[derive(serde::Deserialize)]
struct FixtureRequest {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

#[test]
fn requests_that_botocore_signed_verify_and_no_other_method_does() {
    let text = include_str!("../../../fixtures/identity/botocore-signatures.json");
    let fixture: Fixture = serde_json::from_str(text).unwrap();
    let verifier = verifier_at(StoppedClock::at(SECONDS));
    let mut seen = std::collections::BTreeSet::new();
    for request in &fixture.requests {
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut parts = head(&request.method, &request.target, &headers);
        let verify = |parts: &Parts| match request.name.as_str() {
            "kms" => verifier.identify_kms(parts, &sha256(fixture.kms_body.as_bytes())),
            _ => verifier.identify(parts, None).map(|identified| identified.caller),
        };
        let caller = verify(&parts);
        assert!(matches!(caller, Ok(Caller::User(_))), "{} {} {caller:?}", request.method, request.target);
        parts.method = Method::PATCH;
        assert_eq!(verify(&parts), Err(mismatch()), "{}", request.target);
        seen.insert(request.name.as_str());
    }
    assert_eq!(seen.len(), 5);
}

#[test]
fn a_request_to_the_key_service_is_signed_with_its_body() {
    let verifier = verifier_at(StoppedClock::at(SECONDS));
    let signer = Signer { scope: "20130524/us-east-1/kms/aws4_request".to_owned(), ..Signer::default() };
    let body = sha256(b"{}");
    let parts = signer.header("POST", "/", &[], &hex::encode(body));
    assert!(verifier.identify_kms(&parts, &body).is_ok());
    assert!(matches!(verifier.identify_kms(&parts, &sha256(b"{ }")), Err(AuthError::ContentHashInvalid(_))));
    let service = Flaw::Service { given: "kms".to_owned(), expected: "s3" };
    assert_eq!(error(&parts), AuthError::Malformed { place: Place::Header, flaw: service });
    assert_eq!(verifier.identify_kms(&head("POST", "/", &[("host", "a")]), &body), Ok(Caller::Anonymous));
    let url = signer.url("POST", "/", "", &[], "60");
    assert_eq!(verifier.identify_kms(&url, &body), Err(AuthError::UnsupportedScheme));
}

/// A1: no bit of what is signed can be another.
#[test]
fn any_change_of_what_is_signed_is_refused() {
    let good = Signer::default().header("GET", "/bucket/key?a=1&b=2", &[("range", "bytes=0-9")], EMPTY);
    assert!(identify(&good).is_ok());
    let changes: [fn(&mut Parts); 9] = [
        |p| p.method = Method::DELETE,
        |p| p.uri = "/bucket/kez?a=1&b=2".parse().unwrap(),
        |p| p.uri = "/bucket/key?a=1&b=3".parse().unwrap(),
        |p| p.uri = "/bucket/key?a=1".parse().unwrap(),
        |p| p.uri = "/bucket/key?a=1&b=2&c".parse().unwrap(),
        |p| insert(p, "host", "s3.tesu"),
        |p| insert(p, "range", "bytes=0-8"),
        |p| insert(p, "x-amz-date", "20130524T000001Z"),
        |p| insert(p, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut parts = head("GET", "/", &[]);
        (parts.method, parts.uri, parts.headers) = (good.method.clone(), good.uri.clone(), good.headers.clone());
        change(&mut parts);
        assert_eq!(error(&parts), mismatch(), "change {index}");
    }
    let signature = signature_of(&good);
    for at in 0..64 {
        let mut flipped = signature.clone().into_bytes();
        flipped[at] = if flipped[at] == b'0' { b'1' } else { b'0' };
        let text = good.headers["authorization"].to_str().unwrap();
        let text = text.replace(&signature, std::str::from_utf8(&flipped).unwrap());
        let mut parts = Signer::default().header("GET", "/bucket/key?a=1&b=2", &[("range", "bytes=0-9")], EMPTY);
        insert(&mut parts, "authorization", &text);
        assert_eq!(error(&parts), mismatch(), "digit {at}");
    }
}

/// A2: an access key id alone opens nothing, whatever the payload is said to be.
#[test]
fn a_made_up_signature_is_refused_in_every_payload_mode() {
    let liar = Signer { secret: "guess".to_owned(), ..Signer::default() };
    for payload in [
        EMPTY,
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ] {
        for method in ["GET", "PUT", "POST", "DELETE", "HEAD"] {
            assert_eq!(error(&liar.header(method, "/b/k", &[], payload)), mismatch(), "{method} {payload}");
        }
    }
    assert_eq!(error(&liar.url("GET", "/b/k", "", &[], "60")), mismatch());
    let stranger = Signer { access_key: "AKNOBODY".to_owned(), ..Signer::default() };
    let unknown = AuthError::AccessKeyUnknown(AccessKeyId::new("AKNOBODY"));
    assert_eq!(error(&stranger.header("GET", "/b", &[], EMPTY)), unknown);
    assert_eq!(error(&stranger.url("GET", "/b", "", &[], "60")), unknown);
    let mut junk = Signer::default().header("GET", "/b", &[], EMPTY);
    let text = junk.headers["authorization"].to_str().unwrap().replace(&signature_of(&junk), "zz");
    insert(&mut junk, "authorization", &text);
    assert_eq!(error(&junk), mismatch());
}

/// A3 and its like: chunked payloads need a signature in the header.
#[test]
fn chunked_payloads_under_other_credentials_are_refused() {
    for payload in ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"] {
        let url = Signer::default().url("PUT", "/b/k", "", &[("x-amz-content-sha256", payload)], "60");
        assert_eq!(error(&url), AuthError::StreamingNotAllowed, "{payload}");
        let mut unsigned = Signer::default().url("PUT", "/b/k", "", &[], "60");
        insert(&mut unsigned, "x-amz-content-sha256", payload);
        assert_eq!(error(&unsigned), AuthError::HeadersNotSigned(vec!["x-amz-content-sha256".to_owned()]));
    }
    let signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let anonymous = head("PUT", "/b/k", &[("host", "a"), ("x-amz-content-sha256", signed)]);
    assert_eq!(error(&anonymous), AuthError::StreamingNotAllowed);
    let trailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    let anonymous = head("PUT", "/b/k", &[("host", "a"), ("x-amz-content-sha256", trailer)]);
    assert_eq!(identify(&anonymous).unwrap().caller, Caller::Anonymous);
}

/// A13: fifteen minutes both ways, to the millisecond.
#[test]
fn a_clock_may_be_fifteen_minutes_off() {
    let parts = Signer::default().header("GET", "/b", &[], EMPTY);
    let at = |millis| verifier_at(StoppedClock::at_millis(millis)).identify(&parts, None);
    let (signed, skew) = (SECONDS * 1000, 900_000);
    for good in [signed, signed - skew, signed + skew, signed - 899_000, signed + 899_000] {
        assert!(at(good).is_ok(), "{good}");
    }
    for bad in [signed - skew - 1, signed + skew + 1, 0, u64::MAX] {
        assert!(matches!(at(bad), Err(AuthError::TimeTooSkewed { .. })), "{bad}");
    }
}

/// A14: the scope is this day, region and service.
#[test]
fn another_scope_is_refused() {
    let flaws = [
        (
            "20130525/us-east-1/s3/aws4_request",
            Flaw::CredentialDate { given: "20130525".to_owned(), expected: "20130524".to_owned() },
        ),
        (
            "20130524/eu-west-1/s3/aws4_request",
            Flaw::Region { given: "eu-west-1".to_owned(), expected: "us-east-1".to_owned() },
        ),
        ("20130524/us-east-1/ec2/aws4_request", Flaw::Service { given: "ec2".to_owned(), expected: "s3" }),
        ("20130524/us-east-1/s3/aws5_request", Flaw::Terminal("aws5_request".to_owned())),
    ];
    for (scope, flaw) in flaws {
        let signer = Signer { scope: scope.to_owned(), ..Signer::default() };
        let header = AuthError::Malformed { place: Place::Header, flaw: flaw.clone() };
        assert_eq!(error(&signer.header("GET", "/b", &[], EMPTY)), header);
        assert_eq!(error(&signer.url("GET", "/b", "", &[], "60")), AuthError::Malformed { place: Place::Url, flaw });
    }
}

/// A15: what is not signed is not obeyed.
#[test]
fn an_unsigned_amz_header_is_refused() {
    for name in ["x-amz-acl", "x-amz-copy-source", "x-amz-server-side-encryption", "x-amz-tagging", "x-amz-meta-a"] {
        for mut parts in
            [Signer::default().header("PUT", "/b/k", &[], EMPTY), Signer::default().url("PUT", "/b/k", "", &[], "60")]
        {
            insert(&mut parts, name, "v");
            assert_eq!(error(&parts), AuthError::HeadersNotSigned(vec![name.to_owned()]));
        }
    }
}

/// A17: nothing is said twice, and nothing signed is absent.
#[test]
fn duplicates_and_absent_headers_are_refused() {
    for name in ["authorization", "x-amz-date", "x-amz-content-sha256", "host", "content-length", "x-amz-acl"] {
        let mut parts = Signer::default().header("PUT", "/b/k", &[("content-length", "0"), ("x-amz-acl", "p")], EMPTY);
        append(&mut parts, name, "other");
        assert_eq!(error(&parts), AuthError::DuplicateHeader(name.to_owned()), "{name}");
    }
    // One value split into two lines keeps the signature; only where lines are joined again may it stand.
    let mut split = Signer::default().header("GET", "/b/k", &[("range", "a,b")], EMPTY);
    insert(&mut split, "range", "a");
    append(&mut split, "range", "b");
    assert_eq!(error(&split), AuthError::DuplicateHeader("range".to_owned()));
    let mut split = Signer::default().header("PUT", "/b/k", &[("x-amz-meta-m", "a,b")], EMPTY);
    insert(&mut split, "x-amz-meta-m", "a");
    append(&mut split, "x-amz-meta-m", "b");
    assert!(identify(&split).is_ok());
    let mut absent = Signer::default().header("GET", "/b/k", &[("range", "a")], EMPTY);
    absent.headers.remove("range");
    let flaw = Flaw::SignedHeaderAbsent("range".to_owned());
    assert_eq!(error(&absent), AuthError::Malformed { place: Place::Header, flaw });
    let mut both = Signer::default().url("GET", "/b/k", "", &[], "60");
    insert(&mut both, "authorization", "AWS4-HMAC-SHA256 Credential=a");
    assert_eq!(error(&both), AuthError::MoreThanOneMechanism);
    let other_target = head("GET", "http://elsewhere/b", &[("host", "s3.test")]);
    assert_eq!(error(&other_target), AuthError::HostInvalid);
    assert_eq!(error(&head("GET", "/b", &[])), AuthError::HostInvalid);
}

/// A18: a presigned URL opens one thing, for its time.
#[test]
fn a_presigned_url_is_bound_to_request_and_time() {
    let signer = Signer::default();
    let url = signer.url("GET", "/b/k", "", &[], "60");
    let at = |seconds| verifier_at(StoppedClock::at(seconds)).identify(&url, None).map(|i| i.payload);
    assert_eq!(at(SECONDS + 60), Ok(Payload::Unsigned));
    let expired = AuthError::Expired {
        valid_for: Some(60),
        until: i64::try_from(SECONDS).unwrap() + 60,
        now: i64::try_from(SECONDS).unwrap() + 61,
    };
    assert_eq!(at(SECONDS + 61), Err(expired));
    assert_eq!(at(SECONDS - 900), Ok(Payload::Unsigned));
    assert!(matches!(at(SECONDS - 901), Err(AuthError::NotYetValid { .. })));
    for (expires, flaw) in [
        ("0", Flaw::ExpiresNotPositive),
        ("-1", Flaw::ExpiresNotPositive),
        ("604801", Flaw::ExpiresTooLong),
        ("10000000000", Flaw::ExpiresTooLong),
        ("soon", Flaw::ExpiresNotNumber),
    ] {
        let parts = signer.url("GET", "/b/k", "", &[], expires);
        assert_eq!(error(&parts), AuthError::Malformed { place: Place::Url, flaw }, "{expires}");
    }
    let target = url.uri.to_string();
    let host = [("host", "s3.test")];
    let with = |method: &str, target: &str| error(&head(method, target, &host));
    assert_eq!(with("PUT", &target), mismatch());
    assert_eq!(with("GET", &format!("{target}&versionId=1")), mismatch());
    assert_eq!(with("GET", &target.replace("/b/k", "/b/l")), mismatch());
    assert_eq!(with("GET", &target.replace("Expires=60", "Expires=6000")), mismatch());
    assert_eq!(error(&head("GET", &target, &[("host", "other.test")])), mismatch());
    let twice = Flaw::DuplicateParameter("X-Amz-Expires");
    let again = with("GET", &format!("{target}&X-Amz-Expires=604800"));
    assert_eq!(again, AuthError::Malformed { place: Place::Url, flaw: twice });
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"] {
        let without = target.replace(&format!("X-Amz-{name}="), "Y=");
        assert_eq!(with("GET", &without), AuthError::Malformed { place: Place::Url, flaw: Flaw::Incomplete }, "{name}");
    }
    let algorithm = with("GET", &target.replace("AWS4-HMAC-SHA256", "AWS4-NONE"));
    assert_eq!(algorithm, AuthError::Malformed { place: Place::Url, flaw: Flaw::Algorithm });
}

/// A20, A21, and what is no signature of ours.
#[test]
fn tokens_and_other_schemes_are_refused() {
    let stray = [("host", "a"), ("x-amz-security-token", "eyJhbGciOiJub25lIn0.e30.")];
    assert_eq!(error(&head("GET", "/b", &stray)), AuthError::SessionToken);
    assert_eq!(error(&head("GET", "/b?X-Amz-Security-Token=t", &[("host", "a")])), AuthError::SessionToken);
    let scheme = |text: &str| error(&head("GET", "/b", &[("host", "a"), ("authorization", text)]));
    for text in ["Basic YTpi", "Bearer x", "AWS4-ECDSA-P256-SHA256 Credential=a", "", "AWS4-HMAC-SHA256x y"] {
        assert_eq!(scheme(text), AuthError::UnsupportedScheme, "{text}");
    }
    let malformed = AuthError::Malformed { place: Place::Header, flaw: Flaw::Components };
    assert_eq!(scheme("AWS4-HMAC-SHA256"), malformed);
    assert_eq!(scheme("AWS4-HMAC-SHA256 junk"), malformed);
    let strict = Verifier::new(credentials(), StoppedClock::at(SECONDS), "us-east-1".to_owned(), SigV2::Refused);
    let v2 = head("GET", "/b", &[("host", "a"), ("date", "x"), ("authorization", "AWS AK:c2ln")]);
    assert_eq!(strict.identify(&v2, None).unwrap_err(), AuthError::SigV2Refused);
    let v2 = head("GET", "/b?AWSAccessKeyId=a&Signature=b&Expires=1", &[("host", "a")]);
    assert_eq!(strict.identify(&v2, None).unwrap_err(), AuthError::SigV2Refused);
    let dateless = head("GET", "/b", &[("host", "a"), ("authorization", &format!("AWS {ACCESS_KEY}:c2ln"))]);
    assert_eq!(error(&dateless), AuthError::DateInvalid);
    let late = head("GET", &format!("/b?AWSAccessKeyId={ACCESS_KEY}&Signature=c2ln&Expires=1"), &[("host", "a")]);
    assert!(matches!(error(&late), AuthError::Expired { valid_for: None, .. }));
}

#[test]
fn the_payload_must_be_declared() {
    let mut parts = Signer::default().header("GET", "/b", &[], EMPTY);
    let text = parts.headers["authorization"].to_str().unwrap().replace("x-amz-content-sha256;", "");
    insert(&mut parts, "authorization", &text);
    parts.headers.remove("x-amz-content-sha256");
    assert_eq!(error(&parts), AuthError::ContentHashMissing);
    let invalid = Signer::default().header("GET", "/b", &[], "nonsense");
    assert_eq!(error(&invalid), AuthError::ContentHashInvalid("nonsense".to_owned()));
}

#[test]
fn no_error_tells_the_right_signature() {
    let good = Signer::default().header("GET", "/b", &[], EMPTY);
    let right = signature_of(&good);
    let mut forged = Signer::default().header("GET", "/b", &[], EMPTY);
    let text = good.headers["authorization"].to_str().unwrap().replace(&right, &"0".repeat(64));
    insert(&mut forged, "authorization", &text);
    let error = error(&forged);
    assert!(!format!("{error:?} {error}").contains(&right));
}
