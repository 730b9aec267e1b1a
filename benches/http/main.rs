//! `make bench`: ratios, each measured in one run. Real processes on loopback: the gateway, and a bare hyper server
//! that moves the same bytes from a page-cached file (GET) or into nothing (PUT). Rounds are interleaved, so that a
//! busy neighbour slows all sides of a ratio; medians of rounds are compared. Absolute figures are printed beside the
//! ratios for orientation only: they are this machine's, not the software's.
//!
//! `BENCH_ONLY=http|keys|oss|durable|trail|memory|scale|upstream` runs one section and `BENCH_CELL` those rows whose name contains it;
//! `BENCH_ROUNDS`, `BENCH_MILLIS` and `BENCH_OBJECTS` change how much is done. With `BENCH_GATEWAY_CPUS` the gateway of the
//! upstream section is held to these CPUs, and `taskset` can hold all else to others.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed benchmark")]

mod bare;
mod durable;
mod keys;
mod load;
mod oss;
mod presign;
mod scale;
mod server;
mod trail;
mod upstream;

use std::time::Duration;

use load::{Job, Verb};
use server::{Bare, Gateway};

pub(crate) const SIZES: [(&str, usize); 3] = [("4 KiB", 4 << 10), ("1 MiB", 1 << 20), ("64 MiB", 64 << 20)];
pub(crate) const CONCURRENCY: [usize; 2] = [1, 16];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, command, directory] = words.as_slice()
        && command == "bare"
    {
        return bare::run(directory);
    }
    if words.get(1).is_some_and(|word| word == "serve-slowly") {
        return keys::serve_slowly(&words[1..]);
    }
    let settings = Settings::from_environment();
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(&directory.path().join("gateway"));
    if settings.wants("memory") {
        scale::memory(&gateway);
    }
    let bare = Bare::start(directory.path());
    if settings.wants("http") {
        http(&gateway, &bare, &settings);
    }
    if settings.wants("keys") {
        keys::run(&gateway, directory.path(), &settings);
    }
    if settings.wants("oss") {
        oss::run(&gateway, &settings);
    }
    if settings.wants("durable") {
        durable::run(&gateway, &bare, directory.path(), &settings);
        durable::large(&gateway, directory.path(), &settings);
    }
    if settings.wants("trail") {
        trail::run(&gateway, directory.path(), &settings);
    }
    if settings.wants("upstream") {
        upstream::run(directory.path(), &settings);
    }
    if settings.wants("scale") {
        let (few, many) = (directory.path().join("few"), directory.path().join("many"));
        scale::objects(&Gateway::start(&few), &Gateway::start(&many), settings.objects, &settings);
    }
}

/// Moving bytes: encrypted against plain through the same gateway, and plain against a bare server.
fn http(gateway: &Gateway, bare: &Bare, settings: &Settings) {
    println!(
        "2 workers each; {} rounds of {} ms a cell; MiB/s (or requests/s at 4 KiB) and ratios of medians",
        settings.rounds,
        settings.round.as_millis()
    );
    println!("| | unencrypted | SSE-S3 | SSE-KMS | bare hyper | SSE-S3 ÷ un. | **SSE-KMS ÷ un.** | **un. ÷ bare** |");
    println!("|---|---|---|---|---|---|---|---|");
    for verb in [Verb::Get, Verb::Put] {
        for (name, size) in SIZES {
            for concurrency in CONCURRENCY {
                let row = format!("{verb:?} {name}, c={concurrency}");
                if !settings.wants_cell(&row) {
                    continue;
                }
                let jobs: Vec<Job> = ["none", "s3", "kms"]
                    .into_iter()
                    .map(|mode| gateway.job(verb, mode, size, concurrency))
                    .chain([bare.job(verb, size, concurrency)])
                    .collect();
                let speeds = interleaved(&jobs, settings);
                print_row(&row, size, &speeds);
            }
        }
    }
}

pub(crate) struct Settings {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    objects: usize,
    only: Option<String>,
    cell: Option<String>,
}

impl Settings {
    fn from_environment() -> Self {
        let number =
            |name: &str, default: u64| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
        Self {
            rounds: usize::try_from(number("BENCH_ROUNDS", 5)).unwrap(),
            round: Duration::from_millis(number("BENCH_MILLIS", 700)),
            objects: usize::try_from(number("BENCH_OBJECTS", 1_000_000)).unwrap(),
            only: std::env::var("BENCH_ONLY").ok(),
            cell: std::env::var("BENCH_CELL").ok(),
        }
    }

    /// Whether this cell of a table is to be measured.
    pub(crate) fn wants_cell(&self, name: &str) -> bool {
        self.cell.as_ref().is_none_or(|cell| name.contains(cell))
    }

    fn wants(&self, section: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == section)
    }
}

/// Requests per second of each job, as the median over rounds in which all jobs take turns.
pub(crate) fn interleaved(jobs: &[Job], settings: &Settings) -> Vec<f64> {
    for job in jobs {
        job.run(Duration::from_millis(150));
    }
    let mut rounds = vec![Vec::new(); jobs.len()];
    for _ in 0..settings.rounds {
        for (job, speeds) in jobs.iter().zip(&mut rounds) {
            speeds.push(job.run(settings.round));
        }
    }
    rounds.into_iter().map(median).collect()
}

/// How many times as fast the second job is as the first, as the median over rounds of the two in turn: what slows one
/// round, as a disk does for a second, slows a pair and no more.
pub(crate) fn ratio(jobs: &[Job; 2], rounds: usize, round: Duration) -> f64 {
    for job in jobs {
        job.run(Duration::from_millis(150));
    }
    let pairs = (0..rounds).map(|number| {
        // Who comes first takes turns too.
        let mut speeds = [0.0; 2];
        for at in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
            speeds[at] = jobs[at].run(round);
        }
        speeds[1] / speeds[0]
    });
    median(pairs.collect())
}

pub(crate) fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}

fn print_row(name: &str, size: usize, speeds: &[f64]) {
    #[allow(clippy::cast_precision_loss, reason = "a printed figure")]
    let unit = if size <= 4 << 10 { 1.0 } else { size as f64 / f64::from(1 << 20) };
    let [none, s3, kms, bare] = speeds else { unreachable!("four jobs") };
    println!(
        "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | **{:.2}** | **{:.2}** |",
        none * unit,
        s3 * unit,
        kms * unit,
        bare * unit,
        s3 / none,
        kms / none,
        none / bare
    );
}
