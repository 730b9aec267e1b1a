//! Reading the trail's files: of a gateway that runs, or of one that does not. Nothing is locked; a line that is being
//! written just now is not there yet.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kms::embedded::RecordSeal;
use crate::types::Timestamp;

use super::chain::{End, Link};
use super::{DIRECTORY, Error, event};

/// The file of the sealed head.
pub(super) const HEAD: &str = "head";

/// The file that names the trail.
pub(super) const ID: &str = "id";

/// The name of a file of lines: `trail-<first line, 20 digits>-<hour>[-<attempt>].jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) sequence: u64,
    pub(super) hour: String,
    /// Not 0 where a file with these lines was there already and may be broken.
    pub(super) attempt: u32,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trail-{:020}-{}", self.sequence, self.hour)?;
        if self.attempt > 0 {
            write!(f, "-{}", self.attempt)?;
        }
        f.write_str(".jsonl")
    }
}

impl FileName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut words = name.strip_prefix("trail-")?.strip_suffix(".jsonl")?.split('-');
        let sequence = words.next()?.parse().ok()?;
        let hour = words.next()?.to_owned();
        let attempt = words.next().map_or(Some(0), |word| word.parse().ok())?;
        words.next().is_none().then_some(Self { sequence, hour, attempt })
    }
}

/// The directories of the trails of a data directory: the gateway's first, then those of tools.
pub(super) fn trails(data_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let directory = data_dir.join(DIRECTORY);
    let mut tools = Vec::new();
    for entry in fs::read_dir(&directory).map_err(Error::io(&directory))? {
        let path = entry.map_err(Error::io(&directory))?.path();
        if path.is_dir() {
            tools.push(path);
        }
    }
    tools.sort();
    Ok(std::iter::once(directory).chain(tools).collect())
}

/// The files of lines, in the order of their lines.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(named_files(directory)?.into_iter().map(|(_, path)| path).collect())
}

/// The same, with what their names say.
pub(super) fn named_files(directory: &Path) -> Result<Vec<(FileName, PathBuf)>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io(directory))? {
        let entry = entry.map_err(Error::io(directory))?;
        found.extend(entry.file_name().to_str().and_then(FileName::parse).map(|name| (name, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Shows every whole line of a file, without its line feed.
fn lines(path: &Path, mut see: impl FnMut(&[u8])) -> Result<(), Error> {
    let mut file = BufReader::new(File::open(path).map_err(Error::io(path))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        file.read_until(b'\n', &mut line).map_err(Error::io(path))?;
        // A line without its end was not written whole: what it said is in the next file, or was never acknowledged.
        let Some(whole) = line.strip_suffix(b"\n") else { return Ok(()) };
        see(whole);
    }
}

fn head(directory: &Path, seal: &RecordSeal) -> Result<Head, Error> {
    let path = directory.join(HEAD);
    match fs::read(&path) {
        Ok(file) if file.is_empty() => Ok(Head::None),
        Ok(file) => Ok(End::open(&file, seal).map_or(Head::Broken, Head::At)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Head::None),
        Err(error) => Err(Error::io(&path)(error)),
    }
}

enum Head {
    None,
    Broken,
    At(End),
}

/// Where a trail goes on. Where its end was taken away it goes on behind the gap, which stays to be found.
pub(super) fn end(directory: &Path, seal: &RecordSeal) -> Result<End, Error> {
    let mut end = End::default();
    for path in files(directory)?.iter().rev() {
        lines(path, |line| {
            if let Some(link) = Link::of(line) {
                end = End::at(link.sequence, line);
            }
        })?;
        if end.sequence > 0 {
            break;
        }
    }
    match head(directory, seal)? {
        Head::At(head) if head.sequence > end.sequence => {
            tracing::error!(from = end.sequence, to = head.sequence, "lines of the audit trail are missing at its end");
            end = head;
        }
        Head::Broken => tracing::error!("the audit trail's head does not verify: run `sealgate audit verify`"),
        Head::At(_) | Head::None => {}
    }
    Ok(end)
}

/// What a verification found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many lines there are.
    pub lines: u64,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

/// Verifies each chain from its first line to its head. Blocking.
///
/// # Errors
/// [`Error`]: a file cannot be read.
pub fn verify(data_dir: &Path, seal: &RecordSeal) -> Result<Found, Error> {
    let mut all = Found::default();
    for directory in trails(data_dir)? {
        let found = verify_one(&directory, seal)?;
        all.lines = all.lines.saturating_add(found.lines);
        all.problems.extend(found.problems.into_iter().map(|problem| match directory.strip_prefix(data_dir) {
            Ok(within) => format!("{}: {problem}", within.display()),
            Err(_) => problem,
        }));
    }
    Ok(all)
}

fn verify_one(directory: &Path, seal: &RecordSeal) -> Result<Found, Error> {
    // First: a running gateway may go on meanwhile, and lines are there before the head says so.
    let head = head(directory, seal)?;
    let mut walk = Walk::default();
    if let Head::At(head) = &head {
        walk.head = Some(*head);
    }
    for path in files(directory)? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        walk.earlier = std::mem::take(&mut walk.current);
        let mut number = 0_u64;
        lines(&path, |line| {
            number = number.saturating_add(1);
            walk.see(&name, number, line);
        })?;
    }
    match head {
        Head::Broken => walk.found.problems.push("the head does not verify under this root key".to_owned()),
        Head::None if walk.end.sequence > 0 => walk.found.problems.push("the head is missing".to_owned()),
        Head::At(head) if head.sequence > walk.end.sequence => walk.found.problems.push(format!(
            "lines {} to {} are missing at the end",
            walk.end.sequence.saturating_add(1),
            head.sequence
        )),
        Head::At(_) | Head::None => {}
    }
    Ok(walk.found)
}

#[derive(Default)]
struct Walk {
    end: End,
    head: Option<End>,
    found: Found,
    /// The hashes of the lines of this file and the one before it, by their numbers.
    current: HashMap<u64, [u8; 32]>,
    earlier: HashMap<u64, [u8; 32]>,
}

impl Walk {
    fn see(&mut self, file: &str, number: u64, line: &[u8]) {
        let Some(link) = Link::of(line) else {
            self.found.problems.push(format!("{file}:{number} is no line of a trail"));
            return;
        };
        let there = End::at(link.sequence, line);
        if [&self.current, &self.earlier].iter().any(|seen| seen.get(&link.sequence) == Some(&there.hash)) {
            // Written again because the file before failed.
            return;
        }
        if !link.follows(&self.end) {
            let expected = self.end.sequence.saturating_add(1);
            self.found.problems.push(if link.sequence > expected {
                format!("{file}:{number}: lines {expected} to {} are missing", link.sequence.saturating_sub(1))
            } else {
                format!(
                    "{file}:{number}: line {} does not follow the line before: one of them was altered",
                    link.sequence
                )
            });
        }
        if self.head.is_some_and(|head| head.sequence == there.sequence && head.hash != there.hash) {
            self.found.problems.push(format!("{file}:{number}: line {} is not the one of the head", link.sequence));
        }
        self.found.lines = self.found.lines.saturating_add(1);
        self.current.insert(link.sequence, there.hash);
        self.end = there;
    }
}

/// What to look for; everything given must hold.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// A CMK: its ARN, its key id, or the name that was asked for.
    pub key: Option<String>,
    /// Events from this time on.
    pub since: Option<Timestamp>,
    /// Events before this time.
    pub until: Option<Timestamp>,
    /// An operation, such as `Decrypt`.
    pub operation: Option<String>,
    /// A user's name.
    pub principal: Option<String>,
}

impl Question {
    fn fits(&self, line: &Value) -> bool {
        let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let time = text("/eventTime");
        let key = text("/requestParameters/keyId");
        let is_key = |asked: &String| {
            key == asked || key.strip_suffix(asked.as_str()).is_some_and(|before| before.ends_with('/'))
        };
        self.key.as_ref().is_none_or(is_key)
            && self.since.is_none_or(|since| time >= event::text(since).as_str())
            && self.until.is_none_or(|until| time < event::text(until).as_str())
            && self.operation.as_ref().is_none_or(|operation| text("/eventName") == operation)
            && self.principal.as_ref().is_none_or(|principal| text("/userIdentity/userName") == principal)
    }
}

/// Shows the lines that answer a question, oldest first (of each trail); gives how many. Blocking.
///
/// # Errors
/// [`Error`]: a file cannot be read.
pub fn query(data_dir: &Path, question: &Question, mut show: impl FnMut(&str)) -> Result<u64, Error> {
    let mut count = 0_u64;
    for directory in trails(data_dir)? {
        count = count.saturating_add(query_one(&directory, question, &mut show)?);
    }
    Ok(count)
}

fn query_one(directory: &Path, question: &Question, show: &mut impl FnMut(&str)) -> Result<u64, Error> {
    let (mut last, mut count) = (0, 0_u64);
    for path in files(directory)? {
        lines(&path, |line| {
            let Ok(value) = serde_json::from_slice::<Value>(line) else { return };
            let sequence = value.get("sequence").and_then(Value::as_u64).unwrap_or_default();
            // Once only, also what stands in two files.
            if sequence > last && question.fits(&value) {
                show(&String::from_utf8_lossy(line));
                count = count.saturating_add(1);
            }
            last = last.max(sequence);
        })?;
    }
    Ok(count)
}

/// A time as people write it: RFC 3339, a date (UTC), or how long before `now` (`90s`, `30m`, `12h`, `7d`).
#[must_use]
pub fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    use time::format_description::well_known::Rfc3339;
    use time::macros::format_description;
    use time::{Date, OffsetDateTime};

    let millis = |moment: OffsetDateTime| u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp);
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return millis(moment);
    }
    if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return millis(date.midnight().assume_utc());
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let ago = u64::from(number.parse::<u32>().ok()?).saturating_mul(seconds * 1000);
    now.0.checked_sub(ago).map(Timestamp)
}
