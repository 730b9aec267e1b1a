//! The embedded key service: CMKs in a RocksDB of their own beside the data, every record sealed by one root key.
//!
//! * `root_key`: where the root key comes from.
//! * `names`: key ids, alias names, ARNs.
//! * `seal`: key derivation and the AEAD; how a record is sealed.
//! * `record`: what is kept of a CMK and of an alias.
//! * `disk`: RocksDB, and nothing but sealed bytes in it.
//! * `state`: the same in memory, so that using a CMK reads no disk.
//! * `wrap`: the ciphertext blob, and what binds it to its CMK and its encryption context.
//! * `keystore`: opening, and wrapping data keys ([`crate::kms::KeyService`]); `direct`: the API's uses; `call`: one use.
//! * `rights`, `key_policy`: who may do what with a CMK; `change`: how a change becomes durable.
//! * `admin`: making and listing CMKs; `lifecycle`: their states and their deletion; `aliases`, `tags`: what they are called.
//! * `import`: material that its owner brings; `rotation`: new versions of material.
//! * `audit`: the event that each use leaves.
//!
//! What a thief of the disk sees: how many CMKs and aliases there are, random key ids, and sizes. Names, owners,
//! descriptions, states and material are sealed, and an altered or swapped record is refused at the next start. Putting
//! an older copy of the *whole* keystore back is not noticed, nor is a record that was removed.
//!
//! This room must not know objects, buckets, HTTP or JSON.

mod admin;
mod aliases;
mod audit;
mod call;
mod change;
mod direct;
mod disk;
mod import;
mod key_policy;
mod keystore;
mod lifecycle;
mod names;
mod record;
mod rights;
mod root_key;
mod rotation;
mod seal;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod wrap;

pub use admin::{AdminError, KeyDescription, KeyRow, NewKey, Page};
pub use aliases::AliasDescription;
pub use direct::{Generated, ReEncryptFrom, random_bytes, version_of};
pub use disk::{Shelf, ShelfRecord};
pub use import::{Expiry, ImportParameters, WrappingAlgorithm, WrappingKey};
pub use keystore::{EmbeddedKms, KeystoreOptions};
pub use lifecycle::Scheduled;
pub use names::{AliasName, KeyId, is_arn_of_kms, version_id};
pub use record::{KeyOrigin, KeyState, Tag, VersionCause};
pub use root_key::{RootKey, RootKeyError};
pub use rotation::{RotationStatus, VersionRow};
pub use seal::RecordSeal;
