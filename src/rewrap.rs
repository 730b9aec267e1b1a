//! `sealgate rewrap`: moves what master keys wrap to other master keys, or to the current version of their own.
//!
//! By a bucket's epochs it is O(1) in the number of objects. It may be done while gateways serve the bucket: each epoch's
//! record is replaced in one change, and says the same bucket key before and after. The full walk then wraps each data key
//! anew, by metadata alone: what a master key wraps directly, and what old bucket keys wrap under a new one.

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::gateway::{self, Gateway, Rewrapped, Rewrapping};
use crate::kms::{KeyArn, KeyRef};
use crate::store::{ObjectStore, VersionEntry, VersionQuery};
use crate::types::{BucketName, ObjectAt, Timestamp, VersionId};
use crate::walk::{Pace, place};

/// How many rows are asked for at once; the cursor moves by as many.
const PAGE: usize = 1000;
/// How many objects are wrapped at once: so many share a sync of the embedded store.
const AT_ONCE: usize = 64;

/// What to move, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The bucket.
    pub bucket: BucketName,
    /// The master key, by id, ARN or alias. `None`: each stays under its own key, in that key's current version.
    pub to: Option<String>,
    /// Whether each data key is wrapped anew, too.
    pub full: Option<Full>,
}

/// How to walk over the objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Full {
    /// Where an earlier run stood.
    pub after: Option<Cursor>,
    /// At most this many objects a second.
    pub rate: Option<u64>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Where a walk stands: after this version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The bucket.
    pub bucket: BucketName,
    /// Where it moves to.
    pub to: Option<String>,
    /// The object key.
    pub key: String,
    /// The version.
    pub version: Option<VersionId>,
    /// Since when a bucket key must have begun to count as a new one.
    pub since: Timestamp,
    /// What was done so far.
    pub walked: Walked,
}

/// What a walk did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walked {
    /// Versions that are wrapped anew (or would be).
    pub objects: u64,
    /// Versions that were so before.
    pub already: u64,
    /// Versions that no master key wraps.
    pub others: u64,
    /// Versions that were replaced or deleted meanwhile: whoever did wrote them anew.
    pub changed: u64,
    /// Versions that could not be wrapped anew.
    pub failed: u64,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Epochs that were wrapped anew.
    pub epochs: u64,
    /// The master keys that wrap the bucket's epochs now.
    pub keys: Vec<KeyArn>,
    /// What the walk did, if there was one.
    pub walked: Option<Walked>,
}

/// What is told on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// So many versions lie ahead.
    Begins(u64),
    /// So many more are done, and the walk could go on from here.
    At(u64, Cursor),
    /// A version could not be wrapped anew, and why.
    Failed(String, String),
}

/// Moves the epochs of a bucket, and walks over its objects if that is asked for.
///
/// # Errors
/// The gateway's, of what is not about one object; what was moved before stays moved, and it can be run again.
pub async fn rewrap(
    gateway: &Gateway,
    store: &dyn ObjectStore,
    plan: &Plan,
    hear: &mut (impl FnMut(Progress) + Send),
) -> Result<Done, gateway::Error> {
    let to = plan.to.clone().map(KeyRef);
    let mut done = Done::default();
    if plan.full.as_ref().is_none_or(|full| !full.dry_run) {
        let moved = gateway.move_epochs(&plan.bucket, to.as_ref()).await?;
        (done.epochs, done.keys) = (moved.moved, moved.keys);
    }
    if let Some(full) = &plan.full {
        done.walked = Some(walk(gateway, store, plan, full, hear).await?);
    }
    Ok(done)
}

async fn walk(
    gateway: &Gateway,
    store: &dyn ObjectStore,
    plan: &Plan,
    full: &Full,
    hear: &mut (impl FnMut(Progress) + Send),
) -> Result<Walked, gateway::Error> {
    let after = full.after.as_ref().filter(|cursor| cursor.bucket == plan.bucket && cursor.to == plan.to);
    let run = gateway.begin_rewrap(plan.to.clone().map(KeyRef), after.map(|cursor| cursor.since));
    let mut walked = after.map(|cursor| cursor.walked).unwrap_or_default();
    let mut from = after.map(|cursor| (cursor.key.clone(), cursor.version.clone()));
    hear(Progress::Begins(count(store, &plan.bucket, from.clone()).await?));
    let mut pace = Pace::new(full.rate);
    loop {
        let query = VersionQuery { after: from.take(), limit: PAGE, ..VersionQuery::default() };
        let page = store.list_versions(&plan.bucket, query).await?;
        from = page.entries.last().and_then(place);
        let rows = page.entries.into_iter().filter_map(|entry| match entry {
            VersionEntry::Object { key, object, .. } => {
                Some((ObjectAt { bucket: plan.bucket.clone(), key }, object.version))
            }
            VersionEntry::Marker { .. } | VersionEntry::Prefix(_) => None,
        });
        let rows: Vec<_> = rows.collect();
        let taken = rows.len() as u64;
        let paced = futures::stream::unfold((rows.into_iter(), &mut pace), |(mut rows, pace)| async move {
            let row = rows.next()?;
            pace.took(1).await;
            Some((row, (rows, pace)))
        });
        let mut outcomes =
            paced.map(|(at, version)| one(gateway, &run, at, version, full.dry_run)).buffer_unordered(AT_ONCE).boxed();
        while let Some((at, outcome)) = outcomes.next().await {
            match outcome {
                Ok(Rewrapped::Anew) => walked.objects += 1,
                Ok(Rewrapped::Already) => walked.already += 1,
                Ok(Rewrapped::Another) => walked.others += 1,
                Ok(Rewrapped::Changed) => walked.changed += 1,
                Err(why) => {
                    walked.failed += 1;
                    hear(Progress::Failed(format!("{}/{}", at.bucket, at.key), told(&why)));
                }
            }
        }
        drop(outcomes);
        if let Some((key, version)) = &from {
            let (bucket, to, since) = (plan.bucket.clone(), plan.to.clone(), run.since());
            let cursor = Cursor { bucket, to, key: key.clone(), version: version.clone(), since, walked };
            hear(Progress::At(taken, cursor));
        }
        if !page.truncated {
            return Ok(walked);
        }
    }
}

async fn one(
    gateway: &Gateway,
    run: &Rewrapping,
    at: ObjectAt,
    version: VersionId,
    dry_run: bool,
) -> (ObjectAt, Result<Rewrapped, gateway::Error>) {
    let done = gateway.rewrap_object(run, &at, &version, dry_run).await;
    (at, done)
}

/// How many versions lie ahead.
async fn count(
    store: &dyn ObjectStore,
    bucket: &BucketName,
    mut after: Option<(String, Option<VersionId>)>,
) -> Result<u64, gateway::Error> {
    let mut versions = 0_u64;
    loop {
        let query = VersionQuery { after: after.take(), limit: PAGE, ..VersionQuery::default() };
        let page = store.list_versions(bucket, query).await?;
        versions += page.entries.iter().filter(|entry| matches!(entry, VersionEntry::Object { .. })).count() as u64;
        after = page.entries.last().and_then(place);
        if !page.truncated {
            return Ok(versions);
        }
    }
}

/// An error with its cause, as the operator reads it.
#[must_use]
pub fn told(error: &gateway::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
