//! Requests that are signed right, to be made wrong.

use super::signer::*;
use super::*;

pub(super) fn v1_header(method: &str, target: &str, to_sign: &str, headers: &[(&str, &str)]) -> Case {
    let mut all = vec![("host", "oss.test"), ("date", DATE)];
    all.extend_from_slice(headers);
    let authorization = format!("OSS {KEY}:{}", v1(SECRET, to_sign.as_bytes()));
    all.push(("authorization", &authorization));
    case(method, target, &all)
}

pub(super) fn case(method: &str, target: &str, headers: &[(&str, &str)]) -> Case {
    Case {
        id: String::new(),
        scheme: String::new(),
        method: method.to_owned(),
        target: target.to_owned(),
        bucket_in_host: None,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        secret: SECRET.to_owned(),
        access_key: KEY.to_owned(),
        token: None,
        region: "cn-hangzhou".to_owned(),
        now: SECONDS,
    }
}

pub(super) fn v4_header(scope: &str, extra: &[(&str, &str)]) -> Case {
    let mut headers = vec![("x-oss-content-sha256", "UNSIGNED-PAYLOAD"), ("x-oss-date", STAMP)];
    headers.extend_from_slice(extra);
    headers.sort_unstable();
    let signature = v4_request("GET", "/bucket/key", &[], &headers, "");
    let authorization = format!("OSS4-HMAC-SHA256 Credential={KEY}/{scope},Signature={signature}");
    headers.extend_from_slice(&[("host", "oss.test"), ("authorization", &authorization)]);
    case("GET", "/bucket/key", &headers)
}

pub(super) fn v4_url(scope: &str, stamp: &str, expires: &str) -> Case {
    let credential = format!("{KEY}/{scope}");
    let query = [
        ("x-oss-credential", credential.as_str()),
        ("x-oss-date", stamp),
        ("x-oss-expires", expires),
        ("x-oss-signature-version", "OSS4-HMAC-SHA256"),
    ];
    let signature = v4_request("GET", "/bucket/key", &query, &[], "");
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value, false))).collect();
    let target = format!("/bucket/key?{}&x-oss-signature={signature}", pairs.join("&"));
    case("GET", &target, &[("host", "oss.test")])
}

pub(super) fn v1_url(expires: i64) -> Case {
    let signature = v1(SECRET, format!("GET\n\n\n{expires}\n/bucket/key").as_bytes());
    let target = format!("/bucket/key?OSSAccessKeyId={KEY}&Expires={expires}&Signature={}", encode(&signature, false));
    case("GET", &target, &[("host", "oss.test")])
}

pub(super) fn good() -> [Case; 4] {
    [
        v1_header("GET", "/bucket/key", &format!("GET\n\n\n{DATE}\n/bucket/key"), &[]),
        v1_url(SECONDS + 60),
        v4_header(SCOPE, &[]),
        v4_url(SCOPE, STAMP, "60"),
    ]
}

pub(super) fn error(case: &Case) -> OssAuthError {
    case.verify().unwrap_err()
}
