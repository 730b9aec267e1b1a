//! What is kept of a CMK and of an alias, and its encoding: a schema byte, then postcard. Records are sealed as a
//! whole; a CMK's material is sealed once more, on its own, so that changing a description or a state never has
//! plaintext material in its hands.
//!
//! A CMK's record has schema 2; one of schema 1, which knew neither rotation nor import nor policies, is read as what it
//! means and written with schema 2 at its next change.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kms::{Error, KeyArn};
use crate::types::{Timestamp, UserId};

use super::names::{AliasName, KeyId};

/// A kind of record with its encodings.
pub(super) trait Kept: Serialize + Sized {
    /// The schema that is written.
    const SCHEMA: u8;
    /// Reads a body of any schema that this build knows; `None` for others, malformed ones, and bytes after the end.
    fn read(schema: u8, body: &[u8]) -> Option<Self>;
}

/// Whether a CMK can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// It can.
    Enabled,
    /// Its owner switched it off.
    Disabled,
    /// It will be deleted.
    PendingDeletion,
    /// Its material is still to be imported.
    PendingImport,
}

/// Where a CMK's material comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyOrigin {
    /// Made here.
    Service,
    /// Imported.
    External,
}

/// What a CMK is for. One thing, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum KeyUsage {
    EncryptDecrypt,
}

/// A tag of a CMK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// 1–128 characters.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

/// A CMK as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CmkRecord {
    pub(super) id: KeyId,
    /// Written down, because the configured region may change and the objects' envelopes name this ARN.
    pub(super) arn: KeyArn,
    pub(super) description: String,
    /// `None`: the service manages it.
    pub(super) owner: Option<UserId>,
    pub(super) state: KeyState,
    pub(super) usage: KeyUsage,
    pub(super) origin: KeyOrigin,
    pub(super) created: Timestamp,
    pub(super) deletion: Option<Timestamp>,
    pub(super) tags: Vec<Tag>,
    /// Ascending; the last one wraps, all of them unwrap. Empty while material is still to be imported.
    pub(super) versions: Vec<MaterialVersion>,
    /// Automatic rotation, where it is on.
    pub(super) rotation: Option<Rotation>,
    /// What was imported, once something was.
    pub(super) import: Option<Import>,
    /// The key policy as it was put; `None`: the default.
    pub(super) policy: Option<String>,
}

impl CmkRecord {
    /// When something is due to happen to the CMK by itself: its deletion, else the end of its material or its rotation.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.state {
            KeyState::PendingDeletion => self.deletion,
            KeyState::Enabled => self.expires().into_iter().chain(self.rotation.map(|rotation| rotation.next)).min(),
            KeyState::Disabled | KeyState::PendingImport => self.expires(),
        }
    }

    /// When imported material that is there expires.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.import.as_ref().and_then(|import| import.expires).filter(|_| !self.versions.is_empty())
    }
}

/// Automatic rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rotation {
    /// How long a version wraps.
    pub(super) period_days: u16,
    /// When the next version is made.
    pub(super) next: Timestamp,
}

/// What is remembered of imported material, also while it is gone: only the same may come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Import {
    /// A keyed hash of the material, see [`super::seal`].
    pub(super) fingerprint: [u8; 32],
    /// When the material expires.
    pub(super) expires: Option<Timestamp>,
}

/// Why there is a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionCause {
    /// It is the first one, made or imported.
    First,
    /// It was due.
    Automatic,
    /// Somebody asked for it.
    OnDemand,
}

/// One version of a CMK's material.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MaterialVersion {
    pub(super) number: u32,
    pub(super) created: Timestamp,
    pub(super) cause: VersionCause,
    /// For [`super::seal::Slot::Material`].
    pub(super) sealed: Vec<u8>,
}

/// Schema 1 of [`CmkRecord`].
#[derive(Debug, Serialize, Deserialize)]
struct CmkRecord1 {
    id: KeyId,
    arn: KeyArn,
    description: String,
    owner: Option<UserId>,
    state: KeyState,
    usage: KeyUsage,
    origin: KeyOrigin,
    created: Timestamp,
    deletion: Option<Timestamp>,
    tags: Vec<Tag>,
    versions: Vec<MaterialVersion1>,
}

/// Schema 1 of [`MaterialVersion`]: there was never more than the first.
#[derive(Debug, Serialize, Deserialize)]
struct MaterialVersion1 {
    number: u32,
    created: Timestamp,
    sealed: Vec<u8>,
}

impl From<CmkRecord1> for CmkRecord {
    fn from(old: CmkRecord1) -> Self {
        let version = |MaterialVersion1 { number, created, sealed }| MaterialVersion {
            number,
            created,
            cause: VersionCause::First,
            sealed,
        };
        Self {
            id: old.id,
            arn: old.arn,
            description: old.description,
            owner: old.owner,
            state: old.state,
            usage: old.usage,
            origin: old.origin,
            created: old.created,
            deletion: old.deletion,
            tags: old.tags,
            versions: old.versions.into_iter().map(version).collect(),
            rotation: None,
            import: None,
            policy: None,
        }
    }
}

/// An alias as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AliasRecord {
    pub(super) name: AliasName,
    pub(super) target: KeyId,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

impl Kept for CmkRecord {
    const SCHEMA: u8 = 2;

    fn read(schema: u8, body: &[u8]) -> Option<Self> {
        match schema {
            1 => whole::<CmkRecord1>(body).map(Self::from),
            2 => whole(body),
            _ => None,
        }
    }
}

impl Kept for AliasRecord {
    const SCHEMA: u8 = 1;

    fn read(schema: u8, body: &[u8]) -> Option<Self> {
        if schema == 1 { whole(body) } else { None }
    }
}

pub(super) fn encode<T: Kept>(record: &T) -> Result<Vec<u8>, Error> {
    postcard::to_extend(record, vec![T::SCHEMA]).map_err(|_| Error::Invalid("a record cannot be encoded".to_owned()))
}

/// `None` for an unknown schema, a malformed record, or bytes after its end.
pub(super) fn decode<T: Kept>(bytes: &[u8]) -> Option<T> {
    let (&schema, body) = bytes.split_first()?;
    T::read(schema, body)
}

/// Reads all of a body.
pub(super) fn whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
}

/// A record as the first schema had it.
#[cfg(test)]
pub(super) fn encode_as_first(record: CmkRecord) -> Vec<u8> {
    let version = |MaterialVersion { number, created, sealed, .. }| MaterialVersion1 { number, created, sealed };
    let first = CmkRecord1 {
        id: record.id,
        arn: record.arn,
        description: record.description,
        owner: record.owner,
        state: record.state,
        usage: record.usage,
        origin: record.origin,
        created: record.created,
        deletion: record.deletion,
        tags: record.tags,
        versions: record.versions.into_iter().map(version).collect(),
    };
    postcard::to_extend(&first, vec![1]).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_nothing_may_follow_or_precede_it() {
        let alias = AliasRecord {
            name: "alias/a".parse().unwrap(),
            target: KeyId::from_bytes([1; 16]),
            created: Timestamp(5),
            updated: Timestamp(6),
        };
        let bytes = encode(&alias).unwrap();
        let read: AliasRecord = decode(&bytes).unwrap();
        assert_eq!((read.name, read.target, read.updated), (alias.name, alias.target, alias.updated));
        assert!(decode::<AliasRecord>(&[bytes.as_slice(), &[0]].concat()).is_none());
        assert!(decode::<AliasRecord>(&bytes[..bytes.len() - 1]).is_none());
        assert!(decode::<AliasRecord>(&[&[2], &bytes[1..]].concat()).is_none());
        assert!(decode::<AliasRecord>(&[]).is_none());
    }

    #[test]
    fn a_record_of_the_first_schema_is_read_as_what_it_means() {
        // What the first release wrote for a CMK of `id` 01…01 with material 0a0b0c, byte for byte.
        let bytes = hex::decode(concat!(
            "01",                               // schema
            "01010101010101010101010101010101", // id
            "03",
            "61726e", // ARN
            "04",
            "74657874", // description
            "01",
            "05",
            "6f776e6572", // owner
            "01",
            "00",
            "00",   // disabled, for encryption, made here
            "e807", // created
            "00",   // no deletion
            "01",
            "01",
            "6b",
            "01",
            "76", // one tag
            "01",
            "01",
            "e807",
            "03",
            "0a0b0c", // one version
        ));
        let read: CmkRecord = decode(&bytes.unwrap()).unwrap();
        assert_eq!((read.state, read.created, read.versions.len()), (KeyState::Disabled, Timestamp(1000), 1));
        assert_eq!(
            (read.owner, read.policy, read.rotation, read.import),
            (Some(UserId::new("owner")), None, None, None)
        );
        let version = &read.versions[0];
        assert_eq!(
            (version.number, version.cause, version.sealed.as_slice()),
            (1, VersionCause::First, &[10, 11, 12][..])
        );
    }
}
