//! Material that its owner brings.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

use super::super::lifecycle::DAY;
use super::super::record::KeyOrigin;
use super::super::{AdminError, Expiry, ImportParameters, KeyState, NewKey, WrappingAlgorithm, WrappingKey};
use super::*;

const MATERIAL: [u8; 32] = *b"0123456789abcdef0123456789abcdef";

async fn waiting() -> Scene {
    Scene::with(NewKey { origin: KeyOrigin::External, ..NewKey::default() }).await
}

async fn parameters(scene: &Scene, algorithm: WrappingAlgorithm) -> ImportParameters {
    let made = scene.keystore.import_parameters(&scene.owner, &scene.key, algorithm, WrappingKey::Rsa2048).await;
    made.unwrap()
}

/// What an owner does with a public key.
fn wrap(parameters: &ImportParameters, algorithm: WrappingAlgorithm, material: &[u8]) -> Vec<u8> {
    let public = PublicEncryptingKey::from_der(&parameters.public_key).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let (hash, two_steps) = match algorithm {
        WrappingAlgorithm::OaepSha1 => (&OAEP_SHA1_MGF1SHA1, false),
        WrappingAlgorithm::OaepSha256 => (&OAEP_SHA256_MGF1SHA256, false),
        WrappingAlgorithm::AesKeyWrapSha1 => (&OAEP_SHA1_MGF1SHA1, true),
        WrappingAlgorithm::AesKeyWrapSha256 => (&OAEP_SHA256_MGF1SHA256, true),
    };
    let mut out = vec![0; public.ciphertext_size()];
    let first: &[u8] = if two_steps { &[0x77; 32] } else { material };
    let mut wrapped = public.encrypt(hash, first, &mut out, None).unwrap().to_vec();
    if two_steps {
        let mut out = vec![0; material.len() + 15];
        let kek = AesKek::new(&AES_256, &[0x77; 32]).unwrap();
        wrapped.extend_from_slice(kek.wrap_with_padding(material, &mut out).unwrap());
    }
    wrapped
}

async fn import(scene: &Scene, material: &[u8], expiry: Expiry) -> Result<(), AdminError> {
    let algorithm = WrappingAlgorithm::OaepSha256;
    let parameters = parameters(scene, algorithm).await;
    let wrapped = wrap(&parameters, algorithm, material);
    scene.keystore.import_material(&scene.owner, &scene.key, parameters.token, wrapped, expiry).await.map(drop)
}

async fn state(scene: &Scene) -> KeyState {
    scene.keystore.describe_key(&scene.owner, &scene.key).await.unwrap().state
}

#[tokio::test]
async fn material_comes_in_by_every_algorithm_and_survives_a_restart() {
    for algorithm in [
        WrappingAlgorithm::OaepSha1,
        WrappingAlgorithm::OaepSha256,
        WrappingAlgorithm::AesKeyWrapSha1,
        WrappingAlgorithm::AesKeyWrapSha256,
    ] {
        let scene = waiting().await;
        let given = parameters(&scene, algorithm).await;
        let wrapped = wrap(&given, algorithm, &MATERIAL);
        let done = scene.keystore.import_material(&scene.owner, &scene.key, given.token, wrapped, Expiry::Never).await;
        done.unwrap();
        let made = scene.generate().await.unwrap();
        let scene = scene.reopened();
        scene.unwrap(&made).await.unwrap();
    }
}

#[tokio::test]
async fn what_does_not_unwrap_is_refused() {
    let (direct, two_steps) = (WrappingAlgorithm::OaepSha256, WrappingAlgorithm::AesKeyWrapSha256);
    let scene = waiting().await;
    let (one, two) = (parameters(&scene, direct).await, parameters(&scene, two_steps).await);
    let good = wrap(&one, direct, &MATERIAL);
    let altered = |at: usize, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let long = wrap(&two, two_steps, &MATERIAL);
    let cases = [
        (&one, vec![]),
        (&one, good[..255].to_vec()),
        (&one, [good.as_slice(), &[0]].concat()),
        (&one, altered(100, &good)),
        (&one, wrap(&two, direct, &MATERIAL)),
        (&one, wrap(&one, WrappingAlgorithm::OaepSha1, &MATERIAL)),
        (&one, wrap(&one, two_steps, &MATERIAL)),
        (&two, long[..256].to_vec()),
        (&two, long[..long.len() - 8].to_vec()),
        (&two, altered(260, &long)),
        (&two, altered(10, &long)),
        (&two, wrap(&two, direct, &MATERIAL)),
    ];
    for (number, (given, wrapped)) in cases.into_iter().enumerate() {
        let token = given.token.clone();
        let done = scene.keystore.import_material(&scene.owner, &scene.key, token, wrapped, Expiry::Never).await;
        assert!(matches!(done, Err(AdminError::Kms(Error::InvalidCiphertext))), "case {number}: {done:?}");
    }
    for material in [&MATERIAL[..31], &[&MATERIAL[..], &[0]].concat()] {
        let done = import(&scene, material, Expiry::Never).await;
        assert!(matches!(done, Err(AdminError::IncorrectMaterial)), "{done:?}");
    }
    assert_eq!(state(&scene).await, KeyState::PendingImport);
}

#[tokio::test]
async fn a_token_is_good_for_its_key_and_a_day() {
    let scene = waiting().await;
    let algorithm = WrappingAlgorithm::OaepSha256;
    let given = parameters(&scene, algorithm).await;
    let wrapped = wrap(&given, algorithm, &MATERIAL);
    let other = NewKey { origin: KeyOrigin::External, ..NewKey::default() };
    let other = KeyRef(scene.keystore.create_key(&scene.owner, other).await.unwrap().arn.0);
    let import = async |key: &KeyRef, token: Vec<u8>| {
        scene.keystore.import_material(&scene.owner, key, token, wrapped.clone(), Expiry::Never).await
    };
    let moved = import(&other, given.token.clone()).await;
    assert!(matches!(moved, Err(AdminError::InvalidImportToken)), "{moved:?}");
    for at in [0, 20, 40, given.token.len() - 1] {
        let mut altered = given.token.clone();
        altered[at] ^= 1;
        let refused = import(&scene.key, altered).await;
        assert!(matches!(refused, Err(AdminError::InvalidImportToken)), "byte {at}: {refused:?}");
    }
    assert_eq!(given.valid_to.0, scene.clock.now().0 + DAY);
    scene.clock.pass(DAY);
    let late = import(&scene.key, given.token.clone()).await;
    assert!(matches!(late, Err(AdminError::ExpiredImportToken)), "{late:?}");
}

#[tokio::test]
async fn deleted_material_comes_back_but_no_other() {
    let scene = waiting().await;
    import(&scene, &MATERIAL, Expiry::Never).await.unwrap();
    let made = scene.generate().await.unwrap();
    scene.keystore.delete_material(&scene.owner, &scene.key).await.unwrap();
    assert!(matches!(scene.unwrap(&made).await, Err(Error::PendingImport(_))));
    scene.keystore.delete_material(&scene.owner, &scene.key).await.unwrap();
    let scene = scene.reopened();
    assert!(matches!(scene.unwrap(&made).await, Err(Error::PendingImport(_))));
    let other = import(&scene, &[9; 32], Expiry::Never).await;
    assert!(matches!(other, Err(AdminError::IncorrectMaterial)), "{other:?}");
    import(&scene, &MATERIAL, Expiry::Never).await.unwrap();
    scene.unwrap(&made).await.unwrap();
}

#[tokio::test]
async fn expired_material_is_gone_at_its_time_and_comes_back() {
    let scene = waiting().await;
    let now = scene.clock.now();
    for wrong in [now, Timestamp(now.0 + 366 * DAY)] {
        let refused = import(&scene, &MATERIAL, Expiry::At(wrong)).await;
        assert!(matches!(refused, Err(AdminError::Kms(Error::Invalid(_)))), "{refused:?}");
    }
    import(&scene, &MATERIAL, Expiry::At(Timestamp(now.0 + DAY))).await.unwrap();
    let made = scene.generate().await.unwrap();
    scene.clock.pass(DAY - 1);
    scene.unwrap(&made).await.unwrap();
    scene.clock.pass(1);
    assert!(matches!(scene.unwrap(&made).await, Err(Error::PendingImport(_))), "at its time, tended or not");
    assert_eq!(state(&scene).await, KeyState::PendingImport);
    assert_eq!(scene.keystore.tend().await.unwrap(), 1);
    let scene = scene.reopened();
    let id = scene.key.0.rsplit('/').next().unwrap().parse().unwrap();
    assert!(scene.keystore.inner.state().key(id).unwrap().material.is_empty());
    let end = Timestamp(scene.clock.now().0 + DAY);
    import(&scene, &MATERIAL, Expiry::At(end)).await.unwrap();
    scene.unwrap(&made).await.unwrap();
    let described = scene.keystore.describe_key(&scene.owner, &scene.key).await.unwrap();
    assert_eq!(described.expiry, Some(Expiry::At(end)));
    // The same again without an end, in time: it stays.
    import(&scene, &MATERIAL, Expiry::Never).await.unwrap();
    scene.clock.pass(2 * DAY);
    assert_eq!(scene.keystore.tend().await.unwrap(), 0);
    scene.unwrap(&made).await.unwrap();
}

#[tokio::test]
async fn only_keys_of_external_origin_take_material_and_only_from_their_owner() {
    let scene = Scene::new().await;
    let (algorithm, size) = (WrappingAlgorithm::OaepSha256, WrappingKey::Rsa2048);
    let refused = scene.keystore.import_parameters(&scene.owner, &scene.key, algorithm, size).await;
    assert!(matches!(refused, Err(AdminError::Unsupported(_))), "{refused:?}");
    let refused = scene.keystore.delete_material(&scene.owner, &scene.key).await;
    assert!(matches!(refused, Err(AdminError::Unsupported(_))), "{refused:?}");
    let scene = waiting().await;
    let stranger = user("stranger");
    let refused = scene.keystore.import_parameters(&stranger, &scene.key, algorithm, size).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))), "{refused:?}");
    let refused = scene.keystore.delete_material(&stranger, &scene.key).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))), "{refused:?}");
    let given = parameters(&scene, algorithm).await;
    let wrapped = wrap(&given, algorithm, &MATERIAL);
    let refused = scene.keystore.import_material(&stranger, &scene.key, given.token, wrapped, Expiry::Never).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_disabled_key_stays_disabled_when_its_material_is_imported_again() {
    let scene = waiting().await;
    import(&scene, &MATERIAL, Expiry::Never).await.unwrap();
    scene.keystore.disable_key(&scene.owner, &scene.key).await.unwrap();
    import(&scene, &MATERIAL, Expiry::Never).await.unwrap();
    assert_eq!(state(&scene).await, KeyState::Disabled);
}
