use super::*;
use crate::identity::testing::*;
use crate::identity::{Caller, SigV2, Verifier};

/// The documentation's own example: credential, policy and signature.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html>
const EXAMPLE_CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request";
const EXAMPLE_POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
const EXAMPLE_SIGNATURE: &str = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
/// 2015-12-29T00:00:00Z.
const EXAMPLE_SECONDS: u64 = 1_451_347_200;
const NOW: Timestamp = Timestamp(EXAMPLE_SECONDS * 1000);

fn fields(pairs: &[(&str, &str)]) -> FormFields {
    let mut fields = FormFields::default();
    pairs.iter().for_each(|(name, value)| fields.add(name, (*value).to_owned()).unwrap());
    fields
}

fn example(changed: &[(&str, &str)]) -> FormFields {
    let mut all: Vec<(&str, &str)> = vec![
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", EXAMPLE_CREDENTIAL),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", EXAMPLE_POLICY),
        ("X-Amz-Signature", EXAMPLE_SIGNATURE),
    ];
    for (name, value) in changed {
        all.retain(|(there, _)| !there.eq_ignore_ascii_case(name));
        all.push((name, value));
    }
    fields(&all)
}

fn verifier(seconds: u64, sigv2: SigV2) -> Verifier {
    Verifier::new(credentials(), StoppedClock::at(seconds), "us-east-1".to_owned(), sigv2)
}

fn identify(form: &FormFields, bucket: &str) -> Result<FormIdentified, FormError> {
    verifier(EXAMPLE_SECONDS, SigV2::Allowed).identify_form(form, bucket)
}

#[test]
fn the_documented_form_verifies() {
    let identified = identify(&example(&[]), "sigv4examplebucket").unwrap();
    let user = identified.caller.user().unwrap().clone();
    assert_eq!((user.scheme(), user.access_key().as_str()), (Scheme::SigV4Form, ACCESS_KEY));
    assert_eq!(identified.length, None);
}

#[test]
fn any_change_of_the_signed_form_is_refused() {
    let mismatch = FormError::Auth(AuthError::SignatureMismatch(AccessKeyId::new(ACCESS_KEY)));
    let other_policy = EXAMPLE_POLICY.replacen("eyAi", "eyAg", 1);
    let wrong = EXAMPLE_SIGNATURE.replacen('8', "9", 1);
    for (name, value) in
        [("policy", other_policy.as_str()), ("x-amz-signature", wrong.as_str()), ("x-amz-signature", "")]
    {
        assert_eq!(identify(&example(&[(name, value)]), "sigv4examplebucket").unwrap_err(), mismatch, "{name}");
    }
    // Another day in scope and date alike gives another key.
    let credential = EXAMPLE_CREDENTIAL.replace("20151229", "20151228");
    let days = [("x-amz-credential", credential.as_str()), ("x-amz-date", "20151228T000000Z")];
    assert_eq!(identify(&example(&days), "sigv4examplebucket").unwrap_err(), mismatch);

    let refused = |changed: &[(&str, &str)], bucket: &str| {
        matches!(identify(&example(changed), bucket), Err(FormError::PolicyRefuses(_)))
    };
    assert!(refused(&[], "otherbucket"), "the policy names its bucket");
    assert!(refused(&[("bucket", "otherbucket")], "sigv4examplebucket"));
    for (name, value) in [
        ("key", "user/user2/x"),
        ("acl", "private"),
        ("Content-Type", "text/html"),
        ("Content-Type", "image/jpeg, text/html"),
        ("x-amz-meta-uuid", "1"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-meta-sneaked", "in"),
        ("x-amz-copy-source", "/other/secret"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "mine"),
    ] {
        assert!(refused(&[(name, value)], "sigv4examplebucket"), "{name}");
    }
    assert!(!refused(&[("x-ignore-this", "x"), ("x-amz-meta-tag", "any")], "sigv4examplebucket"));
}

#[test]
fn a_forms_scope_and_time_are_checked() {
    let flawed = |name: &str, value: &str| match identify(&example(&[(name, value)]), "sigv4examplebucket") {
        Err(FormError::Auth(AuthError::Malformed { place: Place::Form, flaw })) => flaw,
        other => panic!("{name}: {other:?}"),
    };
    assert!(matches!(flawed("x-amz-date", "20151230T000000Z"), Flaw::CredentialDate { .. }));
    assert!(matches!(flawed("x-amz-date", "yesterday"), Flaw::Date));
    let region = EXAMPLE_CREDENTIAL.replace("us-east-1", "eu-west-1");
    assert!(matches!(flawed("x-amz-credential", &region), Flaw::Region { .. }));
    let service = EXAMPLE_CREDENTIAL.replace("/s3/", "/ec2/");
    assert!(matches!(flawed("x-amz-credential", &service), Flaw::Service { .. }));
    let at = |seconds| verifier(seconds, SigV2::Refused).identify_form(&example(&[]), "sigv4examplebucket").map(drop);
    // 2015-12-30T12:00:00Z is the policy's last moment.
    assert_eq!(at(1_451_476_800), Ok(()));
    assert_eq!(at(1_451_476_801), Err(FormError::PolicyExpired));
    assert!(matches!(at(EXAMPLE_SECONDS - 901), Err(FormError::Auth(AuthError::NotYetValid { .. }))));
}

#[test]
fn a_form_has_all_of_a_signature_or_nothing() {
    let bucket = "sigv4examplebucket";
    let without = |name: &str| {
        let left: Vec<(String, String)> = example(&[])
            .iter()
            .filter(|(there, _)| *there != name)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let left: Vec<(&str, &str)> = left.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        identify(&fields(&left), bucket).map(|identified| identified.caller)
    };
    for name in ["policy", "x-amz-credential", "x-amz-date", "x-amz-algorithm", "x-amz-signature"] {
        assert_eq!(without(name), Err(FormError::FieldMissing(name)), "{name}");
    }
    assert_eq!(identify(&fields(&[("key", "k")]), bucket).unwrap().caller, Caller::Anonymous);
    let lone = identify(&fields(&[("key", "k"), ("policy", EXAMPLE_POLICY)]), bucket);
    assert_eq!(lone.unwrap_err(), FormError::FieldMissing("x-amz-signature"));
    let both = identify(&example(&[("signature", "x")]), bucket);
    assert_eq!(both.unwrap_err(), FormError::Auth(AuthError::MoreThanOneMechanism));
    let token = identify(&example(&[("x-amz-security-token", "x")]), bucket);
    assert_eq!(token.unwrap_err(), FormError::Auth(AuthError::SessionToken));
    let token = identify(&fields(&[("key", "k"), ("x-amz-security-token", "x")]), bucket);
    assert_eq!(token.unwrap_err(), FormError::Auth(AuthError::SessionToken));
    assert!(fields(&[("Key", "a")]).add("kEY", "b".to_owned()).is_err(), "a field stands once");
}

/// The documentation's SigV2 example has its secret published, but under an expiration of 2007; the arithmetic is checked
/// by an HMAC made here.
#[test]
fn a_sigv2_form_verifies_only_where_allowed() {
    let policy = STANDARD.encode(
        r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key",""],["content-length-range",1,"9"]]}"#,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, policy.as_bytes()));
    let form = fields(&[("key", "k"), ("AWSAccessKeyId", ACCESS_KEY), ("signature", &signature), ("policy", &policy)]);
    let identified = identify(&form, "b").unwrap();
    assert_eq!(identified.caller.user().unwrap().scheme(), Scheme::SigV2Form);
    assert_eq!(identified.length, Some(1..=9));
    let refused = verifier(EXAMPLE_SECONDS, SigV2::Refused).identify_form(&form, "b").unwrap_err();
    assert_eq!(refused, FormError::Auth(AuthError::SigV2Refused));
    let other = STANDARD.encode([0; 20]);
    for bad in [other.as_str(), "", "%"] {
        let form = fields(&[("key", "k"), ("AWSAccessKeyId", ACCESS_KEY), ("signature", bad), ("policy", &policy)]);
        let error = identify(&form, "b").unwrap_err();
        assert_eq!(error, FormError::Auth(AuthError::SignatureMismatch(AccessKeyId::new(ACCESS_KEY))));
    }
}

#[test]
fn a_temporary_keys_form_shows_its_token_and_its_policy_does() {
    let form = |conditions: &str, more: &[(&str, &str)], version: u8| {
        let policy = format!(r#"{{"expiration":"2030-01-01T00:00:00Z","conditions":[{{"bucket":"b"}}{conditions}]}}"#);
        let policy = STANDARD.encode(policy);
        let scope = "20130524/us-east-1/s3/aws4_request";
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(SECONDS);
        let key = aws_sigv4::sign::v4::generate_signing_key(SECRET, at, "us-east-1", "s3");
        let v4 = aws_sigv4::sign::v4::calculate_signature(key, policy.as_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        let v2 = STANDARD.encode(hmac::sign(&key, policy.as_bytes()));
        let credential = format!("{ACCESS_KEY}/{scope}");
        let mut all = match version {
            2 => vec![("awsaccesskeyid", ACCESS_KEY), ("signature", v2.as_str())],
            _ => vec![
                ("x-amz-algorithm", ALGORITHM),
                ("x-amz-credential", credential.as_str()),
                ("x-amz-date", STAMP),
                ("x-amz-signature", v4.as_str()),
            ],
        };
        all.push(("policy", &policy));
        all.extend_from_slice(more);
        fields(&all)
    };
    let own = r#",["starts-with","$x-amz-algorithm",""],["starts-with","$x-amz-credential",""],["starts-with","$x-amz-date",""]"#;
    let outcome = |form: &FormFields, token, end| {
        let clock = StoppedClock::at(SECONDS);
        let verifier = Verifier::new(temporary(token, end), clock, "us-east-1".to_owned(), SigV2::Allowed);
        verifier.identify_form(form, "b").map(drop)
    };
    for version in [2, 4] {
        let own = if version == 2 { "" } else { own };
        let mentioned = format!(r#"{own},["eq","$x-amz-security-token","token-1"]"#);
        let shown = [("x-amz-security-token", "token-1")];
        let good = form(&mentioned, &shown, version);
        assert_eq!(outcome(&good, Some("token-1"), Some(SECONDS)), Ok(()));
        let auth = |error: AuthError| Err(FormError::Auth(error));
        assert_eq!(outcome(&good, Some("token-1"), Some(SECONDS - 1)), auth(AuthError::SessionTokenExpired));
        assert_eq!(outcome(&good, Some("token-2"), None), auth(AuthError::SessionToken));
        assert_eq!(outcome(&good, None, None), auth(AuthError::SessionToken));
        let missing = AuthError::SessionTokenMissing(AccessKeyId::new(ACCESS_KEY));
        assert_eq!(outcome(&form(own, &[], version), Some("token-1"), None), auth(missing));
        let extra = outcome(&form(own, &shown, version), Some("token-1"), None);
        assert!(matches!(extra, Err(FormError::PolicyRefuses(_))), "a field that the policy does not mention");
    }
}

fn parse(json: &str) -> Result<Policy, PolicyError> {
    Policy::parse(&STANDARD.encode(json), Rules::S3)
}

#[test]
fn a_policy_document_is_read_strictly() {
    let conditions = r#""conditions":[]"#;
    let expiration = r#""expiration":"2030-01-01T00:00:00.000Z""#;
    assert!(parse(&format!("{{{expiration},{conditions}}}")).is_ok());
    for bad in [
        String::new(),
        "[]".to_owned(),
        format!("{{{expiration}}}"),
        format!("{{{conditions}}}"),
        format!("{{{},{conditions}}}", expiration.to_uppercase()),
        format!(r#"{{"expiration":"01-02-2030",{conditions}}}"#),
        format!(r#"{{"expiration":1,{conditions}}}"#),
        format!(r#"{{{expiration},{conditions},"more":1}}"#),
        format!(r#"{{{expiration},"conditions":{{}}}}"#),
    ]
    .into_iter()
    .chain(
        [
            "1",
            "{}",
            r#"{"key":1}"#,
            "[]",
            r#"["eq","$key"]"#,
            r#"["eq","key","v"]"#,
            r#"["like","$key","v"]"#,
            r#"["starts-with","$key",1]"#,
            r#"["content-length-range",1]"#,
            r#"["content-length-range",-1,2]"#,
            r#"["content-length-range","x",2]"#,
        ]
        .map(|condition| format!(r#"{{{expiration},"conditions":[{condition}]}}"#)),
    ) {
        assert!(matches!(parse(&bad), Err(PolicyError::Invalid(_))), "{bad}");
    }
    assert!(matches!(Policy::parse("%", Rules::S3), Err(PolicyError::Invalid(_))));
}

#[test]
fn names_of_conditions_have_no_case_and_ranges_intersect() {
    let policy = parse(
        r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bUcKeT":"b"},["StArTs-WiTh","$KeY","a"],
            ["content-length-range",5,100],["content-length-range","0","10"]]}"#,
    )
    .unwrap();
    assert_eq!(policy.check(&fields(&[("kEy", "ab")]), "b", NOW), Ok(Some(5..=10)));
    let extra = policy.check(&fields(&[("key", "ab"), ("tagging", "x")]), "b", NOW).unwrap_err();
    assert_eq!(extra, PolicyError::Refuses("Extra input fields: tagging".to_owned()));
    let open = parse(r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[["eq","$key","a"]]}"#).unwrap();
    let bucket = open.check(&fields(&[("key", "a")]), "b", NOW).unwrap_err();
    assert_eq!(bucket, PolicyError::Refuses("Extra input fields: bucket".to_owned()));
}

#[test]
fn a_file_name_stands_for_its_variable_but_not_in_what_was_signed() {
    let mut form = fields(&[("key", "a/${filename}"), ("policy", "${filename}"), ("x-amz-meta-n", "${filename}!")]);
    form.replace_file_name("f.txt");
    assert_eq!((form.get("key"), form.get("policy")), (Some("a/f.txt"), Some("${filename}")));
    assert_eq!(form.get("x-amz-meta-n"), Some("f.txt!"));
    assert!(!format!("{form:?}").contains("f.txt"), "values may be keys: they are not printed");
}
