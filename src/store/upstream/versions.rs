//! Versions are the upstream's own: it keeps them, orders them and names them. What clients are told is the id of ours that
//! the write was made with, which is under the object's MAC, and the upstream's name for it: so a version is found by one
//! request, needs no record of its own, and cannot stand for another.
//!
//! Upstreams differ in what they say. Ceph 16 ignores `If-None-Match` on a write where there are versions, answers 404 and
//! no more for a key whose newest version is a delete marker, lays no marker over a marker, and does not tell the id of a
//! copy. So conditions take a claim, and what an answer leaves out is looked up.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Method};

use super::claims::under;
use super::client::{Again, Call};
use super::headers::{decode, write_of};
use super::listing::{Kept, MOST};
use super::put::turn;
use super::settings::{Mapped, Wire};
use super::target::{Spot, Target};
use super::xml;
use crate::store::{Deleted, Error, Governance, Metadata, Precondition, Versioning};
use crate::types::{BucketName, ObjectAt, VersionId};

/// The query parameter that names a version, in both dialects.
pub(super) const VERSION: &str = "versionId";

/// What versions would need of a bucket upstream.
const SHARED: &str = "versions in a bucket that shares the upstream's bucket with others";
const NOT_KEPT: &str = "versions: the upstream does not keep any";

/// The name of the header that tells a version.
fn version_header(wire: Wire) -> HeaderName {
    match wire {
        Wire::S3 => HeaderName::from_static("x-amz-version-id"),
        Wire::Oss => HeaderName::from_static("x-oss-version-id"),
    }
}

/// The upstream's id of what an answer is about; `None` where it keeps no versions.
fn own_of(headers: &HeaderMap, wire: Wire) -> Option<&str> {
    headers.get(version_header(wire)).and_then(|value| value.to_str().ok()).filter(|own| !own.is_empty())
}

fn unfit<E>(_: E) -> Error {
    Error::Unavailable("the upstream names a version in a way that no client could be told".to_owned())
}

impl Kept {
    /// What clients call a marker.
    pub(super) fn marker_id(&self) -> Result<VersionId, Error> {
        VersionId::marker(&self.own).map_err(unfit)
    }
}

impl Spot {
    /// The same object, of which this version is meant for good. An id that no upstream gave means the current one.
    pub(super) fn at_version(&self, version: &VersionId) -> Self {
        let own = version.own().filter(|_| self.versioning != Versioning::Never);
        Self { version: own.map(str::to_owned), ..self.clone() }
    }

    /// Whether what is meant can never be another body. The `null` version can.
    pub(super) fn is_for_good(&self) -> bool {
        self.version.as_ref().is_some_and(|own| own != VersionId::null().as_str())
    }

    /// The same object in the version that a client named.
    ///
    /// # Errors
    /// [`Error::NoSuchObject`], [`Error::DeleteMarker`]; [`Error::Unavailable`].
    pub(super) async fn named(self, version: Option<&VersionId>) -> Result<Self, Error> {
        let Some(version) = version else { return Ok(self) };
        if self.versioning == Versioning::Never {
            return if version.is_null() { Ok(self) } else { Err(Error::NoSuchObject) };
        }
        let own = version.own().ok_or(Error::NoSuchObject)?;
        if version.is_marker() {
            let there = self.row(own).await?.is_some_and(|row| row.marker);
            return Err(if there { Error::DeleteMarker(version.clone()) } else { Error::NoSuchObject });
        }
        Ok(self.at_version(version))
    }

    /// The version that an answer with a body or its metadata is about.
    pub(super) fn served(&self, headers: &HeaderMap, metadata: &Metadata) -> Result<VersionId, Error> {
        match own_of(headers, self.target.client.wire) {
            Some(own) => VersionId::kept(metadata.version(), own).map_err(unfit),
            None => Ok(VersionId::null()),
        }
    }

    /// The version that a write became, as its answer says; where that says nothing, as it is found. A write that another
    /// has replaced or deleted meanwhile is named by our id alone.
    pub(super) async fn made(&self, headers: &HeaderMap, write: &str, metadata: &Metadata) -> VersionId {
        if let Some(own) = own_of(headers, self.target.client.wire)
            && let Ok(version) = VersionId::kept(metadata.version(), own)
        {
            return version;
        }
        if self.versioning != Versioning::Enabled {
            return VersionId::null();
        }
        let found = self.made_by(write).await.inspect_err(|error| tracing::debug!(%error, "a version is not found"));
        let alone = || metadata.version().and_then(|version| version.parse().ok());
        found.ok().flatten().or_else(alone).unwrap_or_else(VersionId::null)
    }

    /// Looks for the version that a write became among the newest.
    pub(super) async fn made_by(&self, write: &str) -> Result<Option<VersionId>, Error> {
        let page = self.target.client.page_of_versions(&self.bucket, &self.key, None, MOST).await?;
        for kept in page.rows.into_iter().filter(|kept| kept.row.key == self.key && !kept.marker) {
            let spot = Self { version: Some(kept.own), ..self.clone() };
            match spot.headers().await {
                Ok(headers) if write_of(&headers, self.target.client.wire) == write => {
                    return spot.served(&headers, &decode(&headers, self.target.client.wire).0).map(Some);
                }
                Ok(_) | Err(Error::NoSuchObject) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What it means that there is no object: a marker can be there.
    pub(super) async fn absence(&self) -> Result<Error, Error> {
        if self.versioning == Versioning::Never {
            return Ok(Error::NoSuchObject);
        }
        let row = match &self.version {
            None => self.newest().await?.filter(|row| row.latest),
            Some(own) => self.row(own).await?,
        };
        match row.filter(|row| row.marker) {
            Some(marker) => Ok(Error::DeleteMarker(marker.marker_id()?)),
            None => Ok(Error::NoSuchObject),
        }
    }

    /// The newest version of the key, whatever it is.
    async fn newest(&self) -> Result<Option<Kept>, Error> {
        let page = self.target.client.page_of_versions(&self.bucket, &self.key, None, 1).await?;
        Ok(page.rows.into_iter().next().filter(|kept| kept.row.key == self.key))
    }

    /// The version that the upstream calls so.
    async fn row(&self, own: &str) -> Result<Option<Kept>, Error> {
        let mut after = None;
        loop {
            let page = self.target.client.page_of_versions(&self.bucket, &self.key, after.as_ref(), MOST).await?;
            for kept in page.rows {
                if kept.row.key != self.key {
                    return Ok(None);
                }
                if kept.own == own {
                    return Ok(Some(kept));
                }
            }
            let Some(next) = page.next else { return Ok(None) };
            after = Some(next);
        }
    }

    /// Lays a delete marker over the object.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`]; [`Error::Unavailable`].
    pub(super) async fn mark(&self, at: &ObjectAt, precondition: &Precondition) -> Result<Deleted, Error> {
        let claim = turn(self, at, precondition).await?;
        let headers = under(claim, self.remove()).await?;
        if let Some(own) = own_of(&headers, self.target.client.wire) {
            return Ok(Deleted::Marked(VersionId::marker(own).map_err(unfit)?));
        }
        match self.newest().await?.filter(|row| row.marker) {
            Some(there) => Ok(Deleted::Marked(there.marker_id()?)),
            None => Ok(Deleted::Gone { marker: false }),
        }
    }

    /// Deletes a version for good, if it is the one that is there under this id.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`]; [`Error::Unavailable`].
    pub(super) async fn remove_version(
        &self,
        at: &ObjectAt,
        version: &VersionId,
        precondition: &Precondition,
        governance: Governance,
    ) -> Result<Deleted, Error> {
        let Some(own) = version.own() else { return Ok(Deleted::Absent) };
        let spot = self.at_version(version);
        let claim = turn(&spot, at, precondition).await?;
        let removed = async {
            let there = match spot.headers().await {
                Ok(headers) => Some(spot.served(&headers, &decode(&headers, spot.target.client.wire).0)?),
                Err(Error::NoSuchObject) => None,
                Err(error) => return Err(error),
            };
            let marker = match there {
                Some(there) if there == *version => false,
                Some(_) => return Ok(Deleted::Absent),
                None if self.row(own).await?.is_some_and(|row| row.marker) => true,
                None => return Ok(Deleted::Absent),
            };
            spot.remove_past(governance).await?;
            Ok(Deleted::Gone { marker })
        };
        under(claim, removed).await
    }
}

/// Has the upstream keep versions of what is in a bucket, or keep no more of them.
///
/// # Errors
/// [`Error::Unsupported`] where it keeps none, or others would be affected; [`Error::Unavailable`].
pub(super) async fn set(target: &Target, name: &BucketName, versioning: Versioning) -> Result<(), Error> {
    let Mapped { bucket, prefix } = target.settings.place(name);
    if versioning == Versioning::Never || versioning_of(target, name).await? == versioning {
        return Ok(());
    }
    let others = |(other, place): (&BucketName, &Mapped)| other != name && place.bucket == bucket;
    if !prefix.is_empty() || target.settings.buckets.iter().any(others) {
        return Err(Error::Unsupported(SHARED));
    }
    let status = match versioning {
        Versioning::Suspended => "Suspended",
        _ => "Enabled",
    };
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
    );
    let mut call = Call::bucket(Method::PUT, &bucket).query("versioning", "");
    call.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    match target.client.ask(&call, document.into(), Again::Always).await {
        Err(failure) if failure.code() == "InvalidBucketState" => return Err(Error::BucketLocked),
        answer => drop(answer?),
    }
    // One that does not know the question may have done something else, and said yes.
    if versioning_of(target, name).await? == versioning { Ok(()) } else { Err(Error::Unsupported(NOT_KEPT)) }
}

/// What the upstream keeps of what is in a bucket; nothing, where it does not know the question.
///
/// # Errors
/// [`Error::NoSuchBucket`]; [`Error::Unavailable`].
pub(super) async fn versioning_of(target: &Target, name: &BucketName) -> Result<Versioning, Error> {
    let call = Call::bucket(Method::GET, &target.settings.place(name).bucket).query("versioning", "");
    let answer = target.client.ask(&call, Bytes::new(), Again::Always).await.map_err(Error::from);
    let body = match answer {
        Ok((_, body)) => body,
        Err(Error::Unsupported(_)) => return Ok(Versioning::Never),
        Err(error) => return Err(error),
    };
    let Ok(root) = xml::parse(&body) else { return Ok(Versioning::Never) };
    Ok(match root.text("Status") {
        "Enabled" if root.name == "VersioningConfiguration" => Versioning::Enabled,
        "Suspended" if root.name == "VersioningConfiguration" => Versioning::Suspended,
        _ => Versioning::Never,
    })
}
