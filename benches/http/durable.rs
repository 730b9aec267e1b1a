//! Durable small writes: the store and the gateway against what RocksDB itself does on the same disk. Rounds take turns.
//! A bare HTTP server that keeps nothing shows what the requests alone cost on these cores.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sealgate::store::local::LocalStore;
use sealgate::store::{Ahead, Bucket, Commit, Metadata, ObjectStore as _};
use sealgate::types::{BucketName, ObjectAt, SystemClock, Timestamp, UserId};

use crate::load::Verb;
use crate::server::{Bare, Gateway};
use crate::{Settings, median};

const WRITERS: usize = 64;
const SIZE: usize = 4 << 10;

/// Prints the table.
pub(crate) fn run(gateway: &Gateway, bare: &Bare, directory: &Path, settings: &Settings) {
    let rocks = Rocks::open(&directory.join("rocks"));
    let store = Store::open(&directory.join("store"));
    let jobs = [
        gateway.job(Verb::Put, "s3", SIZE, WRITERS),
        gateway.job(Verb::Put, "kms", SIZE, WRITERS),
        bare.sink(SIZE, WRITERS),
    ];
    let mut rounds = [const { Vec::new() }; 5];
    for _ in 0..settings.rounds {
        rounds[0].push(rocks.run(settings.round));
        rounds[1].push(store.run(settings.round));
        rounds[2].push(jobs[0].run(settings.round));
        rounds[3].push(jobs[1].run(settings.round));
        rounds[4].push(jobs[2].run(settings.round));
    }
    let [rocks, store, s3, kms, bare] = rounds.map(median);
    println!(
        "\nDurable PUTs of 4 KiB, {WRITERS} writers, per second, and ÷ RocksDB's own synced puts of as many bytes"
    );
    println!("| RocksDB, synced | the store alone | gateway, SSE-S3 | gateway, SSE-KMS | bare hyper, nothing kept |");
    println!("|---|---|---|---|---|");
    println!(
        "| {rocks:.0} | {store:.0} (**{:.2}**) | {s3:.0} (**{:.2}**) | {kms:.0} (**{:.2}**) | {bare:.0} ({:.2}) |",
        store / rocks,
        s3 / rocks,
        kms / rocks,
        bare / rocks
    );
}

/// What bounds large PUTs: the disk, to which as many writers write as many files of as many bytes, and sync each once.
pub(crate) fn large(gateway: &Gateway, directory: &Path, settings: &Settings) {
    const LARGE: usize = 64 << 20;
    const AT_ONCE: usize = 16;
    let jobs = ["none", "kms"].map(|mode| gateway.job(Verb::Put, mode, LARGE, AT_ONCE));
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..settings.rounds {
        rounds[0].push(files(directory, LARGE, AT_ONCE, settings.round));
        rounds[1].push(jobs[0].run(settings.round));
        rounds[2].push(jobs[1].run(settings.round));
    }
    let [disk, none, kms] = rounds.map(|speeds| median(speeds) * 64.0);
    println!("\nPUTs of 64 MiB, {AT_ONCE} writers, MiB/s, and ÷ what the disk takes of as many synced files");
    println!("| the disk | gateway, unencrypted | gateway, SSE-KMS |");
    println!("|---|---|---|");
    println!("| {disk:.0} | {none:.0} (**{:.2}**) | {kms:.0} (**{:.2}**) |", none / disk, kms / disk);
}

/// Files per second.
fn files(directory: &Path, size: usize, writers: usize, time: Duration) -> f64 {
    let start = Instant::now();
    let piece = vec![7; 1 << 20];
    let done: u32 = std::thread::scope(|scope| {
        let write = |number: usize| {
            let (path, piece) = (directory.join(format!("file-{number}")), &piece);
            scope.spawn(move || {
                let mut done = 0;
                while done == 0 || start.elapsed() < time {
                    let mut file = std::fs::File::create(&path).unwrap();
                    for _ in 0..size / piece.len() {
                        file.write_all(piece).unwrap();
                    }
                    file.sync_data().unwrap();
                    std::fs::remove_file(&path).unwrap();
                    done += 1;
                }
                done
            })
        };
        let writers: Vec<_> = (0..writers).map(write).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    f64::from(done) / start.elapsed().as_secs_f64()
}

/// RocksDB with synced writes, a thread per writer: its own group commit is what makes this fast.
struct Rocks {
    db: Arc<rocksdb::DB>,
    next: Arc<AtomicU64>,
}

impl Rocks {
    fn open(path: &Path) -> Self {
        Self { db: Arc::new(rocksdb::DB::open_default(path).unwrap()), next: Arc::default() }
    }

    fn run(&self, time: Duration) -> f64 {
        let start = Instant::now();
        let threads: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (db, next) = (Arc::clone(&self.db), Arc::clone(&self.next));
                std::thread::spawn(move || {
                    let mut options = rocksdb::WriteOptions::default();
                    options.set_sync(true);
                    let mut done = 0u32;
                    while start.elapsed() < time {
                        let key = next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
                        db.put_opt(key, [7; SIZE], &options).unwrap();
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let done: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        f64::from(done) / start.elapsed().as_secs_f64()
    }
}

/// The embedded store, a task per writer on two workers.
struct Store {
    runtime: tokio::runtime::Runtime,
    store: Arc<LocalStore>,
    next: Arc<AtomicU64>,
}

impl Store {
    fn open(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = Arc::new(LocalStore::open(path, Arc::new(SystemClock)).unwrap());
        let bucket = Bucket {
            name: bucket(),
            owner: UserId::new("bench"),
            versioning: sealgate::store::Versioning::Never,
            created: Timestamp(0),
            region: "us-east-1".to_owned(),
            configs: std::collections::BTreeMap::new(),
        };
        runtime.block_on(store.create_bucket(bucket)).unwrap();
        Self { runtime, store, next: Arc::default() }
    }

    fn run(&self, time: Duration) -> f64 {
        let start = Instant::now();
        let done: u32 = self.runtime.block_on(async {
            let tasks: Vec<_> = (0..WRITERS)
                .map(|_| {
                    let (store, next) = (Arc::clone(&self.store), Arc::clone(&self.next));
                    tokio::spawn(async move {
                        let mut done = 0u32;
                        while start.elapsed() < time {
                            put(&store, next.fetch_add(1, Ordering::Relaxed)).await;
                            done += 1;
                        }
                        done
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        f64::from(done) / start.elapsed().as_secs_f64()
    }
}

async fn put(store: &LocalStore, number: u64) {
    let at = ObjectAt { bucket: bucket(), key: format!("key-{number}").parse().unwrap() };
    let mut writer = store.put(&at, Metadata::default(), Ahead::default()).await.unwrap();
    writer.write(Bytes::from(vec![7; SIZE])).await.unwrap();
    writer.commit(Commit::default()).await.unwrap();
}

fn bucket() -> BucketName {
    "bench".parse().unwrap()
}
