//! The access key that requests are signed with. One that comes from a file is read again when the file changes, so
//! that keys rotate without a restart.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use super::settings::{KeySource, UpstreamKey};
use crate::store::Error;

/// How often the file is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Gives the key of the moment.
pub(super) struct Credentials {
    source: KeySource,
    kept: Mutex<Kept>,
}

struct Kept {
    key: Arc<UpstreamKey>,
    changed: Option<SystemTime>,
    looked: Instant,
}

impl Credentials {
    /// Reads the key a first time. Blocking.
    pub(super) fn open(source: KeySource) -> Result<Self, Error> {
        let (key, changed) = match &source {
            KeySource::Fixed(key) => (key.clone(), None),
            KeySource::File(path) => read(path).map_err(Error::Unavailable)?,
        };
        let kept = Kept { key: Arc::new(key), changed, looked: Instant::now() };
        Ok(Self { source, kept: Mutex::new(kept) })
    }

    /// The key of now. A file that cannot be read leaves the key as it was: it may be in the middle of its rotation.
    pub(super) fn current(&self) -> Arc<UpstreamKey> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let KeySource::File(path) = &self.source else { return Arc::clone(&kept.key) };
        if kept.looked.elapsed() >= LOOK_EVERY {
            kept.looked = Instant::now();
            // A stat of a small local file, once a second: not worth a thread.
            let changed = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
            if changed.is_some() && changed != kept.changed {
                match read(path) {
                    Ok((key, changed)) => {
                        kept.key = Arc::new(key);
                        kept.changed = changed;
                    }
                    Err(why) => tracing::warn!(%why, "the upstream's credentials file cannot be read"),
                }
            }
        }
        Arc::clone(&kept.key)
    }
}

fn read(path: &Path) -> Result<(UpstreamKey, Option<SystemTime>), String> {
    use std::io::Read as _;
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(fail)?;
    let changed = file.metadata().and_then(|meta| meta.modified()).ok();
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE).read_to_string(&mut text).map_err(fail)?;
    let key = parse(&text).ok_or_else(|| {
        format!("{}: there is no aws_access_key_id and aws_secret_access_key in [default]", path.display())
    })?;
    Ok((key, changed))
}

/// Reads the section `[default]` (or lines before any section) of a credentials file.
fn parse(text: &str) -> Option<UpstreamKey> {
    let (mut id, mut secret, mut token) = (None, None, None);
    let mut ours = true;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            ours = name.trim() == "default";
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        if !ours || value.is_empty() {
            continue;
        }
        match name.trim() {
            "aws_access_key_id" | "access_key_id" => id = Some(value.to_owned()),
            "aws_secret_access_key" | "secret_access_key" => secret = Some(Zeroizing::new(value.to_owned())),
            "aws_session_token" | "session_token" => token = Some(Zeroizing::new(value.to_owned())),
            _ => {}
        }
    }
    Some(UpstreamKey { id: id?, secret: secret?, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_section_counts_and_no_other() {
        let text = "[other]\naws_access_key_id = no\naws_secret_access_key = no\n\
                    [default]\naws_access_key_id = AK\naws_secret_access_key=s=cret\naws_session_token = t\n";
        let key = parse(text).unwrap();
        assert_eq!((key.id.as_str(), key.secret.as_str()), ("AK", "s=cret"));
        assert_eq!(key.token.as_deref().map(String::as_str), Some("t"));
        assert!(parse("[other]\naws_access_key_id = a\naws_secret_access_key = b").is_none());
    }

    #[test]
    fn a_rotated_file_is_seen_and_a_broken_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        let write = |id: &str, age: u64| {
            std::fs::write(&path, format!("aws_access_key_id = {id}\naws_secret_access_key = s\n")).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(age)).unwrap();
        };
        write("first", 1000);
        let credentials = Credentials::open(KeySource::File(path.clone())).unwrap();
        assert_eq!(credentials.current().id, "first");
        let due = || credentials.kept.lock().unwrap().looked -= LOOK_EVERY;
        write("second", 2000);
        due();
        assert_eq!(credentials.current().id, "second");
        std::fs::write(&path, "half a fi").unwrap();
        due();
        assert_eq!(credentials.current().id, "second");
        std::fs::remove_file(&path).unwrap();
        due();
        assert_eq!(credentials.current().id, "second");
    }
}
