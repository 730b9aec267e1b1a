use super::*;

/// In path style and with the bucket in the host, what the SDKs sign is right, and the strings that an answer shows are
/// theirs.
#[test]
fn what_the_sdks_sign_verifies_and_is_what_we_sign() {
    let mut seen = std::collections::BTreeMap::new();
    for vector in fixture().vectors {
        for case in vector.cases() {
            let sent = vector.request.as_ref().unwrap();
            let resource = case.resource(&case.parts().unwrap()).unwrap();
            assert_eq!(resource.bucket.unwrap_or_default(), sent.bucket, "{}", case.id);
            assert_eq!(resource.key.unwrap_or_default(), sent.key, "{}", case.id);
            let identified = case.verify().unwrap_or_else(|error| panic!("{} {}: {error:?}", case.id, case.target));
            let user = identified.caller.user().unwrap();
            assert_eq!(user.scheme(), scheme_of(&case.scheme), "{}", case.id);
            assert_eq!((user.access_key().as_str(), user.user().as_str()), (case.access_key.as_str(), "ann"));
            assert!(!identified.caller.is_sigv4());
            *seen.entry(case.scheme.clone()).or_insert(0) += 1;

            let stranger = Case { secret: "another secret".to_owned(), ..case.clone() };
            let Err(OssAuthError::SignatureMismatch(mismatch)) = stranger.verify() else { panic!("{}", case.id) };
            let mask = |text: &str| match &case.token {
                Some(token) => text.replace(token.as_str(), "***").replace(
                    &*percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC).to_string(),
                    "%2A%2A%2A",
                ),
                None => text.to_owned(),
            };
            assert_eq!(String::from_utf8_lossy(&mismatch.string_to_sign), mask(&vector.expect.string_to_sign));
            let canonical = mismatch.canonical_request.as_deref().map(String::from_utf8_lossy);
            assert_eq!(
                canonical.map(String::from),
                vector.expect.canonical_request.as_deref().map(mask),
                "{}",
                case.id
            );
            assert_eq!(mismatch.provided, vector.expect.signature);
        }
    }
    let expected = [("v1-header", 33), ("v1-url", 10), ("v2-header", 2), ("v4-header", 29), ("v4-url", 10)];
    assert_eq!(seen, expected.map(|(scheme, count)| (scheme.to_owned(), count)).into());
}

/// What the service answers to a condition.
fn answer(error: &OssAuthError) -> (u16, &'static str) {
    match error {
        OssAuthError::AccessKeyUnknown(_) | OssAuthError::SecurityTokenMissing(_) => (403, "InvalidAccessKeyId"),
        OssAuthError::DateInvalid
        | OssAuthError::Expired { .. }
        | OssAuthError::HeadersNotSigned(_)
        | OssAuthError::NotYetValid { .. }
        | OssAuthError::ParameterMissing(_) => (403, "AccessDenied"),
        OssAuthError::DuplicateHeader(_)
        | OssAuthError::HostInvalid
        | OssAuthError::Malformed { .. }
        | OssAuthError::MoreThanOneMechanism
        | OssAuthError::SecurityTokenTwice
        | OssAuthError::UnsupportedScheme => (400, "InvalidArgument"),
        OssAuthError::SecurityTokenExpired(_) => (403, "SecurityTokenExpired"),
        OssAuthError::SecurityTokenInvalid => (403, "InvalidSecurityToken"),
        OssAuthError::SecurityTokenOfAnother(_) => (403, "AccessKeyIdAndSecurityTokenNotMatch"),
        OssAuthError::SignatureMismatch(_) => (403, "SignatureDoesNotMatch"),
        OssAuthError::TimeTooSkewed { .. } => (403, "RequestTimeTooSkewed"),
    }
}

/// Makes the change that a negative vector describes.
fn changed(mut case: Case, vector: &Vector, change: &serde_json::Map<String, serde_json::Value>) -> Case {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut to_sign = vector.expect.string_to_sign.clone();
    for (kind, value) in change {
        match kind.as_str() {
            "header_set" => {
                for (name, value) in value.as_object().unwrap() {
                    let old = case.header(name).cloned().unwrap_or_default();
                    to_sign = to_sign.replace(&format!("{name}:{old}\n"), &format!("{name}:{}\n", text(value)));
                    case.set(name, &text(value));
                }
            }
            "header_remove" => {
                for name in value.as_array().unwrap().iter().map(text) {
                    let old = case.header(&name).cloned().unwrap();
                    to_sign = to_sign.replace(&format!("{name}:{old}\n"), "");
                    case.headers.retain(|(there, _)| *there != name);
                }
            }
            "access_key_id" => {
                let authorization = case.header("authorization").unwrap();
                *authorization = authorization.replace(&vector.access_key_id, &text(value));
            }
            "authorization" => case.set("authorization", &text(value)),
            "authorization_replace" => {
                let pair: Vec<String> = value.as_array().unwrap().iter().map(text).collect();
                let authorization = case.header("authorization").unwrap();
                assert!(authorization.contains(&pair[0]));
                *authorization = authorization.replace(&pair[0], &pair[1]);
            }
            "server_clock_offset_seconds" => case.now += value.as_i64().unwrap(),
            "gateway_region" => case.region = text(value),
            "query_remove" => {
                let name = format!("{}=", text(&value[0]));
                let (path, query) = case.target.split_once('?').unwrap();
                let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(&name)).collect();
                case.target = format!("{path}?{}", kept.join("&"));
            }
            "query_set" => {
                for (name, value) in value.as_object().unwrap() {
                    let (path, query) = case.target.split_once('?').unwrap();
                    let set = |pair: &str| match pair.split_once('=') {
                        Some((there, _)) if there == name => format!("{name}={}", text(value)),
                        _ => pair.to_owned(),
                    };
                    let pairs: Vec<String> = query.split('&').map(set).collect();
                    case.target = format!("{path}?{}", pairs.join("&"));
                }
            }
            "resign" => {}
            other => panic!("{other}"),
        }
    }
    if change.get("resign").is_some() {
        let signature = signer::v1(&case.secret, to_sign.as_bytes());
        case.set("authorization", &format!("OSS {}:{signature}", case.access_key));
    }
    case
}

#[test]
fn every_negative_vector_meets_the_condition_it_names() {
    let Fixture { vectors, negative } = fixture();
    for wrong in &negative {
        let vector = vectors.iter().find(|vector| vector.id == wrong.base).unwrap();
        for case in vector.cases() {
            let case = changed(case, vector, &wrong.change);
            let error = case.verify().unwrap_err();
            assert_eq!(answer(&error), (wrong.expect.status, wrong.expect.code.as_str()), "{}: {error:?}", wrong.id);
        }
    }
    assert_eq!(negative.len(), 18);
}
