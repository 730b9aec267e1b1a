//! What the encryption headers of a request ask for, and what those of an answer say.
//!
//! Every row of <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingServerSideEncryption.html> and of the
//! observed errors is a test below. An encryption header is never ignored: where an operation has no use for it, the
//! request is refused.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::customer_key::{CustomerHeaders, KeyFlaw};
use crate::kms::{EncryptionContext, KeyRef};
use crate::sse::{CustomerKey, DataCipher, SseRequest, SseStatus};

use super::error::Face;
use super::sse_headers::SseHeaders;

const AES256: &str = "AES256";
/// S3 has no name for it: what an OSS client wrote so is called here as it is there, and not by a cipher that it is not.
const SM4: &str = "SM4";
const KMS: &str = "aws:kms";
const KMS_DSSE: &str = "aws:kms:dsse";
const METHOD: HeaderName = HeaderName::from_static("x-amz-server-side-encryption");
const BUCKET_KEY: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-bucket-key-enabled");
const KEY_ID: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-aws-kms-key-id");
const CONTEXT: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-context");
const CUSTOMER_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const CUSTOMER_MD5: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");

/// The context pair that the gateway itself sets.
const ARN_PAIR: &str = "aws:s3:arn";

const BAD_CONTEXT: &str = "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string \
                           holding JSON which represents a string-string map";
const KMS_NEEDS_METHOD: &str = "Server Side Encryption with AWS KMS managed key requires HTTP header \
                                x-amz-server-side-encryption : aws:kms";
const KMS_NEEDS_SIGV4: &str = "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS \
                               Signature Version 4.";

const BAD_CUSTOMER_KEY: &str = "The secret key was invalid for the specified algorithm.";

/// Which encryption headers an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// None at all.
    Nothing,
    /// The trio of the object that is read.
    Read,
    /// The trio of the upload whose part (or completion) this is.
    Part,
    /// As `Part`, and the trio of a copy's source.
    PartCopy,
    /// All headers of the object that is written.
    Write,
    /// As `Write`, and the trio of a copy's source.
    WriteCopy,
}

impl Accepts {
    fn source(self) -> bool {
        matches!(self, Self::PartCopy | Self::WriteCopy)
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transport {
    /// TLS, a loopback peer, a trusted proxy's word, or the operator's permission.
    pub(super) secure: bool,
    /// Signed with Signature Version 4.
    pub(super) sigv4: bool,
}

/// A request's encryption headers, parsed.
#[derive(Debug, Default)]
pub(super) struct SseInput {
    /// How the object is to be written.
    pub(super) write: Option<SseRequest>,
    /// The key of the object that is read, or of the upload.
    pub(super) customer: Option<CustomerKey>,
    /// The key of a copy's source.
    pub(super) source: Option<CustomerKey>,
}

/// Parses the headers for an operation that takes `accepts`.
pub(super) fn parse(headers: &SseHeaders, accepts: Accepts, transport: Transport) -> Result<SseInput, Face> {
    if let Some(name) = &headers.malformed {
        return Err(Face::invalid_argument(format!("The header {name} is repeated, unknown or not text.")));
    }
    refuse_unused(headers, accepts)?;
    let mut input = SseInput { source: customer(&headers.source, transport)?, ..SseInput::default() };
    match accepts {
        Accepts::Nothing => {}
        Accepts::Read | Accepts::Part | Accepts::PartCopy => input.customer = customer(&headers.customer, transport)?,
        Accepts::Write | Accepts::WriteCopy => input.write = write(headers, transport)?,
    }
    Ok(input)
}

/// The refusal of a KMS-encrypted object to a request that came unsigned or in the clear.
pub(super) fn kms_transport(transport: Transport) -> Result<(), Face> {
    if !transport.sigv4 {
        return Err(Face::invalid_argument(KMS_NEEDS_SIGV4));
    }
    if !transport.secure {
        return Err(insecure("AWS KMS managed keys"));
    }
    Ok(())
}

fn insecure(what: &str) -> Face {
    Face::invalid_request(format!(
        "Requests specifying Server Side Encryption with {what} must be made over a secure connection. Use https, or \
         let the operator configure a trusted proxy or allow_insecure_sse."
    ))
}

fn refuse_unused(headers: &SseHeaders, accepts: Accepts) -> Result<(), Face> {
    if headers.source.any() && !accepts.source() {
        return Err(unsupported("x-amz-copy-source-server-side-encryption-customer-*"));
    }
    if headers.customer.any() && accepts == Accepts::Nothing {
        return Err(unsupported("x-amz-server-side-encryption-customer-*"));
    }
    let write_only = [
        (&headers.method, METHOD),
        (&headers.kms_key_id, KEY_ID),
        (&headers.context, CONTEXT),
        (&headers.bucket_key, HeaderName::from_static("x-amz-server-side-encryption-bucket-key-enabled")),
    ];
    match (accepts, write_only.into_iter().find(|(value, _)| value.is_some())) {
        (Accepts::Write | Accepts::WriteCopy, _) | (_, None) => Ok(()),
        (Accepts::Read, Some((_, name))) => Err(Face::invalid_request(format!(
            "The header {name} is not applicable to a request that reads an object; it is for requests that write one."
        ))),
        (Accepts::Nothing | Accepts::Part | Accepts::PartCopy, Some((_, name))) => Err(unsupported(name.as_str())),
    }
}

fn unsupported(name: &str) -> Face {
    Face::invalid_argument(format!("{name} header is not supported for this operation."))
}

fn write(headers: &SseHeaders, transport: Transport) -> Result<Option<SseRequest>, Face> {
    let bucket_key = bucket_key(headers.bucket_key.as_deref())?;
    if headers.customer.any() {
        if headers.method.is_some() || headers.kms_key_id.is_some() || headers.context.is_some() {
            return Err(Face::invalid_argument(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method \
                 specified",
            ));
        }
        return Ok(customer(&headers.customer, transport)?.map(SseRequest::Customer));
    }
    match headers.method.as_deref() {
        None if headers.kms_key_id.is_some() || headers.context.is_some() => {
            Err(Face::invalid_argument(KMS_NEEDS_METHOD))
        }
        // It would have to mix with the bucket's default, which a header replaces as a whole.
        None if bucket_key => Err(Face::not_implemented("A bucket-key flag without an encryption method")),
        None => Ok(None),
        Some(AES256) if headers.kms_key_id.is_some() || headers.context.is_some() => {
            Err(Face::invalid_argument(KMS_NEEDS_METHOD))
        }
        Some(AES256) => Ok(Some(SseRequest::S3 { cipher: DataCipher::Aes256 })),
        Some(KMS) => kms(headers, bucket_key, transport).map(Some),
        Some(KMS_DSSE) => Err(Face::invalid_argument(
            "aws:kms:dsse promises two independent layers of encryption, which this gateway does not apply. Use \
             aws:kms.",
        )),
        Some(_) => Err(Face::invalid_argument("The encryption method specified is not supported")),
    }
}

/// The bucket-key flag. With AES256 or a customer's key it says nothing, as on S3.
fn bucket_key(value: Option<&str>) -> Result<bool, Face> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            Err(Face::invalid_argument("x-amz-server-side-encryption-bucket-key-enabled must be either true or false"))
        }
    }
}

fn kms(headers: &SseHeaders, bucket_key: bool, transport: Transport) -> Result<SseRequest, Face> {
    kms_transport(transport)?;
    if headers.kms_key_id.as_deref().is_some_and(|id| id.trim().is_empty()) {
        return Err(Face::invalid_argument("x-amz-server-side-encryption-aws-kms-key-id must not be empty"));
    }
    let context = headers.context.as_deref().map(context).transpose()?;
    let cipher = DataCipher::Aes256;
    Ok(SseRequest::Kms { key: headers.kms_key_id.clone().map(KeyRef), context, bucket_key, cipher })
}

fn context(text: &str) -> Result<EncryptionContext, Face> {
    let bad = || Face::invalid_argument(BAD_CONTEXT);
    let json = BASE64.decode(text.trim()).map_err(|_| bad())?;
    let pairs: BTreeMap<String, String> = serde_json::from_slice(&json).map_err(|_| bad())?;
    if pairs.contains_key(ARN_PAIR) {
        return Err(Face::invalid_argument(format!("The encryption context must not contain the key {ARN_PAIR}")));
    }
    Ok(EncryptionContext(pairs))
}

fn customer(headers: &CustomerHeaders, transport: Transport) -> Result<Option<CustomerKey>, Face> {
    let must = |what: &str| {
        Face::invalid_argument(format!(
            "Requests specifying Server Side Encryption with Customer provided keys must provide {what}"
        ))
    };
    if !headers.any() {
        return Ok(None);
    }
    if !transport.secure {
        return Err(insecure("Customer provided keys"));
    }
    headers.parse().map_err(|flaw| match flaw {
        KeyFlaw::AlgorithmMissing => must("a valid encryption algorithm."),
        KeyFlaw::Algorithm => Face::bad(
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
        ),
        KeyFlaw::KeyMissing => must("an appropriate secret key."),
        KeyFlaw::Md5Missing => must("the client calculated MD5 of the secret key."),
        KeyFlaw::Md5Mismatch => {
            Face::invalid_argument("The calculated MD5 hash of the key did not match the hash that was provided.")
        }
        KeyFlaw::NotAKey => Face::invalid_argument(BAD_CUSTOMER_KEY),
    })
}

/// Adds what an answer says of an object's encryption. The context goes out only where `status` still carries it,
/// that is on writes; the customer key itself never does.
pub(super) fn describe(status: &SseStatus, out: &mut HeaderMap) {
    match status {
        SseStatus::S3 { cipher } => {
            out.insert(
                METHOD,
                HeaderValue::from_static(match cipher {
                    DataCipher::Aes256 => AES256,
                    DataCipher::Sm4 => SM4,
                }),
            );
        }
        SseStatus::Kms { key, context, bucket_key, cipher: _ } => {
            out.insert(METHOD, HeaderValue::from_static(KMS));
            if *bucket_key {
                out.insert(BUCKET_KEY, HeaderValue::from_static("true"));
            }
            if let Ok(value) = HeaderValue::try_from(key.0.as_str()) {
                out.insert(KEY_ID, value);
            }
            let json = context.as_ref().and_then(|context| serde_json::to_vec(&context.0).ok());
            if let Some(value) = json.and_then(|json| HeaderValue::try_from(BASE64.encode(json)).ok()) {
                out.insert(CONTEXT, value);
            }
        }
        SseStatus::Customer { md5 } => {
            out.insert(CUSTOMER_ALGORITHM, HeaderValue::from_static(AES256));
            if let Some(value) = md5.and_then(|md5| HeaderValue::try_from(BASE64.encode(md5)).ok()) {
                out.insert(CUSTOMER_MD5, value);
            }
        }
        SseStatus::None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::KeyArn;
    use md5::{Digest as _, Md5};

    const SAFE: Transport = Transport { secure: true, sigv4: true };
    const P: &str = "x-amz-server-side-encryption";

    fn take(pairs: &[(&str, &str)]) -> SseHeaders {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        SseHeaders::take(&mut headers)
    }

    fn named(pairs: &[(&str, &str)]) -> SseHeaders {
        let pairs: Vec<(String, &str)> = pairs.iter().map(|(rest, value)| (format!("{P}{rest}"), *value)).collect();
        take(&pairs.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>())
    }

    fn refused(pairs: &[(&str, &str)], accepts: Accepts) -> (u16, &'static str, String) {
        refused_by(pairs, accepts, SAFE)
    }

    fn refused_by(pairs: &[(&str, &str)], accepts: Accepts, transport: Transport) -> (u16, &'static str, String) {
        let face = parse(&named(pairs), accepts, transport).expect_err("must be refused");
        (face.status.as_u16(), face.code, face.message.into_owned())
    }

    fn trio(key: &[u8]) -> (String, String) {
        (BASE64.encode(key), BASE64.encode(Md5::digest(key)))
    }

    #[test]
    fn methods_are_taken_or_refused_by_name() {
        let input = parse(&named(&[("", "AES256")]), Accepts::Write, SAFE).unwrap();
        assert!(matches!(input.write, Some(SseRequest::S3 { cipher: DataCipher::Aes256 })));
        assert!(parse(&named(&[]), Accepts::Write, SAFE).unwrap().write.is_none());
        for bad in ["", "aes256", "AES256 ", "KMS"] {
            let (status, code, message) = refused(&[("", bad)], Accepts::Write);
            assert_eq!((status, code), (400, "InvalidArgument"), "{bad}");
            assert_eq!(message, "The encryption method specified is not supported");
        }
        let (_, code, message) = refused(&[("", "aws:kms:dsse")], Accepts::Write);
        assert!(code == "InvalidArgument" && message.contains("two independent layers"));
    }

    #[test]
    fn kms_takes_key_and_context() {
        let context = BASE64.encode(r#"{"project":"x"}"#);
        let pairs = [("", "aws:kms"), ("-aws-kms-key-id", "alias/a"), ("-context", context.as_str())];
        let input = parse(&named(&pairs), Accepts::Write, SAFE).unwrap();
        let Some(SseRequest::Kms { key: Some(KeyRef(key)), context: Some(context), .. }) = input.write else {
            panic!("not SSE-KMS")
        };
        assert_eq!((key.as_str(), context.0["project"].as_str()), ("alias/a", "x"));
    }

    #[test]
    fn a_kms_key_id_needs_the_kms_method() {
        for pairs in [&[("-aws-kms-key-id", "k")][..], &[("", "AES256"), ("-aws-kms-key-id", "k")][..]] {
            let (status, code, message) = refused(pairs, Accepts::Write);
            assert_eq!((status, code, message.as_str()), (400, "InvalidArgument", KMS_NEEDS_METHOD));
        }
    }

    #[test]
    fn a_context_must_be_a_string_map() {
        let number = BASE64.encode(r#"{"a":1}"#);
        let list = BASE64.encode("[]");
        let arn = BASE64.encode(r#"{"aws:s3:arn":"arn:aws:s3:::b/k"}"#);
        for bad in ["{}", "%%%", number.as_str(), list.as_str()] {
            let (status, code, message) = refused(&[("", "aws:kms"), ("-context", bad)], Accepts::Write);
            assert_eq!((status, code, message.as_str()), (400, "InvalidArgument", BAD_CONTEXT), "{bad}");
        }
        assert!(refused(&[("", "aws:kms"), ("-context", &arn)], Accepts::Write).2.contains(ARN_PAIR));
    }

    #[test]
    fn kms_needs_signature_version_4_and_a_secure_transport() {
        let unsigned = refused_by(&[("", "aws:kms")], Accepts::Write, Transport { secure: true, sigv4: false });
        assert_eq!((unsigned.0, unsigned.1, unsigned.2.as_str()), (400, "InvalidArgument", KMS_NEEDS_SIGV4));
        let clear = refused_by(&[("", "aws:kms")], Accepts::Write, Transport { secure: false, sigv4: true });
        assert_eq!((clear.0, clear.1), (400, "InvalidRequest"));
        assert!(parse(&named(&[("", "AES256")]), Accepts::Write, Transport { secure: false, sigv4: false }).is_ok());
    }

    #[test]
    fn the_bucket_key_flag_goes_with_kms_and_is_refused_alone() {
        assert!(parse(&named(&[("-bucket-key-enabled", "false")]), Accepts::Write, SAFE).is_ok());
        for (text, expected) in [("true", true), ("False", false)] {
            let input = parse(&named(&[("", "aws:kms"), ("-bucket-key-enabled", text)]), Accepts::Write, SAFE).unwrap();
            assert!(
                matches!(input.write, Some(SseRequest::Kms { bucket_key, .. }) if bucket_key == expected),
                "{text}"
            );
        }
        let alone = refused(&[("-bucket-key-enabled", "true")], Accepts::Write);
        assert_eq!((alone.0, alone.1), (501, "NotImplemented"));
        assert_eq!(refused(&[("-bucket-key-enabled", "yes")], Accepts::Write).1, "InvalidArgument");
    }

    #[test]
    fn a_customer_key_is_taken_for_reads_parts_and_writes() {
        let (key, md5) = trio(&[7; 32]);
        let pairs =
            [("-customer-algorithm", "AES256"), ("-customer-key", key.as_str()), ("-customer-key-md5", md5.as_str())];
        for accepts in [Accepts::Read, Accepts::Part, Accepts::PartCopy] {
            let input = parse(&named(&pairs), accepts, SAFE).unwrap();
            assert_eq!(BASE64.encode(input.customer.unwrap().md5()), md5);
        }
        let input = parse(&named(&pairs), Accepts::Write, SAFE).unwrap();
        assert!(matches!(input.write, Some(SseRequest::Customer(_))));
        assert_eq!(refused(&pairs, Accepts::Nothing).1, "InvalidArgument");
        let clear = refused_by(&pairs, Accepts::Read, Transport { secure: false, sigv4: true });
        assert_eq!((clear.0, clear.1), (400, "InvalidRequest"));
    }

    #[test]
    fn each_fault_of_a_customer_key_has_its_answer() {
        let (key, md5) = trio(&[7; 32]);
        let (short, short_md5) = trio(&[7; 31]);
        let (_, other_md5) = trio(&[8; 32]);
        let (key, md5, short, short_md5, other_md5) =
            (key.as_str(), md5.as_str(), short.as_str(), short_md5.as_str(), other_md5.as_str());
        const A: (&str, &str) = ("-customer-algorithm", "AES256");
        const K: &str = "-customer-key";
        const M: &str = "-customer-key-md5";
        let table = [
            (vec![(K, key), (M, md5)], "InvalidArgument", "must provide a valid encryption algorithm."),
            (vec![(M, md5)], "InvalidArgument", "must provide a valid encryption algorithm."),
            (vec![("-customer-algorithm", "DES"), (K, key), (M, md5)], "InvalidEncryptionAlgorithmError", "AES256"),
            (vec![A, (M, md5)], "InvalidArgument", "must provide an appropriate secret key."),
            (vec![A, (K, key)], "InvalidArgument", "MD5 of the secret key."),
            (vec![A, (K, key), (M, other_md5)], "InvalidArgument", "did not match the hash that was provided."),
            // The MD5 is checked first: a short key with a wrong MD5 is told of the MD5.
            (vec![A, (K, short), (M, md5)], "InvalidArgument", "did not match the hash that was provided."),
            (vec![A, (K, short), (M, short_md5)], "InvalidArgument", BAD_CUSTOMER_KEY),
            (vec![A, (K, "%"), (M, md5)], "InvalidArgument", BAD_CUSTOMER_KEY),
            (vec![("", "AES256"), A, (K, key), (M, md5)], "InvalidArgument", "incompatible with the encryption method"),
        ];
        for (pairs, code, message) in table {
            let got = refused(&pairs, Accepts::Write);
            assert_eq!((got.0, got.1), (400, code), "{message}");
            assert!(got.2.ends_with(message) || got.2.contains(message), "{} / {message}", got.2);
            assert!(!got.2.contains(key), "the key must not be repeated");
        }
    }

    #[test]
    fn write_headers_are_refused_on_reads_parts_and_everything_else() {
        for pair in [("", "AES256"), ("-aws-kms-key-id", "k"), ("-context", "e30="), ("-bucket-key-enabled", "false")] {
            let read = refused(&[pair], Accepts::Read);
            assert_eq!((read.0, read.1), (400, "InvalidRequest"));
            for accepts in [Accepts::Nothing, Accepts::Part, Accepts::PartCopy] {
                let other = refused(&[pair], accepts);
                assert_eq!((other.0, other.1), (400, "InvalidArgument"));
            }
        }
    }

    #[test]
    fn a_source_key_belongs_to_copies_only() {
        let (key, md5) = trio(&[9; 32]);
        let source = "x-amz-copy-source-server-side-encryption-customer";
        let (algorithm, key_name, md5_name) =
            (format!("{source}-algorithm"), format!("{source}-key"), format!("{source}-key-md5"));
        let pairs = [(algorithm.as_str(), "AES256"), (key_name.as_str(), key.as_str()), (md5_name.as_str(), &md5)];
        assert!(parse(&take(&pairs), Accepts::WriteCopy, SAFE).unwrap().source.is_some());
        assert!(parse(&take(&pairs), Accepts::PartCopy, SAFE).unwrap().source.is_some());
        assert_eq!(parse(&take(&pairs), Accepts::Write, SAFE).unwrap_err().code, "InvalidArgument");
    }

    #[test]
    fn answers_say_the_mode_and_never_a_key() {
        let mut out = HeaderMap::new();
        describe(&SseStatus::S3 { cipher: DataCipher::Aes256 }, &mut out);
        assert_eq!(out[METHOD], "AES256");
        assert_eq!(out.len(), 1);

        let arn = "arn:aws:kms:r:a:key/k";
        let context = EncryptionContext(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        let cipher = DataCipher::Aes256;
        let status = SseStatus::Kms { key: KeyArn(arn.into()), context: Some(context), bucket_key: true, cipher };
        let mut out = HeaderMap::new();
        describe(&status, &mut out);
        assert_eq!((out[METHOD].to_str().unwrap(), out[KEY_ID].to_str().unwrap()), ("aws:kms", arn));
        assert_eq!(BASE64.decode(out[CONTEXT].as_bytes()).unwrap(), br#"{"a":"b"}"#);
        let mut out = HeaderMap::new();
        describe(&status.without_context(), &mut out);
        assert!(!out.contains_key(CONTEXT));

        let mut out = HeaderMap::new();
        describe(&SseStatus::Customer { md5: Some([1; 16]) }, &mut out);
        assert_eq!(out[CUSTOMER_ALGORITHM], "AES256");
        assert_eq!(out[CUSTOMER_MD5].to_str().unwrap(), BASE64.encode([1; 16]));
        assert!(!out.contains_key(METHOD) && out.len() == 2);
    }
}
