//! States of a CMK over time.

use super::super::lifecycle::DAY;
use super::super::names::KeyId;
use super::super::record::{KeyOrigin, Tag};
use super::super::{AdminError, AliasName, KeyState, NewKey};
use super::*;

async fn state(scene: &Scene) -> Result<KeyState, AdminError> {
    scene.keystore.describe_key(&scene.owner, &scene.key).await.map(|described| described.state)
}

fn alias(name: &str) -> AliasName {
    name.parse().unwrap()
}

#[tokio::test]
async fn a_scheduled_key_is_closed_at_once_and_gone_with_its_names_at_its_time() {
    let scene = Scene::new().await;
    let made = scene.generate().await.unwrap();
    scene.keystore.create_alias(&scene.owner, alias("alias/a"), &scene.key).await.unwrap();
    let scheduled = scene.keystore.schedule_deletion(&scene.owner, &scene.key, 7).await.unwrap();
    assert_eq!(scheduled.deletion.0, scene.clock.now().0 + 7 * DAY);
    assert!(matches!(scene.generate().await, Err(Error::PendingDeletion(_))));
    assert!(matches!(scene.unwrap(&made).await, Err(Error::PendingDeletion(_))));
    assert_eq!(state(&scene).await.unwrap(), KeyState::PendingDeletion);

    scene.clock.pass(7 * DAY - 1);
    assert_eq!(scene.keystore.tend().await.unwrap(), 0, "a moment too early");
    let scene = scene.reopened();
    assert!(matches!(scene.unwrap(&made).await, Err(Error::PendingDeletion(_))));

    scene.clock.pass(1);
    assert!(matches!(scene.unwrap(&made).await, Err(Error::NotFound(_))), "gone at its time, tended or not");
    assert!(matches!(state(&scene).await, Err(AdminError::Kms(Error::NotFound(_)))));
    let late = scene.keystore.cancel_deletion(&scene.owner, &scene.key, KeyState::Disabled).await;
    assert!(matches!(late, Err(AdminError::Kms(Error::NotFound(_)))), "{late:?}");
    assert_eq!(scene.keystore.tend().await.unwrap(), 1);
    assert!(scene.keystore.list_keys(&scene.owner, None, 10).items.is_empty());
    assert!(scene.keystore.list_aliases(&scene.owner, None, None, 10).unwrap().items.is_empty());

    let scene = scene.reopened();
    assert!(matches!(scene.unwrap(&made).await, Err(Error::NotFound(_))));
    let other = scene.keystore.create_key(&scene.owner, NewKey::default()).await.unwrap();
    scene.keystore.create_alias(&scene.owner, alias("alias/a"), &KeyRef(other.arn.0)).await.unwrap();
}

#[tokio::test]
async fn a_deleted_keys_record_is_in_no_file() {
    let scene = Scene::new().await;
    let id: KeyId = scene.key.0.rsplit('/').next().unwrap().parse().unwrap();
    let records = scene.keystore.inner.disk.read_all().unwrap();
    let (_, sealed) = records.iter().find(|(name, _)| name.ends_with(id.as_bytes())).unwrap();
    let lies_there = || {
        std::fs::read_dir(scene.directory.path().join("keystore")).unwrap().any(|file| {
            let content = std::fs::read(file.unwrap().path()).unwrap();
            content.windows(32).any(|window| sealed.ends_with(window))
        })
    };
    assert!(lies_there());
    scene.keystore.schedule_deletion(&scene.owner, &scene.key, 7).await.unwrap();
    scene.clock.pass(7 * DAY);
    scene.keystore.tend().await.unwrap();
    assert!(!lies_there());
}

#[tokio::test]
async fn a_cancelled_deletion_leaves_the_key_disabled() {
    let scene = Scene::new().await;
    let made = scene.generate().await.unwrap();
    let early = scene.keystore.cancel_deletion(&scene.owner, &scene.key, KeyState::Disabled).await;
    assert!(matches!(early, Err(AdminError::NotPendingDeletion(_))), "{early:?}");
    scene.keystore.schedule_deletion(&scene.owner, &scene.key, 7).await.unwrap();
    let again = scene.keystore.schedule_deletion(&scene.owner, &scene.key, 30).await;
    assert!(matches!(again, Err(AdminError::Kms(Error::PendingDeletion(_)))), "{again:?}");
    assert_eq!(
        scene.keystore.cancel_deletion(&scene.owner, &scene.key, KeyState::Disabled).await.unwrap().0,
        scene.key.0
    );
    assert_eq!(state(&scene).await.unwrap(), KeyState::Disabled);
    scene.clock.pass(8 * DAY);
    assert_eq!(scene.keystore.tend().await.unwrap(), 0);
    scene.keystore.enable_key(&scene.owner, &scene.key).await.unwrap();
    scene.unwrap(&made).await.unwrap();
}

#[tokio::test]
async fn a_key_pending_deletion_is_not_changed_otherwise() {
    let scene = Scene::new().await;
    scene.keystore.schedule_deletion(&scene.owner, &scene.key, 7).await.unwrap();
    let (keystore, owner, key) = (&scene.keystore, &scene.owner, &scene.key);
    let tag = Tag { key: "a".into(), value: "b".into() };
    for refused in [
        keystore.enable_key(owner, key).await,
        keystore.disable_key(owner, key).await,
        keystore.create_alias(owner, alias("alias/a"), key).await,
        keystore.tag_key(owner, key, vec![tag]).await,
        keystore.untag_key(owner, key, vec!["a".into()]).await,
        keystore.update_description(owner, key, "text".into()).await,
    ] {
        assert!(matches!(refused, Err(AdminError::Kms(Error::PendingDeletion(_)))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_key_without_material_waits_for_its_import() {
    let scene = Scene::with(NewKey { origin: KeyOrigin::External, ..NewKey::default() }).await;
    assert!(matches!(scene.generate().await, Err(Error::PendingImport(_))));
    let refused = scene.keystore.enable_key(&scene.owner, &scene.key).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::PendingImport(_)))), "{refused:?}");
    scene.keystore.schedule_deletion(&scene.owner, &scene.key, 7).await.unwrap();
    scene.keystore.cancel_deletion(&scene.owner, &scene.key, KeyState::Disabled).await.unwrap();
    assert_eq!(state(&scene).await.unwrap(), KeyState::PendingImport);
    let scene = scene.reopened();
    assert!(matches!(scene.generate().await, Err(Error::PendingImport(_))));
}

#[tokio::test]
async fn a_stranger_changes_nothing_and_learns_no_state() {
    let scene = Scene::new().await;
    scene.keystore.create_alias(&scene.owner, alias("alias/a"), &scene.key).await.unwrap();
    let stranger = user("stranger");
    let theirs = KeyRef(scene.keystore.create_key(&stranger, NewKey::default()).await.unwrap().arn.0);
    scene.keystore.create_alias(&stranger, alias("alias/theirs"), &theirs).await.unwrap();
    scene.keystore.schedule_deletion(&scene.owner, &scene.key, 7).await.unwrap();
    let (keystore, key) = (&scene.keystore, &scene.key);
    for refused in [
        keystore.schedule_deletion(&stranger, key, 7).await.map(drop),
        keystore.cancel_deletion(&stranger, key, KeyState::Disabled).await.map(drop),
        keystore.tag_key(&stranger, key, vec![]).await,
        keystore.update_description(&stranger, key, String::new()).await,
        keystore.delete_alias(&stranger, alias("alias/a")).await,
        keystore.update_alias(&stranger, alias("alias/a"), &theirs).await,
        keystore.update_alias(&stranger, alias("alias/theirs"), key).await,
        keystore.list_tags(&stranger, key, None, 10).map(drop),
    ] {
        assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))), "{refused:?}");
    }
}

#[tokio::test]
async fn the_service_managed_key_is_not_deleted() {
    let scene = Scene::new().await;
    scene.keystore.generate_data_key(&scene.owner, None, &context(&[])).await.unwrap();
    let root = Principal { root: true, ..user("root") };
    let refused = scene.keystore.schedule_deletion(&root, &KeyRef("alias/aws/s3".into()), 7).await;
    assert!(matches!(refused, Err(AdminError::ServiceManaged(_))), "{refused:?}");
}

#[tokio::test]
async fn a_moved_name_stands_for_its_new_key_only() {
    let scene = Scene::new().await;
    let other = KeyRef(scene.keystore.create_key(&scene.owner, NewKey::default()).await.unwrap().arn.0);
    let (keystore, owner, name) = (&scene.keystore, &scene.owner, alias("alias/a"));
    let absent = keystore.update_alias(owner, name.clone(), &other).await;
    assert!(matches!(absent, Err(AdminError::Kms(Error::NotFound(_)))), "{absent:?}");
    keystore.create_alias(owner, name.clone(), &scene.key).await.unwrap();
    scene.clock.pass(5);
    keystore.update_alias(owner, name.clone(), &other).await.unwrap();
    let scene = scene.reopened();
    let (keystore, owner) = (&scene.keystore, &scene.owner);
    let of = |key: &KeyRef| keystore.list_aliases(owner, Some(key), None, 10).unwrap().items;
    assert!(of(&scene.key).is_empty());
    assert!(matches!(of(&other).as_slice(), [row] if row.updated.0 == row.created.0 + 5));
    keystore.delete_alias(owner, name.clone()).await.unwrap();
    assert!(of(&other).is_empty());
    let scene = scene.reopened();
    let gone = scene.keystore.delete_alias(&scene.owner, name).await;
    assert!(matches!(gone, Err(AdminError::Kms(Error::NotFound(_)))), "{gone:?}");
}

#[tokio::test]
async fn tags_are_added_replaced_paged_and_taken_away() {
    let scene = Scene::new().await;
    let (keystore, owner, key) = (&scene.keystore, &scene.owner, &scene.key);
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
    keystore.tag_key(owner, key, vec![tag("c", "1"), tag("a", "1"), tag("b", "1")]).await.unwrap();
    keystore.tag_key(owner, key, vec![tag("b", "2")]).await.unwrap();
    let page = keystore.list_tags(owner, key, None, 2).unwrap();
    assert_eq!((page.items, page.truncated), (vec![tag("a", "1"), tag("b", "2")], true));
    let page = keystore.list_tags(owner, key, Some("b"), 2).unwrap();
    assert_eq!((page.items, page.truncated), (vec![tag("c", "1")], false));
    keystore.untag_key(owner, key, vec!["a".into(), "c".into(), "none".into()]).await.unwrap();
    assert_eq!(keystore.list_tags(owner, key, None, 50).unwrap().items, vec![tag("b", "2")]);
    for wrong in [tag("", ""), tag("aws:x", ""), tag(&"k".repeat(129), ""), tag("k", &"v".repeat(257))] {
        let refused = keystore.tag_key(owner, key, vec![wrong]).await;
        assert!(matches!(refused, Err(AdminError::InvalidTag(_))), "{refused:?}");
    }
    let twice = keystore.tag_key(owner, key, vec![tag("a", "1"), tag("a", "2")]).await;
    assert!(matches!(twice, Err(AdminError::InvalidTag(_))));
    let many = (0..50).map(|n| tag(&format!("t{n}"), "")).collect();
    let refused = keystore.tag_key(owner, key, many).await;
    assert!(matches!(refused, Err(AdminError::LimitExceeded(_))), "51 with the one that is there");
}
