//! How CMKs are named: key ids, alias names and ARNs, as in AWS KMS
//! (<https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id>).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::kms::{Error, KeyArn};
use crate::types::{RandomError, random};

/// The longest `KeyId` parameter that AWS KMS documents, in characters.
const MAX_REF_CHARS: usize = 2048;
/// The longest alias name, `alias/` and all.
const MAX_ALIAS_CHARS: usize = 256;

/// A CMK's id: a random UUID, written in lower case with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId([u8; 16]);

impl KeyId {
    pub(super) fn random() -> Result<Self, RandomError> {
        Ok(Self(uuid::Builder::from_random_bytes(random()?).into_uuid().into_bytes()))
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's 128 bits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The id of a version of a CMK, where a dialect wants one: a UUID that follows from the CMK's id and the version's number.
#[must_use]
pub fn version_id(key: KeyId, number: u32) -> String {
    let text = [b"sealgate/kms/1/version".as_slice(), &key.0, &number.to_be_bytes()].concat();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string()
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl FromStr for KeyId {
    type Err = ();

    /// Takes the one form that we write, so that a key has one id and not several spellings of it.
    fn from_str(text: &str) -> Result<Self, ()> {
        let id = Self(Uuid::try_parse(text).map_err(|_| ())?.into_bytes());
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}

/// An alias's name, `alias/` and all: at most 256 characters of `[a-zA-Z0-9/_-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AliasName(String);

impl AliasName {
    /// The service-managed default CMK's alias.
    #[must_use]
    pub fn service_default() -> Self {
        Self("alias/aws/s3".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only the service itself may make it (`alias/aws/…`).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("alias/aws/")
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AliasName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let name = text.strip_prefix("alias/").ok_or(())?;
        let fits = !name.is_empty()
            && text.len() <= MAX_ALIAS_CHARS
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-'));
        if fits { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

/// Where this keystore says it is: what its ARNs are made of.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) region: String,
    pub(super) account: String,
}

impl Place {
    pub(super) fn key_arn(&self, id: KeyId) -> KeyArn {
        KeyArn(format!("arn:aws:kms:{}:{}:key/{id}", self.region, self.account))
    }

    pub(super) fn alias_arn(&self, alias: &AliasName) -> String {
        format!("arn:aws:kms:{}:{}:{alias}", self.region, self.account)
    }

    fn check(&self, arn: &Arn<'_>) -> Result<(), Error> {
        if arn.region != self.region {
            return Err(Error::NotFound(format!("Invalid arn {}", arn.region)));
        }
        if arn.account != self.account {
            return Err(Error::NotFound(format!("Invalid arn {}", arn.account)));
        }
        Ok(())
    }
}

/// What a caller's key reference means, before it is looked up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// An alias, by name or by an ARN of this place.
    Alias(AliasName),
    /// A key by its id.
    Key(KeyId),
    /// A key by its ARN. The ARN may be of another place: a key keeps the ARN that it was made with, even when the
    /// configured region changes later, or the objects under it could not be read any more.
    KeyArn(KeyId, KeyArn),
}

impl Asked {
    /// # Errors
    /// [`Error::NotFound`] for what names no key here; [`Error::Invalid`] for what is too long to be echoed.
    pub(super) fn parse(text: &str, place: &Place) -> Result<Self, Error> {
        if text.chars().take(MAX_REF_CHARS + 1).count() > MAX_REF_CHARS {
            return Err(Error::Invalid(format!("the key id is longer than {MAX_REF_CHARS} characters")));
        }
        let unknown = || Error::NotFound(text.to_owned());
        if text.starts_with("arn:") {
            let arn = Arn::parse(text).ok_or_else(|| Error::NotFound(format!("Invalid arn {text}")))?;
            if let Some(id) = arn.resource.strip_prefix("key/") {
                let id = id.parse().map_err(|()| unknown())?;
                return Ok(Self::KeyArn(id, KeyArn(text.to_owned())));
            }
            place.check(&arn)?;
            return arn.resource.parse().map(Self::Alias).map_err(|()| unknown());
        }
        if text.starts_with("alias/") {
            return text.parse().map(Self::Alias).map_err(|()| unknown());
        }
        text.parse().map(Self::Key).map_err(|()| unknown())
    }

    /// Why this names nothing, once the look-up has failed.
    pub(super) fn not_found(&self, place: &Place) -> Error {
        match self {
            Self::Alias(alias) => Error::NotFound(place.alias_arn(alias)),
            Self::Key(id) => Error::NotFound(place.key_arn(*id).0),
            Self::KeyArn(_, arn) => {
                let misplaced = Arn::parse(&arn.0).and_then(|arn| place.check(&arn).err());
                misplaced.unwrap_or_else(|| Error::NotFound(arn.0.clone()))
            }
        }
    }
}

/// Whether a text that begins like an ARN is the ARN of a KMS key or alias, wherever that is.
#[must_use]
pub fn is_arn_of_kms(text: &str) -> bool {
    Arn::parse(text).is_some()
}

struct Arn<'a> {
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.splitn(6, ':');
        let mut next = || fields.next();
        let (scheme, partition, service) = (next()?, next()?, next()?);
        let arn = Self { region: next()?, account: next()?, resource: next()? };
        let kms = scheme == "arn" && partition == "aws" && service == "kms" && !arn.region.is_empty();
        let known = arn.resource.starts_with("key/") || arn.resource.starts_with("alias/");
        (kms && known && !arn.account.is_empty()).then_some(arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-44cd-86ef-1234567890ab";

    fn place() -> Place {
        Place { region: "us-east-1".into(), account: "000000000000".into() }
    }

    fn not_found(text: &str) -> String {
        let error = match Asked::parse(text, &place()) {
            Ok(asked) => asked.not_found(&place()),
            Err(error) => error,
        };
        let Error::NotFound(what) = error else { panic!("{text}: {error:?}") };
        what
    }

    #[test]
    fn a_key_is_named_by_id_arn_alias_and_alias_arn() {
        let id: KeyId = ID.parse().unwrap();
        let alias: AliasName = "alias/my/key_1-a".parse().unwrap();
        let arn = place().key_arn(id);
        assert_eq!(arn.0, format!("arn:aws:kms:us-east-1:000000000000:key/{ID}"));
        assert_eq!(Asked::parse(ID, &place()).unwrap(), Asked::Key(id));
        assert_eq!(Asked::parse(&arn.0, &place()).unwrap(), Asked::KeyArn(id, arn));
        assert_eq!(Asked::parse("alias/my/key_1-a", &place()).unwrap(), Asked::Alias(alias.clone()));
        assert_eq!(Asked::parse(&place().alias_arn(&alias), &place()).unwrap(), Asked::Alias(alias));
    }

    #[test]
    fn another_region_or_account_is_an_invalid_arn() {
        for (arn, what) in [
            (format!("arn:aws:kms:eu-west-1:000000000000:key/{ID}"), "Invalid arn eu-west-1"),
            (format!("arn:aws:kms:us-east-1:111111111111:key/{ID}"), "Invalid arn 111111111111"),
            ("arn:aws:kms:eu-west-1:000000000000:alias/a".to_owned(), "Invalid arn eu-west-1"),
            ("arn:aws:s3:::bucket".to_owned(), "Invalid arn arn:aws:s3:::bucket"),
            ("arn:aws:kms:us-east-1".to_owned(), "Invalid arn arn:aws:kms:us-east-1"),
        ] {
            assert_eq!(not_found(&arn), what);
        }
    }

    #[test]
    fn other_spellings_of_a_key_id_name_no_key() {
        for text in ["", "x", &ID.to_uppercase(), &ID.replace('-', ""), &format!("{{{ID}}}"), "alias/", "alias/ü"] {
            assert_eq!(not_found(text), text);
        }
        assert!(matches!(Asked::parse(&"x".repeat(2049), &place()), Err(Error::Invalid(_))));
    }

    #[test]
    fn only_the_services_aliases_are_reserved() {
        assert!(AliasName::service_default().is_reserved());
        assert!(!"alias/awsome".parse::<AliasName>().unwrap().is_reserved());
        assert!(format!("alias/{}", "a".repeat(250)).parse::<AliasName>().is_ok());
        assert!(format!("alias/{}", "a".repeat(251)).parse::<AliasName>().is_err());
    }
}
