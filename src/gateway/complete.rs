//! CompleteMultipartUpload: the parts that the client names become an object, pinned by a manifest.

use std::collections::BTreeMap;

use crate::identity::{Action, Requester};
use crate::kms::DataKey;
use crate::sse::{Attributes, CustomerKey, ObjectKind, SealedPart, SegmentSize, SseMode, manifest};
use crate::store::{Bucket, Commit, Completion, StoredPart, StoredTag, UploadAt};
use crate::types::PartNumber;

use super::digest::{combine_crc64, combine_parts, multipart_etag};
use super::multipart::Uploading;
use super::opened::shown_version;
use super::records::{PartRecord, digests_of_multipart};
use super::{
    Checksum, ChecksumAlgorithm, CompleteRequest, CompletedParts, Error, Gateway, MAX_OBJECT, NamedPart, Written,
};

/// How many part records are fetched at once.
const PAGE: usize = 1000;

/// A part as the client named it and as it is there.
struct Taken {
    number: PartNumber,
    tag: StoredTag,
    record: PartRecord,
    checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

/// What the parts amount to.
struct Whole {
    parts: Vec<SealedPart>,
    size: u64,
    etag: String,
    crc64: u64,
}

impl Gateway {
    /// Makes the object of the named parts.
    ///
    /// # Errors
    /// [`Error::InvalidPart`], [`Error::InvalidPartOrder`], [`Error::PartTooSmall`], [`Error::NoSuchUpload`], …
    pub async fn complete_upload(&self, caller: &Requester, request: CompleteRequest) -> Result<Written, Error> {
        self.alarm.heed(self.completed(caller, request).await)
    }

    async fn completed(&self, caller: &Requester, request: CompleteRequest) -> Result<Written, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        if let CompletedParts::Named(named) = &request.parts {
            check_order(named)?;
        }
        let at = UploadAt { object: request.at.clone(), id: request.upload.clone() };
        let uploading = match self.uploading(request.at.clone(), request.upload.clone()).await {
            Err(Error::NoSuchUpload) => return self.repeated(&bucket, &at, &request).await,
            found => found?,
        };
        let precondition = self.precondition(&uploading.at.object, &request.conditions).await?;
        let data_key = self.completion_key(caller, &uploading, request.customer_key.as_ref()).await?;
        let taken = self.taken_parts(&uploading, &request.parts, data_key.as_ref()).await?;
        let whole = whole_of(&taken, request.min_part)?;
        if request.size.is_some_and(|declared| declared != whole.size) {
            return Err(Error::InvalidArgument(format!(
                "the declared object size does not match the parts' total of {} bytes",
                whole.size
            )));
        }
        let checksum = checksum_of(&uploading, &taken)?;
        check_declared(request.checksum.as_ref(), checksum.as_ref(), taken.len())?;

        let attributes = Attributes {
            object: uploading.envelope.object,
            etag: whole.etag,
            crc64: Some(whole.crc64),
            kind: ObjectKind::Multipart,
            parts: whole.parts,
        };
        let digests = digests_of_multipart(checksum.as_ref(), &taken_checksums(&taken))?;
        let aead = uploading.envelope.body_aead();
        let body = (aead, SegmentSize::DEFAULT);
        let manifest = match &data_key {
            Some(data_key) => manifest::seal(&attributes, &digests, body, data_key, self.keys.attribute_key()),
            None => manifest::seal_without_digests(
                &attributes,
                body,
                uploading.envelope.commitment,
                self.keys.attribute_key(),
            ),
        }?;
        let summary = self.summary_of(&uploading.at.object, &attributes, body, manifest.len())?;
        let completion = Completion {
            parts: taken.into_iter().map(|part| (part.number, part.tag)).collect(),
            manifest,
            metadata: uploading.stored.metadata,
            commit: Commit {
                summary,
                precondition,
                version: uploading.envelope.version.clone(),
                lock: uploading.state.lock,
            },
        };
        let stored = self.store.complete(&uploading.at, completion).await?;
        self.sample(&uploading.at.object, Some(&stored.version)).await;
        Ok(Written {
            etag: attributes.etag,
            crc64: attributes.crc64,
            version: shown_version(&bucket, &stored.version),
            modified: stored.modified,
            sse: uploading.envelope.status(request.customer_key.as_ref()).without_context(),
            checksum,
            size: whole.size,
            source_version: None,
        })
    }

    /// What to say of an upload that is not there: what a client heard, or did not hear, that named the same parts before.
    async fn repeated(&self, bucket: &Bucket, at: &UploadAt, request: &CompleteRequest) -> Result<Written, Error> {
        let Some(object) = self.store.completed(at).await? else { return Err(Error::NoSuchUpload) };
        let looked = self.in_epoch(&at.object.bucket, self.verify(&at.object, object, false)?).await?;
        let named = match &request.parts {
            CompletedParts::All => None,
            CompletedParts::Named(named) => named.iter().map(|part| etag_bits(&part.etag)).collect(),
        };
        if named.is_none_or(|bits: Vec<_>| multipart_etag(&bits) != looked.summary.etag) {
            return Err(Error::NoSuchUpload);
        }
        Ok(Written {
            etag: looked.etag(),
            crc64: looked.summary.crc64,
            version: shown_version(bucket, &looked.object.version),
            modified: looked.object.modified,
            sse: looked.envelope.status(request.customer_key.as_ref()).without_context(),
            checksum: request.checksum.as_ref().map(|(declared, _)| declared.clone()),
            size: looked.summary.plain_len.0,
            source_version: None,
        })
    }

    /// The data key for the digests of the manifest. S3 does not ask for the customer key at completion unless the
    /// upload has a checksum; without it the manifest goes without digests.
    async fn completion_key(
        &self,
        caller: &Requester,
        uploading: &Uploading,
        customer: Option<&CustomerKey>,
    ) -> Result<Option<DataKey>, Error> {
        match (uploading.envelope.mode(), customer) {
            (SseMode::Customer, None) if uploading.state.checksum.is_none() => Ok(None),
            _ => self.upload_key(caller, uploading, customer).await.map(Some),
        }
    }

    /// The parts as they are there, by number.
    async fn taken_parts(
        &self,
        uploading: &Uploading,
        parts: &CompletedParts,
        data_key: Option<&DataKey>,
    ) -> Result<Vec<Taken>, Error> {
        let named: &[NamedPart] = match parts {
            CompletedParts::Named(named) => named,
            CompletedParts::All => &[],
        };
        let all = matches!(parts, CompletedParts::All);
        let mut wanted: BTreeMap<PartNumber, &NamedPart> = named.iter().map(|part| (part.number, part)).collect();
        let mut taken = Vec::with_capacity(wanted.len());
        let mut after = None;
        while all || !wanted.is_empty() {
            let page = self.store.parts(&uploading.at, after, PAGE).await?;
            after = page.parts.last().map(|part| part.number);
            for stored in page.parts {
                let named = wanted.remove(&stored.number);
                if all || named.is_some() {
                    taken.push(self.take_part(uploading, named, stored, data_key)?);
                }
            }
            if !page.truncated {
                break;
            }
        }
        match wanted.keys().next() {
            Some(missing) => Err(Error::InvalidPart(*missing)),
            None if taken.is_empty() => Err(no_parts()),
            None => Ok(taken),
        }
    }

    fn take_part(
        &self,
        uploading: &Uploading,
        named: Option<&NamedPart>,
        stored: StoredPart,
        data_key: Option<&DataKey>,
    ) -> Result<Taken, Error> {
        let record = self.open_part_record(&uploading.at, stored.number, &stored.record)?;
        if named.is_some_and(|named| !record.etag.eq_ignore_ascii_case(&named.etag)) {
            return Err(Error::InvalidPart(stored.number));
        }
        let checksum = match data_key {
            Some(data_key) => record.checksum(&uploading.at, data_key)?,
            None => None,
        };
        if named.is_some_and(|named| named.checksum.is_some() && named.checksum != checksum) {
            return Err(Error::InvalidPart(stored.number));
        }
        Ok(Taken { number: stored.number, tag: stored.tag, record, checksum })
    }
}

/// The bits of a part's ETag.
fn etag_bits(etag: &str) -> Option<[u8; 16]> {
    let mut bits = [0; 16];
    hex::decode_to_slice(etag, &mut bits).ok().map(|()| bits)
}

fn check_order(parts: &[NamedPart]) -> Result<(), Error> {
    if parts.is_empty() {
        return Err(no_parts());
    }
    if parts.windows(2).all(|pair| matches!(pair, [left, right] if left.number < right.number)) {
        Ok(())
    } else {
        Err(Error::InvalidPartOrder)
    }
}

fn no_parts() -> Error {
    Error::InvalidArgument("at least one part must be named".to_owned())
}

fn whole_of(taken: &[Taken], min_part: u64) -> Result<Whole, Error> {
    let mut whole = Whole { parts: Vec::with_capacity(taken.len()), size: 0, etag: String::new(), crc64: 0 };
    let mut etags = Vec::with_capacity(taken.len());
    for (index, part) in taken.iter().enumerate() {
        let size = part.record.part.plain_len;
        if size < min_part && index + 1 < taken.len() {
            return Err(Error::PartTooSmall { number: part.number, size, minimum: min_part });
        }
        whole.crc64 = if index == 0 { part.record.crc64 } else { combine_crc64(whole.crc64, part.record.crc64, size) };
        whole.size = whole.size.saturating_add(size);
        whole.parts.push(part.record.part);
        etags.push(part.record.etag_bits()?);
    }
    if whole.size > MAX_OBJECT {
        return Err(Error::TooLarge { maximum: MAX_OBJECT });
    }
    whole.etag = multipart_etag(&etags);
    Ok(whole)
}

/// The object's checksum, of the kind that the upload was created with.
fn checksum_of(uploading: &Uploading, taken: &[Taken]) -> Result<Option<Checksum>, Error> {
    let Some((algorithm, kind)) = uploading.state.checksum else { return Ok(None) };
    let parts = taken
        .iter()
        .map(|part| match &part.checksum {
            Some((have, value)) if *have == algorithm => Ok((value.clone(), part.record.part.plain_len)),
            _ => Err(Error::InvalidPart(part.number)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(combine_parts(algorithm, kind, &parts)))
}

/// Holds the object's checksum against what the client declared: algorithm, kind, value and, where it says, how many
/// parts it is of.
fn check_declared(
    declared: Option<&(Checksum, Option<u32>)>,
    computed: Option<&Checksum>,
    count: usize,
) -> Result<(), Error> {
    let Some((declared, parts)) = declared else { return Ok(()) };
    let counted = parts.is_none_or(|parts| u32::try_from(count) == Ok(parts));
    if counted && computed == Some(declared) { Ok(()) } else { Err(Error::BadDigest(declared.algorithm.header())) }
}

fn taken_checksums(taken: &[Taken]) -> Vec<(ChecksumAlgorithm, Vec<u8>)> {
    taken.iter().filter_map(|part| part.checksum.clone()).collect()
}
