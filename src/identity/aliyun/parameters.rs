//! The parameters of a call: those of the query and of a form in the body, each once.

use std::collections::BTreeMap;

use crate::identity::canonical::encode_into;
use crate::identity::query::pairs;

/// Parameters that say how a request is signed and to be answered, and not what is asked.
const COMMON: [&str; 12] = [
    "AccessKeyId",
    "Action",
    "Format",
    "RegionId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// Why parameters cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A name or value is not UTF-8.
    #[error("a parameter is not text")]
    NotText,
    /// A parameter stands twice: the signature and its reader could take different ones.
    #[error("the parameter {0} is given more than once")]
    Twice(String),
}

/// The parameters of a call, decoded. Values may be secrets: they are wiped on drop and never printed.
#[derive(Default)]
pub struct Parameters(BTreeMap<String, zeroize::Zeroizing<String>>);

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Parameters {
    /// Reads a query and, where there is one, a form.
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn read(query: &str, form: &str) -> Result<Self, ParameterError> {
        let mut all = BTreeMap::new();
        for pair in pairs(query).chain(pairs(form)) {
            let text = |bytes| String::from_utf8(bytes).map_err(|_| ParameterError::NotText);
            let (name, value) =
                (text(pair.name.into_owned())?, zeroize::Zeroizing::new(text(pair.value.into_owned())?));
            if all.contains_key(&name) {
                return Err(ParameterError::Twice(name));
            }
            all.insert(name, value);
        }
        Ok(Self(all))
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// The names of those that say what is asked.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| !COMMON.contains(name))
    }

    /// All but `Signature`, encoded and in order, joined as a query is.
    pub(super) fn canonical(&self) -> zeroize::Zeroizing<String> {
        let mut out = zeroize::Zeroizing::new(String::new());
        for (name, value) in self.0.iter().filter(|(name, _)| *name != "Signature") {
            if !out.is_empty() {
                out.push('&');
            }
            encode_into(&mut out, name.as_bytes(), false);
            out.push('=');
            encode_into(&mut out, value.as_bytes(), false);
        }
        out
    }
}
