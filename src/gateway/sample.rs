//! Never silently plaintext: of so many writes one is looked at again as it is stored, and must be ciphertext of the format.
//! It is a check of this program, not of the store: what a store does later is found out by whoever reads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt as _;

use crate::sse::{Aead, PartHeader, SseMode};
use crate::store::{CipherOffset, OpenObject};
use crate::types::{ObjectAt, VersionId};

use super::{Error, Gateway};

/// How much of a part is looked at, beside its header.
const LOOK: u64 = 16 << 10;
/// The most parts of one object that are looked at.
const PARTS: usize = 16;
/// Fewer bytes say too little.
const ENOUGH: usize = 1024;
/// What the chi-squared statistic of random bytes stays below: its mean is 255 and its deviation 22.6, so that one sample in
/// 10^30 is wrongly accused. Text comes to many thousands.
const LIMIT: f64 = 600.0;

/// Which writes are looked at, and who hears of those that are not ciphertext.
pub(super) struct Sampler {
    every: u64,
    writes: AtomicU64,
    suspect: Arc<dyn Fn() + Send + Sync>,
}

impl Sampler {
    fn is_due(&self) -> bool {
        self.every > 0 && self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every)
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self { every: 0, writes: AtomicU64::new(0), suspect: Arc::new(|| ()) }
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Looks at one write of `every` again (0: at none) and calls `suspect` for each that is not ciphertext.
    #[must_use]
    pub fn sampling(self, every: u64, suspect: impl Fn() + Send + Sync + 'static) -> Self {
        Self { sampler: Sampler { every, writes: AtomicU64::new(0), suspect: Arc::new(suspect) }, ..self }
    }

    /// Looks at what was just written, if its turn has come. The write is done: whatever comes out is for the operator.
    pub(super) async fn sample(&self, at: &ObjectAt, version: Option<&VersionId>) {
        if !self.sampler.is_due() {
            return;
        }
        let suspect = match self.is_ciphertext(at, version).await {
            Ok(good) => !good,
            Err(Error::Integrity(_)) => true,
            // Deleted since, or the store has no time for this: nothing was learnt.
            Err(error) => {
                tracing::debug!(%error, "a write could not be sampled");
                false
            }
        };
        if suspect {
            tracing::error!(bucket = %at.bucket, "a stored object is not ciphertext of the format");
            (self.sampler.suspect)();
        }
    }

    async fn is_ciphertext(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<bool, Error> {
        let (looked, open) = self.open(at, version).await?;
        if looked.envelope.mode() == SseMode::None {
            return Ok(true);
        }
        let layout = self.layout(&looked, open.as_ref()).await?;
        let count = layout.part_count();
        for (place, part) in layout.parts().enumerate().step_by((count / PARTS).max(1)) {
            let Some(span) = layout.part_span(place) else { return Ok(false) };
            let end = span.start.0.saturating_add(PartHeader::LEN as u64 + LOOK).min(span.end.0);
            let bytes = read(open.as_ref(), span.start, CipherOffset(end)).await?;
            let Some((header, sealed)) = bytes.split_first_chunk::<{ PartHeader::LEN }>() else { return Ok(false) };
            let header = PartHeader::parse(header).map_err(Error::Integrity)?;
            if header.aead == Aead::None || header.aead != layout.aead() || header.number != part.number {
                return Ok(false);
            }
            if !looks_random(sealed) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

async fn read(open: &dyn OpenObject, start: CipherOffset, end: CipherOffset) -> Result<Vec<u8>, Error> {
    let chunks: Vec<_> = open.read(start..end, 64 << 10).await?.try_collect().await?;
    Ok(chunks.concat())
}

/// Whether each byte is as frequent as every other, as far as chance allows. Too few bytes pass.
fn looks_random(bytes: &[u8]) -> bool {
    if bytes.len() < ENOUGH {
        return true;
    }
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    #[allow(clippy::cast_precision_loss, reason = "a few thousand bytes")]
    let expected = bytes.len() as f64 / 256.0;
    counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum::<f64>() < LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_pass_and_text_images_and_zeros_do_not() {
        for _ in 0..200 {
            let random: Vec<u8> = (0..256).flat_map(|_| crate::types::random::<16>().unwrap()).collect();
            assert!(looks_random(&random));
        }
        let text: Vec<u8> =
            b"the quick brown fox jumps over the lazy dog ".iter().copied().cycle().take(4096).collect();
        let ramp: Vec<u8> = (0..4096_u32).map(|n| u8::try_from(n / 64).unwrap()).collect();
        assert!(!looks_random(&text) && !looks_random(&ramp) && !looks_random(&[0; 4096]));
        assert!(looks_random(&text[..100]), "too few to tell");
    }
}
