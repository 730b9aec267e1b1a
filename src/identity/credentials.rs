//! Access keys and whose they are.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::types::{AccessKeyId, Timestamp, UserId};

use super::mac::same;
use super::sigv4::SigningKeys;

/// A secret access key or a security token. Wiped on drop, never printed, not `Clone`.
pub struct Secret(Zeroizing<String>);

/// Secrets are never compared: were `Secret` to get an `==`, this would not compile.
const _: fn() = || {
    trait Comparable<Marker> {
        fn only_one_way() {}
    }
    struct ByEquality;
    impl<T: ?Sized> Comparable<()> for T {}
    impl<T: ?Sized + PartialEq> Comparable<ByEquality> for T {}
    <Secret as Comparable<_>>::only_one_way();
};

impl Secret {
    /// A secret as the configuration has it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret and the user that it speaks for. Signing keys derived from it live and end with it, so a removed or
/// replaced credential signs nothing from then on.
#[derive(Debug)]
pub struct Credential {
    user: UserId,
    root: bool,
    secret: Secret,
    token: Option<Secret>,
    expires: Option<Timestamp>,
    signing_keys: SigningKeys,
}

/// Proof that a credential may be used now, with what the request shows beside its signature. Only
/// [`Credential::in_force`] makes it, and nobody becomes an [`super::Authenticated`] without it.
#[derive(Debug)]
pub(super) struct InForce(());

/// Why a credential may not be used, although its secret signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenFlaw {
    /// Its time is over.
    Expired,
    /// It needs its security token, and there is none.
    Missing,
    /// The token is not this credential's.
    Wrong,
}

impl Credential {
    /// A credential of an ordinary user.
    #[must_use]
    pub fn of_user(user: UserId, secret: Secret) -> Self {
        Self { user, root: false, secret, token: None, expires: None, signing_keys: SigningKeys::default() }
    }

    /// A credential of the root user, who may do everything.
    #[must_use]
    pub fn of_root(user: UserId, secret: Secret) -> Self {
        Self { user, root: true, secret, token: None, expires: None, signing_keys: SigningKeys::default() }
    }

    /// The same, to be used only together with this security token.
    #[must_use]
    pub fn with_token(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The same, until this moment and not after it.
    #[must_use]
    pub fn expiring(self, at: Timestamp) -> Self {
        Self { expires: Some(at), ..self }
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Whether that is the root user.
    #[must_use]
    pub fn root(&self) -> bool {
        self.root
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whether it may be used now by a request that shows this token. A credential with a token needs it, and one
    /// without takes none.
    pub(super) fn in_force(&self, shown: Option<&str>, now: Timestamp) -> Result<InForce, TokenFlaw> {
        match (&self.token, shown) {
            (Some(_), None) => return Err(TokenFlaw::Missing),
            (None, Some(_)) => return Err(TokenFlaw::Wrong),
            (Some(token), Some(shown)) if !same(token.expose().as_bytes(), shown.as_bytes()) => {
                return Err(TokenFlaw::Wrong);
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        match self.expires {
            Some(at) if now > at => Err(TokenFlaw::Expired),
            _ => Ok(InForce(())),
        }
    }

    pub(super) fn signing_keys(&self) -> &SigningKeys {
        &self.signing_keys
    }
}

/// Two credentials have the same access key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the access key id {0} is given twice")]
pub struct DuplicateAccessKey(pub AccessKeyId);

type Table = HashMap<AccessKeyId, Arc<Credential>>;

/// All access keys. Readers see one whole table; [`Credentials::replace`] swaps it at once.
#[derive(Debug, Default)]
pub struct Credentials(RwLock<Arc<Table>>);

impl Credentials {
    /// A table of these access keys.
    ///
    /// # Errors
    /// [`DuplicateAccessKey`] when an access key id occurs twice.
    pub fn new(keys: impl IntoIterator<Item = (AccessKeyId, Credential)>) -> Result<Self, DuplicateAccessKey> {
        Ok(Self(RwLock::new(Arc::new(table(keys)?))))
    }

    /// The credential of an access key id.
    #[must_use]
    pub fn lookup(&self, id: &AccessKeyId) -> Option<Arc<Credential>> {
        let table = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        table.get(id).cloned()
    }

    /// Whether a token is that of any credential here. Each is compared whole.
    pub(super) fn knows_token(&self, shown: &str) -> bool {
        let table = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let mut found = false;
        for token in table.values().filter_map(|credential| credential.token.as_ref()) {
            found |= same(token.expose().as_bytes(), shown.as_bytes());
        }
        found
    }

    /// Puts another table in place of this one. Requests whose head was verified before go on; every later request
    /// sees the new table only.
    ///
    /// # Errors
    /// [`DuplicateAccessKey`] when an access key id occurs twice; nothing is replaced then.
    pub fn replace(&self, keys: impl IntoIterator<Item = (AccessKeyId, Credential)>) -> Result<(), DuplicateAccessKey> {
        let next = Arc::new(table(keys)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

fn table(keys: impl IntoIterator<Item = (AccessKeyId, Credential)>) -> Result<Table, DuplicateAccessKey> {
    let mut table = Table::new();
    for (id, credential) in keys {
        if table.insert(id.clone(), Arc::new(credential)).is_some() {
            return Err(DuplicateAccessKey(id));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(id: &str, secret: &str) -> (AccessKeyId, Credential) {
        (AccessKeyId::new(id), Credential::of_user(UserId::new("ann"), Secret::new(secret.to_owned())))
    }

    #[test]
    fn a_secret_is_never_printed() {
        let (_, credential) = pair("AK", "very-secret-text");
        assert!(!format!("{credential:?}").contains("very-secret-text"));
    }

    #[test]
    fn a_replaced_key_is_gone_at_once() {
        let credentials = Credentials::new([pair("A", "1"), pair("B", "2")]).unwrap();
        assert!(credentials.lookup(&AccessKeyId::new("A")).is_some());
        credentials.replace([pair("B", "3")]).unwrap();
        assert!(credentials.lookup(&AccessKeyId::new("A")).is_none());
        assert_eq!(credentials.lookup(&AccessKeyId::new("B")).unwrap().secret().expose(), "3");
    }

    #[test]
    fn a_temporary_credential_is_its_token_and_its_time() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let plain = || Credential::of_user(UserId::new("ann"), secret("1"));
        let state = |credential: &Credential, shown, now| credential.in_force(shown, Timestamp(now)).map(drop);
        assert_eq!(state(&plain(), None, u64::MAX), Ok(()));
        assert_eq!(state(&plain(), Some(""), 0), Err(TokenFlaw::Wrong));
        let tokened = plain().with_token(secret("token"));
        assert_eq!(state(&tokened, Some("token"), 0), Ok(()));
        assert_eq!(state(&tokened, None, 0), Err(TokenFlaw::Missing));
        for wrong in ["", "toke", "tokem", "token ", "Token"] {
            assert_eq!(state(&tokened, Some(wrong), 0), Err(TokenFlaw::Wrong), "{wrong}");
        }
        assert!(!format!("{tokened:?}").contains("token\""), "never printed");
        let ending = tokened.expiring(Timestamp(1000));
        assert_eq!(state(&ending, Some("token"), 1000), Ok(()));
        assert_eq!(state(&ending, Some("token"), 1001), Err(TokenFlaw::Expired));
        assert_eq!(state(&ending, Some("other"), 1001), Err(TokenFlaw::Wrong), "an end tells nothing to strangers");
        assert_eq!(state(&plain().expiring(Timestamp(1000)), None, 1001), Err(TokenFlaw::Expired));
    }

    #[test]
    fn a_token_is_found_wherever_it_belongs() {
        let (id, credential) = pair("A", "1");
        let credentials =
            Credentials::new([(id, credential.with_token(Secret::new("token".to_owned()))), pair("B", "2")]).unwrap();
        assert!(credentials.knows_token("token"));
        assert!(!credentials.knows_token("tokem") && !credentials.knows_token(""));
    }

    #[test]
    fn an_access_key_id_has_one_owner() {
        let twice = Credentials::new([pair("A", "1"), pair("A", "2")]);
        assert_eq!(twice.unwrap_err(), DuplicateAccessKey(AccessKeyId::new("A")));
    }
}
