//! New metadata of an object whose body stays: its tags, its ACL. Few upstreams can change an object in place and be sure
//! that it is still the same: on the others the old metadata's key could be laid over a new body, which nobody could open.
//! So the new metadata is a record in the reserved place, which says of which write it is. Over any other write it counts
//! for nothing, and whoever overwrites the object meanwhile loses nothing.
//!
//! A bucket's record says whether there ever was such a change in it: in the others nobody looks. A record stays until its
//! object is changed this way again, or deleted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::claims::{Claim, claim_of};
use super::headers::encode;
use super::multipart::decoded;
use super::target::Spot;
use crate::store::{Error, Metadata, NewMetadata, StoredObject, StoredTag, Versioning};
use crate::types::{BucketName, ObjectAt, VersionId};

/// What a bucket's record says of itself once an object in it was amended. No setting of a client's has this name.
pub(super) const AMENDED: &str = "upstream-amended";

/// The new metadata of a write.
#[derive(Debug, Serialize, Deserialize)]
struct Amendment {
    /// The write.
    tag: StoredTag,
    /// How many there were of this write before.
    number: u64,
    metadata: Metadata,
}

/// Where a bucket's amendments are.
pub(super) fn prefix_of(bucket: &BucketName) -> String {
    format!("amends/{bucket}/")
}

/// The name of an object's amendment. Of fixed length: keys are as long as an upstream allows.
pub(super) fn name_of(at: &ObjectAt) -> String {
    format!("{}{}", prefix_of(&at.bucket), claim_of(at))
}

/// The tag of a write that was amended so many times.
fn amended_tag(tag: &StoredTag, number: u64) -> StoredTag {
    StoredTag(format!("{}+{number}", tag.0))
}

impl Spot {
    /// What is said of a version beside it; `None` in a bucket where nothing is.
    async fn amendment(&self, version: &VersionId) -> Result<Option<Amendment>, Error> {
        let Some(name) = self.amendment_name(version) else { return Ok(None) };
        let record = self.target.reserved.read(&name).await?;
        record.map(|record| decoded(&name, &record)).transpose()
    }

    /// Where that stands.
    pub(super) fn amendment_name(&self, version: &VersionId) -> Option<String> {
        let of_null = self.amends.as_ref()?;
        Some(if version.is_null() { of_null.clone() } else { format!("{of_null}-{}", version.write()) })
    }

    /// The same place, with what may be said of the object beside it even if the bucket had no such thing when this write
    /// began.
    pub(super) fn with_amendments(&self, at: &ObjectAt) -> Self {
        Self { amends: Some(name_of(at)), ..self.clone() }
    }

    /// An object as `look` finds it, with what is said of it beside.
    pub(super) async fn amended(
        &self,
        look: impl Future<Output = Result<StoredObject, Error>> + Send,
    ) -> Result<StoredObject, Error> {
        let (object, amendment) = if self.versioning == Versioning::Never {
            let null = VersionId::null();
            tokio::try_join!(look, self.amendment(&null))?
        } else {
            // Which version it is about is known only then.
            let object = look.await?;
            let amendment = self.amendment(&object.version).await?;
            (object, amendment)
        };
        Ok(match amendment {
            Some(amendment) if amendment.tag == object.tag => {
                StoredObject { tag: amended_tag(&object.tag, amendment.number), metadata: amendment.metadata, ..object }
            }
            _ => object,
        })
    }
}

/// Gives an object new metadata.
pub(super) async fn amend(
    buckets: &Buckets,
    spot: Spot,
    at: &ObjectAt,
    new: NewMetadata,
) -> Result<StoredObject, Error> {
    let target = Arc::clone(&spot.target);
    // A copy will need room for it.
    encode(&new.metadata, "", target.client.wire, target.abilities.metadata)?;
    // Before there is one, so that nobody who has seen it overlooks the next.
    if spot.amends.is_none() {
        let flag = |bucket: &mut crate::store::Bucket| drop(bucket.configs.insert(AMENDED.to_owned(), Vec::new()));
        buckets.change(&target, &at.bucket, flag).await?;
    }
    let spot = spot.with_amendments(at);
    let claim = Claim::wait(&target.reserved, &claim_of(at)).await?;
    let amended = async {
        let there = spot.look().await?;
        if there.tag != new.was {
            return Err(Error::Changed);
        }
        let (write, before) = match there.tag.0.split_once('+') {
            Some((write, number)) => (write.to_owned(), number.parse::<u64>().unwrap_or_default()),
            None => (there.tag.0.clone(), 0),
        };
        let amendment =
            Amendment { tag: StoredTag(write), number: before.saturating_add(1), metadata: new.metadata.clone() };
        let record =
            postcard::to_allocvec(&amendment).map_err(|_| Error::Corrupt("a record cannot be written".to_owned()))?;
        let name = spot.amendment_name(&there.version).unwrap_or_else(|| name_of(at));
        target.reserved.write(&name, &record).await?;
        Ok(StoredObject {
            tag: amended_tag(&amendment.tag, amendment.number),
            metadata: amendment.metadata,
            summary: new.summary,
            ..there
        })
    };
    claim.hold(amended).await
}
