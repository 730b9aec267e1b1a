//! The OSS dialect against S3's for the same work, and what the CRC-64 costs that OSS's clients verify.

use std::time::Instant;

use crc_fast::CrcAlgorithm;

use crate::load::Verb;
use crate::server::Gateway;
use crate::{SIZES, Settings, median, ratio};

/// Prints both tables.
pub(crate) fn run(gateway: &Gateway, settings: &Settings) {
    println!("\nThe OSS dialect ÷ S3's: requests/s for the same work, 16 clients, both signed in the URL (version 4)");
    println!("| | unencrypted | SSE-S3 | SSE-KMS |");
    println!("|---|---|---|---|");
    for verb in [Verb::Get, Verb::Put] {
        for (name, size) in SIZES {
            if !settings.wants_cell(&format!("{verb:?} {name}")) {
                continue;
            }
            let of = |mode| {
                let jobs = [gateway.job(verb, mode, size, 16), gateway.oss_job(verb, mode, size, 16)];
                // Many short rounds, but a large PUT takes its time.
                let rounds = if size > 1 << 20 { settings.rounds } else { settings.rounds * 4 };
                ratio(&jobs, rounds, settings.round / 2)
            };
            let [none, s3, kms] = ["none", "s3", "kms"].map(of);
            println!("| {verb:?} {name} | **{none:.2}** | **{s3:.2}** | **{kms:.2}** |");
        }
    }
    crc64(gateway, settings);
}

/// The checksum is computed over each body as it streams, in pieces of a read: its share is the time that it takes for as
/// many bytes, of the time of the fastest PUT, which is one under a CMK (without MD5).
fn crc64(gateway: &Gateway, settings: &Settings) {
    const SIZE: usize = 64 << 20;
    let piece = vec![7; 64 << 10];
    let mut shares = Vec::new();
    let job = gateway.oss_job(Verb::Put, "kms", SIZE, 1);
    for _ in 0..settings.rounds {
        let start = Instant::now();
        let mut crc = crc_fast::Digest::new(CrcAlgorithm::Crc64Xz);
        for _ in 0..SIZE / piece.len() {
            crc.update(std::hint::black_box(&piece));
        }
        std::hint::black_box(crc.finalize());
        shares.push(start.elapsed().as_secs_f64() * job.run(settings.round));
    }
    println!("\nCRC-64 of 64 MiB ÷ a PUT of them under SSE-KMS, one client: **{:.4}**", median(shares));
}
