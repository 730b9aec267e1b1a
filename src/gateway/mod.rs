//! Object operations in plaintext terms: the one place where put, get, copy, multipart and list are defined.
//!
//! A dialect calls the methods of [`Gateway`] with what a request meant and turns the answer back into its wire form.
//! This room must not know HTTP headers, XML or file paths.

use std::sync::Arc;

use crate::identity::{self, Requester};
use crate::kms::Principal;
use crate::sse::{DefaultEncryption, Keyring};
use crate::store::ObjectStore;

mod access;
mod acl;
mod alarm;
mod append;
mod body;
mod bucket;
mod complete;
mod conditions;
mod copy;
mod cors;
mod delete;
mod deliver;
mod digest;
mod encrypt;
mod epochs;
mod error;
mod get;
mod list;
mod lock;
mod model;
mod multipart;
mod opened;
mod pass;
mod put;
mod range;
mod records;
mod rekey;
mod sample;
mod stat;
mod symlink;
mod tags;
#[cfg(test)]
mod tests;
mod transfer;
mod verify;

pub use crate::store::upstream::Wire;
pub use crate::store::{
    Crossing, Governance, ObjectLock, Passage, Passed, PassedObject, Passing, Retention, RetentionMode, Verb,
    passage_about,
};
pub use acl::{Acl, AclReach, BucketAcl, CannedAcl, PublicAccessBlock};
pub use body::{BodyError, LengthIs, PlainBody, PlainStream, TrailerSlot};
pub use cors::CorsRule;
pub use encrypt::Brought;
pub use epochs::Wrapper;
pub use error::Error;
pub use model::*;
pub use rekey::{EpochsMoved, NewKey, Rewrapped, Rewrapping};
pub use tags::{BUCKET_TAGS, OBJECT_TAGS, Tags};

/// The most bytes that one PUT or one part may carry (S3: 5 GiB).
pub const MAX_SINGLE_UPLOAD: u64 = 5 << 30;
/// The most bytes of an object (S3, OSS: 48.8 TiB; here what 10,000 parts of 5 GiB give).
pub const MAX_OBJECT: u64 = MAX_SINGLE_UPLOAD * 10_000;
/// The least bytes of a part that is not the last (S3: 5 MiB).
pub const MIN_PART: u64 = 5 << 20;
/// The same in OSS (100 KiB).
pub const OSS_MIN_PART: u64 = 100 << 10;
/// The most bytes of user metadata, names and values together (S3: 2 KiB).
pub const MAX_USER_METADATA: usize = 2048;

/// The gateway: a store of ciphertext and the keys to it.
#[derive(Debug)]
pub struct Gateway {
    store: Arc<dyn ObjectStore>,
    keys: Keyring,
    region: String,
    default: DefaultEncryption,
    clock: Arc<dyn crate::types::Clock>,
    alarm: alarm::Alarm,
    policies: access::Policies,
    sampler: sample::Sampler,
}

impl Gateway {
    /// Joins a store and its keys. `region` is what buckets without a location constraint are in.
    #[must_use]
    pub fn new(
        store: Arc<dyn ObjectStore>,
        keys: Keyring,
        region: String,
        clock: Arc<dyn crate::types::Clock>,
    ) -> Self {
        Self {
            store,
            keys,
            region,
            default: DefaultEncryption::default(),
            clock,
            alarm: alarm::Alarm::default(),
            policies: access::Policies::default(),
            sampler: sample::Sampler::default(),
        }
    }

    /// Sets what applies where neither request nor bucket says anything.
    #[must_use]
    pub fn defaulting_to(self, default: DefaultEncryption) -> Self {
        Self { default, ..self }
    }

    /// Has `listener` called once for each answer that failed because stored data does not verify.
    #[must_use]
    pub fn alarming(self, listener: impl Fn() + Send + Sync + 'static) -> Self {
        Self { alarm: alarm::Alarm::new(listener), ..self }
    }
}

/// On whose behalf keys are used.
fn principal(caller: &Requester) -> Result<Principal, Error> {
    Ok(caller.principal()?)
}

impl From<identity::Denied> for Error {
    fn from(denied: identity::Denied) -> Self {
        Self::AccessDenied(denied.to_string())
    }
}
