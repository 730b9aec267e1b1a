//! What the encryption headers of a request ask for, and what those of an answer say.
//! <https://www.alibabacloud.com/help/en/oss/user-guide/server-side-encryption-8>
//!
//! An encryption header is never ignored: where an operation has no use for it, the request is refused.

mod headers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::dialect::customer_key::{CustomerHeaders, KeyFlaw};
use crate::kms::{EncryptionContext, KeyRef};
use crate::sse::{CustomerKey, DataCipher, SseRequest, SseStatus};

use super::face::Face;

pub(super) use headers::SseHeaders;

/// SSE-OSS: the service's own key, AES-256.
pub(super) const AES256: &str = "AES256";
/// SSE-KMS.
pub(super) const KMS: &str = "KMS";
/// SSE-OSS with SM4, and SM4 as the data cipher of SSE-KMS.
pub(super) const SM4: &str = "SM4";
/// The context pair that the gateway itself sets.
const ARN_PAIR: &str = "aws:s3:arn";

const METHOD: HeaderName = HeaderName::from_static("x-oss-server-side-encryption");
const KEY_ID: HeaderName = HeaderName::from_static("x-oss-server-side-encryption-key-id");
const DATA: HeaderName = HeaderName::from_static("x-oss-server-side-data-encryption");
const CONTEXT: HeaderName = HeaderName::from_static("x-oss-server-side-encryption-context");
const CUSTOMER_ALGORITHM: HeaderName = HeaderName::from_static("x-oss-server-side-encryption-customer-algorithm");
const CUSTOMER_MD5: HeaderName = HeaderName::from_static("x-oss-server-side-encryption-customer-key-md5");

/// Which encryption headers an operation takes. Customer keys are an extension: the service's own reference has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// None at all.
    Nothing,
    /// The customer key of the object that is read.
    Read,
    /// The customer key of the upload whose part (or completion) this is.
    Part,
    /// As `Part`, and the customer key of a copy's source.
    PartCopy,
    /// All headers of the object that is written.
    Write,
    /// As `Write`, and the customer key of a copy's source.
    WriteCopy,
    /// As `Write` for the append that makes an object, which takes no chosen CMK; none for those that go on.
    Append,
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

/// Parses the headers for an operation that takes `accepts`. `secure`: keys may travel on this connection.
pub(super) fn parse(headers: &SseHeaders, accepts: Accepts, secure: bool) -> Result<SseInput, Face> {
    if let Some(name) = &headers.malformed {
        return Err(Face::invalid_argument("The header is repeated, unknown or not text.").with("ArgumentName", name));
    }
    refuse_unused(headers, accepts)?;
    let mut input = SseInput { source: customer(&headers.source, secure)?, ..SseInput::default() };
    match accepts {
        Accepts::Nothing => {}
        Accepts::Read | Accepts::Part | Accepts::PartCopy => input.customer = customer(&headers.customer, secure)?,
        Accepts::Write | Accepts::WriteCopy => input.write = write(headers, secure)?,
        Accepts::Append => {
            input.write = write(headers, secure)?;
            if matches!(input.write, Some(SseRequest::Kms { key: Some(_), .. })) {
                return Err(Face::argument(
                    KEY_ID.as_str(),
                    headers.key_id.as_deref().unwrap_or_default(),
                    "An appendable object cannot be encrypted under a specified KMS key.",
                ));
            }
        }
    }
    Ok(input)
}

/// The refusal of a KMS-encrypted object on a connection that others can read.
pub(super) fn check_transport(secure: bool) -> Result<(), Face> {
    if secure { Ok(()) } else { Err(insecure("KMS managed keys")) }
}

fn insecure(what: &str) -> Face {
    Face::bad(
        "InvalidRequest",
        format!(
            "Requests specifying Server Side Encryption with {what} must be made over a secure connection. Use https, or \
             let the operator configure a trusted proxy or allow_insecure_sse."
        ),
    )
}

fn refuse_unused(headers: &SseHeaders, accepts: Accepts) -> Result<(), Face> {
    let takes_source = matches!(accepts, Accepts::PartCopy | Accepts::WriteCopy);
    if headers.source.any() && !takes_source {
        return Err(unsupported(&HeaderName::from_static("x-oss-copy-source-server-side-encryption-customer-key"), ""));
    }
    if headers.customer.any() && accepts == Accepts::Nothing {
        return Err(unsupported(&CUSTOMER_ALGORITHM, ""));
    }
    if matches!(accepts, Accepts::Write | Accepts::WriteCopy | Accepts::Append) {
        return Ok(());
    }
    let write_only =
        [(&headers.method, METHOD), (&headers.key_id, KEY_ID), (&headers.data, DATA), (&headers.context, CONTEXT)];
    match write_only.into_iter().find(|(value, _)| value.is_some()) {
        None => Ok(()),
        Some((value, name)) => Err(unsupported(&name, value.as_deref().unwrap_or_default())),
    }
}

/// EC 0005-00000002.
fn unsupported(name: &HeaderName, value: &str) -> Face {
    Face::argument(name.as_str(), value, format!("{name} header is not supported for this operation."))
}

fn write(headers: &SseHeaders, secure: bool) -> Result<Option<SseRequest>, Face> {
    let beside = [(&headers.key_id, KEY_ID), (&headers.data, DATA), (&headers.context, CONTEXT)];
    let beside = beside.into_iter().find_map(|(value, name)| value.as_deref().map(|value| (name, value)));
    if headers.customer.any() {
        if headers.method.is_some() || beside.is_some() {
            return Err(Face::invalid_argument(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified.",
            ));
        }
        return Ok(customer(&headers.customer, secure)?.map(SseRequest::Customer));
    }
    let cipher = match headers.method.as_deref() {
        Some(KMS) => return kms(headers, secure).map(Some),
        Some(AES256) => Some(DataCipher::Aes256),
        Some(SM4) => Some(DataCipher::Sm4),
        None => None,
        Some(_) => return Err(bad_algorithm()),
    };
    match (cipher, beside) {
        (_, Some((name, value))) => Err(Face::argument(name.as_str(), value, needs_kms(&name))),
        (cipher, None) => Ok(cipher.map(|cipher| SseRequest::S3 { cipher })),
    }
}

/// The refusal of an algorithm that is none of ours (EC 0005-00000003).
pub(super) fn bad_algorithm() -> Face {
    Face::bad(
        "InvalidEncryptionAlgorithmError",
        "The Encryption request you specified is not valid. Supported value: AES256/SM4/KMS.",
    )
}

fn needs_kms(name: &HeaderName) -> String {
    if *name == KEY_ID {
        "KMSMasterKeyID is not applicable if the default sse algorithm is not KMS.".to_owned()
    } else {
        format!("{name} is not applicable if the sse algorithm is not KMS.")
    }
}

fn kms(headers: &SseHeaders, secure: bool) -> Result<SseRequest, Face> {
    check_transport(secure)?;
    if headers.key_id.as_deref().is_some_and(|id| id.trim().is_empty()) {
        return Err(Face::argument(KEY_ID.as_str(), "", "The specified KMS keyId must not be empty."));
    }
    let cipher = match headers.data.as_deref() {
        None => DataCipher::Aes256,
        Some(SM4) => DataCipher::Sm4,
        Some(_) => {
            return Err(Face::bad(
                "InvalidDataEncryptionAlgorithmError",
                "The data encryption algorithm you specified is not valid. Supported value: SM4.",
            ));
        }
    };
    let context = match (&headers.context, &headers.key_id) {
        (None, _) => None,
        (Some(text), None) => {
            return Err(Face::argument(CONTEXT.as_str(), text, "An encryption context needs a specified KMS key."));
        }
        (Some(text), Some(_)) => Some(context(text)?),
    };
    Ok(SseRequest::Kms { key: headers.key_id.clone().map(KeyRef), context, bucket_key: false, cipher })
}

/// The context is JSON as it is, unlike S3's.
fn context(text: &str) -> Result<EncryptionContext, Face> {
    let bad = |why: &str| Face::argument(CONTEXT.as_str(), text, why.to_owned());
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| bad("The encryption context must be a JSON object of texts."))?;
    if pairs.contains_key(ARN_PAIR) {
        return Err(bad("The encryption context must not contain the key aws:s3:arn."));
    }
    Ok(EncryptionContext(pairs))
}

fn customer(headers: &CustomerHeaders, secure: bool) -> Result<Option<CustomerKey>, Face> {
    let must = |what: &str| {
        Face::invalid_argument(format!(
            "Requests specifying Server Side Encryption with Customer provided keys must provide {what}"
        ))
    };
    if headers.any() && !secure {
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
        KeyFlaw::NotAKey => Face::invalid_argument("The secret key was invalid for the specified algorithm."),
    })
}

/// Adds what an answer says of an object's encryption. The customer key itself and the context never go out.
pub(super) fn describe(status: &SseStatus, out: &mut HeaderMap) {
    match status {
        SseStatus::S3 { cipher } => {
            out.insert(METHOD, HeaderValue::from_static(method_of(*cipher)));
        }
        SseStatus::Kms { key, context: _, bucket_key: _, cipher } => {
            out.insert(METHOD, HeaderValue::from_static(KMS));
            out.extend(HeaderValue::try_from(key_id(&key.0)).ok().map(|value| (KEY_ID, value)));
            out.extend(data_encryption(*cipher).map(|word| (DATA, HeaderValue::from_static(word))));
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

/// The word for SSE-OSS with a data cipher.
pub(super) fn method_of(cipher: DataCipher) -> &'static str {
    match cipher {
        DataCipher::Aes256 => AES256,
        DataCipher::Sm4 => SM4,
    }
}

/// The word for the data cipher of SSE-KMS; AES-256 needs none.
pub(super) fn data_encryption(cipher: DataCipher) -> Option<&'static str> {
    match cipher {
        DataCipher::Aes256 => None,
        DataCipher::Sm4 => Some(SM4),
    }
}

/// OSS names a CMK by its bare id, where S3 shows the ARN.
fn key_id(arn: &str) -> &str {
    arn.rsplit_once(":key/").map_or(arn, |(_, id)| id)
}
