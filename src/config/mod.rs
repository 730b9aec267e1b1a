//! What the operator wants: one typed [`Config`] from flags, a TOML file and the environment, in that order of
//! precedence and under the same names (`--admin-listen`, `admin_listen`, `SEALGATE_ADMIN_LISTEN`).
//!
//! Every value is text until one parser has read it, so that a wrong value is told in the same single line wherever it
//! came from: the field, the source, the reason. Nothing here opens a socket, a database or a key file other than the
//! secrets' own files.

mod error;
mod flags;
mod layer;
mod secret;
mod setting;
mod upstream;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::sse::DefaultEncryption;
use crate::store::upstream::Settings;
use crate::types::{AccessKeyId, BucketName, Timestamp, UserId};

pub use error::Error;
pub use flags::Flags;
pub use secret::Secret;
pub use setting::{IpBlock, LogFormat, LogLevel};
pub use upstream::{KeystoreKind, NamedUpstream, StoreKind, Upstream};

use layer::{Layer, Layers, RawUser, Source};
use setting::DurationText;

/// The user name of the root credential.
pub const ROOT_USER: &str = "root";

/// An access key: the public id and the secret that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The secret half.
    pub secret_access_key: Secret,
}

/// A user beside root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The unique name: owner of buckets and keys.
    pub name: UserId,
    /// The access key.
    pub credential: Credential,
    /// The security token that requests with this key must show; with one, the credential is a temporary one.
    pub security_token: Option<Secret>,
    /// The last moment at which the key is accepted.
    pub expires: Option<Timestamp>,
}

/// Certificate chain and private key of the TLS listener, PEM files both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's certificate first.
    pub cert: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where `/health/live`, `/health/ready` and `/metrics` are served, in plain HTTP.
    pub admin_listen: SocketAddr,
    /// Where everything is kept. Made when missing.
    pub data_dir: PathBuf,
    /// The file with the root key of the embedded keystore; `None`: one inside `data_dir`, made at the first start.
    pub root_key_file: Option<PathBuf>,
    /// The region that signatures must name.
    pub region: String,
    /// What objects get when neither request nor bucket says anything.
    pub default_encryption: DefaultEncryption,
    /// Host names under which `bucket.name` addresses a bucket, lower-case.
    pub base_domains: Vec<String>,
    /// The same, where a request that carries no mark of a dialect is of OSS.
    pub oss_domains: Vec<String>,
    /// Host names that are bound to one bucket each, in OSS's dialect: name, lower-case, and bucket.
    pub oss_cnames: Vec<(String, BucketName)>,
    /// The root credential. There is no default: see [`Config::require_root`].
    pub root: Option<Credential>,
    /// More users.
    pub users: Vec<User>,
    /// Whether the outdated signature version 2 is accepted.
    pub allow_sigv2: bool,
    /// Whether SSE-KMS and SSE-C are served over plain HTTP to peers that are not on this machine.
    pub allow_insecure_sse: bool,
    /// Proxies whose `X-Forwarded-Proto` is believed.
    pub trusted_proxies: Vec<IpBlock>,
    /// TLS, when both files are configured.
    pub tls: Option<TlsFiles>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged by sealgate itself; libraries are capped, see [`crate::logging`].
    pub log_level: LogLevel,
    /// How long a request's head (and a TLS handshake, and an idle connection) may take.
    pub header_read_timeout: Duration,
    /// How long a body may stand still, in either direction.
    pub body_idle_timeout: Duration,
    /// How many bytes a second a body must move on average while we wait for the client; 0: any rate will do.
    pub body_min_rate: u64,
    /// One write of so many is read back to see that it is ciphertext; 0: none.
    pub verify_writes_sample: u64,
    /// Where finished files of the audit trail are written to.
    pub audit_bucket: Option<BucketName>,
    /// What the keys of those objects begin with.
    pub audit_prefix: String,
    /// How many connections are served at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long requests in flight may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// How long an unwrapped bucket key is remembered, and so a change of its CMK made elsewhere may go unnoticed. Zero:
    /// not at all.
    pub kms_cache_ttl: Duration,
    /// Where ciphertext is kept.
    pub store: StoreKind,
    /// Where the embedded keystore is kept; `None`: where ciphertext is.
    pub keystore: Option<KeystoreKind>,
    /// The upstream of the short form, for where one is used.
    pub upstream: Upstream,
    /// Several upstreams, instead.
    pub upstreams: Vec<NamedUpstream>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9001)),
            data_dir: PathBuf::from("./sealgate-data"),
            root_key_file: None,
            region: "us-east-1".to_owned(),
            default_encryption: DefaultEncryption::default(),
            base_domains: Vec::new(),
            oss_domains: Vec::new(),
            oss_cnames: Vec::new(),
            root: None,
            users: Vec::new(),
            allow_sigv2: false,
            allow_insecure_sse: false,
            trusted_proxies: Vec::new(),
            tls: None,
            log_format: LogFormat::Text,
            log_level: LogLevel::Info,
            header_read_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(60),
            body_min_rate: 1024,
            verify_writes_sample: 0,
            audit_bucket: None,
            audit_prefix: "sealgate-audit/".to_owned(),
            max_connections: 16_384,
            drain_timeout: Duration::from_secs(30),
            kms_cache_ttl: crate::kms::DEFAULT_CACHE_TTL,
            store: StoreKind::Local,
            keystore: None,
            upstream: Upstream::default(),
            upstreams: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the configuration: `flags` beat the file that `--config` (or `SEALGATE_CONFIG`) names, the file beats the
    /// environment, and the environment beats the defaults.
    ///
    /// # Errors
    /// [`Error`] names the field and the source; its `Display` is one line.
    pub fn load(flags: &Flags) -> Result<Self, Error> {
        Self::load_with(flags, |name| std::env::var_os(name))
    }

    /// As [`Config::load`], with the environment given as a look-up.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(flags: &Flags, environment: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Self, Error> {
        let env = Layer::from_env(&environment)?;
        let named = flags.config.clone().or_else(|| environment("SEALGATE_CONFIG").map(PathBuf::from));
        let file = named.map(|path| Layer::from_file(&path)).transpose()?;
        let mut layers = Layers::new([Some(flags.layer()), file, Some(env)].into_iter().flatten());
        let config = Self::from_layers(&mut layers)?;
        config.check()?;
        Ok(config)
    }

    /// The root credential, for a command that cannot go on without one.
    ///
    /// # Errors
    /// [`Error::NoRootCredential`].
    pub fn require_root(&self) -> Result<&Credential, Error> {
        self.root.as_ref().ok_or(Error::NoRootCredential)
    }

    /// Where the embedded keystore is kept.
    #[must_use]
    pub fn keystore_kind(&self) -> KeystoreKind {
        self.keystore.unwrap_or(match self.store {
            StoreKind::Local => KeystoreKind::Local,
            StoreKind::Upstream => KeystoreKind::Upstream,
        })
    }

    /// The settings of the upstream store, the first upstream being the one that has the records.
    ///
    /// # Errors
    /// [`Error`] names what is missing or contradicts.
    pub fn upstream_settings(&self) -> Result<Vec<Settings>, Error> {
        upstream::all_settings(&self.upstream, &self.upstreams)
    }

    fn from_layers(layers: &mut Layers) -> Result<Self, Error> {
        let d = Self::default();
        let seconds = |layers: &Layers, field, default| {
            layers.one::<DurationText>(field).map(|v| v.map_or(default, |text| text.0))
        };
        Ok(Self {
            listen: layers.one("listen")?.unwrap_or(d.listen),
            admin_listen: layers.one("admin_listen")?.unwrap_or(d.admin_listen),
            data_dir: layers.one("data_dir")?.unwrap_or(d.data_dir),
            root_key_file: layers.one("root_key_file")?,
            region: layers.one::<setting::Region>("region")?.map_or(d.region, |region| region.0),
            default_encryption: layers.one("default_encryption")?.unwrap_or(d.default_encryption),
            base_domains: layers.many::<setting::Domain>("base_domains")?.into_iter().map(|name| name.0).collect(),
            oss_domains: layers.many::<setting::Domain>("oss_domains")?.into_iter().map(|name| name.0).collect(),
            oss_cnames: layers.many::<setting::Bound>("oss_cnames")?.into_iter().map(|bound| bound.0).collect(),
            root: root_credential(layers)?,
            users: users(layers.take_users())?,
            allow_sigv2: layers.one("allow_sigv2")?.unwrap_or(d.allow_sigv2),
            allow_insecure_sse: layers.one("allow_insecure_sse")?.unwrap_or(d.allow_insecure_sse),
            trusted_proxies: layers.many("trusted_proxies")?,
            tls: tls(layers)?,
            log_format: layers.one("log_format")?.unwrap_or(d.log_format),
            log_level: layers.one("log_level")?.unwrap_or(d.log_level),
            header_read_timeout: seconds(layers, "header_read_timeout", d.header_read_timeout)?,
            body_idle_timeout: seconds(layers, "body_idle_timeout", d.body_idle_timeout)?,
            body_min_rate: layers.one::<setting::Rate>("body_min_rate")?.map_or(d.body_min_rate, |rate| rate.0),
            verify_writes_sample: layers
                .one::<setting::Rate>("verify_writes_sample")?
                .map_or(d.verify_writes_sample, |rate| rate.0),
            audit_bucket: layers.one("audit_bucket")?,
            audit_prefix: layers.one::<setting::Prefix>("audit_prefix")?.map_or(d.audit_prefix, |prefix| prefix.0),
            max_connections: layers.one::<setting::Connections>("max_connections")?.map_or(d.max_connections, |n| n.0),
            drain_timeout: seconds(layers, "drain_timeout", d.drain_timeout)?,
            kms_cache_ttl: layers.one::<setting::DurationOrNone>("kms_cache_ttl")?.map_or(d.kms_cache_ttl, |ttl| ttl.0),
            store: layers.one("store")?.unwrap_or(d.store),
            keystore: layers.one("keystore")?,
            upstream: Upstream::from_layers(layers)?,
            upstreams: upstreams(layers)?,
        })
    }

    /// What no single field can say.
    fn check(&self) -> Result<(), Error> {
        if self.listen == self.admin_listen && self.listen.port() != 0 {
            return Err(Error::conflict("admin_listen", "is the same address as listen"));
        }
        if self.store == StoreKind::Upstream {
            self.upstream_settings()?;
            upstream::check_root_key(self.keystore_kind(), self.root_key_file.as_deref())?;
        } else if self.keystore == Some(KeystoreKind::Upstream)
            && (self.upstream.endpoint.is_some() || !self.upstreams.is_empty())
        {
            return Err(Error::conflict("keystore", "is \"upstream\", while store is \"local\""));
        }
        let mut names = vec![ROOT_USER];
        let mut ids: Vec<&str> = self.root.iter().map(|root| root.access_key_id.as_str()).collect();
        for (i, user) in self.users.iter().enumerate() {
            if names.contains(&user.name.as_str()) {
                return Err(Error::conflict(format!("users[{i}].name"), "is taken by another user (or is `root`)"));
            }
            if ids.contains(&user.credential.access_key_id.as_str()) {
                return Err(Error::conflict(format!("users[{i}].access_key_id"), "belongs to another user already"));
            }
            names.push(user.name.as_str());
            ids.push(user.credential.access_key_id.as_str());
        }
        Ok(())
    }
}

/// The entries `[[upstream]]`, beside which there is no short form.
fn upstreams(layers: &mut Layers) -> Result<Vec<NamedUpstream>, Error> {
    let all = NamedUpstream::all(layers.take_upstreams())?;
    match layers.any_of("upstream_").filter(|_| !all.is_empty()) {
        Some(field) => Err(Error::conflict(field, "is set beside [[upstream]]: keep one of the two forms")),
        None => Ok(all),
    }
}

/// Both halves of the root credential, or neither.
fn root_credential(layers: &Layers) -> Result<Option<Credential>, Error> {
    let id = layers.one::<setting::AccessKeyText>("access_key_id")?;
    let secret = layers.secret("secret_access_key", "secret_access_key_file")?;
    match (id, secret) {
        (Some(id), Some(secret_access_key)) => {
            Ok(Some(Credential { access_key_id: AccessKeyId::new(id.0), secret_access_key }))
        }
        (Some(_), None) => Err(Error::conflict("secret_access_key", "is missing, while access_key_id is set")),
        (None, Some(_)) => Err(Error::conflict("access_key_id", "is missing, while secret_access_key is set")),
        (None, None) => Ok(None),
    }
}

fn tls(layers: &Layers) -> Result<Option<TlsFiles>, Error> {
    match (layers.one("tls_cert")?, layers.one("tls_key")?) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (Some(_), None) => Err(Error::conflict("tls_key", "is missing, while tls_cert is set")),
        (None, Some(_)) => Err(Error::conflict("tls_cert", "is missing, while tls_key is set")),
        (None, None) => Ok(None),
    }
}

fn users(raw: Option<(Source, Vec<RawUser>)>) -> Result<Vec<User>, Error> {
    let Some((source, raw)) = raw else { return Ok(Vec::new()) };
    raw.into_iter().enumerate().map(|(i, user)| user.check(i, &source)).collect()
}

#[cfg(test)]
mod tests;
