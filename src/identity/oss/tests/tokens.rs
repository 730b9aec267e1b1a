use super::signer::*;
use super::*;

const TOKEN: &str = "CAISTest/Token+With=Specials==";

/// The vectors of a temporary credential, one of each scheme that has one.
fn temporary() -> Vec<Case> {
    let cases: Vec<Case> =
        fixture().vectors.iter().filter(|vector| vector.security_token.is_some()).flat_map(Vector::cases).collect();
    let schemes: std::collections::BTreeSet<&str> = cases.iter().map(|case| case.scheme.as_str()).collect();
    assert_eq!(schemes.into_iter().collect::<Vec<_>>(), ["v1-header", "v1-url", "v4-header", "v4-url"]);
    cases
}

/// Verifies against these credentials: key id, secret, token, end in seconds.
fn against(case: &Case, table: &[(&str, &str, Option<&str>, Option<u64>)]) -> Result<(), OssAuthError> {
    let secret = |text: &str| Secret::new(text.to_owned());
    let credentials = table.iter().map(|(id, key, token, end)| {
        let credential = Credential::of_user(UserId::new("ann"), secret(key));
        let credential = token.map(secret).into_iter().fold(credential, Credential::with_token);
        let end = end.map(|seconds| Timestamp(seconds * 1000));
        (AccessKeyId::new(*id), end.into_iter().fold(credential, Credential::expiring))
    });
    let clock = StoppedClock::at(u64::try_from(case.now).unwrap());
    let verifier = OssVerifier::new(Arc::new(Credentials::new(credentials).unwrap()), clock, case.region.clone());
    let parts = case.parts().unwrap();
    verifier.identify(&parts, &[case.resource(&parts).unwrap()]).map(drop)
}

/// A20: a token of another key, none of ours, at a key that has none, and past its end.
#[test]
fn a_temporary_key_is_used_with_its_token_and_in_its_time() {
    for case in temporary() {
        let (id, key, token) = (case.access_key.as_str(), case.secret.as_str(), case.token.as_deref());
        let now = u64::try_from(case.now).unwrap();
        let access_key = AccessKeyId::new(id);
        assert_eq!(against(&case, &[(id, key, token, Some(now))]), Ok(()), "{}", case.id);
        let ended = against(&case, &[(id, key, token, Some(now - 1))]);
        assert_eq!(ended, Err(OssAuthError::SecurityTokenExpired(access_key.clone())), "{}", case.id);
        let none_of_ours = against(&case, &[(id, key, Some("another-token"), None)]);
        assert_eq!(none_of_ours, Err(OssAuthError::SecurityTokenInvalid));
        assert_eq!(against(&case, &[(id, key, None, None)]), Err(OssAuthError::SecurityTokenInvalid));
        let elsewhere = [(id, key, Some("another-token"), None), ("other-key", "other-secret", token, None)];
        assert_eq!(against(&case, &elsewhere), Err(OssAuthError::SecurityTokenOfAnother(access_key)));
        // Who has not signed learns nothing of tokens.
        let liar = against(&case, &[(id, "other-secret", Some("another-token"), Some(now - 1))]);
        assert!(matches!(liar, Err(OssAuthError::SignatureMismatch(_))));
    }
}

#[test]
fn a_temporary_key_without_its_token_is_as_good_as_unknown() {
    let cases =
        fixture().vectors.into_iter().filter(|vector| vector.request.is_some() && vector.security_token.is_none());
    for case in cases.flat_map(|vector| vector.cases()) {
        let (id, key) = (case.access_key.as_str(), case.secret.as_str());
        let missing = OssAuthError::SecurityTokenMissing(AccessKeyId::new(id));
        assert_eq!(against(&case, &[(id, key, Some(TOKEN), None)]), Err(missing), "{}", case.id);
        let ended = OssAuthError::SecurityTokenExpired(AccessKeyId::new(id));
        assert_eq!(against(&case, &[(id, key, None, Some(1))]), Err(ended), "a key without a token has an end too");
    }
}

#[test]
fn a_token_stands_in_one_place() {
    for case in temporary() {
        let encoded = encode(TOKEN, false);
        let separator = if case.target.contains('?') { "&" } else { "?" };
        for name in ["security-token", "x-oss-security-token"] {
            if name == "security-token" && case.scheme.starts_with("v4") {
                continue;
            }
            let twice = Case { target: format!("{}{separator}{name}={encoded}", case.target), ..case.clone() };
            assert_eq!(twice.verify(), Err(OssAuthError::SecurityTokenTwice), "{} {name}", case.id);
        }
    }
    let stray = |target: &str, header: &str| {
        let case = Case { target: target.to_owned(), ..temporary().swap_remove(0) };
        let mut case = Case { headers: vec![("host".to_owned(), "a".to_owned())], ..case };
        case.set(header, "x");
        case.verify()
    };
    assert_eq!(stray("/b", "x-oss-security-token"), Err(OssAuthError::SecurityTokenInvalid));
    assert_eq!(stray("/b?security-token=x", "accept"), Err(OssAuthError::SecurityTokenInvalid));
    assert_eq!(stray("/b?x-oss-security-token=x", "accept"), Err(OssAuthError::SecurityTokenInvalid));
}

/// The Python SDK sends the token so, with V1.
#[test]
fn v1_takes_a_token_from_a_plain_header_and_v4_does_not() {
    let signature = v1(SECRET, format!("GET\n\n\n{DATE}\n/b/k").as_bytes());
    let v1 = format!("OSS {KEY}:{signature}");
    let headers = [("x-oss-content-sha256", "UNSIGNED-PAYLOAD"), ("x-oss-date", STAMP)];
    let signature = v4_request("GET", "/b/k", &[], &headers, "");
    let v4 = format!("OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},Signature={signature}");
    let template = temporary().swap_remove(0);
    let with = |authorization: &str, own: &[(&str, &str)]| {
        let mut all = own.to_vec();
        all.extend([("host", "a"), ("security-token", TOKEN), ("authorization", authorization)]);
        let headers = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let case = Case { target: "/b/k".to_owned(), bucket_in_host: None, headers, now: SECONDS, ..template.clone() };
        against(&case, &[(KEY, SECRET, Some(TOKEN), None)])
    };
    assert_eq!(with(&v1, &[("date", DATE)]), Ok(()));
    assert_eq!(with(&v4, &headers), Err(OssAuthError::SecurityTokenMissing(AccessKeyId::new(KEY))));
}
