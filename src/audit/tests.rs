use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::*;
use crate::kms::embedded::{RecordSeal, RootKey};
use crate::kms::{AuditTrail as _, EncryptionContext, KeyEvent, Principal};
use crate::types::{Clock, Timestamp, UserId};

const ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/5d20f660-6f7b-4e55-bd6a-d56c2b9ed36f";
const HOUR: u64 = 3_600_000;

/// A clock that is set.
#[derive(Debug, Default)]
struct Set(AtomicU64);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct House {
    dir: tempfile::TempDir,
    clock: Arc<Set>,
}

impl House {
    fn new() -> Self {
        let clock = Arc::new(Set(AtomicU64::new(1_790_000_000_000)));
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    fn seal() -> RecordSeal {
        RootKey::new([7; 32]).record_seal().unwrap()
    }

    fn open(&self) -> Trail {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Trail::open(self.dir.path(), None, Self::seal(), "us-east-1".to_owned(), clock).unwrap()
    }

    fn verify(&self) -> Found {
        verify(self.dir.path(), &Self::seal()).unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.dir.path().join(DIRECTORY))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        files.sort();
        files
    }

    fn ask(&self, question: &Question) -> Vec<Value> {
        let mut lines = Vec::new();
        query(self.dir.path(), question, |line| lines.push(serde_json::from_str(line).unwrap())).unwrap();
        lines
    }
}

fn principal() -> Principal {
    Principal { user: UserId::new("ann"), root: false }
}

fn context() -> EncryptionContext {
    EncryptionContext([("aws:s3:arn".to_owned(), "arn:aws:s3:::b/\"k\n".to_owned())].into())
}

fn used(trail: &Trail, operation: &str, outcome: Result<(), &'static str>) {
    let (principal, context) = (principal(), context());
    let context = Some(&context);
    trail.used(&KeyEvent { operation, principal: &principal, key: ARN, version: Some(2), context, outcome });
}

async fn changed(trail: &Trail, operation: &str) -> Result<(), crate::kms::Error> {
    let principal = principal();
    trail
        .changed(&KeyEvent {
            operation,
            principal: &principal,
            key: ARN,
            version: None,
            context: None,
            outcome: Ok(()),
        })
        .await
}

fn alter(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[tokio::test]
async fn an_event_says_who_did_what_with_which_key_for_which_object() {
    let house = House::new();
    let trail = house.open();
    let origin = Origin { request_id: "R1".to_owned(), peer: [10, 0, 0, 9].into() };
    during(origin, async { used(&trail, "Decrypt", Err("AccessDeniedException")) }).await;
    changed(&trail, "DisableKey").await.unwrap();
    // Durable: it can be read while the gateway runs.
    let lines = house.ask(&Question::default());
    assert_eq!(lines.len(), 2);
    let said = |pointer: &str| lines[0].pointer(pointer).cloned().unwrap_or_default();
    for (pointer, value) in [
        ("/eventName", "Decrypt"),
        ("/eventSource", "kms.amazonaws.com"),
        ("/eventTime", "2026-09-21T14:13:20.000Z"),
        ("/requestID", "R1"),
        ("/sourceIPAddress", "10.0.0.9"),
        ("/userIdentity/userName", "ann"),
        ("/userIdentity/type", "IAMUser"),
        ("/errorCode", "AccessDeniedException"),
        ("/requestParameters/keyId", ARN),
        ("/requestParameters/encryptionContext/aws:s3:arn", "arn:aws:s3:::b/\"k\n"),
        ("/resources/0/ARN", ARN),
    ] {
        assert_eq!(said(pointer), value, "{pointer}");
    }
    assert_eq!((said("/readOnly"), said("/additionalEventData/keyVersion")), (true.into(), 2.into()));
    assert_eq!(lines[1].pointer("/readOnly"), Some(&false.into()));
    assert!(lines[1].pointer("/errorCode").is_none() && lines[1].pointer("/requestID").is_none());
    assert_eq!(house.verify(), Found { lines: 2, problems: vec![] });
}

#[tokio::test]
async fn a_trail_goes_on_over_hours_and_restarts() {
    let house = House::new();
    for number in 0..3 {
        let trail = house.open();
        for _ in 0..100 {
            used(&trail, "GenerateDataKey", Ok(()));
        }
        changed(&trail, "EnableKey").await.unwrap();
        house.clock.0.fetch_add(HOUR, Ordering::SeqCst);
        used(&trail, "Decrypt", Ok(()));
        drop(trail);
        assert_eq!(house.verify(), Found { lines: 102 * (number + 1), problems: vec![] });
    }
    assert_eq!(house.files().len(), 6, "a file for each hour of each start");
}

#[tokio::test]
async fn what_was_removed_or_altered_is_found() {
    let house = House::new();
    let trail = house.open();
    for name in ["EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey"] {
        changed(&trail, name).await.unwrap();
    }
    drop(trail);
    let [file] = house.files().try_into().unwrap();
    let whole = fs::read(&file).unwrap();
    let lines = whole.split(|&byte| byte == b'\n').count() - 1;
    for at in 0..lines {
        alter(&file, |lines| drop(lines.remove(at)));
        assert!(!house.verify().problems.is_empty(), "line {at} removed");
        fs::write(&file, &whole).unwrap();
    }
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 1;
        fs::write(&file, &other).unwrap();
        assert!(!house.verify().problems.is_empty(), "byte {at} altered");
    }
    // Whoever makes all hashes anew does not have the root key that the head is sealed under.
    let forged: Vec<String> = String::from_utf8(whole.clone()).unwrap().lines().map(str::to_owned).collect();
    let mut end = super::chain::End::default();
    let forged: Vec<u8> = forged
        .iter()
        .filter(|line| !line.contains("DisableKey"))
        .flat_map(|line| {
            let event = &line[line.find("\"eventVersion").unwrap()..];
            [end.append(&format!("{{{event}")), b"\n".to_vec()].concat()
        })
        .collect();
    fs::write(&file, forged).unwrap();
    assert!(!house.verify().problems.is_empty(), "a chain made anew");
    fs::write(&file, &whole).unwrap();
    assert_eq!(house.verify(), Found { lines: 5, problems: vec![] });

    // The end cut off, and a gateway that goes on: the gap stays.
    alter(&file, |lines| lines.truncate(3));
    let trail = house.open();
    changed(&trail, "EnableKey").await.unwrap();
    drop(trail);
    let found = house.verify();
    assert!(found.problems.iter().any(|problem| problem.contains("lines 4 to 5 are missing")), "{found:?}");
    // A head that is taken away, or another's.
    let head = house.dir.path().join(DIRECTORY).join("head");
    fs::remove_file(&head).unwrap();
    assert!(house.verify().problems.iter().any(|problem| problem.contains("head is missing")));
    fs::write(&head, [1; 256]).unwrap();
    assert!(house.verify().problems.iter().any(|problem| problem.contains("head does not verify")));
}

#[tokio::test]
async fn a_line_that_a_crash_cut_is_none_and_the_trail_goes_on() {
    let house = House::new();
    let trail = house.open();
    changed(&trail, "EnableKey").await.unwrap();
    drop(trail);
    let [file] = house.files().try_into().unwrap();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole[..], b"{\"sequence\":2,\"prev"].concat()).unwrap();
    let trail = house.open();
    changed(&trail, "DisableKey").await.unwrap();
    drop(trail);
    assert_eq!(house.verify(), Found { lines: 2, problems: vec![] });
    assert_eq!(house.ask(&Question::default()).len(), 2);
}

#[tokio::test]
async fn a_trail_that_cannot_be_written_holds_events_and_then_stops_keys() {
    let house = House::new();
    let trail = house.open();
    changed(&trail, "EnableKey").await.unwrap();
    // No file can be made any more: the next hour's will be missed.
    let directory = house.dir.path().join(DIRECTORY);
    let aside = house.dir.path().join("aside");
    fs::rename(&directory, &aside).unwrap();
    house.clock.0.fetch_add(HOUR, Ordering::SeqCst);
    changed(&trail, "DisableKey").await.unwrap_err();
    assert!(trail.admits().is_ok(), "what is held is told later");
    for _ in 0..1 << 16 {
        used(&trail, "Decrypt", Ok(()));
    }
    assert!(trail.admits().is_err());
    fs::rename(&aside, &directory).unwrap();
    changed(&trail, "EnableKey").await.unwrap();
    assert!(trail.admits().is_ok());
    drop(trail);
    // The change that was refused stands in it all the same: it may have been made.
    assert_eq!(house.verify(), Found { lines: 3 + (1 << 16), problems: vec![] });
}

#[tokio::test]
async fn a_tool_has_a_trail_of_its_own_beside_a_gateways() {
    let house = House::new();
    let trail = house.open();
    let clock = || Arc::clone(&house.clock) as Arc<dyn Clock>;
    let again = Trail::open(house.dir.path(), None, House::seal(), "us-east-1".to_owned(), clock());
    assert!(again.is_err(), "two would write one chain");
    let tool = Trail::open(house.dir.path(), Some("tool"), House::seal(), "us-east-1".to_owned(), clock()).unwrap();
    changed(&trail, "EnableKey").await.unwrap();
    changed(&tool, "DisableKey").await.unwrap();
    assert_eq!(house.ask(&Question::default()).len(), 2);
    assert_eq!(house.verify(), Found { lines: 2, problems: vec![] });
    drop(tool);
    fs::remove_file(house.dir.path().join(DIRECTORY).join("tool").join("head")).unwrap();
    assert_eq!(house.verify().problems, ["audit/tool: the head is missing"]);
}

#[tokio::test]
async fn questions_are_answered_by_key_time_operation_and_user() {
    let house = House::new();
    let trail = house.open();
    used(&trail, "Decrypt", Ok(()));
    house.clock.0.fetch_add(HOUR, Ordering::SeqCst);
    used(&trail, "GenerateDataKey", Ok(()));
    drop(trail);
    let now = house.clock.now();
    let count = |question: Question| house.ask(&question).len();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(count(Question { key: text(ARN), ..Question::default() }), 2);
    assert_eq!(count(Question { key: text("5d20f660-6f7b-4e55-bd6a-d56c2b9ed36f"), ..Question::default() }), 2);
    assert_eq!(count(Question { key: text("d36f"), ..Question::default() }), 0);
    assert_eq!(count(Question { since: time("30m", now), ..Question::default() }), 1);
    assert_eq!(count(Question { until: time("30m", now), ..Question::default() }), 1);
    assert_eq!(count(Question { since: time("2026-09-21", now), ..Question::default() }), 2);
    assert_eq!(count(Question { since: time("2026-09-21T15:00:00+00:00", now), ..Question::default() }), 1);
    assert_eq!(count(Question { operation: text("Decrypt"), ..Question::default() }), 1);
    assert_eq!(count(Question { principal: text("bob"), ..Question::default() }), 0);
    for wrong in ["", "x", "5", "-5m", "12w", "2026-13-01"] {
        assert_eq!(time(wrong, now), None, "{wrong}");
    }
}

/// The names and texts of what is finished.
async fn closed(trail: &Trail) -> Vec<(String, String)> {
    let closed = trail.closed().await.unwrap();
    closed.iter().map(|closed| (closed.name.clone(), fs::read_to_string(&closed.path).unwrap())).collect()
}

#[tokio::test]
async fn a_file_is_finished_when_its_hour_is_over_and_taken_once() {
    let house = House::new();
    let trail = house.open();
    assert!(closed(&trail).await.is_empty());
    changed(&trail, "EnableKey").await.unwrap();
    assert!(closed(&trail).await.is_empty(), "its hour is not over");

    house.clock.0.fetch_add(HOUR, Ordering::SeqCst);
    let [(name, text)] = closed(&trail).await.try_into().unwrap();
    assert!(name.starts_with("2026/09/21/") && name.ends_with("-20260921T14.jsonl"), "{name}");
    assert_eq!(text.lines().count(), 1);
    // What comes afterwards is in a file of its own.
    changed(&trail, "DisableKey").await.unwrap();
    assert_eq!(closed(&trail).await, [(name.clone(), text.clone())]);

    trail.closed().await.unwrap()[0].delivered().unwrap();
    assert!(closed(&trail).await.is_empty());
    house.clock.0.fetch_add(HOUR, Ordering::SeqCst);
    let [(next, later)] = closed(&trail).await.try_into().unwrap();
    assert!(next > name && later.contains("DisableKey"), "{next}");

    // A start begins a new file, so that the one before is finished; without the mark everything is.
    drop(trail);
    fs::remove_file(house.dir.path().join(DIRECTORY).join("delivered")).unwrap();
    assert_eq!(closed(&house.open()).await, [(name, text), (next, later)]);
}

#[tokio::test]
async fn the_trail_of_a_tool_is_finished_when_the_tool_is() {
    let house = House::new();
    let trail = house.open();
    let clock = Arc::clone(&house.clock) as Arc<dyn Clock>;
    let tool = Trail::open(house.dir.path(), Some("tool"), House::seal(), "us-east-1".to_owned(), clock).unwrap();
    changed(&tool, "EnableKey").await.unwrap();
    house.clock.0.fetch_add(HOUR, Ordering::SeqCst);
    assert!(closed(&trail).await.is_empty(), "it may write yet");
    drop(tool);
    let [(name, text)] = closed(&trail).await.try_into().unwrap();
    assert!(text.contains("EnableKey"));
    // Two trails of one hour have names of their own.
    changed(&trail, "EnableKey").await.unwrap();
    house.clock.0.fetch_add(HOUR, Ordering::SeqCst);
    let names: Vec<String> = closed(&trail).await.into_iter().map(|(name, _)| name).collect();
    assert!(names.len() == 2 && names.contains(&name) && names[0] != names[1], "{names:?}");
}
