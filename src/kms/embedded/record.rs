//! What is kept of a CMK and of an alias, and its encoding: a schema byte, then postcard. Records are sealed as a
//! whole; a CMK's material is sealed once more, on its own, so that changing a description or a state never has
//! plaintext material in its hands.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kms::{Error, KeyArn};
use crate::types::{Timestamp, UserId};

use super::names::{AliasName, KeyId};

const SCHEMA: u8 = 1;

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

/// A tag that a CMK was made with.
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
    /// Ascending; the last one wraps, all of them unwrap.
    pub(super) versions: Vec<MaterialVersion>,
}

/// One version of a CMK's material.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MaterialVersion {
    pub(super) number: u32,
    pub(super) created: Timestamp,
    /// For [`super::seal::Slot::Material`].
    pub(super) sealed: Vec<u8>,
}

/// An alias as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AliasRecord {
    pub(super) name: AliasName,
    pub(super) target: KeyId,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    postcard::to_extend(record, vec![SCHEMA]).map_err(|_| Error::Invalid("a record cannot be encoded".to_owned()))
}

/// `None` for an unknown schema, a malformed record, or bytes after its end.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&SCHEMA, body) = bytes.split_first()? else { return None };
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
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
}
