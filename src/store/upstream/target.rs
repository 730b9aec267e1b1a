//! One upstream at work: its client, its reserved place, and what it was found to be able to do.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::client::Client;
use super::reserved::Reserved;
use super::settings::{Endpoint, Mapped, Settings};
use crate::store::{Error, Versioning};
use crate::types::{BucketName, ObjectAt};

/// The longest key, in bytes.
const MAX_KEY: usize = 1024;

/// What an upstream can do, beyond what every one must. Found out at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// A copy can be made to depend on the source's ETag.
    pub conditional_copy: bool,
    /// A write can be made to depend on the ETag of what it replaces.
    pub conditional_put: bool,
    /// An upload can be completed with fewer parts than were sent.
    pub partial_completion: bool,
    /// How many bytes of user metadata it keeps.
    pub metadata: usize,
}

impl Default for Abilities {
    /// The least.
    fn default() -> Self {
        Self { conditional_copy: false, conditional_put: false, partial_completion: false, metadata: 2048 }
    }
}

/// One upstream.
pub(super) struct Target {
    pub(super) client: Arc<Client>,
    pub(super) settings: Settings,
    pub(super) reserved: Reserved,
    pub(super) abilities: Abilities,
    pub(super) closed: Closed,
}

/// Buckets of an upstream in which no bucket can be made: they are the gateways', or there are others in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Closed {
    reserved: BTreeSet<String>,
    named: BTreeSet<String>,
}

impl Closed {
    /// At an endpoint, by all that is said of upstreams there.
    pub(super) fn at(endpoint: &Endpoint, all: &[Settings]) -> Self {
        let mut closed = Self::default();
        for settings in all.iter().filter(|settings| settings.endpoint == *endpoint) {
            closed.reserved.insert(settings.reserved.clone());
            closed.named.extend(settings.buckets.values().map(|place| place.bucket.clone()));
        }
        closed
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("client", &self.client)
            .field("abilities", &self.abilities)
            .finish_non_exhaustive()
    }
}

/// Where an object is, in the upstream's terms.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) target: Arc<Target>,
    pub(super) bucket: String,
    pub(super) key: String,
    /// The record with metadata that the object was given since it was written, where the bucket has such: of its `null`
    /// version; those of others are named after it.
    pub(super) amends: Option<String>,
    /// What the bucket keeps of what is replaced.
    pub(super) versioning: Versioning,
    /// The version that is meant, by the upstream's id of it; the current one otherwise.
    pub(super) version: Option<String>,
}

impl Spot {
    /// A place where there is one version of everything, and nothing beside it.
    pub(super) fn new(target: &Arc<Target>, bucket: String, key: String) -> Self {
        Self { target: Arc::clone(target), bucket, key, amends: None, versioning: Versioning::Never, version: None }
    }
}

impl Target {
    /// Whether a client's bucket would be a reserved place, or one that other buckets are kept in.
    pub(super) fn is_reserved(&self, name: &BucketName) -> bool {
        let place = self.settings.place(name).bucket;
        let in_others = !self.settings.buckets.contains_key(name) && self.closed.named.contains(&place);
        in_others || self.closed.reserved.contains(&place)
    }

    /// Where an object is.
    pub(super) fn spot(self: &Arc<Self>, at: &ObjectAt) -> Result<Spot, Error> {
        let Mapped { bucket, prefix } = self.settings.place(&at.bucket);
        let key = format!("{prefix}{}", at.key);
        if key.contains('\0') {
            return Err(Error::Unsupported("a NUL in an object's name, on an upstream store"));
        }
        if key.len() > MAX_KEY {
            return Err(Error::Unsupported("with the bucket's prefix the key is longer than an upstream allows"));
        }
        Ok(Spot::new(self, bucket, key))
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::KeySource;
    use super::*;

    #[test]
    fn what_others_are_kept_in_is_closed_at_that_endpoint_only() {
        let at = |endpoint: &str, reserved: &str| {
            let settings = Settings::new(endpoint.parse().unwrap(), KeySource::File("/k".into()));
            Settings { reserved: reserved.to_owned(), ..settings }
        };
        let mut one = at("http://one", "sys-a");
        one.buckets.insert("photos".parse().unwrap(), Mapped { bucket: "shared".into(), prefix: "p/".into() });
        let all = [one, at("http://one", "sys-b"), at("http://two", "sys-c")];
        let here = Closed::at(&all[0].endpoint, &all);
        assert_eq!(here.reserved, ["sys-a".to_owned(), "sys-b".to_owned()].into());
        assert_eq!(here.named, ["shared".to_owned()].into());
        assert!(Closed::at(&all[2].endpoint, &all).named.is_empty());
    }
}
