//! The chain of chunk signatures: each is over the one before it, the first over the request's own.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::identity::mac::{Signature, compare, hmac_sha256, sha256};

/// Verifies the chunks and the trailer of one request, in their order.
pub struct ChunkSigner {
    key: Arc<hmac::Key>,
    /// `yyyymmddThhmmssZ LF day/region/service/aws4_request`, as in the request's own string to sign.
    head: String,
    previous: Signature,
}

impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkSigner")
    }
}

impl ChunkSigner {
    /// A chain that starts at the signature of the request (`seed`).
    pub(in crate::identity) fn new(key: Arc<hmac::Key>, stamp: &str, scope: &str, seed: Signature) -> Self {
        Self { key, head: format!("{stamp}\n{scope}"), previous: seed }
    }

    /// Whether `given` is the signature of the next chunk, whose data has this SHA-256.
    pub(super) fn verify_chunk(&mut self, hash: &[u8; 32], given: &Signature) -> bool {
        let signed = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}",
            self.head,
            self.previous.to_hex(),
            hex::encode(sha256(b"")),
            hex::encode(hash)
        );
        self.verify(&signed, given)
    }

    /// Whether `given` is the signature of the trailer, whose lines `name:value LF` have this SHA-256.
    pub(super) fn verify_trailer(&mut self, hash: &[u8; 32], given: &Signature) -> bool {
        let previous = self.previous.to_hex();
        let signed = format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{previous}\n{}", self.head, hex::encode(hash));
        self.verify(&signed, given)
    }

    fn verify(&mut self, signed: &str, given: &Signature) -> bool {
        let computed = hmac_sha256(&self.key, signed.as_bytes());
        let right = compare(&computed, given.as_bytes()).is_some();
        self.previous = Signature::of(computed);
        right
    }
}
