//! Secret access keys and security tokens: wiped on drop, never printed, compared in constant time.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The most bytes that a secret's file may have. Anything larger is a mistaken path.
const MAX_FILE: u64 = 8192;
/// The longest security token: services that issue them make some that have a thousand characters and more.
const MAX_TOKEN: usize = 4096;

/// A secret access key (8–128 printable ASCII characters) or a security token (8–4,096 of them). Wiped on drop; `Debug` shows a placeholder.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A secret of this text.
    ///
    /// # Errors
    /// A sentence (without the text) when it has not 8–128 printable ASCII characters.
    pub fn new(text: Zeroizing<String>) -> Result<Self, &'static str> {
        if !(8..=128).contains(&text.len()) {
            return Err("must have 8 to 128 characters");
        }
        Self::printable(text)
    }

    /// A security token of this text.
    ///
    /// # Errors
    /// A sentence (without the text) when it has not 8–4,096 printable ASCII characters.
    pub fn token(text: Zeroizing<String>) -> Result<Self, &'static str> {
        if !(8..=MAX_TOKEN).contains(&text.len()) {
            return Err("must have 8 to 4096 characters");
        }
        Self::printable(text)
    }

    fn printable(text: Zeroizing<String>) -> Result<Self, &'static str> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("must be printable ASCII without spaces");
        }
        Ok(Self(text))
    }

    /// Reads a secret from a file, without the line end that editors leave there. `new` is what makes it of the text.
    ///
    /// # Errors
    /// A sentence when the file cannot be read, is larger than 8 KiB, is no text or holds no secret.
    pub(super) fn read(
        path: &Path,
        new: impl FnOnce(Zeroizing<String>) -> Result<Self, &'static str>,
    ) -> Result<Self, String> {
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_FILE).unwrap_or_default() + 1));
        File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(format!("{} is too long for a secret", path.display()));
        }
        let end = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(end);
        new(text).map_err(|reason| format!("the secret in {} {reason}", path.display()))
    }

    /// The text, for deriving signing keys only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
