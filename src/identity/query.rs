//! The query as signatures see it: pairs in the order sent, percent-decoded to bytes.

use std::borrow::Cow;

use percent_encoding::percent_decode as decode;
use zeroize::Zeroizing;

use super::error::{AuthError, Flaw, Place};

/// The query parameters that carry a signature. They are no part of the request's meaning.
const AUTH_PARAMETERS: [&[u8]; 10] = [
    b"X-Amz-Algorithm",
    b"X-Amz-Content-Sha256",
    b"X-Amz-Credential",
    b"X-Amz-Date",
    b"X-Amz-Expires",
    b"X-Amz-Signature",
    b"X-Amz-SignedHeaders",
    b"AWSAccessKeyId",
    b"Expires",
    b"Signature",
];

/// The header of a session token, and (in any case of its letters) the query parameter.
pub(super) const SESSION_TOKEN: &str = "x-amz-security-token";

/// Whether a decoded parameter name is one of those that carry a signature, SigV4's or SigV2's.
#[must_use]
pub fn is_auth_parameter(name: &[u8]) -> bool {
    AUTH_PARAMETERS.contains(&name) || name.eq_ignore_ascii_case(SESSION_TOKEN.as_bytes())
}

/// Decodes percent escapes and leaves a `%` that starts none. `+` is itself.
#[must_use]
pub fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    decode(text).into()
}

/// A parameter: as sent, and its decoded name and value.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// As it stands in the URL.
    pub raw: &'a str,
    /// The decoded name.
    pub name: Cow<'a, [u8]>,
    /// The decoded value; empty without `=`.
    pub value: Cow<'a, [u8]>,
}

/// The pairs of a query, in the order sent. `+` means a space, as every form decoder behind us reads it: were it taken
/// for itself here, `a%2Bb` and `a+b` would share a signature and mean two things.
pub fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    split(query).map(|(raw, name, value)| Pair { raw, name: form_decode(name), value: form_decode(value) })
}

/// Pairs as they stand in the URL: whole, name and value.
fn split(query: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        (raw, name, value)
    })
}

/// The values, not decoded yet, of the parameters with such a name.
fn named(query: &str, is_meant: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = &str> {
    split(query).filter(move |(_, name, _)| is_meant(&form_decode(name))).map(|(_, _, value)| value)
}

/// Most names and values say themselves, and a request's query is read more than once: those cost no copy.
fn form_decode(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text.as_bytes());
    }
    let spaced: Vec<u8> = text.bytes().map(|b| if b == b'+' { b' ' } else { b }).collect();
    Cow::Owned(percent_decode(&spaced).into_owned())
}

/// What is wrong with a parameter that says one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParameterFlaw {
    /// It is not UTF-8.
    #[error("is not text")]
    NotText,
    /// It occurs more than once.
    #[error("is given more than once")]
    Twice,
}

/// The value of a parameter that may stand in the query once.
pub(super) fn once(query: &str, name: &str) -> Result<Option<String>, ParameterFlaw> {
    let mut found = None;
    for value in named(query, |there| there == name.as_bytes()) {
        if found.is_some() {
            return Err(ParameterFlaw::Twice);
        }
        found = Some(String::from_utf8(form_decode(value).into_owned()).map_err(|_| ParameterFlaw::NotText)?);
    }
    Ok(found)
}

/// The session token in a query, as S3 has it.
pub(super) fn session_token(query: &str) -> Result<Option<Zeroizing<String>>, AuthError> {
    let mut found = None;
    for value in named(query, |there| there.eq_ignore_ascii_case(SESSION_TOKEN.as_bytes())) {
        let token = String::from_utf8(form_decode(value).into_owned()).map_err(|_| AuthError::SessionToken)?;
        if found.replace(Zeroizing::new(token)).is_some() {
            return Err(AuthError::SessionToken);
        }
    }
    Ok(found)
}

/// As [`once`], with S3's errors.
pub(super) fn single(query: &str, name: &'static str) -> Result<Option<String>, AuthError> {
    once(query, name).map_err(|flaw| {
        let flaw = match flaw {
            ParameterFlaw::NotText => Flaw::NotText(name),
            ParameterFlaw::Twice => Flaw::DuplicateParameter(name),
        };
        AuthError::Malformed { place: Place::Url, flaw }
    })
}

/// Whether a parameter stands in the query.
pub(super) fn has(query: &str, name: &str) -> bool {
    named(query, |there| there == name.as_bytes()).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_as_forms_are() {
        let found: Vec<_> =
            pairs("a=1&&b&c=x%20y+z%2B=&%58=").map(|pair| (pair.name.into_owned(), pair.value.into_owned())).collect();
        let expected = [("a", "1"), ("b", ""), ("c", "x y z+="), ("X", "")];
        assert_eq!(found, expected.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    }

    #[test]
    fn a_duplicate_is_found_under_any_spelling() {
        assert_eq!(single("a=1&b=2", "a").unwrap().as_deref(), Some("1"));
        assert!(single("a=1&%61=2", "a").is_err());
        assert!(single("a=%ff", "a").is_err());
    }
}
