//! Promises about what claims an identity. See `crate::fuzzing`.

use std::sync::Arc;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;

use crate::gateway::BodyError;
use crate::types::{AccessKeyId, Clock, Timestamp, UserId};

use super::mac::Signature;
use super::{
    Caller, ChunkDecoder, ChunkSigner, Context, Credential, Credentials, FormFields, Parameters, Policy, Question,
    Secret, SigV2, Verifier,
};

pub(crate) use super::oss::fuzzing::{oss_authorization, oss_form, oss_url};

const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// 2013-05-24T00:00:00Z, when AWS's documentation signed its examples.
#[derive(Debug)]
struct Then;

impl Clock for Then {
    fn now(&self) -> Timestamp {
        Timestamp(1_369_353_600_000)
    }
}

fn verifier() -> Option<Verifier> {
    let user = Credential::of_user(UserId::new("fuzz"), Secret::new(SECRET.to_owned()));
    let credentials = Credentials::new([(AccessKeyId::new(ACCESS_KEY), user)]).ok()?;
    Some(Verifier::new(Arc::new(credentials), Arc::new(Then), "us-east-1".to_owned(), SigV2::Allowed))
}

/// Nobody is anybody without one of the signatures that the documentation has for these requests.
fn identified_only_by(parts: &Parts, input: &[u8], signatures: &[&str]) {
    let Some(verifier) = verifier() else { return };
    let Ok(identified) = verifier.identify(parts, None) else { return };
    if let Caller::User(user) = identified.caller {
        let text = String::from_utf8_lossy(input);
        assert!(signatures.iter().any(|mark| text.contains(mark)), "a caller without a signature");
        assert_eq!(user.access_key().as_str(), ACCESS_KEY);
    }
}

/// The `Authorization` header of the documentation's `GET /test.txt`.
pub(crate) fn authorization(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let request = http::Request::get("/test.txt")
        .header("host", "examplebucket.s3.amazonaws.com")
        .header("range", "bytes=0-9")
        .header("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        .header("x-amz-date", "20130524T000000Z")
        .header("authorization", value)
        .body(());
    let Ok(request) = request else { return };
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    identified_only_by(&request.into_parts().0, input, &[signature]);
}

/// The query of the documentation's presigned `GET /test.txt`.
pub(crate) fn presigned(input: &[u8]) {
    let Ok(query) = std::str::from_utf8(input) else { return };
    let request =
        http::Request::get(format!("/test.txt?{query}")).header("host", "examplebucket.s3.amazonaws.com").body(());
    let Ok(request) = request else { return };
    let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    identified_only_by(&request.into_parts().0, input, &[signature]);
}

/// Lines `name=value` of a form's fields: a policy is never satisfied without a right signature, of which there is none.
pub(crate) fn form_policy(input: &[u8]) {
    let Some(verifier) = verifier() else { return };
    let mut fields = FormFields::default();
    for line in String::from_utf8_lossy(input).lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if fields.add(name, value.to_owned()).is_err() {
            return;
        }
    }
    if let Ok(identified) = verifier.identify_form(&fields, "bucket") {
        assert_eq!(identified.caller, Caller::Anonymous);
    }
    super::form::policy_promise(&String::from_utf8_lossy(input), &fields);
}

/// A mode, a split, the declared length (2 bytes), then a chunked body: every split decodes alike; what is accepted is
/// what a plain reader of the same chunks gets; a made-up signature is never accepted.
pub(crate) fn aws_chunked(input: &[u8]) {
    let [mode, split, high, low, body @ ..] = input else { return };
    let declared = u64::from(u16::from_be_bytes([*high, *low]));
    let decoder = || {
        let signer = || {
            let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"fuzz"));
            ChunkSigner::new(key, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", Signature::of([0; 32]))
        };
        match mode % 3 {
            0 => ChunkDecoder::unsigned_trailer("x-amz-checksum-crc32", declared),
            1 => ChunkDecoder::signed(signer(), declared),
            _ => ChunkDecoder::signed_trailer(signer(), "x-amz-checksum-crc32", declared),
        }
    };
    let whole = decode(decoder(), body, body.len().max(1));
    let pieces = decode(decoder(), body, usize::from(*split).max(1));
    assert_eq!(whole.is_ok(), pieces.is_ok(), "a split decides");
    if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
        assert_eq!(whole, pieces);
        assert_eq!(mode % 3, 0, "nobody signed this");
        assert_eq!(Some(&whole), unframed(body).as_ref());
        assert_eq!(whole.len() as u64, declared);
    }
}

fn decode(mut decoder: ChunkDecoder, body: &[u8], split: usize) -> Result<Vec<u8>, BodyError> {
    let mut out = Vec::new();
    for piece in body.chunks(split) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(data) = decoder.decode(&mut piece)? {
            out.extend_from_slice(&data);
        }
    }
    decoder.finish()?;
    Ok(out)
}

/// The reference: the data of unsigned chunks, read from a whole body.
fn unframed(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(body.get(..end)?).ok()?, 16).ok()?;
        body = body.get(end.checked_add(2)?..)?;
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(body.get(..size)?);
        body = body.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// Three parts, each on a line: the query, the `Authorization` header (or nothing), and the body of a call in Alibaba Cloud's
/// style. Nobody is anybody without one of the signatures that its SDK made.
pub(crate) fn aliyun_call(input: &[u8]) {
    let Some(verifier) = verifier() else { return };
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(3, '\n');
    let (query, authorization) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let body = lines.next().unwrap_or_default();
    let mut request = http::Request::post(format!("/?{query}"))
        .header("host", "kms.example.com")
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("user-agent", "test")
        .header("x-acs-action", "Encrypt")
        .header("x-acs-content-sha256", hex::encode(super::sha256(body.as_bytes())))
        .header("x-acs-date", "2013-05-24T00:00:00Z")
        .header("x-acs-signature-nonce", "n0")
        .header("x-acs-version", "2016-01-20");
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    let Ok(request) = request.body(()) else { return };
    let Ok(parameters) = Parameters::read(query, body) else { return };
    if let Ok(Caller::User(user)) = verifier.identify_aliyun(&request.into_parts().0, &parameters, body.as_bytes()) {
        let signatures =
            ["5bhZ1imO95jWFgiwl21q5gMplPc", "f212c501b539bbf00b57af49126700d5cfcbd61a8194ae0d096e46cb82d70bf7"];
        assert!(signatures.iter().any(|mark| text.contains(mark)), "a caller without a signature");
        assert_eq!(user.access_key().as_str(), ACCESS_KEY);
    }
}

/// A bucket policy, or a key's: what is taken means the same each time, stays within its size and answers alike.
pub(crate) fn policy(input: &[u8]) {
    if let Ok(policy) = Policy::parse_of_key(input) {
        assert!(input.len() <= crate::policy::MAX_KEY_POLICY);
        assert_eq!(Policy::parse_of_key(input).as_ref(), Ok(&policy));
        let _ = policy.belongs_to_key("arn:aws:kms:us-east-1:000000000000:key/k", "000000000000");
    }
    let Ok(policy) = Policy::parse(input) else { return };
    assert!(input.len() <= super::MAX_POLICY);
    assert_eq!(Policy::parse(input).as_ref(), Ok(&policy));
    let mut context = Context::default();
    context.set("s3:x-amz-server-side-encryption", "aws:kms");
    context.set("aws:SourceIp", "10.1.2.3");
    for (principal, action, resource) in [
        (None, "s3:GetObject", "arn:aws:s3:::b/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        (Some("arn:aws:iam::000000000000:user/bob"), "s3:PutObject", "arn:aws:s3:::b/private/x"),
        (Some("arn:aws:iam::000000000000:root"), "s3:ListBucket", "arn:aws:s3:::b"),
    ] {
        let question = Question { principal, action, resource, context: &context, speaks_for_account: false };
        assert_eq!(policy.judge(&question), policy.judge(&question));
    }
    let _ = (policy.is_public(), policy.belongs_to("b", "000000000000"));
}
