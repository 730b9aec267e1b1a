//! What the audit trail costs. It cannot be switched off, so it is not measured by leaving it out of the gateway: the CPU time
//! of uses of a CMK with a trail less that without, the writing thread's included, is set against the CPU time that the gateway takes
//! for a PUT. Both CPUs are busy when small objects are written, so a share of CPU time is a share of the rate.

use std::path::Path;
use std::sync::Arc;

use sealgate::audit::Trail;
use sealgate::kms::embedded::{EmbeddedKms, KeystoreOptions, NewKey, RootKey};
use sealgate::kms::{AuditTrail, EncryptionContext, KeyRef, KeyService as _, Principal};
use sealgate::types::{Clock, SystemClock, UserId};

use crate::Settings;
use crate::load::Verb;
use crate::server::Gateway;

const WRITERS: u32 = 16;
/// As many as wait at most, so that nothing is refused.
const USES: u32 = 50_000;

/// Prints the share.
pub(crate) fn run(gateway: &Gateway, directory: &Path, settings: &Settings) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (with, without) = (directory.join("with-trail"), directory.join("without-trail"));
    let mut uses = Vec::new();
    for _ in 0..settings.rounds {
        // One after the other: the difference of a pair is what counts.
        uses.push(per_use(&runtime, &with, true) - per_use(&runtime, &without, false));
    }
    let mut puts = Vec::new();
    let job = gateway.job(Verb::Put, "kms", 4 << 10, WRITERS as usize);
    for _ in 0..settings.rounds {
        let (before, start) = (gateway.cpu_micros(), std::time::Instant::now());
        let rate = job.run(settings.round);
        let count = rate * start.elapsed().as_secs_f64();
        puts.push((gateway.cpu_micros() - before) / count);
    }
    let (event, put) = (crate::median(uses), crate::median(puts));
    println!("\nThe audit trail: CPU time of an event ÷ that of a PUT of 4 KiB under SSE-KMS, {WRITERS} writers");
    println!("| an event | a PUT | **share** |");
    println!("|---|---|---|");
    println!("| {event:.1} µs | {put:.0} µs | **{:.1} %** |", 100.0 * event / put);
}

/// Microseconds of this process's CPU time that one use of a CMK takes, up to the end of its trail.
fn per_use(runtime: &tokio::runtime::Runtime, directory: &Path, trail: bool) -> f64 {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let root = || RootKey::new([7; 32]);
    let kms = EmbeddedKms::open(directory, root(), KeystoreOptions::default(), Arc::clone(&clock), false).unwrap();
    if trail {
        let seal = root().record_seal().unwrap();
        let trail = Trail::open(directory, None, seal, "us-east-1".to_owned(), clock).unwrap();
        kms.audit_with(Arc::new(trail) as Arc<dyn AuditTrail>);
    }
    let kms = Arc::new(kms);
    let by = Principal { user: UserId::new("bench"), root: true };
    let key = KeyRef(runtime.block_on(kms.create_key(&by, NewKey::default())).unwrap().arn.0);
    let before = cpu_micros(std::process::id());
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| {
            let (kms, by, key) = (Arc::clone(&kms), by.clone(), key.clone());
            tokio::spawn(async move {
                let arn = format!("arn:aws:s3:::bench/put-kms-4096-{writer}");
                let context = EncryptionContext([("aws:s3:arn".to_owned(), arn)].into());
                for _ in 0..USES / WRITERS {
                    kms.generate_data_key(&by, Some(&key), &context).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
    // The trail is written when this returns.
    drop(kms);
    (cpu_micros(std::process::id()) - before) / f64::from(USES)
}

/// The CPU time that a process has taken, of all its threads (`proc_pid_stat(5)`: ticks of 10 ms), in microseconds.
pub(crate) fn cpu_micros(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let words: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| words[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) * 10_000.0
}
