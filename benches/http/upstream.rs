//! The gateway in front of an upstream against the same upstream spoken to directly: plain, and under its own SSE-KMS.
//!
//! Needs one that runs: `SEALGATE_TEST_UPSTREAM=ENDPOINT,ACCESS KEY,SECRET KEY`, as `tests/upstream/ceph.py run` sets it.
//! Its bucket `bench` is made here.

use std::path::Path;

use crate::load::Verb;
use crate::presign::Signer;
use crate::server::{Gateway, Server, own_cpus};
use crate::{CONCURRENCY, SIZES, Settings, interleaved};

/// The key of Ceph's testing KMS, as `tests/upstream/ceph.py` configures it.
const KMS: [(&str, &str); 2] =
    [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "bench-key")];
/// By its service-managed CMK.
const OURS: [(&str, &str); 1] = [("x-amz-server-side-encryption", "aws:kms")];
const PART: usize = 16 << 20;

/// Prints the tables.
pub(crate) fn run(directory: &Path, settings: &Settings) {
    let Ok(upstream) = std::env::var("SEALGATE_TEST_UPSTREAM") else {
        println!("\nThe upstream store is left out: there is no SEALGATE_TEST_UPSTREAM (see benches/http/upstream.rs)");
        return;
    };
    let words: Vec<&str> = upstream.split(',').collect();
    let [endpoint, access_key, secret_key] = <[&str; 3]>::try_from(words).expect("SEALGATE_TEST_UPSTREAM: three words");
    let straight = Server {
        address: endpoint.trim_start_matches("http://").parse().unwrap(),
        by: Signer { access_key, secret_key },
    };
    straight.send("PUT", "/bench", "", &[], &[]);
    let root_key = directory.join("root.key");
    std::fs::write(&root_key, "A".repeat(43) + "=").unwrap();
    std::fs::set_permissions(&root_key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let gateway = Gateway::start_with(
        &directory.join("proxy"),
        &[
            ("SEALGATE_STORE", "upstream"),
            ("SEALGATE_ROOT_KEY_FILE", root_key.to_str().unwrap()),
            ("SEALGATE_UPSTREAM_ENDPOINT", endpoint),
            ("SEALGATE_UPSTREAM_ACCESS_KEY_ID", access_key),
            ("SEALGATE_UPSTREAM_SECRET_ACCESS_KEY", secret_key),
        ],
    );
    let proxied = gateway.as_server();
    println!(
        "\nAn upstream, straight and through the gateway (SSE-KMS); MiB/s (or requests/s at 4 KiB), ratios of medians"
    );
    if let Some(cpus) = own_cpus() {
        println!("(the gateway on CPUs of its own: {cpus})");
    }
    println!("| | straight | its SSE-KMS | gateway | **gateway ÷ straight** | **gateway ÷ its SSE-KMS** |");
    println!("|---|---|---|---|---|---|");
    for verb in [Verb::Get, Verb::Put] {
        for (name, size) in SIZES {
            for concurrency in CONCURRENCY {
                let row = format!("{verb:?} {name}, c={concurrency}");
                if !settings.wants_cell(&row) {
                    continue;
                }
                let jobs = [
                    straight.job(verb, size, concurrency, &[]),
                    straight.job(verb, size, concurrency, &KMS),
                    proxied.job(verb, size, concurrency, &OURS),
                ];
                print_row(&row, size, &interleaved(&jobs, settings));
            }
        }
    }
    for concurrency in CONCURRENCY {
        let row = format!("UploadPart 16 MiB, c={concurrency}");
        if settings.wants_cell(&row) {
            let jobs = [straight.parts(PART, concurrency), proxied.parts(PART, concurrency)];
            let [plain, ours] = interleaved(&jobs, settings)[..] else { unreachable!("two jobs") };
            println!("| {row} | {:.0} | | {:.0} | **{:.2}** | |", plain * 16.0, ours * 16.0, ours / plain);
        }
    }
    println!("peak memory of the gateway: {} MiB", gateway.peak_memory_mib());
}

fn print_row(name: &str, size: usize, speeds: &[f64]) {
    #[allow(clippy::cast_precision_loss, reason = "a printed figure")]
    let unit = if size <= 4 << 10 { 1.0 } else { size as f64 / f64::from(1 << 20) };
    let [plain, kms, ours] = speeds else { unreachable!("three jobs") };
    println!(
        "| {name} | {:.0} | {:.0} | {:.0} | **{:.2}** | **{:.2}** |",
        plain * unit,
        kms * unit,
        ours * unit,
        ours / plain,
        ours / kms
    );
}
