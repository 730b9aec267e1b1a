//! What every key service, and every wrapper around one, must hold. Run it with a [`Case`] of the implementation.

use futures::future::BoxFuture;

use crate::types::UserId;

use super::{DataKey, EncryptionContext, Error, KeyArn, KeyRef, KeyService, Principal, WrappedKey};

/// An implementation under test, with one enabled CMK in it.
pub(crate) struct Case<'a> {
    pub(crate) service: &'a dyn KeyService,
    /// Who may use the CMK.
    pub(crate) owner: Principal,
    /// Who may not, and is not root.
    pub(crate) stranger: Principal,
    /// The CMK.
    pub(crate) key: KeyRef,
    /// Disables the CMK (`false`) or enables it again.
    pub(crate) switch: &'a (dyn Fn(bool) -> BoxFuture<'a, ()> + Sync),
}

pub(crate) fn user(name: &str) -> Principal {
    Principal { user: UserId::new(name), root: false }
}

pub(crate) fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

/// Runs all of it.
pub(crate) async fn holds(case: &Case<'_>) {
    what_was_wrapped_unwraps(case).await;
    another_context_or_an_altered_blob_is_refused(case).await;
    an_unknown_key_is_not_found(case).await;
    a_stranger_is_denied(case).await;
    a_disabled_key_does_nothing(case).await;
    everyone_may_use_the_default_key(case).await;
}

async fn what_was_wrapped_unwraps(case: &Case<'_>) {
    let context = context(&[("aws:s3:arn", "arn:aws:s3:::b/k")]);
    let one = case.service.generate_data_key(&case.owner, Some(&case.key), &context).await.unwrap();
    let two = case.service.generate_data_key(&case.owner, Some(&case.key), &context).await.unwrap();
    assert_ne!(one.plaintext.expose(), two.plaintext.expose(), "data keys are fresh");
    assert_ne!(one.wrapped, two.wrapped);
    assert!(!contains(&one.wrapped.0, one.plaintext.expose()));
    let opened = case.service.unwrap_key(&case.owner, &one.key, &one.wrapped, &context).await.unwrap();
    assert_eq!(opened.expose(), one.plaintext.expose());

    let given = DataKey::new([0x5a; 32]);
    let (arn, wrapped) = case.service.wrap(&case.owner, Some(&case.key), &given, &context).await.unwrap();
    assert_eq!(arn, one.key);
    let again = case.service.wrap(&case.owner, Some(&case.key), &given, &context).await.unwrap().1;
    assert_ne!(wrapped, again, "equal keys must not look equal");
    let opened = case.service.unwrap_key(&case.owner, &arn, &wrapped, &context).await.unwrap();
    assert_eq!(opened.expose(), given.expose());
    assert!(!format!("{one:?}").contains(&hex::encode(one.plaintext.expose())));
}

async fn another_context_or_an_altered_blob_is_refused(case: &Case<'_>) {
    let bound = context(&[("aws:s3:arn", "arn:aws:s3:::b/k")]);
    let made = case.service.generate_data_key(&case.owner, Some(&case.key), &bound).await.unwrap();
    for other in [context(&[]), context(&[("aws:s3:arn", "arn:aws:s3:::b/other")])] {
        assert_refused(case, &made.key, &made.wrapped, &other).await;
    }
    for at in 0..made.wrapped.0.len() {
        let mut altered = made.wrapped.clone();
        altered.0[at] ^= 1;
        assert_refused(case, &made.key, &altered, &bound).await;
    }
    for blob in [vec![], made.wrapped.0[..made.wrapped.0.len() - 1].to_vec(), [&made.wrapped.0[..], &[0]].concat()] {
        assert_refused(case, &made.key, &WrappedKey(blob), &bound).await;
    }
}

async fn assert_refused(case: &Case<'_>, key: &KeyArn, wrapped: &WrappedKey, context: &EncryptionContext) {
    let refused = case.service.unwrap_key(&case.owner, key, wrapped, context).await;
    assert!(matches!(refused, Err(Error::InvalidCiphertext)), "{refused:?}");
}

async fn an_unknown_key_is_not_found(case: &Case<'_>) {
    for name in ["alias/nobody-made-this", "1234abcd-12ab-44cd-86ef-1234567890ab", "nonsense"] {
        let key = KeyRef(name.to_owned());
        let refused = case.service.generate_data_key(&case.owner, Some(&key), &context(&[])).await;
        assert!(matches!(refused, Err(Error::NotFound(_))), "{name}: {refused:?}");
    }
}

async fn a_stranger_is_denied(case: &Case<'_>) {
    let none = context(&[]);
    let made = case.service.generate_data_key(&case.owner, Some(&case.key), &none).await.unwrap();
    let new = case.service.generate_data_key(&case.stranger, Some(&case.key), &none).await;
    assert!(matches!(new, Err(Error::Denied(_))), "{new:?}");
    let wrap = case.service.wrap(&case.stranger, Some(&case.key), &DataKey::new([1; 32]), &none).await;
    assert!(matches!(wrap, Err(Error::Denied(_))), "{wrap:?}");
    let unwrap = case.service.unwrap_key(&case.stranger, &made.key, &made.wrapped, &none).await;
    assert!(matches!(unwrap, Err(Error::Denied(_))), "{unwrap:?}");
}

async fn a_disabled_key_does_nothing(case: &Case<'_>) {
    let none = context(&[]);
    let made = case.service.generate_data_key(&case.owner, Some(&case.key), &none).await.unwrap();
    (case.switch)(false).await;
    let new = case.service.generate_data_key(&case.owner, Some(&case.key), &none).await;
    assert!(matches!(&new, Err(Error::Disabled(arn)) if *arn == made.key.0), "{new:?}");
    let wrap = case.service.wrap(&case.owner, Some(&case.key), &DataKey::new([1; 32]), &none).await;
    assert!(matches!(wrap, Err(Error::Disabled(_))), "{wrap:?}");
    let unwrap = case.service.unwrap_key(&case.owner, &made.key, &made.wrapped, &none).await;
    assert!(matches!(unwrap, Err(Error::Disabled(_))), "{unwrap:?}");
    (case.switch)(true).await;
    case.service.unwrap_key(&case.owner, &made.key, &made.wrapped, &none).await.unwrap();
}

async fn everyone_may_use_the_default_key(case: &Case<'_>) {
    let bound = context(&[("aws:s3:arn", "arn:aws:s3:::b/k")]);
    let made = case.service.generate_data_key(&case.owner, None, &bound).await.unwrap();
    let same = case.service.generate_data_key(&case.stranger, None, &bound).await.unwrap();
    assert_eq!(made.key, same.key);
    let opened = case.service.unwrap_key(&case.stranger, &made.key, &made.wrapped, &bound).await.unwrap();
    assert_eq!(opened.expose(), made.plaintext.expose());
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
