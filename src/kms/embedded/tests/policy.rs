//! Key policies, asked through the keystore.

use super::super::{AdminError, NewKey};
use super::*;
use crate::kms::{EncryptionContext, KeyArn};

fn root() -> Principal {
    Principal { root: true, ..user("root") }
}

fn allow(principal: &str, action: &str, condition: &str) -> String {
    let condition = if condition.is_empty() { String::new() } else { format!(r#","Condition":{condition}"#) };
    format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::000000000000:{principal}"}},"Action":{action},"Resource":"*"{condition}}}"#
    )
}

fn policy(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn administers(principal: &str) -> String {
    allow(principal, r#"["kms:Put*","kms:Get*","kms:Describe*","kms:Disable*","kms:Enable*"]"#, "")
}

async fn put(scene: &Scene, by: &Principal, document: &str) -> Result<(), AdminError> {
    scene.keystore.put_key_policy(by, &scene.key, document.to_owned(), false).await
}

fn denied<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Denied(_))), "{result:?}");
}

#[tokio::test]
async fn a_policy_lets_others_use_a_key_and_keeps_its_owner_from_it() {
    let scene = Scene::new().await;
    let (bob, none) = (user("bob"), context(&[]));
    let made = scene.generate().await.unwrap();
    let unwrap = async |by: &Principal| scene.keystore.unwrap_key(by, &made.key, &made.wrapped, &none).await;
    denied(unwrap(&bob).await);
    put(&scene, &scene.owner, &policy(&[administers("user/owner"), allow("user/bob", r#""kms:Decrypt""#, "")]))
        .await
        .unwrap();
    unwrap(&bob).await.unwrap();
    denied(unwrap(&scene.owner).await);
    denied(unwrap(&root()).await);
    denied(scene.keystore.generate_data_key(&bob, Some(&scene.key), &none).await);
    denied(scene.keystore.wrap(&bob, Some(&scene.key), &crate::kms::DataKey::new([1; 32]), &none).await);
    let refused = scene.keystore.disable_key(&bob, &scene.key).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))));
    scene.keystore.disable_key(&scene.owner, &scene.key).await.unwrap();
    scene.keystore.enable_key(&root(), &scene.key).await.unwrap();
    let scene = scene.reopened();
    scene.keystore.unwrap_key(&bob, &made.key, &made.wrapped, &none).await.unwrap();
    denied(scene.generate().await);
}

#[tokio::test]
async fn conditions_look_at_the_context_and_the_way() {
    let scene = Scene::new().await;
    let bob = user("bob");
    let condition = r#"{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"},
        "StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::b/*"}}"#;
    let document = policy(&[
        allow("user/owner", r#""kms:*""#, ""),
        allow("user/bob", r#"["kms:Decrypt","kms:GenerateDataKey"]"#, condition),
    ]);
    put(&scene, &scene.owner, &document).await.unwrap();
    let generate =
        async |context: &EncryptionContext| scene.keystore.generate_data_key(&bob, Some(&scene.key), context).await;
    let there = context(&[("aws:s3:arn", "arn:aws:s3:::b/k")]);
    let made = generate(&there).await.unwrap();
    denied(generate(&context(&[("aws:s3:arn", "arn:aws:s3:::c/k")])).await);
    denied(generate(&context(&[])).await);
    // The same context, but not through the gateway.
    let direct = scene.keystore.decrypt(&bob, None, &made.wrapped.0, &there).await;
    assert!(matches!(direct, Err(AdminError::Kms(Error::Denied(_)))), "{direct:?}");
    scene.keystore.decrypt(&scene.owner, None, &made.wrapped.0, &there).await.unwrap();
}

#[tokio::test]
async fn nobody_locks_himself_out_unless_he_means_it_and_root_repairs() {
    let scene = Scene::new().await;
    let for_bob = policy(&[allow("user/bob", r#""kms:*""#, "")]);
    let refused = put(&scene, &scene.owner, &for_bob).await;
    assert!(matches!(refused, Err(AdminError::MalformedPolicy(_))), "{refused:?}");
    scene.keystore.put_key_policy(&scene.owner, &scene.key, for_bob.clone(), true).await.unwrap();
    let refused = scene.keystore.key_policy(&scene.owner, &scene.key);
    assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))));
    assert_eq!(scene.keystore.key_policy(&user("bob"), &scene.key).unwrap(), for_bob);
    let shown = scene.keystore.create_key(&scene.owner, NewKey::default()).await.unwrap();
    let default = scene.keystore.key_policy(&scene.owner, &KeyRef(shown.arn.0)).unwrap();
    put(&scene, &root(), &default).await.unwrap();
    scene.generate().await.unwrap();
    denied(scene.keystore.generate_data_key(&user("bob"), Some(&scene.key), &context(&[])).await);
    for wrong in ["", "{}", "[]", &for_bob.replace("Allow", "Permit"), &for_bob.replace("000000000000", "111111111111")]
    {
        let refused = scene.keystore.put_key_policy(&scene.owner, &scene.key, wrong.to_owned(), true).await;
        assert!(matches!(refused, Err(AdminError::MalformedPolicy(_))), "{wrong}: {refused:?}");
    }
}

#[tokio::test]
async fn a_key_is_made_with_its_policy_or_not_at_all() {
    let scene = Scene::new().await;
    let new = |document: &str| NewKey { policy: Some((document.to_owned(), false)), ..NewKey::default() };
    let refused = scene.keystore.create_key(&scene.owner, new(&policy(&[allow("user/bob", r#""kms:*""#, "")]))).await;
    assert!(matches!(refused, Err(AdminError::MalformedPolicy(_))), "{refused:?}");
    assert_eq!(scene.keystore.list_keys(&scene.owner, None, 10).items.len(), 1);
    let shared = policy(&[allow("root", r#""kms:*""#, ""), allow("user/bob", r#""kms:GenerateDataKey""#, "")]);
    let made = scene.keystore.create_key(&scene.owner, new(&shared)).await.unwrap();
    let KeyArn(arn) = made.arn;
    scene.keystore.generate_data_key(&user("bob"), Some(&KeyRef(arn)), &context(&[])).await.unwrap();
}

#[tokio::test]
async fn a_policy_that_is_not_understood_any_more_closes_the_key_but_to_roots_repair() {
    let scene = Scene::new().await;
    let id = scene.key.0.rsplit('/').next().unwrap().parse().unwrap();
    let broken = {
        let cmk = scene.keystore.inner.state().key(id).unwrap().clone();
        super::super::keystore::Inner::with(&cmk, |record| record.policy = Some("later words".to_owned()))
    };
    scene.keystore.inner.keep(broken.into()).unwrap();
    let scene = scene.reopened();
    denied(scene.generate().await);
    let default = policy(&[allow("root", r#""kms:*""#, "")]);
    let refused = put(&scene, &scene.owner, &default).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(_)))), "{refused:?}");
    put(&scene, &root(), &default).await.unwrap();
    scene.generate().await.unwrap();
}

#[tokio::test]
async fn what_is_encrypted_anew_asks_for_both_keys() {
    use super::super::ReEncryptFrom;
    let scene = Scene::new().await;
    let (bob, one, two) = (user("bob"), context(&[("a", "1")]), context(&[("a", "2")]));
    let (_, ciphertext) = scene.keystore.encrypt(&scene.owner, &scene.key, b"text", &one).await.unwrap();
    let from = ReEncryptFrom { ciphertext: &ciphertext, expected: None, context: &one };
    let to = KeyRef(scene.keystore.create_key(&scene.owner, NewKey::default()).await.unwrap().arn.0);
    let (source, destination, again) = scene.keystore.re_encrypt(&scene.owner, from, &to, &two).await.unwrap();
    assert_eq!((source.0.as_str(), destination.0.as_str()), (scene.key.0.as_str(), to.0.as_str()));
    let (_, plain) = scene.keystore.decrypt(&scene.owner, None, &again, &two).await.unwrap();
    assert_eq!(plain.as_slice(), b"text");
    let wrong = ReEncryptFrom { context: &two, ..from };
    let refused = scene.keystore.re_encrypt(&scene.owner, wrong, &to, &two).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::InvalidCiphertext))), "{refused:?}");
    let other = ReEncryptFrom { expected: Some(&to), ..from };
    let refused = scene.keystore.re_encrypt(&scene.owner, other, &to, &two).await;
    assert!(matches!(refused, Err(AdminError::IncorrectKey)), "{refused:?}");
    let half = policy(&[allow("user/owner", r#""kms:*""#, ""), allow("user/bob", r#""kms:ReEncryptFrom""#, "")]);
    put(&scene, &scene.owner, &half).await.unwrap();
    let refused = scene.keystore.re_encrypt(&bob, from, &to, &two).await;
    assert!(matches!(refused, Err(AdminError::Kms(Error::Denied(arn))) if arn == to.0), "the other key is not his");
}
