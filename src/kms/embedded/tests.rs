//! The embedded keystore holds the contract, and keeps its keys over a restart.

use std::path::Path;
use std::sync::Arc;

use super::{EmbeddedKms, KeystoreOptions, NewKey, RootKey};
use crate::kms::contract::{Case, context, holds, user};
use crate::kms::{Error, KeyRef, KeyService as _};
use crate::types::SystemClock;

fn open(directory: &Path, root: u8, data_exists: bool) -> Result<EmbeddedKms, Error> {
    let root = RootKey::new([root; 32]);
    EmbeddedKms::open(directory, root, KeystoreOptions::default(), Arc::new(SystemClock), data_exists)
}

#[tokio::test]
async fn the_keystore_holds_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let keystore = open(directory.path(), 1, false).unwrap();
    let owner = user("owner");
    let made = keystore.create_key(&owner, NewKey::default()).await.unwrap();
    let key = KeyRef(made.arn.0.clone());
    let switch = |on: bool| -> futures::future::BoxFuture<'_, ()> {
        let (keystore, owner, key) = (&keystore, &owner, &key);
        Box::pin(async move {
            let done = if on { keystore.enable_key(owner, key).await } else { keystore.disable_key(owner, key).await };
            done.unwrap();
        })
    };
    let case = Case {
        service: &keystore,
        owner: owner.clone(),
        stranger: user("stranger"),
        key: key.clone(),
        switch: &switch,
    };
    holds(&case).await;
}

#[tokio::test]
async fn keys_survive_a_restart_and_open_under_their_root_key_only() {
    let directory = tempfile::tempdir().unwrap();
    let (owner, bound) = (user("owner"), context(&[("a", "b")]));
    let keystore = open(directory.path(), 1, false).unwrap();
    let made = keystore.create_key(&owner, NewKey::default()).await.unwrap();
    let key = KeyRef(made.arn.0.clone());
    let generated = keystore.generate_data_key(&owner, Some(&key), &bound).await.unwrap();
    drop(keystore);

    assert!(open(directory.path(), 2, true).is_err(), "another root key opened the keystore");
    let keystore = open(directory.path(), 1, true).unwrap();
    let unwrapped = keystore.unwrap_key(&owner, &made.arn, &generated.wrapped, &bound).await.unwrap();
    assert_eq!(unwrapped.expose(), generated.plaintext.expose());
}

#[test]
fn a_missing_keystore_beside_data_refuses_to_start() {
    let directory = tempfile::tempdir().unwrap();
    assert!(open(directory.path(), 1, true).is_err());
}

#[tokio::test]
async fn a_key_pending_deletion_or_import_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let keystore = open(directory.path(), 1, false).unwrap();
    let owner = user("owner");
    let key = KeyRef(keystore.create_key(&owner, NewKey::default()).await.unwrap().arn.0);
    keystore.force_state(&key, super::KeyState::PendingDeletion).await;
    let refused = keystore.generate_data_key(&owner, Some(&key), &context(&[])).await;
    assert!(matches!(refused, Err(Error::PendingDeletion(_))));
    keystore.force_state(&key, super::KeyState::PendingImport).await;
    let refused = keystore.generate_data_key(&owner, Some(&key), &context(&[])).await;
    assert!(matches!(refused, Err(Error::PendingImport(_))));
}
