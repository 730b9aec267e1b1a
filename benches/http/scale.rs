//! What grows and what must not: memory with many uploads at once, and the rate of PUTs as objects become many.

use std::time::{Duration, Instant};

use crate::load::{Job, Verb};
use crate::server::Gateway;
use crate::{Settings, median};

const UPLOADS: usize = 200;

/// The most memory that the gateway ever had with 200 uploads of 64 MiB in flight.
pub(crate) fn memory(gateway: &Gateway) {
    let before = gateway.peak_memory_mib();
    let start = Instant::now();
    // Each connection sends one body: a run ends what it has begun.
    gateway.job(Verb::Put, "kms", 64 << 20, UPLOADS).run(Duration::from_millis(1));
    println!("\n{UPLOADS} uploads of 64 MiB at once (SSE-KMS), in {:.0} s", start.elapsed().as_secs_f64());
    println!("peak memory of the gateway: {} MiB (before: {before} MiB)", gateway.peak_memory_mib());
}

/// PUTs per second beside 10³ and beside `many` objects, in rounds that take turns between two gateways.
pub(crate) fn objects(few: &Gateway, full: &Gateway, many: usize, settings: &Settings) {
    few.fill(1_000);
    let start = Instant::now();
    full.fill(many);
    let filled = start.elapsed().as_secs_f64();
    let jobs: [Job; 2] = [few, full].map(|gateway| gateway.job(Verb::Put, "s3", 4 << 10, 16));
    let mut rounds = [const { Vec::new() }; 2];
    for _ in 0..settings.rounds {
        for (job, speeds) in jobs.iter().zip(&mut rounds) {
            speeds.push(job.run(settings.round));
        }
    }
    let [at_few, at_many] = rounds.map(median);
    println!(
        "\nPUTs of 4 KiB per second, 16 writers: beside 1000 objects {at_few:.0}, beside {many} {at_many:.0}: **{:.2}** (filled in {filled:.0} s)",
        at_many / at_few
    );
}
