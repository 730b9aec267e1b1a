//! One upstream at work: its client, its reserved place, and what it was found to be able to do.

use std::fmt;
use std::sync::Arc;

use super::client::Client;
use super::reserved::Reserved;
use super::settings::{Mapped, Settings};
use crate::store::Error;
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
    /// The record with metadata that the object was given since it was written, where the bucket has such.
    pub(super) amends: Option<String>,
}

impl Target {
    /// Whether a client's bucket would be the reserved place.
    pub(super) fn is_reserved(&self, name: &BucketName) -> bool {
        self.settings.place(name).bucket == self.settings.reserved
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
        Ok(Spot { target: Arc::clone(self), bucket, key, amends: None })
    }
}
