use super::signer::*;
use super::*;
use crate::identity::form::{FormFields, FormIdentified, PolicyError};

const DAY: i64 = 24 * 3600;

fn fields(pairs: &[(&str, &str)]) -> FormFields {
    let mut fields = FormFields::default();
    pairs.iter().for_each(|(name, value)| fields.add(name, (*value).to_owned()).unwrap());
    fields
}

fn at(seconds: i64, secret: &str, token: Option<&str>) -> OssVerifier {
    let credential = Credential::of_user(UserId::new("ann"), Secret::new(secret.to_owned()));
    let token = token.map(|token| Secret::new(token.to_owned()));
    let credential = token.into_iter().fold(credential, Credential::with_token);
    let credentials = Credentials::new([(AccessKeyId::new(KEY), credential)]).unwrap();
    let clock = StoppedClock::at(u64::try_from(seconds).unwrap());
    OssVerifier::new(Arc::new(credentials), clock, "cn-hangzhou".to_owned())
}

fn identify(form: &FormFields, bucket: &str) -> Result<FormIdentified, OssFormError> {
    at(SECONDS, SECRET, None).identify_form(form, bucket)
}

/// A form's fields, signed with V1 or V4 over this policy.
fn signed(version: u8, policy: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    use base64::Engine as _;
    let policy = base64::engine::general_purpose::STANDARD.encode(policy);
    let mut all = match version {
        1 => vec![("OSSAccessKeyId", KEY.to_owned()), ("Signature", v1(SECRET, policy.as_bytes()))],
        _ => vec![
            ("x-oss-signature-version", "OSS4-HMAC-SHA256".to_owned()),
            ("x-oss-credential", format!("{KEY}/{SCOPE}")),
            ("x-oss-date", STAMP.to_owned()),
            ("x-oss-signature", v4(SECRET, SCOPE, policy.as_bytes())),
        ],
    };
    all.push(("policy", policy));
    all.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn form(pairs: &[(String, String)]) -> FormFields {
    fields(&pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
}

fn policy(conditions: &str) -> String {
    format!(r#"{{"expiration":"2026-01-02T04:04:05.000Z","conditions":[{conditions}]}}"#)
}

const V4_CONDITIONS: &str = r#"{"x-oss-signature-version":"OSS4-HMAC-SHA256"},["starts-with","$x-oss-credential",""],["eq","$x-oss-date","20260102T030405Z"]"#;

/// The vectors of both versions, and each byte of them that is signed or signs.
#[test]
fn the_recorded_forms_verify_and_no_byte_of_them_can_be_another() {
    let mut seen = Vec::new();
    for vector in fixture().vectors.into_iter().filter(|vector| vector.form.is_some()) {
        let mut all: Vec<(String, String)> = vector.form.unwrap().into_iter().collect();
        all.push((vector.expect.form_field.unwrap(), vector.expect.signature));
        assert_eq!(vector.access_key_secret, SECRET);
        let identified = identify(&form(&all), "examplebucket").unwrap();
        seen.push((identified.caller.user().unwrap().scheme(), identified.length));
        assert!(matches!(identify(&form(&all), "otherbucket"), Err(OssFormError::Policy(PolicyError::Refuses(_)))));
        for index in 0..all.len() {
            for place in 0..all[index].1.len() {
                let mut bytes = all[index].1.clone().into_bytes();
                bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
                let mut changed = all.clone();
                changed[index].1 = String::from_utf8(bytes).unwrap();
                let outcome = identify(&form(&changed), "examplebucket");
                // The policy allows any key below `user/`.
                let free = changed[index].0 == "key" && place >= "user/".len();
                assert_eq!(outcome.is_ok(), free, "{:?}", changed[index]);
            }
            let mut without = all.clone();
            let (gone, _) = without.remove(index);
            let outcome = identify(&form(&without), "examplebucket").map(|found| found.caller);
            assert!(!matches!(outcome, Ok(Caller::User(_))), "without {gone}");
        }
        for place in 0..SECRET.len() {
            let mut secret = SECRET.to_owned().into_bytes();
            secret[place] ^= 1;
            let verifier = at(SECONDS, std::str::from_utf8(&secret).unwrap(), None);
            let error = verifier.identify_form(&form(&all), "examplebucket").unwrap_err();
            assert!(matches!(error, OssFormError::Auth(OssAuthError::SignatureMismatch(_))));
        }
    }
    assert_eq!(seen, [(Scheme::OssV1Form, Some(0..=1_048_576)), (Scheme::OssV4Form, None)]);
}

#[test]
fn a_form_has_all_of_one_signature_or_nothing() {
    let whole = |version, names: &[&'static str]| {
        let all = signed(version, &policy(if version == 1 { "" } else { V4_CONDITIONS }), &[("key", "k")]);
        assert!(identify(&form(&all), "b").is_ok());
        for &name in names {
            let without: Vec<_> = all.iter().filter(|(there, _)| there != name).cloned().collect();
            assert_eq!(identify(&form(&without), "b").unwrap_err(), OssFormError::FieldMissing(name));
        }
    };
    whole(1, &["OSSAccessKeyId", "Signature", "policy"]);
    whole(4, &["x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-signature", "policy"]);
    assert_eq!(identify(&fields(&[("key", "k")]), "b").unwrap().caller, Caller::Anonymous);
    let lone = identify(&fields(&[("key", "k"), ("policy", "e30=")]), "b").unwrap_err();
    assert_eq!(lone, OssFormError::FieldMissing("OSSAccessKeyId"));
    let auth = |error: OssAuthError| Err(OssFormError::Auth(error));
    let outcome = |all: &[(String, String)]| identify(&form(all), "b").map(drop);
    assert_eq!(outcome(&signed(1, &policy(""), &[("x-oss-signature", "x")])), auth(OssAuthError::MoreThanOneMechanism));
    for foreign in ["AWSAccessKeyId", "x-amz-signature", "x-amz-algorithm", "x-amz-credential"] {
        assert_eq!(outcome(&signed(1, &policy(""), &[(foreign, "x")])), auth(OssAuthError::UnsupportedScheme));
    }
    let mut second = signed(4, &policy(V4_CONDITIONS), &[]);
    second[0].1 = "OSS2".to_owned();
    assert_eq!(outcome(&second), auth(OssAuthError::UnsupportedScheme));
    let token = [("x-oss-security-token".to_owned(), "t".to_owned())];
    assert_eq!(outcome(&token), auth(OssAuthError::SecurityTokenInvalid));
}

/// A19.
#[test]
fn a_forms_fields_are_held_to_its_policy() {
    let refused = |conditions: &str, more: &[(&str, &str)]| {
        let outcome = identify(&form(&signed(1, &policy(conditions), more)), "b");
        matches!(outcome, Err(OssFormError::Policy(PolicyError::Refuses(_))))
    };
    let all = r#"{"bucket":"b"},["starts-with","$key","user/"],["in","$content-type",["image/jpg","image/png"]],["not-in","$cache-control",["no-cache"]],{"x-oss-object-acl":"private"}"#;
    let right = [("key", "user/a"), ("content-type", "image/png"), ("x-oss-object-acl", "private")];
    assert!(!refused(all, &right));
    for (name, value) in [
        ("key", "users/a"),
        ("content-type", "text/html"),
        ("cache-control", "no-cache"),
        ("x-oss-object-acl", "public-read"),
        ("bucket", "other"),
    ] {
        let mut wrong: Vec<_> = right.iter().copied().filter(|(there, _)| *there != name).collect();
        wrong.push((name, value));
        assert!(refused(all, &wrong), "{name}");
    }
    // What the policy does not mention a form may add, but neither who reads the object nor how it is encrypted.
    let length = r#"["content-length-range",0,10]"#;
    let free =
        [("key", "any"), ("success_action_status", "200"), ("x-oss-meta-a", "b"), ("x-oss-forbid-overwrite", "true")];
    assert!(!refused(length, &free));
    for name in ["x-oss-object-acl", "x-oss-server-side-encryption", "x-oss-server-side-encryption-key-id"] {
        assert!(refused(length, &[("key", "any"), (name, "x")]), "{name}");
        assert!(!refused(&format!(r#"["eq","${name}","x"]"#), &[("key", "any"), (name, "x")]), "{name}");
    }
    let invalid = |document: &str| {
        let outcome = identify(&form(&signed(1, document, &[("key", "k")])), "b");
        matches!(outcome, Err(OssFormError::Policy(PolicyError::Invalid(_))))
    };
    for bad in [
        "{}".to_owned(),
        r#"{"conditions":[]}"#.to_owned(),
        policy(r#"["not-in","$cache-control","no-cache"]"#),
        policy(r#"["in","key",["a"]]"#),
        policy(r#"["in","$key",[1]]"#),
        policy(r#"["like","$key","a"]"#),
    ] {
        assert!(invalid(&bad), "{bad}");
    }
}

#[test]
fn a_form_of_version_4_mentions_its_signature_in_its_policy() {
    let outcome = |conditions: &str| identify(&form(&signed(4, &policy(conditions), &[("key", "k")])), "b").map(drop);
    assert_eq!(outcome(V4_CONDITIONS), Ok(()));
    for gone in ["x-oss-signature-version", "x-oss-credential", "x-oss-date"] {
        let without = V4_CONDITIONS.replace(gone, "x-oss-meta-other");
        assert!(matches!(outcome(&without), Err(OssFormError::Policy(PolicyError::Refuses(_)))), "{gone}");
    }
}

#[test]
fn a_form_has_its_time() {
    let late = policy(V4_CONDITIONS).replace("2026-01-02T04", "2026-03-02T04");
    let forms = [
        form(&signed(1, &policy(""), &[])),
        form(&signed(4, &policy(V4_CONDITIONS), &[])),
        form(&signed(4, &late, &[])),
    ];
    let when = |form: &FormFields, seconds| at(seconds, SECRET, None).identify_form(form, "b").map(drop);
    for form in &forms[..2] {
        assert_eq!(when(form, SECONDS + 3600), Ok(()));
        assert_eq!(when(form, SECONDS + 3601), Err(OssFormError::Policy(PolicyError::Expired)));
    }
    let auth = |error: OssAuthError| Err(OssFormError::Auth(error));
    let (until, from) = (SECONDS + 7 * DAY, SECONDS);
    assert_eq!(when(&forms[2], until), Ok(()));
    assert_eq!(when(&forms[2], until + 1), auth(OssAuthError::Expired { until, now: until + 1 }));
    assert_eq!(when(&forms[2], from - 900), Ok(()));
    assert_eq!(when(&forms[2], from - 901), auth(OssAuthError::NotYetValid { from, now: from - 901 }));
    for (field, value) in [
        ("x-oss-date", "yesterday"),
        ("x-oss-date", "20260103T030405Z"),
        ("x-oss-credential", "oss-test-ak-0001/20260102/cn-beijing/oss/aliyun_v4_request"),
        ("x-oss-credential", "oss-test-ak-0001/20260102/cn-hangzhou/s3/aliyun_v4_request"),
        ("x-oss-credential", "oss-test-ak-0001/20260102/cn-hangzhou/oss/aws4_request"),
        ("x-oss-credential", "oss-test-ak-0001"),
    ] {
        let mut all = signed(4, &late, &[]);
        all.iter_mut().filter(|(name, _)| name == field).for_each(|(_, there)| value.clone_into(there));
        let outcome = identify(&form(&all), "b").unwrap_err();
        let malformed = matches!(outcome, OssFormError::Auth(OssAuthError::Malformed { place: Place::Form, .. }));
        assert!(malformed, "{field} {value}: {outcome:?}");
    }
}

#[test]
fn a_temporary_keys_form_shows_its_token() {
    for version in [1, 4] {
        let with = |more: &[(&str, &str)], token| {
            let form = form(&signed(version, &policy(V4_CONDITIONS), more));
            // V1's fields meet none of V4's conditions.
            let form = if version == 1 { self::form(&signed(1, &policy(""), more)) } else { form };
            at(SECONDS, SECRET, token).identify_form(&form, "b").map(drop)
        };
        let shown = [("x-oss-security-token", "token-1")];
        assert_eq!(with(&shown, Some("token-1")), Ok(()));
        let auth = |error: OssAuthError| Err(OssFormError::Auth(error));
        assert_eq!(with(&shown, Some("token-2")), auth(OssAuthError::SecurityTokenInvalid));
        assert_eq!(with(&shown, None), auth(OssAuthError::SecurityTokenInvalid));
        assert_eq!(with(&[], Some("token-1")), auth(OssAuthError::SecurityTokenMissing(AccessKeyId::new(KEY))));
    }
}

#[test]
fn the_head_of_a_form_carries_no_credentials_and_nothing_of_the_object() {
    let check = |headers: &[(&str, &str)]| at(SECONDS, SECRET, None).check_form_head(&head("POST", "/", headers));
    assert_eq!(check(&[("host", "a"), ("content-type", "multipart/form-data; boundary=x")]), Ok(()));
    let authorization = [("host", "a"), ("authorization", "OSS a:b")];
    assert_eq!(check(&authorization), Err(OssAuthError::MoreThanOneMechanism));
    let acl = [("host", "a"), ("x-oss-object-acl", "public-read"), ("x-oss-meta-a", "b")];
    let names = ["x-oss-meta-a", "x-oss-object-acl"].map(str::to_owned).to_vec();
    assert_eq!(check(&acl), Err(OssAuthError::HeadersNotSigned(names)));
    assert_eq!(check(&[]), Err(OssAuthError::HostInvalid));
}
