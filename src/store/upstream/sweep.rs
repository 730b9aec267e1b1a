//! Clearing the reserved place of what nobody comes back for: uploads that were abandoned, what crashed gateways left of
//! uploads that have ended, private copies, claims of the dead. It runs beside everything else, on any gateway: what it
//! removes is old enough that nobody works on it, or belongs to no upload any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;

use super::claims::Claim;
use super::client::{Again, Call};
use super::gathered::Raw;
use super::listing::{Row, iso_date, url_decoded};
use super::multipart::{self, UploadRecord, decoded, parts_prefix};
use super::put::reserved_spot;
use super::reserved::AT_ONCE;
use super::target::{Spot, Target};
use super::xml;
use crate::store::{Error, UploadAt};
use crate::types::{BucketName, ObjectAt, Timestamp, UploadId};

const HOUR: u64 = 60 * 60 * 1000;
/// How old what belongs to no upload must be. Clocks of gateways and upstream may differ by less than this.
const LEFT_OVER: u64 = 24 * HOUR;
/// How long it is known what became of an upload, for a client that did not hear it.
const TOLD_FOR: u64 = 7 * 24 * HOUR;
/// How old a claim must be. Its holder writes it anew every few seconds.
const CLAIMED: u64 = 2 * HOUR;
/// The least time between two sweeps of a fleet.
const EVERY: u64 = HOUR;
/// When the last one was.
const LAST: &str = "swept";

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads that nobody had sent anything to for too long.
    pub uploads: u64,
    /// Records and staged parts without an upload, private copies, old claims.
    pub records: u64,
    /// Uploads of the upstream's that no record names.
    pub nameless: u64,
}

/// An upload by bucket and id, as names in the reserved place have them.
type Name = (BucketName, UploadId);

/// The upload that a name in one of the rooms of the place belongs to.
fn owner(room: &str, key: &str) -> Option<Name> {
    let rest = key.strip_prefix(room)?;
    let (bucket, rest) = rest.split_once('/')?;
    let id = rest.split('/').next()?;
    Some((bucket.parse().ok()?, id.parse().ok()?))
}

/// Sweeps if no gateway has within the last hour, and none is at it. `None`: it was not our turn.
pub(super) async fn in_turn(
    target: &Arc<Target>,
    buckets: &[BucketName],
    now: Timestamp,
    abandoned_after: u64,
) -> Result<Option<Swept>, Error> {
    let reserved = &target.reserved;
    if matches!(reserved.read_with_age(LAST).await?, Some((_, age)) if age < EVERY) {
        return Ok(None);
    }
    let Some(claim) = Claim::take(reserved, "sweep").await? else { return Ok(None) };
    let swept = async {
        let swept = sweep(target, buckets, now, abandoned_after).await;
        reserved.write(LAST, b"").await?;
        swept
    };
    claim.hold(swept).await.map(Some)
}

/// Sweeps. `buckets` are those whose uploads in the upstream are ours, `abandoned_after` milliseconds.
pub(super) async fn sweep(
    target: &Arc<Target>,
    buckets: &[BucketName],
    now: Timestamp,
    abandoned_after: u64,
) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    let mut alive = uploads(target).await?;
    let quiet = |at: Timestamp| now.0.saturating_sub(at.0);
    for (name, (record, begun)) in alive.clone() {
        if quiet(begun) < abandoned_after {
            continue;
        }
        let at = UploadAt { object: ObjectAt { bucket: name.0.clone(), key: record.key }, id: name.1.clone() };
        let parts = target.reserved.all_names(&parts_prefix(&at)).await?;
        let latest = parts.iter().map(|part| part.modified).max().unwrap_or(begun);
        if quiet(latest) < abandoned_after {
            continue;
        }
        // Somebody may just complete it.
        let Some(claim) = Claim::take(&target.reserved, &multipart::claim_name(&at.id)).await? else { continue };
        match claim.hold(multipart::abort(target, &at)).await {
            Ok(()) => swept.uploads += 1,
            Err(Error::NoSuchUpload) => {}
            Err(error) => return Err(error),
        }
        alive.remove(&name);
    }
    let names: BTreeSet<&Name> = alive.keys().collect();
    for room in ["parts/", "staged/", "temporary/"] {
        let orphan =
            |row: &Row| quiet(row.modified) >= LEFT_OVER && owner(room, &row.key).is_none_or(|it| !names.contains(&it));
        swept.records += remove(target, room, orphan).await?;
    }
    for (room, age) in [("private/", LEFT_OVER), ("probe/", LEFT_OVER), ("done/", TOLD_FOR), ("claims/", CLAIMED)] {
        swept.records += remove(target, room, |row: &Row| quiet(row.modified) >= age).await?;
    }
    let known: BTreeSet<&str> = alive.values().map(|(record, _)| record.upload.as_str()).collect();
    let mut places = vec![reserved_spot(target, "")];
    for name in buckets {
        let place = target.settings.place(name);
        places.push(Spot::new(target, place.bucket, place.prefix));
    }
    for place in places {
        for (key, id, begun) in place.raw_uploads().await? {
            if quiet(begun) >= LEFT_OVER && !known.contains(id.as_str()) {
                Raw::resume(Spot { key, ..place.clone() }, id).abort().await?;
                swept.nameless += 1;
            }
        }
    }
    Ok(swept)
}

/// The uploads in progress, and when their records were made.
async fn uploads(target: &Arc<Target>) -> Result<BTreeMap<Name, (UploadRecord, Timestamp)>, Error> {
    let room = "uploads/";
    let rows = target.reserved.all_names(room).await?;
    let read = rows.into_iter().filter_map(|row| {
        let name = owner(room, &row.key)?;
        Some(async move {
            let Some(bytes) = target.reserved.read(&row.key).await? else { return Ok(None) };
            Ok::<_, Error>(Some((name, (decoded(&row.key, &bytes)?, row.modified))))
        })
    });
    let found: Vec<_> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Removes what is meant among the names with a prefix. Gives how many those were.
async fn remove(target: &Arc<Target>, prefix: &str, is_meant: impl Fn(&Row) -> bool) -> Result<u64, Error> {
    let rows: Vec<Row> = target.reserved.all_names(prefix).await?.into_iter().filter(is_meant).collect();
    let count = rows.len() as u64;
    target.reserved.remove_rows(rows).await?;
    Ok(count)
}

impl Spot {
    /// The upstream's uploads in progress of keys that begin with this one: key, id, and when each was begun.
    async fn raw_uploads(&self) -> Result<Vec<(String, String, Timestamp)>, Error> {
        let mut all = Vec::new();
        let mut marker: Option<(String, String)> = None;
        loop {
            let mut call = Call::bucket(Method::GET, &self.bucket).query("uploads", "").query("encoding-type", "url");
            if !self.key.is_empty() {
                call = call.query("prefix", self.key.as_str());
            }
            if let Some((key, id)) = &marker {
                call = call.query("key-marker", key.as_str()).query("upload-id-marker", id.as_str());
            }
            let (_, body) = match self.target.client.ask(&call, Bytes::new(), Again::Always).await {
                Ok(answer) => answer,
                // Deleted since.
                Err(failure) if failure.is_absence() => return Ok(all),
                Err(failure) => return Err(failure.into()),
            };
            let unreadable = || Error::Unavailable("the upstream's list of uploads cannot be read".to_owned());
            let root = xml::parse(&body).map_err(|_| unreadable())?;
            // A server that does not know the question may have answered another.
            if root.name != "ListMultipartUploadsResult" {
                return Err(unreadable());
            }
            let encoded = root.text("EncodingType") == "url";
            let name = |text: &str| if encoded { url_decoded(text) } else { Some(text.to_owned()) };
            for upload in root.all("Upload") {
                let key = name(upload.text("Key")).ok_or_else(unreadable)?;
                let begun = iso_date(upload.text("Initiated")).ok_or_else(unreadable)?;
                // The prefix is ours to see to, whatever the server made of it: others' uploads are none of our business.
                if key.starts_with(&self.key) {
                    all.push((key, upload.text("UploadId").to_owned(), begun));
                }
            }
            let next = name(root.text("NextKeyMarker")).map(|key| (key, root.text("NextUploadIdMarker").to_owned()));
            if root.text("IsTruncated") != "true" || next == marker {
                return Ok(all);
            }
            marker = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_upload() {
        let id = "0123456789abcdef0123456789abcdef";
        let name: Name = ("bucket".parse().unwrap(), id.parse().unwrap());
        for (room, key) in [
            ("uploads/", format!("uploads/bucket/{id}")),
            ("parts/", format!("parts/bucket/{id}/00001")),
            ("staged/", format!("staged/bucket/{id}/00001-ff")),
        ] {
            assert_eq!(owner(room, &key).as_ref(), Some(&name), "{key}");
        }
        assert_eq!(owner("parts/", "parts/bucket/short/00001"), None);
    }
}
