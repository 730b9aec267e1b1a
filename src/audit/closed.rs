//! The files of a trail that are finished, for who takes them elsewhere: which there are, and up to which they were taken.
//!
//! What was taken is a mark beside the files (`delivered`: a file's name). Without it everything is taken again, so that who
//! takes must know what is there already.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Error;
use super::read::{self, FileName};

/// The name of the last file that was delivered.
const DELIVERED: &str = "delivered";

/// A finished file.
#[derive(Debug, Clone)]
pub struct Closed {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes, which does not change any more.
    pub len: u64,
    /// Its name among the files of all gateways: `yyyy/mm/dd/<trail>-trail-<first line>-<hour>.jsonl`.
    pub name: String,
}

impl Closed {
    /// Marks it, and those before it, as delivered. Blocking.
    ///
    /// # Errors
    /// [`Error`]: the mark cannot be written.
    pub fn delivered(&self) -> Result<(), Error> {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else { return Ok(()) };
        replace(directory, DELIVERED, name.as_encoded_bytes())
    }
}

/// Puts a file in the place of the one of that name, whole.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let (path, next) = (directory.join(name), directory.join(format!("{name}.new")));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next);
    file.and_then(|mut file| file.write_all(bytes)).map_err(Error::io(&next))?;
    fs::rename(&next, &path).map_err(Error::io(&path))
}

/// Gives a trail a name of its own, if it has none.
pub(super) fn name(directory: &Path) -> Result<(), Error> {
    if directory.join(read::ID).exists() {
        return Ok(());
    }
    let id = crate::types::random::<8>().map_err(|error| Error::Seal(error.to_string()))?;
    replace(directory, read::ID, hex::encode(id).as_bytes())
}

/// The finished files of all trails of a data directory but `open`, which is written just now.
pub(super) fn of(data_dir: &Path, open: Option<&Path>) -> Result<Vec<Closed>, Error> {
    let mut all = Vec::new();
    for (number, directory) in read::trails(data_dir)?.into_iter().enumerate() {
        // The first is our own; a tool that runs holds the head of its trail.
        if number > 0 && !is_at_rest(&directory)? {
            continue;
        }
        let id = text(&directory.join(read::ID))?.unwrap_or_default();
        let mark = text(&directory.join(DELIVERED))?.and_then(|name| FileName::parse(name.trim()));
        for (name, path) in read::named_files(&directory)? {
            if open == Some(path.as_path()) || mark.as_ref().is_some_and(|mark| name <= *mark) {
                continue;
            }
            let len = fs::metadata(&path).map_err(Error::io(&path))?.len();
            all.push(Closed { len, name: format!("{}/{}-{name}", day(&name.hour), id.trim()), path });
        }
    }
    Ok(all)
}

fn is_at_rest(directory: &Path) -> Result<bool, Error> {
    let path = directory.join(read::HEAD);
    let head: File = match OpenOptions::new().read(true).write(true).mode(0o600).open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(Error::io(&path))?,
    };
    Ok(head.try_lock().is_ok())
}

fn text(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(Error::io(path)),
    }
}

/// The day of an hour such as `20261126T09`, as a path.
fn day(hour: &str) -> String {
    match (hour.get(..4), hour.get(4..6), hour.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}/{month}/{day}"),
        _ => hour.to_owned(),
    }
}
