use proptest::prelude::*;

use super::cases::*;
use super::signer::*;
use super::*;

/// A17 and its like: nothing is said twice, and only one signature is given.
#[test]
fn nothing_is_given_twice() {
    for case in good() {
        for name in [
            "authorization",
            "date",
            "host",
            "x-oss-date",
            "x-oss-object-acl",
            "content-type",
            "content-length",
            "security-token",
        ] {
            let mut twice = case.clone();
            twice.headers.retain(|(there, _)| there != name);
            twice.headers.extend([(name.to_owned(), "a".to_owned()), (name.to_owned(), "b".to_owned())]);
            assert_eq!(error(&twice), OssAuthError::DuplicateHeader(name.to_owned()));
        }
        for more in [
            "OSSAccessKeyId=a",
            "Signature=a",
            "x-oss-signature=a",
            "x-oss-signature-version=OSS2",
            "x-oss-credential=a",
            "x-oss-access-key-id=a",
            "AWSAccessKeyId=a",
            "X-Amz-Signature=a",
        ] {
            let separator = if case.target.contains('?') { "&" } else { "?" };
            let both = Case { target: format!("{}{separator}{more}", case.target), ..case.clone() };
            let more_than_one = error(&both) == OssAuthError::MoreThanOneMechanism;
            let again = matches!(error(&both), OssAuthError::Malformed { flaw: OssFlaw::Parameter(..), .. });
            assert!(more_than_one || again || !case.headers.iter().any(|(name, _)| name == "authorization"), "{more}");
            assert!(both.verify().is_err(), "{more}");
        }
    }
    let [v1, url, ..] = good();
    let mut both = url;
    both.set("authorization", &v1.headers.last().unwrap().1);
    assert_eq!(error(&both), OssAuthError::MoreThanOneMechanism);
    // Lines of user metadata are one value, wherever they are read.
    let to_sign = format!("GET\n\n\n{DATE}\nx-oss-meta-m:a,b\n/bucket/key");
    let mut split = v1_header("GET", "/bucket/key", &to_sign, &[("x-oss-meta-m", "a,b")]);
    assert!(split.verify().is_ok());
    split.headers.retain(|(name, _)| name != "x-oss-meta-m");
    split.headers.extend(["a", "b"].map(|value| ("x-oss-meta-m".to_owned(), value.to_owned())));
    assert!(split.verify().is_ok());
}

#[test]
fn what_is_no_signature_of_oss_is_refused() {
    let scheme = |text: &str| error(&case("GET", "/b", &[("host", "a"), ("date", DATE), ("authorization", text)]));
    for text in
        ["Basic YTpi", "Bearer x", "AWS a:b", "AWS4-HMAC-SHA256 Credential=a", "", "oss a:b", "OSS1 a:b", "OSS3 x"]
    {
        assert_eq!(scheme(text), OssAuthError::UnsupportedScheme, "{text}");
    }
    let malformed = OssAuthError::Malformed { place: Place::Header, flaw: OssFlaw::Components };
    let scope = format!("{KEY}/{SCOPE}");
    for text in [
        "OSS",
        "OSS2",
        "OSS4-HMAC-SHA256",
        "OSS x",
        "OSS :x",
        "OSS2 AccessKeyId:a",
        "OSS2 Signature:a",
        "OSS2 AccessKeyId:a,Signature:b,More:c",
        "OSS2 AccessKeyId=a,Signature=b",
        "OSS4-HMAC-SHA256 junk",
        "OSS4-HMAC-SHA256 Signature=a",
        &format!("OSS4-HMAC-SHA256 Credential={scope}"),
        &format!("OSS4-HMAC-SHA256 Credential={scope},Signature=a,Signature=a"),
        &format!("OSS4-HMAC-SHA256 Credential={scope},SignedHeaders=host,Signature=a"),
        &format!("OSS4-HMAC-SHA256 Credential={scope},Signature=a,"),
    ] {
        assert_eq!(scheme(text), malformed, "{text}");
    }
    let url = |query: &str| error(&case("GET", &format!("/b?{query}"), &[("host", "a")]));
    assert_eq!(url("x-oss-signature-version=OSS2&x-oss-signature=a"), OssAuthError::UnsupportedScheme);
    assert_eq!(url("x-oss-signature-version=OSS9"), OssAuthError::UnsupportedScheme);
    assert_eq!(url("AWSAccessKeyId=a&Signature=b&Expires=1"), OssAuthError::UnsupportedScheme);
    assert_eq!(url("X-Amz-Signature=a"), OssAuthError::UnsupportedScheme);
    let anonymous = case("GET", "/b?prefix=a", &[("host", "a"), ("x-oss-date", STAMP)]).verify().unwrap();
    assert_eq!(anonymous, OssIdentified { caller: Caller::Anonymous, reading: 0 });
    assert_eq!(error(&case("GET", "/b", &[])), OssAuthError::HostInvalid);
}

/// A2, T3: an access key id alone opens nothing.
#[test]
fn a_made_up_signature_is_refused_in_every_scheme() {
    for good in good() {
        let liar = Case { secret: "a guess at it".to_owned(), ..good.clone() };
        assert!(matches!(error(&liar), OssAuthError::SignatureMismatch(_)));
        let stranger = Case { access_key: "somebody-else".to_owned(), ..good };
        assert_eq!(error(&stranger), OssAuthError::AccessKeyUnknown(AccessKeyId::new(KEY)));
    }
    for junk in ["", "AAAA", "%%", "zz", "00000000000000000000000000000000"] {
        let headers =
            |text: &str| [("host", "a"), ("date", DATE), ("authorization", text)].map(|(a, b)| (a, b.to_owned()));
        for text in [
            format!("OSS {KEY}:{junk}"),
            format!("OSS2 AccessKeyId:{KEY},Signature:{junk}"),
            format!("OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},Signature={junk}"),
        ] {
            let headers = headers(&text);
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert!(matches!(error(&case("GET", "/b/k", &headers)), OssAuthError::SignatureMismatch(_)), "{text}");
        }
    }
}

#[test]
fn additional_headers_are_a_list_in_order_and_all_there() {
    let signed = |listed: &str, headers: &[(&str, &str)]| {
        let mut all = headers.to_vec();
        all.extend([("x-oss-content-sha256", "UNSIGNED-PAYLOAD"), ("x-oss-date", STAMP)]);
        all.sort_unstable();
        let signature = v4_request("GET", "/bucket/key", &[], &all, listed);
        let text =
            format!("OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE},AdditionalHeaders={listed},Signature={signature}");
        all.push(("authorization", &text));
        if !headers.iter().any(|(name, _)| *name == "host") {
            all.push(("host", "oss.test"));
        }
        case("GET", "/bucket/key", &all)
    };
    assert!(signed("range", &[("range", "bytes=0-9")]).verify().is_ok());
    assert!(signed("host;range", &[("host", "a"), ("range", "bytes=0-9")]).verify().is_ok());
    let malformed = OssAuthError::Malformed { place: Place::Header, flaw: OssFlaw::AdditionalHeaders };
    for list in ["", ";range", "range;", "Range", "range;host", "range;range", "a b"] {
        assert_eq!(error(&signed(list, &[("host", "a"), ("range", "bytes=0-9")])), malformed, "{list}");
    }
    // Signed as absent or as empty, it is refused all the same: the list says that it was there.
    assert!(matches!(error(&signed("range", &[])), OssAuthError::SignatureMismatch(_)));
    let mut emptied = signed("range", &[("range", "")]);
    emptied.headers.retain(|(name, _)| name != "range");
    assert!(matches!(error(&emptied), OssAuthError::SignatureMismatch(_)));
    let mut split = signed("range", &[("range", "a,b")]);
    split.headers.retain(|(name, _)| name != "range");
    split.headers.extend(["a", "b"].map(|value| ("range".to_owned(), value.to_owned())));
    assert_eq!(error(&split), OssAuthError::DuplicateHeader("range".to_owned()));
}

/// What would not be verified must not be said.
#[test]
fn a_hash_of_the_body_is_refused() {
    let mut case = v4_header(SCOPE, &[]);
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    case.set("x-oss-content-sha256", hash);
    let flaw = OssFlaw::ContentHash(hash.to_owned());
    assert_eq!(error(&case), OssAuthError::Malformed { place: Place::Header, flaw });
}

/// A Host that names the bucket beside a path that does: the signature tells which is meant.
#[test]
fn the_signature_chooses_the_reading() {
    let at = |key: &str| OssResource { bucket: Some("bucket".to_owned()), key: Some(key.to_owned()) };
    let readings = [at("bucket/key"), at("key")];
    for (signed, reading) in [("/bucket/bucket/key", Ok(0)), ("/bucket/key", Ok(1)), ("/bucket/other", Err(()))] {
        let case = v1_header("GET", "/bucket/key", &format!("GET\n\n\n{DATE}\n{signed}"), &[]);
        let clock = StoppedClock::at(u64::try_from(SECONDS).unwrap());
        let verifier = OssVerifier::new(case.credentials(), clock, String::new());
        let found = verifier.identify(&case.parts().unwrap(), &readings);
        assert_eq!(found.map(|identified| identified.reading).map_err(drop), reading, "{signed}");
        let unsound = [OssResource { bucket: Some("bucket/bucket".to_owned()), key: Some("key".to_owned()) }];
        assert!(verifier.identify(&case.parts().unwrap(), &unsound).is_err());
        assert!(verifier.identify(&case.parts().unwrap(), &[]).is_err());
    }
}

#[test]
fn a_request_says_by_itself_whether_it_is_osss() {
    let is = |target: &str, headers: &[(&str, &str)]| is_oss(&head("GET", target, headers));
    for text in ["OSS a:b", "OSS2 a", "OSS4-HMAC-SHA256 Credential=a"] {
        assert!(is("/", &[("authorization", text)]), "{text}");
    }
    for text in ["AWS a:b", "AWS4-HMAC-SHA256 Credential=a", "Basic OSS", "OSSX a", ""] {
        assert!(!is("/?x-oss-process=a", &[("authorization", text), ("x-oss-date", STAMP)]), "{text}");
    }
    assert!(is("/b/k?OSSAccessKeyId=a", &[]) && is("/b/k?x-oss-signature=a", &[]) && is("/b/k?%78-oss-process=a", &[]));
    assert!(is("/b/k", &[("x-oss-date", STAMP)]));
    assert!(!is("/b/k?Signature=a&AWSAccessKeyId=b&uploads", &[("x-amz-date", STAMP)]));
    for name in ["Expires", "x-oss-signature", "security-token", "OSSAccessKeyId"] {
        assert!(is_oss_auth_parameter(name.as_bytes()), "{name}");
    }
    assert!(!is_oss_auth_parameter(b"x-oss-process") && !is_oss_auth_parameter(b"uploads"));
}

#[test]
fn no_error_tells_the_right_signature_or_a_secret() {
    for mut case in good() {
        let carrier = case.header("authorization").cloned().unwrap_or(case.target.clone());
        let right = carrier.split("ignature=").nth(1).or(carrier.split(':').nth(1)).unwrap().to_owned();
        assert!(right.len() >= 28);
        let mut wrong = case.clone();
        wrong.method = "PUT".to_owned();
        let text = format!("{:?} {}", error(&wrong), error(&wrong));
        assert!(!text.contains(&right) && !text.contains(SECRET) && !text.contains("/bucket/key"), "{text}");
    }
}

proptest! {
    /// However a client escapes its URL, the signature is over what it means; and it is over nothing else.
    #[test]
    fn a_v4_signature_is_over_what_the_url_means(
        key in "[ -~é中]{1,20}",
        name in "[a-zA-Z/+ -]{1,8}",
        value in "[ -~é]{0,12}",
        all in any::<bool>(),
    ) {
        let escape = |text: &str, path| if all {
            text.bytes().map(|b| format!("%{b:02x}")).collect::<String>()
        } else {
            encode(text, path)
        };
        let headers = [("x-oss-content-sha256", "UNSIGNED-PAYLOAD"), ("x-oss-date", STAMP)];
        let query = [(name.as_str(), value.as_str()), ("acl", "")];
        let signature = v4_request("GET", &format!("/bucket/{key}"), &query, &headers, "");
        let text = format!("OSS4-HMAC-SHA256 Credential={KEY}/{SCOPE}, Signature={signature}");
        let mut headers = headers.to_vec();
        headers.extend([("host", "oss.test"), ("authorization", &text)]);
        let target = format!("/bucket/{}?acl&{}={}", escape(&key, true), escape(&name, false), escape(&value, false));
        let good = case("GET", &target, &headers);
        prop_assert!(good.verify().is_ok(), "{}", target);
        let longer = Case { target: target.replacen("/bucket/", "/bucket/x", 1), ..good.clone() };
        prop_assert!(longer.verify().is_err());
        let more = Case { target: format!("{target}x"), ..good };
        prop_assert!(more.verify().is_err());
    }
}
