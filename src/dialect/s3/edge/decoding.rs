//! From what a request's head signs and announces to the way its body is decoded.

use crate::dialect::body::Decoding;
use crate::identity::{AuthError, ChunkDecoder, ChunkSigner, Chunking, Payload, Sha256};

use super::EdgeError;

/// How the body of a verified request is decoded, and what it is held against.
pub(super) fn of(
    len: u64,
    payload: Payload,
    chunks: Option<ChunkSigner>,
    trailer: Option<String>,
) -> Result<Decoding, EdgeError> {
    let chunking = match payload {
        Payload::Hashed(hash) => return Ok(Decoding::Hashed(Sha256::new(), hash)),
        Payload::Unsigned => return Ok(Decoding::Plain),
        Payload::Chunked(chunking) => chunking,
    };
    let decoder = match (chunking, chunks, trailer) {
        (Chunking::Signed, Some(signer), None) => ChunkDecoder::signed(signer, len),
        (Chunking::SignedTrailer, Some(signer), Some(name)) => ChunkDecoder::signed_trailer(signer, &name, len),
        (Chunking::UnsignedTrailer, _, Some(name)) => ChunkDecoder::unsigned_trailer(&name, len),
        (Chunking::Signed | Chunking::SignedTrailer, None, _) => {
            return Err(AuthError::StreamingNotAllowed.into());
        }
        (Chunking::SignedTrailer | Chunking::UnsignedTrailer, _, None) => return Err(EdgeError::TrailerMissing),
        (Chunking::Signed, _, Some(name)) => return Err(EdgeError::TrailerUnsupported(name)),
    };
    Ok(Decoding::Chunked(Box::new(decoder)))
}
