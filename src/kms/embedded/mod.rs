//! The embedded key service: CMKs in a RocksDB of their own beside the data, every record sealed by one root key.
//!
//! * `root_key`: where the root key comes from.
//! * `names`: key ids, alias names, ARNs.
//! * `seal`: key derivation and the AEAD; how a record is sealed.
//! * `record`: what is kept of a CMK and of an alias.
//! * `disk`: RocksDB, and nothing but sealed bytes in it.
//! * `state`: the same in memory, so that using a CMK reads no disk.
//! * `wrap`: the ciphertext blob, and what binds it to its CMK and its encryption context.
//! * `keystore`: opening, and using CMKs ([`crate::kms::KeyService`]); `admin`: making, listing, naming, switching them.
//! * `audit`: the event that each use leaves.
//!
//! What a thief of the disk sees: how many CMKs and aliases there are, random key ids, and sizes. Names, owners,
//! descriptions, states and material are sealed, and an altered or swapped record is refused at the next start. Putting
//! an older copy of the *whole* keystore back is not noticed, nor is a record that was removed.
//!
//! This room must not know objects, buckets, HTTP or JSON.

mod admin;
mod audit;
mod disk;
mod keystore;
mod names;
mod record;
mod root_key;
mod seal;
mod state;
#[cfg(test)]
mod tests;
mod wrap;

pub use admin::{AdminError, AliasDescription, KeyDescription, NewKey, Page};
pub use disk::{Shelf, ShelfRecord};
pub use keystore::{EmbeddedKms, Generated, KeystoreOptions};
pub use names::{AliasName, KeyId, is_arn_of_kms};
pub use record::{KeyOrigin, KeyState, Tag};
pub use root_key::{RootKey, RootKeyError};
pub use seal::RecordSeal;
