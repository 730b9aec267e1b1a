//! Listings of versions. The upstream says which there are and in which order; what they are comes from the gateway's
//! memory, or from a look at each, many at once. Names are rolled up here: upstreams have bugs about delimiters.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::list::{LAST, rolled};
use super::listing::{Kept, MOST};
use super::memory::Memory;
use super::reserved::AT_ONCE;
use super::settings::Mapped;
use super::target::{Spot, Target};
use crate::store::{Error, VersionEntry, VersionPage, VersionQuery};
use crate::types::{BucketName, ObjectAt, ObjectKey, VersionId};

/// A row before it is looked at.
enum Found {
    Version(Kept),
    Prefix(String),
}

/// Which rows make the page, in the upstream's own terms. Gives whether there is more.
async fn walk(target: &Target, bucket: &str, prefix: &str, query: &VersionQuery) -> Result<(Vec<Found>, bool), Error> {
    let delimiter = query.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let mut found: Vec<Found> = Vec::new();
    // What the page comes after as a whole: a key without a version, or what it is rolled up to.
    let mut passed: Option<String> = None;
    let mut after = match &query.after {
        None => None,
        Some((key, _)) if key.is_empty() => None,
        Some((key, version)) => match (rolled(key, prefix, delimiter), version.as_ref().and_then(VersionId::own)) {
            (Some(prefix), _) => {
                passed = Some(prefix.to_owned());
                Some((format!("{prefix}{LAST}"), None))
            }
            (None, Some(own)) => Some((key.clone(), Some(own.to_owned()))),
            (None, None) => {
                passed = Some(key.clone());
                Some((key.clone(), None))
            }
        },
    };
    loop {
        let wanted = if delimiter.is_some() { MOST } else { query.limit.saturating_sub(found.len()).saturating_add(1) };
        let page = target.client.page_of_versions(bucket, prefix, after.as_ref(), wanted.clamp(1, MOST)).await?;
        let mut last_prefix = None;
        for kept in page.rows {
            let key = &kept.row.key;
            let prefix = rolled(key, prefix, delimiter).map(str::to_owned);
            last_prefix.clone_from(&prefix);
            if passed.as_ref().is_some_and(|passed| prefix.as_ref().unwrap_or(key) == passed) {
                continue;
            }
            if found.len() >= query.limit {
                return Ok((found, true));
            }
            if prefix.is_some() {
                passed.clone_from(&prefix);
            }
            found.push(prefix.map_or(Found::Version(kept), Found::Prefix));
        }
        let Some(next) = page.next else { return Ok((found, false)) };
        // A prefix is passed as a whole.
        after = Some(last_prefix.map_or(next, |prefix| (format!("{prefix}{LAST}"), None)));
    }
}

/// A page of the versions of a bucket.
pub(super) async fn versions(
    target: &Arc<Target>,
    place: impl Fn(&ObjectAt) -> Result<Spot, Error>,
    memory: &Memory,
    name: &BucketName,
    query: VersionQuery,
) -> Result<VersionPage, Error> {
    let Mapped { bucket, prefix: base } = target.settings.place(name);
    if query.limit == 0 {
        return Ok(VersionPage::default());
    }
    let after = query.after.map(|(key, version)| (format!("{base}{key}"), version));
    let query = VersionQuery { after, ..query };
    let (found, truncated) = walk(target, &bucket, &format!("{base}{}", query.prefix), &query).await?;
    let described = found.into_iter().map(|found| describe(&place, memory, name, &base, found));
    let entries: Vec<Option<VersionEntry>> = stream::iter(described).buffered(AT_ONCE).try_collect().await?;
    Ok(VersionPage { entries: entries.into_iter().flatten().collect(), truncated })
}

/// What a row is. `None`: it was deleted meanwhile.
async fn describe(
    place: &impl Fn(&ObjectAt) -> Result<Spot, Error>,
    memory: &Memory,
    name: &BucketName,
    base: &str,
    found: Found,
) -> Result<Option<VersionEntry>, Error> {
    let strip = |text: &str| text.strip_prefix(base).unwrap_or(text).to_owned();
    let kept = match found {
        Found::Prefix(prefix) => return Ok(Some(VersionEntry::Prefix(strip(&prefix)))),
        Found::Version(kept) => kept,
    };
    let Ok(key) = strip(&kept.row.key).parse::<ObjectKey>() else { return Ok(None) };
    if kept.marker {
        let (version, modified) = (kept.marker_id()?, kept.row.modified);
        return Ok(Some(VersionEntry::Marker { key, latest: kept.latest, version, modified }));
    }
    let at = ObjectAt { bucket: name.clone(), key };
    let latest = kept.latest;
    if let Some(object) = memory.recall_as(&at, Some(&kept.own), &kept.row) {
        return Ok(Some(VersionEntry::Object { key: at.key, latest, object }));
    }
    let spot = Spot { version: Some(kept.own), ..place(&at)? };
    match spot.look().await {
        Ok(object) => Ok(Some(VersionEntry::Object { key: at.key, latest, object })),
        Err(Error::NoSuchObject | Error::DeleteMarker(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
