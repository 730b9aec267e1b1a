//! OSS's AppendObject: an object that grows at its end. Each append is a part of its own, with a key of its own, under the
//! object's data key; a new manifest pins what the object is now.
//!
//! So that many small appends make neither as many parts nor a manifest that grows with them, an append takes the last
//! parts into its own where they are small beside it ([`staying`]): their plaintext is opened and sealed again together
//! with the new bytes. Parts that stay are not touched.
//!
//! See <https://www.alibabacloud.com/help/en/oss/developer-reference/appendobject>.

use crate::identity::{Action, Requester};
use crate::kms::DataKey;
use crate::sse::{
    Aead, Attributes, CustomerKey, Digests, Layout, ObjectKind, PartSealer, SealedPart, SegmentSize, SseRequest,
    manifest,
};
use crate::store::{self, Bucket, CipherOffset, Commit, Growth, OpenObject, Precondition, StoredObject};
use crate::types::{ObjectAt, PartNumber};

use super::acl::check_acl;
use super::bucket::check_customer_allowed;
use super::digest::{Digester, combine_crc64};
use super::opened::{Looked, check_customer_key, shown_version};
use super::put::{ObjectWrite, check_size, state_etag};
use super::transfer::{Intake, Sealed, Sink, seal_behind};
use super::{AppendRequest, Appended, DeclaredDigests, Error, Gateway, MAX_SINGLE_UPLOAD, PlainOut, Written};

/// A part of more bytes is never sealed again by a later append. It bounds what one append may have to do (twice this, as
/// the parts taken in are of ever half the size) and how many parts there are: of an object of 5 GiB, the most that OSS
/// lets one grow to, 320 and some small ones at its end.
const SETTLED: u64 = 16 << 20;

/// An append whose object was looked at.
struct Appending {
    at: ObjectAt,
    bucket: Bucket,
    customer: Option<CustomerKey>,
    digests: DeclaredDigests,
    looked: Looked,
    open: Box<dyn OpenObject>,
}

/// What becomes of the parts that are there.
struct Plan {
    /// The parts that stay as they are.
    stay: Vec<SealedPart>,
    /// Where their ciphertext ends.
    keep: CipherOffset,
    /// Where their plaintext ends: what lies behind is sealed again.
    from: u64,
    /// The number of the new part.
    number: PartNumber,
}

impl Gateway {
    /// Appends bytes to an object, or makes it with them. When this returns `Ok` they are durable; otherwise the object is
    /// as it was. Of several appends at one position one is made. Only the current version grows, and no other is kept of
    /// it.
    ///
    /// # Errors
    /// [`Error::PositionMismatch`] when the position is not the object's end, or no longer at the commit;
    /// [`Error::NotAppendable`] for an object that was not made by an append; [`Error::Conflict`] when only its metadata
    /// was changed meanwhile; and as reading and writing an object.
    pub async fn append(&self, caller: &Requester, request: AppendRequest) -> Result<Appended, Error> {
        self.alarm.heed(self.appended(caller, request).await)
    }

    async fn appended(&self, caller: &Requester, request: AppendRequest) -> Result<Appended, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        self.precondition(&request.at, &request.conditions).await?;
        let (looked, open) = match self.open(&request.at, None).await {
            Ok(opened) => opened,
            Err(Error::NoSuchKey | Error::DeleteMarker { .. }) => return self.begin(caller, bucket, request).await,
            Err(other) => return Err(other),
        };
        check_end(&looked, request.position)?;
        let customer = match request.sse {
            Some(SseRequest::Customer(key)) => Some(key),
            Some(SseRequest::S3 { .. } | SseRequest::Kms { .. }) | None => None,
        };
        check_customer_allowed(&bucket, customer.as_ref())?;
        check_customer_key(&looked.envelope, customer.as_ref())?;
        let appending = Appending { at: request.at, bucket, customer, digests: request.digests, looked, open };
        self.grow(caller, appending, request.body.into()).await
    }

    /// The first append makes the object.
    async fn begin(&self, caller: &Requester, bucket: Bucket, request: AppendRequest) -> Result<Appended, Error> {
        if request.position != 0 {
            return Err(Error::PositionMismatch { next: 0 });
        }
        check_acl(&bucket, request.headers.acl)?;
        let write = ObjectWrite {
            choice: self.choose(&bucket, request.sse)?,
            at: request.at.clone(),
            headers: request.headers,
            digests: request.digests,
            precondition: Precondition::Absent,
            kind: ObjectKind::Appendable,
            target: None,
            bucket,
        };
        match self.write_object(caller, write, request.body.into()).await {
            // Somebody else made it meanwhile. Whoever asked for there being none is told so.
            Err(Error::PreconditionFailed(_)) if !request.conditions.concern_writes() => {
                Err(self.overtaken(&request.at, 0).await)
            }
            Err(other) => Err(other),
            Ok(written) => Ok(Appended { next: written.size, written }),
        }
    }

    async fn grow(&self, caller: &Requester, mut appending: Appending, body: Intake) -> Result<Appended, Error> {
        let (body, more) = body.look_ahead().await?;
        let before = appending.len();
        check_size(before.saturating_add(more))?;
        let digester = Digester::new(std::mem::take(&mut appending.digests), false);
        if more == 0 {
            // Nothing is added, so nothing changes; what was declared of nothing must hold all the same.
            digester.finish(body.trailers.as_ref())?;
            return Ok(appending.unchanged());
        }
        let Appending { at, looked, open, .. } = &appending;
        let data_key = self.data_key(caller, at, &looked.envelope, appending.customer.as_ref()).await?;
        let layout = self.layout(looked, open.as_ref()).await?;
        let plan = Plan::new(&layout, more)?;
        let again = before.saturating_sub(plan.from);
        let before_it: PlainOut = match again {
            0 => Intake::nothing().stream,
            len => self.plaintext_in(&layout, looked, open.as_ref(), &data_key, Some((plan.from, len))).await?,
        };
        let (aead, size) = (layout.aead(), layout.segment_size());
        let sealer = PartSealer::new(&data_key, plan.number, aead, size)?.expecting(again.saturating_add(more));
        let mut sink = self.growing(&appending, plan.keep).await?;
        let sealed = seal_behind(before_it, body, sealer, digester, &mut sink).await?;
        self.end_append(appending, plan, (aead, size), &data_key, sealed, sink).await
    }

    /// Where what replaces the end of the object's body goes.
    async fn growing(&self, appending: &Appending, keep: CipherOffset) -> Result<Sink, Error> {
        let Appending { at, looked, .. } = appending;
        let (mut metadata, mut envelope) = (looked.object.metadata.clone(), looked.envelope.clone());
        if envelope.etag.take().is_some() {
            // It was the ETag of a copy; what the object is now has its own, in the manifest.
            self.keys.bind(at, &mut metadata, &envelope)?;
        }
        match self.store.append(at, Growth { was: looked.object.tag.clone(), keep, metadata }).await {
            Err(store::Error::Changed) => Err(self.overtaken(at, appending.len()).await),
            started => Ok(Sink::Object(started?)),
        }
    }

    /// Pins the parts that stay and the new one in a manifest, and commits.
    async fn end_append(
        &self,
        appending: Appending,
        plan: Plan,
        seal: (Aead, SegmentSize),
        data_key: &DataKey,
        sealed: Sealed,
        mut sink: Sink,
    ) -> Result<Appended, Error> {
        let Sealed { part, digests, mut rest } = sealed;
        let Appending { at, looked, .. } = &appending;
        let size = plan.from.saturating_add(part.plain_len);
        check_size(size)?;
        let added = size.saturating_sub(appending.len());
        let mut parts = plan.stay;
        parts.push(part);
        let attributes = Attributes {
            object: looked.envelope.object,
            etag: state_etag()?,
            crc64: looked.summary.crc64.map(|whole| combine_crc64(whole, digests.crc64, added)),
            kind: ObjectKind::Appendable,
            parts,
        };
        let manifest = manifest::seal(&attributes, &Digests::default(), seal, data_key, self.keys.attribute_key())?;
        rest.extend_from_slice(&manifest);
        sink.take(rest.freeze()).await?;
        let summary = self.summary_of(at, &attributes, seal, manifest.len())?;
        let stored = match sink.commit_object(Commit { summary, ..Commit::default() }).await {
            Err(store::Error::Changed) => return Err(self.overtaken(at, appending.len()).await),
            committed => committed?,
        };
        self.sample(at, Some(&stored.version)).await;
        Ok(appending.answer(&stored, attributes.etag, attributes.crc64, size))
    }

    /// What to say when the object was changed between a look and a commit.
    async fn overtaken(&self, at: &ObjectAt, position: u64) -> Error {
        match self.look(at, None).await {
            // The object ends where the append thought: its tags or its ACL were changed.
            Ok(looked) => check_end(&looked, position).err().unwrap_or(Error::Conflict),
            Err(Error::NoSuchKey | Error::DeleteMarker { .. }) => Error::PositionMismatch { next: 0 },
            Err(other) => other,
        }
    }
}

/// Whether bytes at a position would be appended.
fn check_end(looked: &Looked, position: u64) -> Result<(), Error> {
    if looked.summary.kind != ObjectKind::Appendable {
        return Err(Error::NotAppendable);
    }
    let next = looked.summary.plain_len.0;
    if position == next { Ok(()) } else { Err(Error::PositionMismatch { next }) }
}

impl Appending {
    /// How long the object was.
    fn len(&self) -> u64 {
        self.looked.summary.plain_len.0
    }

    fn unchanged(&self) -> Appended {
        self.answer(&self.looked.object, self.looked.etag(), self.looked.summary.crc64, self.len())
    }

    fn answer(&self, stored: &StoredObject, etag: String, crc64: Option<u64>, size: u64) -> Appended {
        let written = Written {
            etag,
            version: shown_version(&self.bucket, &stored.version),
            modified: stored.modified,
            sse: self.looked.envelope.status(self.customer.as_ref()).without_context(),
            checksum: None,
            crc64,
            size,
            source_version: None,
        };
        Appended { written, next: size }
    }
}

impl Plan {
    fn new(layout: &Layout, more: u64) -> Result<Self, Error> {
        let parts: Vec<SealedPart> = layout.parts().copied().collect();
        let stay = staying(&parts, more);
        let stay: Vec<SealedPart> = parts.into_iter().take(stay).collect();
        let number = stay.last().map_or(Ok(PartNumber::FIRST), |last| PartNumber::try_from(last.number.get() + 1));
        Ok(Self {
            keep: layout.part_span(stay.len()).map_or_else(|| layout.manifest_start(), |next| next.start),
            from: stay.iter().fold(0, |sum, part| sum.saturating_add(part.plain_len)),
            number: number.map_err(|_| Error::TooLarge { maximum: MAX_SINGLE_UPLOAD })?,
            stay,
        })
    }
}

/// How many of these parts stay as they are when `more` bytes are appended: a part is taken in that is less than twice as
/// long as all that would come with it, unless it is settled. So each of the last parts is at least twice as long as what
/// follows, which makes them few; and whenever bytes are sealed again, their part grows by half or more, so that none is
/// sealed again often.
fn staying(parts: &[SealedPart], more: u64) -> usize {
    let (mut stay, mut new) = (parts.len(), more);
    for part in parts.iter().rev() {
        if part.plain_len >= new.saturating_mul(2) || part.plain_len > SETTLED {
            break;
        }
        new = new.saturating_add(part.plain_len);
        stay -= 1;
    }
    stay
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::sse::Salt;

    use super::*;

    /// What appends of these sizes make of the parts, and how many bytes were sealed in all.
    fn grown(sizes: impl IntoIterator<Item = u64>) -> (Vec<u64>, u64) {
        let part = |(n, &plain_len): (u32, &u64)| SealedPart {
            number: PartNumber::try_from(n).unwrap(),
            plain_len,
            salt: Salt::from_bytes([0; 32]),
        };
        let (mut lens, mut sealed) = (Vec::new(), 0);
        for size in sizes {
            let parts: Vec<SealedPart> = (1..).zip(&lens).map(part).collect();
            let new = lens.split_off(staying(&parts, size)).iter().sum::<u64>() + size;
            sealed += new;
            lens.push(new);
        }
        (lens, sealed)
    }

    #[test]
    fn a_hundred_thousand_small_appends_make_few_parts_and_seal_no_byte_often() {
        for size in [1, 100, 4000] {
            let (lens, sealed) = grown(std::iter::repeat_n(size, 100_000));
            assert_eq!(lens.iter().sum::<u64>(), size * 100_000);
            // One settled part for every 16 MiB, and one small one for each bit of a settled part's length.
            assert!(lens.len() as u64 <= size * 100_000 / SETTLED + 25, "{} parts", lens.len());
            assert!(sealed <= size * 100_000 * 18, "{} times", sealed / (size * 100_000));
        }
    }

    #[test]
    fn a_settled_part_is_left_alone_and_a_long_append_takes_in_what_is_short() {
        assert_eq!(grown([SETTLED + 1, 1]).0, [SETTLED + 1, 1]);
        assert_eq!(grown([SETTLED + 1, 1, SETTLED * 8]).0, [SETTLED + 1, SETTLED * 8 + 1]);
        assert_eq!(grown([10, 5]).0, [10, 5], "twice as long stays");
        assert_eq!(grown([9, 5]).0, [14]);
        assert_eq!(grown([0, 1]).0, [1], "an empty first part does not stay");
    }

    proptest! {
        #[test]
        fn however_appends_come_the_parts_are_few(
            sizes in prop::collection::vec(prop_oneof![1..10_u64, 1..5000_u64, 1..20_000_000_u64], 1..400),
        ) {
            let total: u64 = sizes.iter().sum();
            let (lens, sealed) = grown(sizes.iter().copied());
            prop_assert_eq!(lens.iter().sum::<u64>(), total);
            prop_assert!(lens.len() as u64 <= total / SETTLED + 25, "{:?}", lens);
            // The logarithm of a settled part's length to the base 1.5.
            prop_assert!(sealed <= total * 42);
        }
    }

    #[test]
    fn the_longest_object_of_the_worst_appends_stays_below_the_number_of_parts() {
        // Each just long enough to settle.
        let settled = MAX_SINGLE_UPLOAD / (SETTLED + 1);
        let (lens, _) = grown(std::iter::repeat_n(SETTLED + 1, usize::try_from(settled).unwrap()));
        assert_eq!(lens.len() as u64, settled);
        assert!(settled + 25 < 400);
    }

    #[test]
    fn a_plan_says_where_what_stays_ends() {
        let part = |(n, plain_len): (u32, u64)| SealedPart {
            number: PartNumber::try_from(n).unwrap(),
            plain_len,
            salt: Salt::from_bytes([0; 32]),
        };
        let (aead, size) = (crate::sse::Aead::Aes256Gcm, crate::sse::SegmentSize::DEFAULT);
        let parts: Vec<SealedPart> = [(1, 1000), (2, 100), (3, 10)].map(part).to_vec();
        let len = |n: u64| n + 48 + 16;
        let whole = len(1000) + len(100) + len(10);
        let layout = Layout::new(aead, size, &parts, CipherOffset(whole + 300)).unwrap();
        let plan = |more| {
            let plan = Plan::new(&layout, more).unwrap();
            (plan.stay.len(), plan.keep.0, plan.from, plan.number.get())
        };
        assert_eq!(plan(5), (3, whole, 1110, 4));
        assert_eq!(plan(6), (2, len(1000) + len(100), 1100, 3));
        assert_eq!(plan(60), (1, len(1000), 1000, 2));
        assert_eq!(plan(10_000), (0, 0, 0, 1));
    }
}
