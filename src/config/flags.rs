//! The command line's share of the configuration. Values are kept as text; [`super::setting`] reads them.

use std::path::PathBuf;

use super::layer::{Layer, Raw, Source};

/// The flags of `sealgate serve`.
///
/// There is no flag for a secret: a command line can be read by every process of the machine. A secret comes from
/// `SEALGATE_SECRET_ACCESS_KEY`, from the configuration file, or from the file that `--secret-access-key-file` names.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// The TOML file with settings (environment: SEALGATE_CONFIG). Flags beat the file, the file beats the environment.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port for S3 and OSS clients [default: 127.0.0.1:9000].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address and port for health checks and metrics [default: 127.0.0.1:9001].
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Directory that holds objects and keys [default: ./sealgate-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// File with the embedded keystore's root key [default: made inside the data directory].
    #[arg(long, value_name = "FILE")]
    root_key_file: Option<String>,
    /// Region that signatures must name [default: us-east-1].
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// What objects get when neither request nor bucket says: AES256 or none [default: AES256].
    #[arg(long, value_name = "MODE")]
    default_encryption: Option<String>,
    /// Domains under which `bucket.domain` addresses a bucket, separated by commas.
    #[arg(long, value_name = "DOMAINS")]
    base_domains: Option<String>,
    /// The same for OSS alone: what carries no mark of a dialect there is of OSS.
    #[arg(long, value_name = "DOMAINS")]
    oss_domains: Option<String>,
    /// Domains bound to one bucket each for OSS clients and CDNs, as `domain=bucket`, separated by commas.
    #[arg(long, value_name = "BINDINGS")]
    oss_cnames: Option<String>,
    /// Access key id of the root user.
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    /// File with the secret access key of the root user. There is no flag for the secret itself: argv is public.
    #[arg(long, value_name = "FILE")]
    secret_access_key_file: Option<String>,
    /// Accept the outdated signature version 2 [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    allow_sigv2: Option<String>,
    /// Serve SSE-KMS and SSE-C over plain HTTP to other machines [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    allow_insecure_sse: Option<String>,
    /// Addresses or blocks of proxies whose X-Forwarded-Proto is believed, separated by commas.
    #[arg(long, value_name = "BLOCKS")]
    trusted_proxies: Option<String>,
    /// PEM file with the TLS certificate chain.
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// PEM file with the TLS private key.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Log lines as text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Longest time for a request's head [default: 30s].
    #[arg(long, value_name = "DURATION")]
    header_read_timeout: Option<String>,
    /// Longest standstill of a body [default: 60s].
    #[arg(long, value_name = "DURATION")]
    body_idle_timeout: Option<String>,
    /// Bytes a second that a body must move on average [default: 1024].
    #[arg(long, value_name = "BYTES")]
    body_min_rate: Option<String>,
    /// Read one write of so many back to see that it is ciphertext; 0: none [default: 0].
    #[arg(long, value_name = "NUMBER")]
    verify_writes_sample: Option<String>,
    /// Bucket into which finished files of the audit trail are written.
    #[arg(long, value_name = "BUCKET")]
    audit_bucket: Option<String>,
    /// What the keys of those objects begin with [default: sealgate-audit/].
    #[arg(long, value_name = "PREFIX")]
    audit_prefix: Option<String>,
    /// Connections served at once [default: 16384].
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<String>,
    /// Longest wait for requests in flight after SIGTERM [default: 30s].
    #[arg(long, value_name = "DURATION")]
    drain_timeout: Option<String>,
    /// How long an unwrapped bucket key is remembered; 0: not at all [default: 5m].
    #[arg(long, value_name = "DURATION")]
    kms_cache_ttl: Option<String>,
    /// Where ciphertext is kept: local or upstream [default: local].
    #[arg(long, value_name = "KIND")]
    store: Option<String>,
    /// Where the embedded keystore is kept: local or upstream [default: where ciphertext is].
    #[arg(long, value_name = "KIND")]
    keystore: Option<String>,
    /// Address of the upstream object store, such as `https://s3.example.com`.
    #[arg(long, value_name = "URL")]
    upstream_endpoint: Option<String>,
    /// Region of the upstream [default: us-east-1].
    #[arg(long, value_name = "NAME")]
    upstream_region: Option<String>,
    /// What the upstream speaks: s3 or oss [default: s3].
    #[arg(long, value_name = "NAME")]
    upstream_dialect: Option<String>,
    /// Where the upstream wants the bucket: path or virtual [default: path].
    #[arg(long, value_name = "STYLE")]
    upstream_addressing: Option<String>,
    /// Access key id for the upstream.
    #[arg(long, value_name = "ID")]
    upstream_access_key_id: Option<String>,
    /// File with the secret access key for the upstream.
    #[arg(long, value_name = "FILE")]
    upstream_secret_access_key_file: Option<String>,
    /// File with both in the form of AWS's shared credentials; read again when it changes.
    #[arg(long, value_name = "FILE")]
    upstream_credentials_file: Option<String>,
    /// PEM file with the certificates to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    upstream_ca_file: Option<String>,
    /// Longest time to connect to the upstream [default: 5s].
    #[arg(long, value_name = "DURATION")]
    upstream_connect_timeout: Option<String>,
    /// Longest wait for the upstream's answer [default: 30s].
    #[arg(long, value_name = "DURATION")]
    upstream_answer_timeout: Option<String>,
    /// Longest standstill of a body from or to the upstream [default: 60s].
    #[arg(long, value_name = "DURATION")]
    upstream_idle_timeout: Option<String>,
    /// The upstream's bucket that belongs to the gateways [default: sealgate-system].
    #[arg(long, value_name = "NAME")]
    upstream_reserved: Option<String>,
    /// What precedes a bucket's name upstream.
    #[arg(long, value_name = "TEXT")]
    upstream_bucket_prefix: Option<String>,
    /// Buckets kept under other names: bucket=upstream-bucket/prefix, separated by commas.
    #[arg(long, value_name = "MAP")]
    upstream_buckets: Option<String>,
    /// Buckets that may hold objects which sealgate did not write, separated by commas.
    #[arg(long, value_name = "NAMES")]
    upstream_foreign_buckets: Option<String>,
    /// After how long without a new part an upload is given up, in days, or never [default: 7d].
    #[arg(long, value_name = "DAYS")]
    upstream_abandoned_after: Option<String>,
    /// What passes to the upstream: methods and sub-resources such as "GET lifecycle", separated by commas.
    #[arg(long, value_name = "LIST")]
    upstream_pass_through: Option<String>,
}

impl Flags {
    /// What was given on the command line.
    pub(super) fn layer(&self) -> Layer {
        // Taken apart whole, so that a new flag which is not passed on does not compile.
        let Self {
            config: _,
            listen,
            admin_listen,
            data_dir,
            root_key_file,
            region,
            default_encryption,
            base_domains,
            oss_domains,
            oss_cnames,
            access_key_id,
            secret_access_key_file,
            allow_sigv2,
            allow_insecure_sse,
            trusted_proxies,
            tls_cert,
            tls_key,
            log_format,
            log_level,
            header_read_timeout,
            body_idle_timeout,
            body_min_rate,
            verify_writes_sample,
            audit_bucket,
            audit_prefix,
            max_connections,
            drain_timeout,
            kms_cache_ttl,
            store,
            keystore,
            upstream_endpoint,
            upstream_region,
            upstream_dialect,
            upstream_addressing,
            upstream_access_key_id,
            upstream_secret_access_key_file,
            upstream_credentials_file,
            upstream_ca_file,
            upstream_connect_timeout,
            upstream_answer_timeout,
            upstream_idle_timeout,
            upstream_reserved,
            upstream_bucket_prefix,
            upstream_buckets,
            upstream_foreign_buckets,
            upstream_abandoned_after,
            upstream_pass_through,
        } = self;
        let given = [
            ("listen", listen),
            ("admin_listen", admin_listen),
            ("data_dir", data_dir),
            ("root_key_file", root_key_file),
            ("region", region),
            ("default_encryption", default_encryption),
            ("base_domains", base_domains),
            ("oss_domains", oss_domains),
            ("oss_cnames", oss_cnames),
            ("access_key_id", access_key_id),
            ("secret_access_key_file", secret_access_key_file),
            ("allow_sigv2", allow_sigv2),
            ("allow_insecure_sse", allow_insecure_sse),
            ("trusted_proxies", trusted_proxies),
            ("tls_cert", tls_cert),
            ("tls_key", tls_key),
            ("log_format", log_format),
            ("log_level", log_level),
            ("header_read_timeout", header_read_timeout),
            ("body_idle_timeout", body_idle_timeout),
            ("body_min_rate", body_min_rate),
            ("verify_writes_sample", verify_writes_sample),
            ("audit_bucket", audit_bucket),
            ("audit_prefix", audit_prefix),
            ("max_connections", max_connections),
            ("drain_timeout", drain_timeout),
            ("kms_cache_ttl", kms_cache_ttl),
            ("store", store),
            ("keystore", keystore),
            ("upstream_endpoint", upstream_endpoint),
            ("upstream_region", upstream_region),
            ("upstream_dialect", upstream_dialect),
            ("upstream_addressing", upstream_addressing),
            ("upstream_access_key_id", upstream_access_key_id),
            ("upstream_secret_access_key_file", upstream_secret_access_key_file),
            ("upstream_credentials_file", upstream_credentials_file),
            ("upstream_ca_file", upstream_ca_file),
            ("upstream_connect_timeout", upstream_connect_timeout),
            ("upstream_answer_timeout", upstream_answer_timeout),
            ("upstream_idle_timeout", upstream_idle_timeout),
            ("upstream_reserved", upstream_reserved),
            ("upstream_bucket_prefix", upstream_bucket_prefix),
            ("upstream_buckets", upstream_buckets),
            ("upstream_foreign_buckets", upstream_foreign_buckets),
            ("upstream_abandoned_after", upstream_abandoned_after),
            ("upstream_pass_through", upstream_pass_through),
        ];
        let mut layer = Layer::new(Source::Flag);
        for (field, value) in given {
            if let Some(text) = value {
                layer.set(field, Raw::text(text.clone()));
            }
        }
        layer
    }
}
