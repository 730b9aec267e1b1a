use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::super::database::Table;
use super::*;

type Group = (u64, Vec<u8>);

fn opened(dir: &Path, applied: u64) -> Result<(Journal, Vec<Group>), Error> {
    let mut groups = Vec::new();
    let journal = Journal::open(dir, applied, |number, payload| {
        groups.push((number, payload.to_vec()));
        Ok(())
    })?;
    Ok((journal, groups))
}

/// A journal of groups 1 to `count`, each of its own bytes.
fn written(dir: &Path, count: u64) -> Vec<Group> {
    let (mut journal, _) = opened(dir, 0).unwrap();
    let groups: Vec<Group> = (1..=count).map(|number| (number, format!("group {number}").into_bytes())).collect();
    for (number, payload) in &groups {
        assert_eq!(journal.append(payload, &Health::default()).unwrap(), *number);
    }
    groups
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join(Kind::Log.name(1))
}

/// Where the frame of each group begins in the first log.
fn offset(groups: &[Group], index: usize) -> u64 {
    let before: usize = groups[..index].iter().map(|(_, payload)| frame::FRAME_HEAD + payload.len()).sum();
    (frame::FILE_HEAD + before) as u64
}

#[test]
fn groups_come_back_in_order_and_only_those_not_applied() {
    let dir = tempfile::tempdir().unwrap();
    let groups = written(dir.path(), 9);
    assert_eq!(opened(dir.path(), 0).unwrap().1, groups);
    assert_eq!(opened(dir.path(), 4).unwrap().1, groups[4..]);
    let (mut journal, rest) = opened(dir.path(), 9).unwrap();
    assert!(rest.is_empty());
    assert_eq!(journal.append(b"more", &Health::default()).unwrap(), 10);
    assert_eq!(opened(dir.path(), 9).unwrap().1, [(10, b"more".to_vec())]);
}

#[test]
fn a_torn_end_is_cut_off_and_its_number_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let groups = written(dir.path(), 3);
    let file = OpenOptions::new().write(true).open(log_path(dir.path())).unwrap();
    file.write_all_at(b"\xff", offset(&groups, 2) + 18).unwrap();
    let (mut journal, found) = opened(dir.path(), 0).unwrap();
    assert_eq!(found, groups[..2]);
    assert_eq!(journal.append(b"third", &Health::default()).unwrap(), 3);
    assert_eq!(opened(dir.path(), 2).unwrap().1, [(3, b"third".to_vec())]);
}

#[test]
fn damage_before_the_end_is_refused_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let groups = written(dir.path(), 3);
    let good = std::fs::read(log_path(dir.path())).unwrap();
    for at in offset(&groups, 0)..offset(&groups, 2) {
        let mut bad = good.clone();
        bad[usize::try_from(at).unwrap()] ^= 0x10;
        std::fs::write(log_path(dir.path()), &bad).unwrap();
        assert!(matches!(opened(dir.path(), 0), Err(Error::Corrupt(why)) if why.contains("damaged")), "byte {at}");
    }
}

#[test]
fn a_journal_that_is_behind_the_database_or_far_ahead_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    assert!(matches!(opened(dir.path(), 4), Err(Error::Corrupt(why)) if why.contains("ends at 3")));
    std::fs::rename(log_path(dir.path()), dir.path().join(Kind::Log.name(7))).unwrap();
    assert!(matches!(opened(dir.path(), 3), Err(Error::Corrupt(why)) if why.contains("rebuild")));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(opened(empty.path(), 1), Err(Error::Corrupt(_))));
}

#[test]
fn a_full_log_is_followed_by_another_and_a_lost_one_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = opened(dir.path(), 0).unwrap();
    let large = vec![7; 33 << 20];
    for number in 1..=4 {
        assert_eq!(journal.append(&large, &Health::default()).unwrap(), number);
    }
    drop(journal);
    let listed = Directory::read(dir.path()).unwrap();
    assert_eq!(listed.logs, [1, 2, 3, 4]);
    assert_eq!(opened(dir.path(), 1).unwrap().1.len(), 3);
    std::fs::remove_file(dir.path().join(Kind::Log.name(3))).unwrap();
    assert!(matches!(opened(dir.path(), 0), Err(Error::Corrupt(why)) if why.contains("change 3")));
}

#[test]
fn a_base_stands_for_the_logs_before_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    let mut base = BaseWriter::create(dir.path(), 3).unwrap();
    let value = vec![1; 700_000];
    for key in [&b"a"[..], b"b", b"c"] {
        base.push(Row { table: Table::Objects, key, value: Some(&value) }).unwrap();
    }
    base.finish().unwrap();
    let files = Directory::read(dir.path()).unwrap();
    files.prune().unwrap();
    let mut keys = Vec::new();
    let mut load = |_: u64, payload: &[u8]| {
        rows(payload, |row| {
            assert_eq!((row.table, row.value), (Table::Objects, Some(&value[..])));
            keys.push(row.key.to_vec());
            Ok(())
        })
    };
    assert_eq!(files.load_base(&mut load).unwrap(), 3);
    assert_eq!(keys, [b"a", b"b", b"c"]);
    let (mut journal, _) = opened(dir.path(), 3).unwrap();
    assert_eq!(journal.append(b"x", &Health::default()).unwrap(), 4);
    std::fs::remove_file(log_path(dir.path())).unwrap();
    assert!(matches!(opened(dir.path(), 0), Err(Error::Corrupt(why)) if why.contains("rebuild")));
}

#[test]
fn a_base_that_is_cut_or_altered_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut base = BaseWriter::create(dir.path(), 1).unwrap();
    base.push(Row { table: Table::Meta, key: b"key", value: Some(b"value") }).unwrap();
    base.finish().unwrap();
    let path = dir.path().join(Kind::Base.name(1));
    let good = std::fs::read(&path).unwrap();
    let load = || Directory::read(dir.path()).unwrap().load_base(&mut |_, _| Ok(()));
    assert_eq!(load().unwrap(), 1);
    for cut in 0..good.len() {
        std::fs::write(&path, &good[..cut]).unwrap();
        assert!(matches!(load(), Err(Error::Corrupt(_))), "cut at {cut}");
        let mut bad = good.clone();
        bad[cut] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(load(), Err(Error::Corrupt(_))), "byte {cut}");
    }
}

#[test]
fn an_unfinished_base_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(BaseWriter::create(dir.path(), 1).unwrap());
    assert!(Directory::read(dir.path()).unwrap().is_empty());
    std::fs::write(dir.path().join(format!("{}.tmp", Kind::Base.name(1))), b"half").unwrap();
    opened(dir.path(), 0).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were(rows_in in prop::collection::vec(
        (0..Table::ALL.len(), prop::collection::vec(any::<u8>(), 0..9), prop::option::of(prop::collection::vec(any::<u8>(), 0..9))),
        0..9,
    )) {
        let expected: Vec<_> =
            rows_in.iter().map(|(table, key, value)| Row { table: Table::ALL[*table], key, value: value.as_deref() }).collect();
        let mut payload = Vec::new();
        expected.iter().for_each(|row| push_row(&mut payload, *row).unwrap());
        let mut found = Vec::new();
        rows(&payload, |row| { found.push(row); Ok(()) }).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_row_is_refused(payload in prop::collection::vec(any::<u8>(), 1..40)) {
        // Random bytes seldom have a table's number, a key and a value; whatever they are, they do not panic.
        let _ = rows(&payload, |_| Ok(()));
        prop_assert!(rows(&[0, 0, 0, 0, 0, 0, 0, 0, 0], |_| Ok(())).is_err());
    }
}
