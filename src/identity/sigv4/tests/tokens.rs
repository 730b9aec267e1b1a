use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.";

/// Requests of a temporary key with this token, in the header, in the URL, in a URL's header and to the key service, and as
/// SigV2 has them.
fn with_token(token: &str) -> Vec<(&'static str, Parts)> {
    let signer = Signer { token: Some(token.to_owned()), ..Signer::default() };
    let header = [("x-amz-security-token", token)];
    let sign = |text: String| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        STANDARD.encode(hmac::sign(&key, text.as_bytes()))
    };
    let date = "Fri, 24 May 2013 00:00:00 GMT";
    let v2 = sign(format!("GET\n\n\n{date}\nx-amz-security-token:{token}\n/b/k"));
    let v2 = format!("AWS {ACCESS_KEY}:{v2}");
    let v2 = head("GET", "/b/k", &[("host", "a"), ("date", date), header[0], ("authorization", &v2)]);
    let expires = SECONDS + 60;
    let url = sign(format!("GET\n\n\n{expires}\nx-amz-security-token:{token}\n/b/k"));
    let url = url.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let url =
        format!("/b/k?AWSAccessKeyId={ACCESS_KEY}&Signature={url}&Expires={expires}&x-amz-security-token={token}");
    vec![
        ("header", Signer::default().header("GET", "/b/k", &header, EMPTY)),
        ("url", signer.url("GET", "/b/k", "", &[], "60")),
        ("url, header", Signer::default().url("GET", "/b/k", "", &header, "60")),
        ("SigV2", v2),
        ("SigV2 url", head("GET", &url, &[("host", "a")])),
    ]
}

/// A20: a temporary key is used with its token, signed, and in its time.
#[test]
fn a_temporary_key_needs_its_token() {
    let at = |token, end, parts: &Parts| {
        let region = "us-east-1".to_owned();
        let verifier = Verifier::new(temporary(token, end), StoppedClock::at(SECONDS), region, SigV2::Allowed);
        verifier.identify(parts, None).map(|identified| assert!(identified.caller.user().is_some()))
    };
    for (name, parts) in with_token(TOKEN) {
        assert_eq!(at(Some(TOKEN), Some(SECONDS), &parts), Ok(()), "{name}");
        assert_eq!(at(Some(TOKEN), Some(SECONDS - 1), &parts), Err(AuthError::SessionTokenExpired), "{name}");
        assert_eq!(at(Some("another-token"), None, &parts), Err(AuthError::SessionToken), "{name}");
        assert_eq!(at(None, None, &parts), Err(AuthError::SessionToken), "{name}: a lasting key takes none");
    }
    let bare =
        [Signer::default().header("GET", "/b/k", &[], EMPTY), Signer::default().url("GET", "/b/k", "", &[], "60")];
    for parts in &bare {
        let missing = AuthError::SessionTokenMissing(AccessKeyId::new(ACCESS_KEY));
        assert_eq!(at(Some(TOKEN), None, parts), Err(missing));
        assert_eq!(at(None, Some(SECONDS), parts), Ok(()));
        assert_eq!(at(None, Some(SECONDS - 1), parts), Err(AuthError::SessionTokenExpired));
    }
    // Nothing is told to who has not signed, and a token that was not signed is not looked at.
    for (name, mut parts) in with_token("another-token") {
        parts.method = Method::DELETE;
        assert_eq!(at(Some(TOKEN), Some(1), &parts), Err(mismatch()), "{name}");
    }
    for mut parts in bare {
        insert(&mut parts, "x-amz-security-token", TOKEN);
        let unsigned = AuthError::HeadersNotSigned(vec!["x-amz-security-token".to_owned()]);
        assert_eq!(at(Some(TOKEN), None, &parts), Err(unsigned));
    }
    let query = head("GET", &format!("/b/k?X-Amz-Security-Token={TOKEN}"), &[("host", "s3.test")]);
    let mut beside = Signer::default().header("GET", "/b/k", &[], EMPTY);
    beside.uri = query.uri;
    assert_eq!(
        at(Some(TOKEN), None, &beside),
        Err(AuthError::SessionToken),
        "a header's signature has its token there"
    );
    let (_, mut twice) = with_token(TOKEN).swap_remove(1);
    twice.uri = format!("{}&x-amz-security-token={TOKEN}", twice.uri).parse().unwrap();
    assert_eq!(at(Some(TOKEN), None, &twice), Err(AuthError::SessionToken));
    let (_, mut both) = with_token(TOKEN).swap_remove(1);
    insert(&mut both, "x-amz-security-token", TOKEN);
    assert!(matches!(at(Some(TOKEN), None, &both), Err(AuthError::ParameterContradictsHeader(_))));
}

#[test]
fn the_key_service_takes_a_temporary_key() {
    let signer = Signer { scope: "20130524/us-east-1/kms/aws4_request".to_owned(), ..Signer::default() };
    let body = sha256(b"{}");
    let parts = signer.header("POST", "/", &[("x-amz-security-token", TOKEN)], &hex::encode(body));
    let at = |token| {
        let region = "us-east-1".to_owned();
        let verifier = Verifier::new(temporary(token, None), StoppedClock::at(SECONDS), region, SigV2::Refused);
        verifier.identify_kms(&parts, &body).map(|caller| caller.user().is_some())
    };
    assert_eq!(at(Some(TOKEN)), Ok(true));
    assert_eq!(at(Some("another-token")), Err(AuthError::SessionToken));
}
