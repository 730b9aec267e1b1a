//! The embedded keystore holds the contract, and keeps its keys over a restart.

mod import;
mod lifecycle;
mod policy;
mod rotation;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{EmbeddedKms, KeystoreOptions, NewKey, RootKey};
use crate::kms::contract::{Case, context, holds, user};
use crate::kms::{Error, KeyRef, KeyService as _, Principal};
use crate::types::{Clock, SystemClock, Timestamp};

fn open(directory: &Path, root: u8, data_exists: bool) -> Result<EmbeddedKms, Error> {
    open_at(directory, root, data_exists, Arc::new(SystemClock))
}

fn open_at(directory: &Path, root: u8, data_exists: bool, clock: Arc<dyn Clock>) -> Result<EmbeddedKms, Error> {
    EmbeddedKms::open(directory, RootKey::new([root; 32]), KeystoreOptions::default(), clock, data_exists)
}

/// A clock that a test moves.
#[derive(Debug)]
struct Moved(AtomicU64);

impl Moved {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_000_000_000_000)))
    }

    fn pass(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A keystore with a clock to move, and somebody who has a key in it.
struct Scene {
    directory: tempfile::TempDir,
    clock: Arc<Moved>,
    keystore: EmbeddedKms,
    owner: Principal,
    key: KeyRef,
}

impl Scene {
    async fn new() -> Self {
        Self::with(NewKey::default()).await
    }

    async fn with(new: NewKey) -> Self {
        let (directory, clock, owner) = (tempfile::tempdir().unwrap(), Moved::new(), user("owner"));
        let keystore = open_at(directory.path(), 1, false, clock.clone()).unwrap();
        let key = KeyRef(keystore.create_key(&owner, new).await.unwrap().arn.0);
        Self { directory, clock, keystore, owner, key }
    }

    /// The same keystore, opened again.
    fn reopened(self) -> Self {
        let Self { directory, clock, keystore, owner, key } = self;
        drop(keystore);
        let keystore = open_at(directory.path(), 1, true, clock.clone()).unwrap();
        Self { directory, clock, keystore, owner, key }
    }

    async fn generate(&self) -> Result<crate::kms::GeneratedKey, Error> {
        self.keystore.generate_data_key(&self.owner, Some(&self.key), &context(&[])).await
    }

    async fn unwrap(&self, made: &crate::kms::GeneratedKey) -> Result<(), Error> {
        let opened = self.keystore.unwrap_key(&self.owner, &made.key, &made.wrapped, &context(&[])).await?;
        assert_eq!(opened.expose(), made.plaintext.expose());
        Ok(())
    }
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

#[tokio::test]
async fn a_keystore_of_the_first_schema_opens_and_its_keys_go_on() {
    let scene = Scene::new().await;
    let made = scene.generate().await.unwrap();
    {
        let inner = &scene.keystore.inner;
        let id: super::KeyId = scene.key.0.rsplit('/').next().unwrap().parse().unwrap();
        let old = super::record::encode_as_first(inner.state().key(id).unwrap().record.clone());
        let sealed = inner.root.seal(super::seal::Slot::Cmk(id.as_bytes()), &old).unwrap();
        assert!(inner.disk.write(vec![(super::disk::Name::Cmk(id).bytes(), sealed)]).unwrap());
    }
    let scene = scene.reopened();
    scene.unwrap(&made).await.unwrap();
    scene.keystore.rotate_on_demand(&scene.owner, &scene.key).await.unwrap();
    let newer = scene.generate().await.unwrap();
    let scene = scene.reopened();
    scene.unwrap(&made).await.unwrap();
    scene.unwrap(&newer).await.unwrap();
}
