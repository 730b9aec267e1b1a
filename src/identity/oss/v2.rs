//! Version 2, in the header only: V1's layout with HMAC-SHA256, the whole query, and headers of the client's choice.
//! Superseded by V4; SDKs still offer it.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/signature-version-2>

use aws_lc_rs::hmac;

use crate::identity::date::{is_skewed, millis};
use crate::types::AccessKeyId;

use super::canonical::{encoded_path, first_lines, headers, query};
use super::head::header_date;
use super::v1::claim;
use super::v4::{check_additional, components};
use super::{Asked, OssAuthError, OssFlaw, OssIdentified, Place, Scheme, Signed, lookup};

/// Verifies what follows `OSS2` in the `Authorization` header.
pub(super) fn verify_header(text: &str, asked: &Asked<'_>) -> Result<OssIdentified, OssAuthError> {
    let malformed = |flaw| OssAuthError::Malformed { place: Place::Header, flaw };
    let [key, listed, signature] =
        components(text, ':', ["AccessKeyId", "AdditionalHeaders", "Signature"]).map_err(malformed)?;
    let (Some(key), Some(signature)) = (key.filter(|key| !key.is_empty()), signature) else {
        return Err(malformed(OssFlaw::Components));
    };
    let additional = check_additional(listed, Place::Header, &asked.parts.headers)?;
    let key = AccessKeyId::new(key);
    let credential = lookup(asked.credentials, &key)?;
    let (date, line) = header_date(&asked.parts.headers)?;
    if is_skewed(&date, asked.now) {
        return Err(OssAuthError::TimeTooSkewed { request: date.seconds(), now: millis(asked.now) / 1000 });
    }
    let mut claimed = claim(Scheme::OssV2Header, key, signature);
    claimed.signature = claimed.signature.filter(|_| additional.all_there);
    let signing = hmac::Key::new(hmac::HMAC_SHA256, credential.secret().expose().as_bytes());
    asked.decide(claimed, &credential, &signing, |resource, to| {
        let mut text = first_lines(asked.parts, &line);
        text.extend_from_slice(&headers(asked.parts, asked.host, &[], &additional.names, to));
        text.extend_from_slice(listed.unwrap_or_default().as_bytes());
        text.push(b'\n');
        text.extend_from_slice(encoded_path(resource, false).as_bytes());
        let query = query(asked.query(), b"x-oss-signature", to);
        if !query.is_empty() {
            text.push(b'?');
            text.extend_from_slice(query.as_bytes());
        }
        Signed { string_to_sign: text, canonical_request: None }
    })
}
