//! The root key: 32 bytes that seal the embedded keystore. It comes from a file that the operator gives, or from one
//! that the first start makes beside the data.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::types::{RandomError, random};

use super::disk;

/// The file's name beside the data, when no other is given.
const FILE_NAME: &str = "root.key";
/// More than 32 bytes in base64 with any reasonable white space around them: a longer file is not a root key.
const MAX_FILE_BYTES: usize = 256;
const KEY_BYTES: usize = 32;

/// The key that seals the embedded keystore. Wiped on drop, never printed.
pub struct RootKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(…)")
    }
}

/// Why there is no root key. Messages name the file and what to do; never its content.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file is not base64.
    #[error("the root key file {} is not base64; it must hold 32 bytes in base64 (44 characters)", .0.display())]
    Base64(PathBuf),
    /// The file cannot be read, made or synced.
    #[error("the root key file {} cannot be {doing}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried: `opened`, `read`, `made`, `synced`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file decodes to another number of bytes.
    #[error("the root key file {} does not hold 32 bytes in base64 (44 characters)", .0.display())]
    Length(PathBuf),
    /// There is a keystore already and its root key is gone: a fresh one could not open it.
    #[error("the root key file {} is missing beside an existing keystore; put it back or name it", .0.display())]
    Missing(PathBuf),
    /// The group or others may read or write the file.
    #[error("the root key file {} is open to group or others (mode {mode:04o}); run: chmod 600", .path.display())]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system's random generator failed.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl RootKey {
    /// A root key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The root key for a start: from `given` if the operator named a file (which must exist), else from `root.key` in
    /// `data_dir`, which the first start makes with mode 0600. When this returns, the file and its name are durable.
    /// Blocking.
    ///
    /// # Errors
    /// [`RootKeyError`]; a given file is never made, and no file is made beside an existing keystore.
    pub fn load(given: Option<&Path>, data_dir: &Path) -> Result<Self, RootKeyError> {
        if let Some(path) = given {
            return Self::read(path);
        }
        let path = data_dir.join(FILE_NAME);
        match Self::read(&path) {
            Err(RootKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        if disk::exists(data_dir) {
            return Err(RootKeyError::Missing(path));
        }
        match Self::make(&path) {
            // Another process was faster; the keystore's own lock tells which of the two may go on.
            Err(RootKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Self::read(&path),
            made => made,
        }
    }

    /// The root key that there is: `given`, else the one in `data_dir`. Blocking.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn existing(given: Option<&Path>, data_dir: &Path) -> Result<Self, RootKeyError> {
        given.map_or_else(|| Self::read(&data_dir.join(FILE_NAME)), Self::read)
    }

    /// Reads a root key file: 32 bytes in base64, white space around them allowed, mode 0600 or stricter.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn read(path: &Path) -> Result<Self, RootKeyError> {
        let io = |doing| move |source| RootKeyError::Io { path: path.to_owned(), doing, source };
        let file = File::open(path).map_err(io("opened"))?;
        // Of the opened file, not of the path: the two could differ a moment later.
        let mode = file.metadata().map_err(io("read"))?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(RootKeyError::Permissions { path: path.to_owned(), mode });
        }
        // The buffers have their full size from the start, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 64));
        file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut text).map_err(io("read"))?;
        if text.len() > MAX_FILE_BYTES {
            return Err(RootKeyError::Length(path.to_owned()));
        }
        let mut decoded = Zeroizing::new([0; MAX_FILE_BYTES]);
        let len = STANDARD
            .decode_slice(text.trim_ascii(), decoded.as_mut_slice())
            .map_err(|_| RootKeyError::Base64(path.to_owned()))?;
        let key = decoded.get(..len).and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
        key.map(Self::new).ok_or_else(|| RootKeyError::Length(path.to_owned()))
    }

    fn make(path: &Path) -> Result<Self, RootKeyError> {
        let io = |doing| move |source| RootKeyError::Io { path: path.to_owned(), doing, source };
        let key = Self::new(random()?);
        let mut text = Zeroizing::new([0; 48]);
        let len = STANDARD.encode_slice(key.expose(), text.as_mut_slice()).unwrap_or_default();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io("made"))?;
        let written = file.write_all(&text[..len]).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
        if let Err(source) = written {
            // Nothing was sealed with this key yet. A half-written file would stand in the way of the next start.
            let _ = std::fs::remove_file(path);
            return Err(io("made")(source));
        }
        disk::sync_parent(path).map_err(io("synced"))?;
        Ok(key)
    }

    /// The key's bytes, for deriving only.
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn the_first_start_makes_a_private_file_and_the_second_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = RootKey::load(None, dir.path()).unwrap();
        let path = dir.path().join(FILE_NAME);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim_end().len(), 44);
        assert_ne!(first.expose(), &[0; 32]);
        assert_eq!(RootKey::load(None, dir.path()).unwrap().expose(), first.expose());
    }

    #[test]
    fn two_first_starts_make_two_different_keys() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = [RootKey::load(None, one.path()).unwrap(), RootKey::load(None, two.path()).unwrap()];
        assert_ne!(keys[0].expose(), keys[1].expose());
    }

    #[test]
    fn a_given_file_must_exist_and_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent");
        assert!(matches!(RootKey::load(Some(&path), dir.path()), Err(RootKeyError::Io { doing: "opened", .. })));
        assert!(!path.exists() && !dir.path().join(FILE_NAME).exists());
    }

    #[test]
    fn a_given_file_is_taken_with_white_space_around_the_key() {
        let (_dir, path) = file(&format!("  {}\r\n\n", STANDARD.encode([7; 32])), 0o400);
        assert_eq!(RootKey::load(Some(&path), Path::new("/nowhere")).unwrap().expose(), &[7; 32]);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_a_clear_message() {
        for mode in [0o640, 0o604, 0o660, 0o644, 0o610] {
            let (_dir, path) = file(&STANDARD.encode([7; 32]), mode);
            let error = RootKey::read(&path).unwrap_err();
            assert!(matches!(error, RootKeyError::Permissions { .. }), "{mode:o}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_wrong_length_or_bad_base64_is_refused_without_showing_the_content() {
        for short in [STANDARD.encode([7; 31]), STANDARD.encode([7; 33]), String::new(), "A".repeat(400)] {
            let (_dir, path) = file(&short, 0o600);
            assert!(matches!(RootKey::read(&path), Err(RootKeyError::Length(_))), "{}", short.len());
        }
        let (_dir, path) = file("not*base64*secret", 0o600);
        let error = RootKey::read(&path).unwrap_err();
        assert!(matches!(error, RootKeyError::Base64(_)));
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn no_fresh_key_is_made_beside_an_existing_keystore() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keystore")).unwrap();
        std::fs::write(dir.path().join("keystore/CURRENT"), "MANIFEST-000001\n").unwrap();
        assert!(matches!(RootKey::load(None, dir.path()), Err(RootKeyError::Missing(_))));
        assert!(!dir.path().join(FILE_NAME).exists());
    }
}
