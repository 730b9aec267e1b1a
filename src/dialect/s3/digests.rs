//! Declared digests and checksums: the headers of a request, the check of a small XML body, the headers of an answer.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use crate::gateway::{Checksum, ChecksumAlgorithm, ChecksumKind, DeclaredDigests, Error};

use super::error::Face;

/// Every algorithm with its header and the name that S3 gives it.
const ALGORITHMS: [(ChecksumAlgorithm, &str, &str); 5] = [
    (ChecksumAlgorithm::Crc32, "x-amz-checksum-crc32", "CRC32"),
    (ChecksumAlgorithm::Crc32c, "x-amz-checksum-crc32c", "CRC32C"),
    (ChecksumAlgorithm::Crc64Nvme, "x-amz-checksum-crc64nvme", "CRC64NVME"),
    (ChecksumAlgorithm::Sha1, "x-amz-checksum-sha1", "SHA1"),
    (ChecksumAlgorithm::Sha256, "x-amz-checksum-sha256", "SHA256"),
];

const TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

/// S3's name of an algorithm.
pub(super) fn name_of(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "CRC32",
        ChecksumAlgorithm::Crc32c => "CRC32C",
        ChecksumAlgorithm::Crc64Nvme => "CRC64NVME",
        ChecksumAlgorithm::Sha1 => "SHA1",
        ChecksumAlgorithm::Sha256 => "SHA256",
    }
}

/// S3's name of a kind.
pub(super) fn kind_name(kind: ChecksumKind) -> &'static str {
    match kind {
        ChecksumKind::Composite => "COMPOSITE",
        ChecksumKind::FullObject => "FULL_OBJECT",
    }
}

fn length(algorithm: ChecksumAlgorithm) -> usize {
    match algorithm {
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => 4,
        ChecksumAlgorithm::Crc64Nvme => 8,
        ChecksumAlgorithm::Sha1 => 20,
        ChecksumAlgorithm::Sha256 => 32,
    }
}

fn header_of(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "x-amz-checksum-crc32",
        ChecksumAlgorithm::Crc32c => "x-amz-checksum-crc32c",
        ChecksumAlgorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        ChecksumAlgorithm::Sha1 => "x-amz-checksum-sha1",
        ChecksumAlgorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

fn by_header(name: &str) -> Option<ChecksumAlgorithm> {
    ALGORITHMS.iter().find(|(_, header, _)| header.eq_ignore_ascii_case(name)).map(|(algorithm, _, _)| *algorithm)
}

fn by_name(name: &str) -> Option<ChecksumAlgorithm> {
    ALGORITHMS.iter().find(|(_, _, known)| known.eq_ignore_ascii_case(name)).map(|(algorithm, _, _)| *algorithm)
}

/// Decodes a checksum value in base64; `None` when it is not one of this algorithm.
pub(super) fn decode(algorithm: ChecksumAlgorithm, text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok().filter(|bytes| bytes.len() == length(algorithm))
}

/// What a request declares of its body. `trailing` is the header that the edge found announced in `x-amz-trailer`.
pub(super) fn declared(headers: &HeaderMap, trailing: Option<&str>) -> Result<DeclaredDigests, Face> {
    let checksum = checksum_header(headers)?;
    let trailing = match trailing {
        None => None,
        Some(name) => Some(by_header(name).ok_or_else(|| {
            Face::invalid_request(format!("The value specified in the x-amz-trailer header is not supported: {name}"))
        })?),
    };
    let named = algorithm_header(headers, "x-amz-sdk-checksum-algorithm")?;
    let carried = checksum.as_ref().map(|(algorithm, _)| *algorithm).or(trailing);
    if checksum.is_some() && trailing.is_some() {
        return Err(Face::invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    if named.is_some() && carried.is_some() && named != carried {
        return Err(Face::invalid_request(
            "Value for x-amz-sdk-checksum-algorithm header is invalid: the checksum that was sent is another one.",
        ));
    }
    let compute = if carried.is_some() { None } else { named };
    Ok(DeclaredDigests { md5: content_md5(headers)?, checksum, trailing, compute })
}

/// The one checksum header of a request.
pub(super) fn checksum_header(headers: &HeaderMap) -> Result<Option<(ChecksumAlgorithm, Vec<u8>)>, Face> {
    let mut found = None;
    for (name, value) in headers {
        let name = name.as_str();
        let Some(suffix) = name.strip_prefix("x-amz-checksum-") else { continue };
        if matches!(suffix, "algorithm" | "mode" | "type") {
            continue;
        }
        let algorithm = by_header(name)
            .ok_or_else(|| Face::invalid_request(format!("The algorithm of the header {name} is not supported.")))?;
        let bytes = value
            .to_str()
            .ok()
            .and_then(|text| decode(algorithm, text))
            .ok_or_else(|| Face::invalid_request(format!("Value for {name} header is invalid.")))?;
        if found.replace((algorithm, bytes)).is_some() {
            return Err(Face::invalid_request(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
    }
    Ok(found)
}

/// An algorithm named by a header.
pub(super) fn algorithm_header(headers: &HeaderMap, name: &str) -> Result<Option<ChecksumAlgorithm>, Face> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().ok().and_then(by_name).map(Some).ok_or_else(|| {
        Face::invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid \
                               types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    })
}

/// The checksum that an upload's parts and object are to have.
pub(super) fn upload_checksum(headers: &HeaderMap) -> Result<Option<(ChecksumAlgorithm, ChecksumKind)>, Face> {
    let algorithm = algorithm_header(headers, "x-amz-checksum-algorithm")?;
    let kind = checksum_type(headers)?;
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(Face::invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
        };
    };
    // CRC64NVME has no composite form, and the SHA family no full-object form.
    let only = match algorithm {
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => None,
        ChecksumAlgorithm::Crc64Nvme => Some(ChecksumKind::FullObject),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => Some(ChecksumKind::Composite),
    };
    match (kind, only) {
        (Some(asked), Some(only)) if asked != only => Err(Face::invalid_request(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind_name(asked),
            name_of(algorithm)
        ))),
        (asked, only) => Ok(Some((algorithm, asked.or(only).unwrap_or(ChecksumKind::Composite)))),
    }
}

fn checksum_type(headers: &HeaderMap) -> Result<Option<ChecksumKind>, Face> {
    match headers.get(TYPE).map(HeaderValue::as_bytes) {
        None => Ok(None),
        Some(b"COMPOSITE") => Ok(Some(ChecksumKind::Composite)),
        Some(b"FULL_OBJECT") => Ok(Some(ChecksumKind::FullObject)),
        Some(_) => Err(Face::invalid_request("Value for x-amz-checksum-type header is invalid.")),
    }
}

fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, Face> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let decoded = BASE64.decode(value.as_bytes()).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    decoded.map(Some).ok_or_else(|| Face::bad("InvalidDigest", "The Content-MD5 you specified is not valid."))
}

/// Checks a small body that is all there against what was declared of it. `trailer` is the trailing checksum's value.
pub(super) fn verify_whole(body: &[u8], declared: &DeclaredDigests, trailer: Option<&str>) -> Result<(), Error> {
    if let Some(md5) = declared.md5
        && !bool::from(md5.as_slice().ct_eq(Md5::digest(body).as_slice()))
    {
        return Err(Error::BadDigest("Content-MD5"));
    }
    if let Some((algorithm, value)) = &declared.checksum {
        compare(body, *algorithm, value)?;
    }
    if let Some(algorithm) = declared.trailing {
        let value = trailer.and_then(|text| decode(algorithm, text)).ok_or(Error::InvalidDigest(algorithm.header()))?;
        compare(body, algorithm, &value)?;
    }
    Ok(())
}

fn compare(body: &[u8], algorithm: ChecksumAlgorithm, value: &[u8]) -> Result<(), Error> {
    let computed = compute(body, algorithm);
    if bool::from(computed.as_slice().ct_eq(value)) { Ok(()) } else { Err(Error::BadDigest(name_of(algorithm))) }
}

fn compute(body: &[u8], algorithm: ChecksumAlgorithm) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
    match algorithm {
        ChecksumAlgorithm::Crc32 => crc_fast::crc32_iso_hdlc(body).to_be_bytes().to_vec(),
        ChecksumAlgorithm::Crc32c => crc_fast::crc32_iscsi(body).to_be_bytes().to_vec(),
        ChecksumAlgorithm::Crc64Nvme => crc_fast::crc64_nvme(body).to_be_bytes().to_vec(),
        ChecksumAlgorithm::Sha1 => digest(&SHA1_FOR_LEGACY_USE_ONLY, body).as_ref().to_vec(),
        ChecksumAlgorithm::Sha256 => digest(&SHA256, body).as_ref().to_vec(),
    }
}

/// A checksum as headers and XML write it. A composite one carries its number of parts where that is known.
pub(super) fn text(checksum: &Checksum, parts: Option<u32>) -> String {
    let value = BASE64.encode(&checksum.value);
    match (checksum.kind, parts) {
        (ChecksumKind::Composite, Some(parts)) => format!("{value}-{parts}"),
        (ChecksumKind::Composite, None) | (ChecksumKind::FullObject, _) => value,
    }
}

/// Adds the headers of checksums to an answer.
pub(super) fn describe(checksums: &[Checksum], parts: Option<u32>, out: &mut HeaderMap) {
    for checksum in checksums {
        if let Ok(value) = HeaderValue::try_from(text(checksum, parts)) {
            out.insert(HeaderName::from_static(header_of(checksum.algorithm)), value);
            out.insert(TYPE, HeaderValue::from_static(kind_name(checksum.kind)));
        }
    }
}

/// The five checksum fields that many of S3's XML types have.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64nvme: Option<String>,
    pub(super) sha1: Option<String>,
    pub(super) sha256: Option<String>,
}

impl Fields {
    /// The fields of an answer.
    pub(super) fn of(checksum: Option<&Checksum>, parts: Option<u32>) -> Self {
        let mut fields = Self::default();
        if let Some(checksum) = checksum {
            let slot = match checksum.algorithm {
                ChecksumAlgorithm::Crc32 => &mut fields.crc32,
                ChecksumAlgorithm::Crc32c => &mut fields.crc32c,
                ChecksumAlgorithm::Crc64Nvme => &mut fields.crc64nvme,
                ChecksumAlgorithm::Sha1 => &mut fields.sha1,
                ChecksumAlgorithm::Sha256 => &mut fields.sha256,
            };
            *slot = Some(text(checksum, parts));
        }
        fields
    }

    /// The one checksum among the fields of a request.
    pub(super) fn parse(self) -> Result<Option<(ChecksumAlgorithm, Vec<u8>)>, Face> {
        let fields = [
            (ChecksumAlgorithm::Crc32, self.crc32),
            (ChecksumAlgorithm::Crc32c, self.crc32c),
            (ChecksumAlgorithm::Crc64Nvme, self.crc64nvme),
            (ChecksumAlgorithm::Sha1, self.sha1),
            (ChecksumAlgorithm::Sha256, self.sha256),
        ];
        let mut found = None;
        for (algorithm, value) in fields {
            let Some(value) = value else { continue };
            let bytes = decode(algorithm, &value).ok_or_else(|| {
                Face::invalid_request(format!("Value for the {} checksum is invalid.", name_of(algorithm)))
            })?;
            if found.replace((algorithm, bytes)).is_some() {
                return Err(Face::invalid_request("Expecting a single checksum for each part."));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
            .collect()
    }

    #[test]
    fn checksum_headers_are_decoded_and_only_one_is_allowed() {
        let one = declared(&headers(&[("x-amz-checksum-crc32", "y/U6Jg==")]), None).unwrap();
        assert_eq!(one.checksum, Some((ChecksumAlgorithm::Crc32, vec![0xcb, 0xf5, 0x3a, 0x26])));
        let two = [("x-amz-checksum-crc32", "y/U6Jg=="), ("x-amz-checksum-crc32c", "y/U6Jg==")];
        assert_eq!(declared(&headers(&two), None).unwrap_err().code, "InvalidRequest");
        for bad in [("x-amz-checksum-crc32", "y/U6"), ("x-amz-checksum-md9", "y/U6Jg==")] {
            assert_eq!(declared(&headers(&[bad]), None).unwrap_err().code, "InvalidRequest", "{bad:?}");
        }
        let with_trailer = declared(&headers(&[two[0]]), Some("x-amz-checksum-crc32"));
        assert_eq!(with_trailer.unwrap_err().code, "InvalidRequest");
    }

    #[test]
    fn a_malformed_content_md5_is_an_invalid_digest() {
        assert!(declared(&headers(&[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")]), None).unwrap().md5.is_some());
        for bad in ["", "junk", "AAAA"] {
            assert_eq!(declared(&headers(&[("content-md5", bad)]), None).unwrap_err().code, "InvalidDigest", "{bad}");
        }
    }

    #[test]
    fn a_named_algorithm_is_computed_unless_a_value_comes() {
        let alone = declared(&headers(&[("x-amz-sdk-checksum-algorithm", "SHA256")]), None).unwrap();
        assert_eq!(alone.compute, Some(ChecksumAlgorithm::Sha256));
        let trailing =
            declared(&headers(&[("x-amz-sdk-checksum-algorithm", "CRC64NVME")]), Some("x-amz-checksum-crc64nvme"))
                .unwrap();
        assert_eq!((trailing.trailing, trailing.compute), (Some(ChecksumAlgorithm::Crc64Nvme), None));
        let other = declared(&headers(&[("x-amz-sdk-checksum-algorithm", "SHA1")]), Some("x-amz-checksum-crc32"));
        assert_eq!(other.unwrap_err().code, "InvalidRequest");
        assert!(declared(&headers(&[("x-amz-sdk-checksum-algorithm", "ROT13")]), None).is_err());
    }

    #[test]
    fn whole_bodies_are_verified_by_every_algorithm() {
        let table = [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ];
        for (algorithm, value) in table {
            let value = hex::decode(value).unwrap();
            let declared = DeclaredDigests { checksum: Some((algorithm, value.clone())), ..Default::default() };
            assert!(verify_whole(b"123456789", &declared, None).is_ok(), "{algorithm:?}");
            assert!(matches!(verify_whole(b"12345678", &declared, None), Err(Error::BadDigest(_))));
            let trailing = DeclaredDigests { trailing: Some(algorithm), ..Default::default() };
            assert!(verify_whole(b"123456789", &trailing, Some(&BASE64.encode(value))).is_ok());
            assert!(verify_whole(b"123456789", &trailing, None).is_err());
        }
        let md5 = DeclaredDigests { md5: Some([0; 16]), ..Default::default() };
        assert!(matches!(verify_whole(b"", &md5, None), Err(Error::BadDigest("Content-MD5"))));
    }

    #[test]
    fn an_uploads_checksum_has_the_kind_that_its_algorithm_allows() {
        let ask = |algorithm, kind: Option<&str>| {
            let mut map = headers(&[("x-amz-checksum-algorithm", algorithm)]);
            if let Some(kind) = kind {
                map.insert(TYPE, HeaderValue::from_str(kind).unwrap());
            }
            upload_checksum(&map).map(|found| found.unwrap().1)
        };
        assert_eq!(ask("CRC32", None), Ok(ChecksumKind::Composite));
        assert_eq!(ask("CRC32C", Some("FULL_OBJECT")), Ok(ChecksumKind::FullObject));
        assert_eq!(ask("CRC64NVME", None), Ok(ChecksumKind::FullObject));
        assert!(ask("CRC64NVME", Some("COMPOSITE")).is_err());
        assert!(ask("SHA256", Some("FULL_OBJECT")).is_err());
        assert!(ask("CRC32", Some("HALF")).is_err());
        assert!(upload_checksum(&headers(&[("x-amz-checksum-type", "COMPOSITE")])).is_err());
    }
}
