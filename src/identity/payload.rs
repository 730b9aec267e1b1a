//! What a request says of its payload: the values of `x-amz-content-sha256`.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>

use super::chunked::Chunking;
use super::error::AuthError;

/// How a payload is to be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Framed in chunks (`aws-chunked`), each verified as the mode says.
    Chunked(Chunking),
    /// Its SHA-256 is part of what was signed.
    Hashed([u8; 32]),
    /// Not covered by the signature.
    Unsigned,
}

pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

impl Payload {
    /// Reads the value of `x-amz-content-sha256`.
    pub(super) fn parse(text: &str) -> Result<Self, AuthError> {
        let mut hash = [0; 32];
        match text {
            UNSIGNED => Ok(Self::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::Chunked(Chunking::Signed)),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::Chunked(Chunking::SignedTrailer)),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::Chunked(Chunking::UnsignedTrailer)),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Err(AuthError::ContentHashUnsupported(text.to_owned()))
            }
            _ if hex::decode_to_slice(text, &mut hash).is_ok() => Ok(Self::Hashed(hash)),
            _ => Err(AuthError::ContentHashInvalid(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_forms_and_nothing_else() {
        assert_eq!(Payload::parse(&"0a".repeat(32)), Ok(Payload::Hashed([10; 32])));
        assert_eq!(Payload::parse(UNSIGNED), Ok(Payload::Unsigned));
        for (text, mode) in [
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Chunking::Signed),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Chunking::SignedTrailer),
            ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Chunking::UnsignedTrailer),
        ] {
            assert_eq!(Payload::parse(text), Ok(Payload::Chunked(mode)));
        }
        for bad in ["", "unsigned-payload", "UNSIGNED-PAYLOAD ", "STREAMING-UNSIGNED-PAYLOAD", &"0a".repeat(31)] {
            assert_eq!(Payload::parse(bad), Err(AuthError::ContentHashInvalid(bad.to_owned())));
        }
        let ecdsa = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
        assert!(matches!(Payload::parse(ecdsa), Err(AuthError::ContentHashUnsupported(_))));
    }
}
