//! The place upstream that belongs to the gateways: records of buckets and uploads, staged parts, the keystore. It comes
//! back from a store that is not trusted, so each record is sealed for its own name.
//!
//! A record that several gateways change is a *line*: versions under rising numbers, each made by a write that fails
//! where the number exists already. That is the one conditional write that every upstream worth using has. Whoever
//! loses reads the newest version and tries again; the highest number counts, and older ones are removed.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{CONTENT_TYPE, HeaderName, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method};

use super::client::{Again, Call, Client};
use super::failure::Failure;
use super::listing::{Ask, MOST, Row, http_date};
use super::settings::Wire;
use crate::store::Error;
use crate::types::{Clock, Timestamp};

/// Seals what the gateways keep in the reserved place, and opens it. The key is none of the store's business.
pub trait Seal: Send + Sync + fmt::Debug {
    /// Seals a record for its name.
    ///
    /// # Errors
    /// A text for people, when randomness or the cipher fails.
    fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, String>;
    /// Opens the record of this name; `None` when it was altered, moved, or sealed by another key.
    fn open(&self, name: &str, sealed: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>>;
}

/// A version of a line.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, rising.
    pub number: u64,
    /// What it says.
    pub value: Vec<u8>,
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version").field("number", &self.number).finish_non_exhaustive()
    }
}

/// How often a version that is pruned while it is being read is looked for again.
const TRIES: usize = 16;
/// How many requests go out at once where many records are read or removed.
pub(super) const AT_ONCE: usize = 16;

/// The reserved place of one upstream.
#[derive(Debug, Clone)]
pub struct Reserved {
    client: Arc<Client>,
    bucket: String,
    seal: Arc<dyn Seal>,
}

/// The header that makes a write fail where there is something already.
pub(super) fn create_only(wire: Wire) -> (HeaderName, HeaderValue) {
    match wire {
        Wire::S3 => (IF_NONE_MATCH, HeaderValue::from_static("*")),
        Wire::Oss => (HeaderName::from_static("x-oss-forbid-overwrite"), HeaderValue::from_static("true")),
    }
}

impl Reserved {
    pub(super) fn new(client: Arc<Client>, bucket: String, seal: Arc<dyn Seal>) -> Self {
        Self { client, bucket, seal }
    }

    #[cfg(test)]
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    #[cfg(test)]
    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The gateway's own clock.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.client.clock)
    }

    pub(super) fn sealed(&self, name: &str, plain: &[u8]) -> Result<Bytes, Error> {
        self.seal.seal(name, plain).map(Bytes::from).map_err(Error::Unavailable)
    }

    pub(super) fn opened(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let plain = self.seal.open(name, sealed);
        plain.map(|plain| plain.to_vec()).ok_or_else(|| Error::Corrupt(format!("the record {name} does not verify")))
    }

    async fn fetch(&self, name: &str) -> Result<Option<(HeaderMap, Bytes)>, Error> {
        let call = Call::object(Method::GET, &self.bucket, name);
        match self.client.ask(&call, Bytes::new(), Again::Always).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_absence() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// A record; `None` when there is none.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some((_, sealed)) = self.fetch(name).await? else { return Ok(None) };
        self.opened(name, &sealed).map(Some)
    }

    /// A record, and how long ago it was written by the upstream's own clock, in milliseconds.
    pub(super) async fn read_with_age(&self, name: &str) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let Some((headers, sealed)) = self.fetch(name).await? else { return Ok(None) };
        let date = |name: HeaderName| headers.get(name)?.to_str().ok().and_then(http_date);
        let (now, then) = (date(http::header::DATE), date(http::header::LAST_MODIFIED));
        let age = now.zip(then).map_or(0, |(Timestamp(now), Timestamp(then))| now.saturating_sub(then));
        Ok(Some((self.opened(name, &sealed)?, age)))
    }

    fn write_call(&self, name: &str) -> Call {
        let mut call = Call::object(Method::PUT, &self.bucket, name);
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        call
    }

    /// Makes a record or replaces it.
    pub(super) async fn write(&self, name: &str, plain: &[u8]) -> Result<(), Error> {
        let sealed = self.sealed(name, plain)?;
        self.client.ask(&self.write_call(name), sealed, Again::Always).await?;
        Ok(())
    }

    /// Makes a record that is not there yet; false when it is.
    pub(super) async fn create(&self, name: &str, plain: &[u8]) -> Result<bool, Error> {
        let sealed = self.sealed(name, plain)?;
        let mut call = self.write_call(name);
        let (header, value) = create_only(self.client.wire);
        call.headers.insert(header, value);
        match self.client.ask(&call, sealed.clone(), Again::Always).await {
            Ok(_) => Ok(true),
            // A first try may have made it and its answer got lost: no two sealed records are equal.
            Err(failure) if failure.is_refusal() || failure.is_doubtful() => match self.fetch(name).await? {
                Some((_, there)) => Ok(there == sealed),
                None if failure.is_refusal() => Ok(false),
                None => Err(failure.into()),
            },
            Err(failure) => Err(failure.into()),
        }
    }

    /// Removes a record, or whatever is there under this name.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Error> {
        let call = Call::object(Method::DELETE, &self.bucket, name);
        match self.client.ask(&call, Bytes::new(), Again::Always).await {
            Err(failure) if !failure.is_absence() => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// What is there after `after` among the names with this prefix, and whether there is more.
    pub(super) async fn names(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), Error> {
        let ask = Ask { prefix, delimiter: None, after, limit };
        match self.client.page(&self.bucket, &ask).await {
            Ok(page) => Ok((page.rows, page.truncated)),
            Err(failure) => Err(missing_place(failure)),
        }
    }

    /// All names with this prefix.
    pub(super) async fn all_names(&self, prefix: &str) -> Result<Vec<Row>, Error> {
        let mut all: Vec<Row> = Vec::new();
        loop {
            let after = all.last().map(|row| row.key.clone());
            let (rows, more) = self.names(prefix, after.as_deref(), MOST).await?;
            let got = !rows.is_empty();
            all.extend(rows);
            if !more || !got {
                return Ok(all);
            }
        }
    }

    /// Removes everything with this prefix.
    pub(super) async fn remove_all(&self, prefix: &str) -> Result<(), Error> {
        let rows = self.all_names(prefix).await?;
        self.remove_rows(rows).await
    }

    /// Removes these.
    pub(super) async fn remove_rows(&self, rows: Vec<Row>) -> Result<(), Error> {
        let removals = rows.into_iter().map(|row| async move { self.remove(&row.key).await });
        stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
    }

    /// The number of a line's newest version.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn newest_number(&self, line: &str) -> Result<Option<u64>, Error> {
        let prefix = format!("{line}/");
        let (rows, _) = self.names(&prefix, None, 1).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        number_of(&prefix, &row.key).map(Some)
    }

    /// A line's newest version.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Corrupt`] when it does not verify.
    pub async fn newest(&self, line: &str) -> Result<Option<Version>, Error> {
        for _ in 0..TRIES {
            let Some(number) = self.newest_number(line).await? else { return Ok(None) };
            // Pruned between the two looks, because there is a newer one: look again.
            if let Some(value) = self.read(&version_name(line, number)).await? {
                return Ok(Some(Version { number, value }));
            }
        }
        Err(Error::Unavailable(format!("the record {line} changes too fast to read")))
    }

    /// Adds the version of this number to a line; false when somebody else has, or there is a newer one already.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn append(&self, line: &str, number: u64, plain: &[u8]) -> Result<bool, Error> {
        if !self.create(&version_name(line, number), plain).await? {
            return Ok(false);
        }
        // Others may be far ahead and have pruned this number: then it was made behind their backs.
        match self.newest_number(line).await? {
            Some(newest) if newest > number => {
                self.remove(&version_name(line, number)).await?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// Removes the versions of a line below a number.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what is left is removed by the next one.
    pub async fn prune(&self, line: &str, below: u64) -> Result<(), Error> {
        let prefix = format!("{line}/");
        let Some(last_kept) = below.checked_sub(1).map(|_| version_name(line, below)) else { return Ok(()) };
        let (rows, _) = self.names(&prefix, Some(&last_kept), MOST).await?;
        self.remove_rows(rows).await
    }
}

/// The name of a line's version. Listings are in bytewise order: the newest shall be the first.
pub(super) fn version_name(line: &str, number: u64) -> String {
    format!("{line}/{:016x}", u64::MAX - number)
}

fn number_of(prefix: &str, name: &str) -> Result<u64, Error> {
    let digits = name.strip_prefix(prefix).filter(|digits| digits.len() == 16);
    let inverse = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    inverse.map(|inverse| u64::MAX - inverse).ok_or_else(|| Error::Corrupt(format!("{name} is no record's name")))
}

/// A missing reserved bucket is no missing bucket of a client's.
fn missing_place(failure: Failure) -> Error {
    match Error::from(failure) {
        Error::NoSuchBucket => Error::Unavailable("the reserved bucket is not there".to_owned()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_first_name() {
        let names: Vec<_> = [3, 2, 1, 0].map(|number| version_name("a/b", number)).to_vec();
        assert!(names.is_sorted());
        for (name, number) in names.iter().zip([3, 2, 1, 0]) {
            assert_eq!(number_of("a/b/", name).unwrap(), number);
        }
        assert!(number_of("a/b/", "a/b/x").is_err() && number_of("a/b/", "a/c/ffffffffffffffff").is_err());
    }
}
