//! Listings. The upstream's rows say which objects there are; what they are comes from the gateway's memory, or from a
//! look at each, many at once.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::listing::{Ask, MOST, Row};
use super::memory::Memory;
use super::reserved::AT_ONCE;
use super::settings::Mapped;
use super::target::Target;
use crate::store::{Error, ListEntry, ListPage, ListQuery};
use crate::types::{BucketName, ObjectAt, ObjectKey};

/// Comes after every key that continues a prefix, but for those that continue with this very character.
pub(super) const LAST: char = '\u{10ffff}';

/// A row before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Object(Row),
    Prefix(String),
}

impl Found {
    fn name(&self) -> &str {
        match self {
            Self::Object(row) => &row.key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// What a key is rolled up to.
pub(super) fn rolled<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter?;
    let rest = key.strip_prefix(prefix)?;
    let end = prefix.len() + rest.find(delimiter)? + delimiter.len();
    key.get(..end)
}

/// A listing in the upstream's own terms: names with the bucket's prefix before them.
struct Walk<'a> {
    target: &'a Target,
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    limit: usize,
    found: Vec<Found>,
    /// A prefix that was shown before this page.
    shown: Option<String>,
}

impl Walk<'_> {
    async fn rows(
        &self,
        after: Option<&str>,
        delimiter: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Found>, bool), Error> {
        let ask = Ask { prefix: &self.prefix, delimiter, after, limit };
        let page = self.target.client.page(&self.bucket, &ask).await?;
        let mut rows: Vec<Found> = page.rows.into_iter().map(Found::Object).collect();
        rows.extend(page.prefixes.into_iter().map(Found::Prefix));
        rows.sort_by(|a, b| a.name().cmp(b.name()));
        Ok((rows, page.truncated))
    }

    /// Takes a row unless it was shown already; false when the page is full.
    fn take(&mut self, row: Found) -> bool {
        let again = match &row {
            Found::Prefix(prefix) => self.shown.as_ref() == Some(prefix),
            Found::Object(_) => false,
        };
        if again {
            return true;
        }
        if self.found.len() >= self.limit {
            return false;
        }
        if let Found::Prefix(prefix) = &row {
            self.shown = Some(prefix.clone());
        }
        self.found.push(row);
        true
    }

    /// Fills the page from what comes after `after`. Gives whether there is more.
    async fn go(&mut self, after: Option<String>) -> Result<bool, Error> {
        let delimiter = self.delimiter.clone();
        let mut from = after;
        if let Some(after) = &from
            && let Some(prefix) = rolled(after, &self.prefix, delimiter.as_deref()).map(str::to_owned)
        {
            // Upstreams differ in whether a prefix is shown of which the marker has passed a part: we show it.
            if prefix != *after && self.has_more(&prefix, after).await? {
                self.take(Found::Prefix(prefix.clone()));
            }
            from = Some(format!("{prefix}{LAST}"));
            self.shown = Some(prefix);
        }
        // The delimiter that everybody uses is rolled up upstream. Others, which servers have bugs about, here.
        let native = delimiter.as_deref().is_none_or(|delimiter| delimiter == "/");
        loop {
            let wanted = if native { self.limit - self.found.len().min(self.limit) } else { MOST };
            let asked = if native { delimiter.as_deref() } else { None };
            let (rows, more) = self.rows(from.as_deref(), asked, wanted.clamp(1, MOST)).await?;
            let Some(last) = rows.last().map(|row| row.name().to_owned()) else { return Ok(false) };
            for row in rows {
                let row = match (&row, native) {
                    (Found::Object(object), false) => {
                        let prefix = rolled(&object.key, &self.prefix, delimiter.as_deref()).map(str::to_owned);
                        prefix.map_or(row, Found::Prefix)
                    }
                    _ => row,
                };
                if !self.take(row) {
                    return Ok(true);
                }
            }
            if !more {
                return Ok(false);
            }
            if native && self.found.len() >= self.limit {
                return Ok(true);
            }
            // A prefix is passed as a whole.
            let next = rolled(&last, &self.prefix, delimiter.as_deref()).map(|prefix| format!("{prefix}{LAST}"));
            from = Some(next.filter(|next| from.as_ref().is_none_or(|from| next > from)).unwrap_or(last));
        }
    }

    async fn has_more(&self, prefix: &str, after: &str) -> Result<bool, Error> {
        let ask = Ask { prefix, delimiter: None, after: Some(after), limit: 1 };
        Ok(!self.target.client.page(&self.bucket, &ask).await?.rows.is_empty())
    }
}

/// A page of the objects of a bucket.
pub(super) async fn objects(
    target: &Arc<Target>,
    memory: &Memory,
    name: &BucketName,
    query: &ListQuery,
) -> Result<ListPage, Error> {
    let Mapped { bucket, prefix: base } = target.settings.place(name);
    if query.limit == 0 {
        return Ok(ListPage::default());
    }
    let mut walk = Walk {
        target,
        bucket,
        prefix: format!("{base}{}", query.prefix),
        delimiter: query.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        limit: query.limit,
        found: Vec::new(),
        shown: None,
    };
    let after = query.after.as_ref().filter(|after| !after.is_empty()).map(|after| format!("{base}{after}"));
    let truncated = walk.go(after).await?;
    let described = walk.found.into_iter().map(|found| describe(target, memory, name, &base, found));
    let entries: Vec<Option<ListEntry>> = stream::iter(described).buffered(AT_ONCE).try_collect().await?;
    Ok(ListPage { entries: entries.into_iter().flatten().collect(), truncated })
}

/// What a row is. `None`: it was deleted meanwhile.
async fn describe(
    target: &Arc<Target>,
    memory: &Memory,
    name: &BucketName,
    base: &str,
    found: Found,
) -> Result<Option<ListEntry>, Error> {
    let strip = |text: &str| text.strip_prefix(base).unwrap_or(text).to_owned();
    let row = match found {
        Found::Prefix(prefix) => return Ok(Some(ListEntry::Prefix(strip(&prefix)))),
        Found::Object(row) => row,
    };
    // The prefix itself, as a directory's marker, is no object of the bucket.
    let Ok(key) = strip(&row.key).parse::<ObjectKey>() else { return Ok(None) };
    let at = ObjectAt { bucket: name.clone(), key };
    if let Some(object) = memory.recall_as(&at, None, &row) {
        return Ok(Some(ListEntry::Object { key: at.key, object }));
    }
    match target.spot(&at)?.look().await {
        Ok(object) => Ok(Some(ListEntry::Object { key: at.key, object })),
        Err(Error::NoSuchObject | Error::DeleteMarker(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_roll_up_to_the_first_delimiter_after_the_prefix() {
        for (key, prefix, delimiter, expected) in [
            ("a/b/c", "", Some("/"), Some("a/")),
            ("a/b/c", "a/", Some("/"), Some("a/b/")),
            ("a/b", "a/", Some("/"), None),
            ("a/", "a/", Some("/"), None),
            ("a/", "", Some("/"), Some("a/")),
            ("xab", "x", Some("ab"), Some("xab")),
            ("b", "a", Some("/"), None),
            ("a/b", "", None, None),
        ] {
            assert_eq!(rolled(key, prefix, delimiter), expected, "{key} {prefix} {delimiter:?}");
        }
    }
}
