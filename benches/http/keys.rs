//! What a master key costs: small objects under SSE-KMS, with a bucket key and without, against SSE-S3 in the same run; and
//! the same where each call of the key service takes 5 ms more, as one across a network does.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealgate::config::{Config, Flags};
use sealgate::kms::{
    DataKey, EncryptionContext, Error, GeneratedKey, KeyArn, KeyRef, KeyService, Principal, WrappedKey,
};
use sealgate::serve;

use crate::load::{Job, Verb};
use crate::server::Gateway;
use crate::{Settings, interleaved};

const SIZE: usize = 4 << 10;
const SLOW: Duration = Duration::from_millis(5);

/// A key service that is 5 ms away.
struct Slowed(Arc<dyn KeyService>);

impl fmt::Debug for Slowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slowed").field(&self.0).finish()
    }
}

#[async_trait]
impl KeyService for Slowed {
    async fn generate_data_key(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, Error> {
        tokio::time::sleep(SLOW).await;
        self.0.generate_data_key(principal, key, context).await
    }

    async fn wrap(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, WrappedKey), Error> {
        tokio::time::sleep(SLOW).await;
        self.0.wrap(principal, key, data_key, context).await
    }

    async fn unwrap_key(
        &self,
        principal: &Principal,
        key: &KeyArn,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, Error> {
        tokio::time::sleep(SLOW).await;
        self.0.unwrap_key(principal, key, wrapped, context).await
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }
}

/// `sealgate serve` with a key service that is 5 ms away, as a process of its own.
pub(crate) fn serve_slowly(words: &[String]) {
    use clap::Parser as _;
    /// The flags of the server.
    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        flags: Flags,
    }
    let config = Config::load(&Arguments::parse_from(words).flags).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve::serve_through(config, |keys| Arc::new(Slowed(keys)))).unwrap();
}

/// Measures and prints.
pub(crate) fn run(gateway: &Gateway, directory: &Path, settings: &Settings) {
    println!("4 KiB objects, requests/s, and ratios of medians to SSE-S3 in the same run (aim: 0.9 with bucket keys)");
    println!("| | SSE-S3 | SSE-KMS | SSE-KMS by a bucket key | SSE-KMS ÷ S3 | **by a bucket key ÷ S3** |");
    println!("|---|---|---|---|---|---|");
    let slow = Gateway::start_slow(&directory.join("slow"));
    for (name, gateway) in [("", gateway), (", a key service of 5 ms", &slow)] {
        for verb in [Verb::Put, Verb::Get] {
            for concurrency in crate::CONCURRENCY {
                let row = format!("{verb:?} 4 KiB, c={concurrency}{name}");
                if !settings.wants_cell(&row) {
                    continue;
                }
                let jobs: Vec<Job> =
                    ["s3", "kms", "bucket-key"].map(|mode| gateway.job(verb, mode, SIZE, concurrency)).into();
                let speeds = interleaved(&jobs, settings);
                let [s3, kms, by_bucket_key] = speeds[..] else { unreachable!("three jobs") };
                println!(
                    "| {row} | {s3:.0} | {kms:.0} | {by_bucket_key:.0} | {:.2} | **{:.2}** |",
                    kms / s3,
                    by_bucket_key / s3
                );
            }
        }
    }
}
