//! New versions of a CMK's material.

use super::super::lifecycle::DAY;
use super::super::record::KeyOrigin;
use super::super::{AdminError, NewKey, VersionCause};
use super::*;

/// The version that a blob names, by the format that `wrap` specifies.
fn version_of(made: &crate::kms::GeneratedKey) -> u32 {
    u32::from_be_bytes(made.wrapped.0[17..21].try_into().unwrap())
}

fn causes(scene: &Scene) -> Vec<VersionCause> {
    let (_, page) = scene.keystore.list_versions(&scene.owner, &scene.key, 0, 100).unwrap();
    assert!(page.items.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    page.items.iter().map(|version| version.cause).collect()
}

#[tokio::test]
async fn a_new_version_wraps_and_every_old_one_unwraps() {
    let mut scene = Scene::new().await;
    let mut made = vec![scene.generate().await.unwrap()];
    for number in 2..5 {
        let (_, version) = scene.keystore.rotate_on_demand(&scene.owner, &scene.key).await.unwrap();
        assert_eq!(version, number);
        made.push(scene.generate().await.unwrap());
        scene = scene.reopened();
        for (index, old) in made.iter().enumerate() {
            assert_eq!(version_of(old) as usize, index + 1);
            scene.unwrap(old).await.unwrap();
        }
    }
    // A blob that names another version than its own does not open.
    let mut altered = made[0].wrapped.clone();
    altered.0[20] = 2;
    let opened = scene.keystore.unwrap_key(&scene.owner, &made[0].key, &altered, &context(&[])).await;
    assert!(matches!(opened, Err(Error::InvalidCiphertext)));
}

#[tokio::test]
async fn automatic_rotation_happens_when_it_is_due() {
    let scene = Scene::new().await;
    let made = scene.generate().await.unwrap();
    scene.keystore.enable_rotation(&scene.owner, &scene.key, 90).await.unwrap();
    let status = scene.keystore.rotation_status(&scene.owner, &scene.key).unwrap();
    assert_eq!(status.automatic, Some((90, Timestamp(scene.clock.now().0 + 90 * DAY))));
    scene.clock.pass(90 * DAY - 1);
    assert_eq!(scene.keystore.tend().await.unwrap(), 0);
    scene.clock.pass(1);
    assert_eq!(scene.keystore.tend().await.unwrap(), 1);
    assert_eq!(scene.keystore.tend().await.unwrap(), 0);
    assert_eq!(causes(&scene), [VersionCause::First, VersionCause::Automatic]);
    let scene = scene.reopened();
    // However long nobody looked, one rotation makes up for it.
    scene.clock.pass(900 * DAY);
    assert_eq!(scene.keystore.tend().await.unwrap(), 1);
    assert_eq!(causes(&scene).len(), 3);
    scene.unwrap(&made).await.unwrap();
    assert_eq!(version_of(&scene.generate().await.unwrap()), 3);
    scene.keystore.disable_rotation(&scene.owner, &scene.key).await.unwrap();
    assert_eq!(scene.keystore.rotation_status(&scene.owner, &scene.key).unwrap().automatic, None);
    scene.clock.pass(900 * DAY);
    assert_eq!(scene.keystore.tend().await.unwrap(), 0);
}

#[tokio::test]
async fn a_disabled_key_is_rotated_once_it_is_enabled_again() {
    let scene = Scene::new().await;
    scene.keystore.enable_rotation(&scene.owner, &scene.key, 90).await.unwrap();
    scene.keystore.disable_key(&scene.owner, &scene.key).await.unwrap();
    scene.clock.pass(91 * DAY);
    assert_eq!(scene.keystore.tend().await.unwrap(), 0);
    for refused in [
        scene.keystore.enable_rotation(&scene.owner, &scene.key, 90).await,
        scene.keystore.disable_rotation(&scene.owner, &scene.key).await,
        scene.keystore.rotate_on_demand(&scene.owner, &scene.key).await.map(drop),
    ] {
        assert!(matches!(refused, Err(AdminError::Kms(Error::Disabled(_)))), "{refused:?}");
    }
    scene.keystore.enable_key(&scene.owner, &scene.key).await.unwrap();
    assert_eq!(scene.keystore.tend().await.unwrap(), 1);
}

#[tokio::test]
async fn rotation_on_demand_has_its_quota_and_pages() {
    let scene = Scene::new().await;
    for _ in 0..25 {
        scene.keystore.rotate_on_demand(&scene.owner, &scene.key).await.unwrap();
    }
    let refused = scene.keystore.rotate_on_demand(&scene.owner, &scene.key).await;
    assert!(matches!(refused, Err(AdminError::LimitExceeded(_))), "{refused:?}");
    let (_, page) = scene.keystore.list_versions(&scene.owner, &scene.key, 1, 10).unwrap();
    assert_eq!((page.items.first().unwrap().number, page.items.len(), page.truncated), (2, 10, true));
    let (_, page) = scene.keystore.list_versions(&scene.owner, &scene.key, 21, 10).unwrap();
    assert_eq!((page.items.len(), page.truncated), (5, false));
}

#[tokio::test]
async fn imported_material_and_strangers_rotate_nothing() {
    let scene = Scene::with(NewKey { origin: KeyOrigin::External, ..NewKey::default() }).await;
    let refused = scene.keystore.rotate_on_demand(&scene.owner, &scene.key).await;
    assert!(matches!(refused, Err(AdminError::Unsupported(_))), "{refused:?}");
    let refused = scene.keystore.enable_rotation(&scene.owner, &scene.key, 365).await;
    assert!(matches!(refused, Err(AdminError::Unsupported(_))), "{refused:?}");
    let scene = Scene::new().await;
    let stranger = user("stranger");
    for refused in [
        scene.keystore.rotate_on_demand(&stranger, &scene.key).await.map(drop),
        scene.keystore.enable_rotation(&stranger, &scene.key, 365).await,
        scene.keystore.rotation_status(&stranger, &scene.key).map(drop),
        scene.keystore.list_versions(&stranger, &scene.key, 0, 10).map(drop),
    ] {
        assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))), "{refused:?}");
    }
}
