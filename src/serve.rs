//! `sealgate serve`: joins the rooms, serves until it is told to stop, drains.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::Trail;
use crate::config::{Config, Credential as Configured, KeystoreKind, ROOT_USER, Secret as ConfiguredSecret, StoreKind};
use crate::control;
use crate::deliver::{self, Destination};
use crate::dialect::kms::KmsApi;
use crate::dialect::kms::aliyun::AliyunApi;
use crate::dialect::oss::{Hosts, OssConfig, OssDialect};
use crate::dialect::s3::edge::{Edge, EdgeConfig};
use crate::dialect::s3::{BaseDomains, S3Dialect};
use crate::dialect::{Front, KmsFront, Trust};
use crate::fleet::{Following, PlaceSeal, UpstreamShelf, shared};
use crate::gateway::Gateway;
use crate::identity::{Credential, Credentials, OssVerifier, Secret, SigV2, Verifier};
use crate::kms::embedded::{EmbeddedKms, KeystoreOptions, RootKey};
use crate::kms::{AuditTrail, KeyService, ServiceKey, Watched};
use crate::listener::{self, Options, admin::Admin};
use crate::metrics::Metrics;
use crate::sse::Keyring;
use crate::store::ObjectStore;
use crate::store::local::LocalStore;
use crate::store::upstream::{self, Swept, UpstreamStore};
use crate::types::{Clock, SystemClock, UserId};

/// Why the gateway does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong; the text names the field.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// Two credentials have the same access key id.
    #[error("{0}")]
    Credentials(String),
    /// A port does not open.
    #[error("{field}: {address} does not open: {source}")]
    Listen {
        /// The configuration's field.
        field: &'static str,
        /// What it says.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The data directory cannot be made.
    #[error("data_dir: {0}")]
    DataDir(std::io::Error),
    /// The keystore does not open.
    #[error("keystore: {0}")]
    Keystore(#[from] crate::kms::Error),
    /// The root key does not load.
    #[error("root_key_file: {0}")]
    RootKey(#[from] crate::kms::embedded::RootKeyError),
    /// The store does not open.
    #[error("data_dir: {0}")]
    Store(#[from] crate::store::Error),
    /// The upstream cannot be used.
    #[error("{0}")]
    Upstream(crate::store::Error),
    /// What works on a data directory only.
    #[error("store: this works on a data directory, and the store is an upstream one")]
    NotLocal,
    /// A keystore in an upstream that there is not.
    #[error("keystore: is \"upstream\", while store is \"local\"")]
    NoUpstream,
    /// The audit trail cannot be opened.
    #[error("audit trail: {0}")]
    Audit(#[from] crate::audit::Error),
    /// TLS files do not load.
    #[error(transparent)]
    Tls(#[from] listener::TlsError),
    /// Metrics cannot be made.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The signals cannot be listened for.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// Serves until SIGTERM or SIGINT, then drains. Prints one line with both addresses once it serves.
///
/// # Errors
/// What keeps it from starting.
pub async fn serve(config: Config) -> Result<(), Error> {
    serve_through(config, |keys| keys).await
}

/// The same with what `through` makes of the key service: for measuring what one costs that is far away.
///
/// # Errors
/// As [`serve`].
pub async fn serve_through(
    config: Config,
    through: impl FnOnce(Arc<dyn KeyService>) -> Arc<dyn KeyService>,
) -> Result<(), Error> {
    let metrics = Arc::new(Metrics::new()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Rooms { front, kept, keystore, gateway, store, trail } = rooms(&config, &clock, &metrics, through).await?;
    let tended = Arc::clone(&keystore);
    let ear = match config.store {
        StoreKind::Local => ear(&config).await,
        // Tools work beside the gateways there.
        StoreKind::Upstream => None,
    };
    let kept = Arc::new(kept);
    let front = Arc::new(front);
    let watched = Arc::clone(&kept);
    metrics.refresh_with(move |metrics| {
        let Kept::Local(store) = watched.as_ref() else { return };
        let status = store.status();
        metrics.store_read_only.set(status.read_only.is_some().into());
        metrics.store_full.set(status.full.into());
        metrics.store_cleaning.set(status.cleaning.into());
    });
    let tls = config.tls.as_ref().map(listener::server_config).transpose()?;

    let open =
        async |field, address| listener::bind(address).await.map_err(|source| Error::Listen { field, address, source });
    let clients = open("listen", config.listen).await?;
    let probes = open("admin_listen", config.admin_listen).await?;
    let at = |socket: &tokio::net::TcpListener| socket.local_addr().map_err(Error::Signals);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let line = format!("sealgate serves {scheme}://{} (health and metrics: http://{} )", at(&clients)?, at(&probes)?);
    // `println!` would panic where nobody can take the line.
    let _ = writeln!(std::io::stdout(), "{line}");

    let shutdown = CancellationToken::new();
    let admin = Arc::new(Admin::new(Arc::clone(&metrics), Arc::new(move || ready(&kept, &keystore)), shutdown.clone()));
    // Probes are answered while requests drain ("not ready: shutting down"): their port closes last.
    let quiet = CancellationToken::new();
    let admin = listener::serve(probes, admin, Options::admin(&config), Arc::clone(&metrics), quiet.clone());
    let serving = async {
        let serving = listener::serve(clients, front, Options::gateway(&config, tls), metrics, shutdown.clone());
        let drained = serving.await;
        quiet.cancel();
        drained
    };
    let stopped = async {
        let signal = listener::terminated().await.map_err(Error::Signals)?;
        tracing::info!(signal, "draining");
        shutdown.cancel();
        Ok::<_, Error>(())
    };
    let tending = tend(&tended, &gateway, &shutdown);
    let delivering = async {
        if let Some(to) = destination(&config) {
            deliver::keep_delivering(&trail, &gateway, &to, &shutdown).await;
        }
    };
    let hearing = async {
        if let Some(ear) = ear {
            control::serve(ear, Arc::clone(&gateway), store, Arc::clone(&tended), shutdown.clone()).await;
        }
    };
    let (drained, _, stopped, (), (), ()) = tokio::join!(serving, admin, stopped, tending, delivering, hearing);
    tracing::info!(cut = drained.cut, "drained");
    stopped
}

/// The operator's socket. Where none can be made, as on some network file systems, clients are served without it.
async fn ear(config: &Config) -> Option<tokio::net::UnixListener> {
    let directory = config.data_dir.clone();
    let opened = blocking(move || control::open(&directory).map_err(Error::DataDir)).await;
    match opened.and_then(|ear| tokio::net::UnixListener::from_std(ear).map_err(Error::DataDir)) {
        Ok(ear) => Some(ear),
        Err(error) => {
            tracing::warn!(%error, "without the operator's socket, rewrap and usage need the gateway stopped");
            None
        }
    }
}

/// Where finished files of the audit trail go, if anywhere.
fn destination(config: &Config) -> Option<Destination> {
    let bucket = config.audit_bucket.clone()?;
    Some(Destination { bucket, prefix: format!("{}{}/", config.audit_prefix, config.region) })
}

/// How often the keystore is asked what became due.
const TENDING: std::time::Duration = std::time::Duration::from_secs(10);

/// Has the keystore write down what became due, and wipes remembered keys, until the end. What is due is in force before
/// that.
async fn tend(keystore: &EmbeddedKms, gateway: &Gateway, shutdown: &CancellationToken) {
    loop {
        gateway.sweep_keys();
        if let Err(error) = keystore.tend().await {
            tracing::warn!(%error, "what is due to keys could not be written down");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(TENDING) => {}
        }
    }
}

/// Whether everything can be done that clients may ask for. A full disk is no reason: another gateway would not have
/// more room, and deleting must go on.
fn ready(kept: &Kept, keystore: &EmbeddedKms) -> Result<(), String> {
    match kept {
        Kept::Local(store) => {
            if let Some(why) = store.status().read_only {
                return Err(format!("the store is read-only: {why}"));
            }
        }
        Kept::Upstream(pulse) => pulse.last()?,
    }
    if keystore.is_read_only() {
        return Err("the keystore is read-only since a write failed".to_owned());
    }
    Ok(())
}

/// What is joined to serve, and what is watched beside it.
struct Rooms {
    front: Front,
    kept: Kept,
    keystore: Arc<EmbeddedKms>,
    gateway: Arc<Gateway>,
    store: Arc<dyn ObjectStore>,
    trail: Arc<Trail>,
}

/// Where ciphertext is, as far as it is watched.
enum Kept {
    Local(Arc<LocalStore>),
    Upstream(Pulse),
}

/// How the upstream was a moment ago.
struct Pulse(Arc<Mutex<Result<(), String>>>);

/// How often it is felt.
const PULSE: Duration = Duration::from_secs(2);

impl Pulse {
    fn of(store: &Arc<UpstreamStore>) -> Self {
        let last = Arc::new(Mutex::new(Ok(())));
        let (store, told) = (Arc::downgrade(store), Arc::downgrade(&last));
        tokio::spawn(async move {
            while let (Some(store), Some(told)) = (store.upgrade(), told.upgrade()) {
                let now = tokio::time::timeout(PULSE * 2, store.check()).await;
                let now = now.map_err(|_| "no answer in time".to_owned());
                let now = now.and_then(|checked| checked.map_err(|error| error.to_string()));
                *told.lock().unwrap_or_else(PoisonError::into_inner) = now;
                drop((store, told));
                tokio::time::sleep(PULSE).await;
            }
        });
        Self(last)
    }

    fn last(&self) -> Result<(), String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.map_err(|why| format!("the upstream is not available: {why}"))
    }
}

/// How often a gateway asks whether it is its turn to clear the upstream's reserved place, on average.
const SWEEP: Duration = Duration::from_secs(15 * 60);

/// Clears, from time to time, what uploads that were abandoned and gateways that crashed leave upstream.
fn keep_swept(store: &Arc<UpstreamStore>) {
    let store = Arc::downgrade(store);
    tokio::spawn(async move {
        loop {
            // Not all gateways at once.
            let share = crate::types::random::<2>().map_or(0, u16::from_be_bytes);
            tokio::time::sleep(SWEEP.mul_f64(2.0 * f64::from(share) / f64::from(u16::MAX))).await;
            let Some(store) = store.upgrade() else { return };
            match store.sweep().await {
                Ok(Some(swept)) if swept != Swept::default() => tracing::info!(?swept, "cleared the reserved place"),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the reserved place upstream cannot be cleared"),
            }
        }
    });
}

/// Keystore, keys and store, opened.
struct Storage {
    keystore: Arc<EmbeddedKms>,
    keys: Arc<dyn KeyService>,
    store: Arc<dyn ObjectStore>,
    kept: Kept,
    trail: Arc<Trail>,
}

/// Joins the rooms, from the store to the edge.
async fn rooms(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
    through: impl FnOnce(Arc<dyn KeyService>) -> Arc<dyn KeyService>,
) -> Result<Rooms, Error> {
    let credentials = Arc::new(credentials(config)?);
    let Storage { keystore, keys, store, kept, trail } = match config.store {
        StoreKind::Local => local_storage(config, clock).await?,
        StoreKind::Upstream => upstream_storage(config, clock).await?,
    };
    let walked = Arc::clone(&store);
    let service = ServiceKey::new(*keystore.service_key());
    let verifier = Verifier::new(Arc::clone(&credentials), Arc::clone(clock), config.region.clone(), SigV2::Refused);
    let kms = KmsFront::new(
        verifier,
        KmsApi::new(Arc::clone(&keystore)),
        AliyunApi::new(Arc::clone(&keystore), config.region.clone()),
    );
    let (counting, alarmed, suspected) = (Arc::clone(metrics), Arc::clone(metrics), Arc::clone(metrics));
    let keys = Watched::new(through(keys), move |operation, outcome| {
        counting.kms_request(operation, outcome);
    });
    let keys = Keyring::new(Arc::new(keys), service).caching(config.kms_cache_ttl);
    let gateway = Gateway::new(store, keys, config.region.clone(), Arc::clone(clock))
        .defaulting_to(config.default_encryption)
        .alarming(move || alarmed.integrity_failures.inc())
        .sampling(config.verify_writes_sample, move || suspected.plaintext_suspects.inc());
    let edge = EdgeConfig {
        region: config.region.clone(),
        sigv2: if config.allow_sigv2 { SigV2::Allowed } else { SigV2::Refused },
        base_domains: config.base_domains.clone(),
        idle_timeout: config.body_idle_timeout,
    };
    let gateway = Arc::new(gateway);
    let oss = OssConfig { hosts: hosts(config), region: config.region.clone(), idle_timeout: config.body_idle_timeout };
    let verifier = OssVerifier::new(Arc::clone(&credentials), Arc::clone(clock), config.region.clone());
    let front = Front::new(
        Edge::new(credentials, Arc::clone(clock), edge),
        S3Dialect::new(Arc::clone(&gateway), BaseDomains::new(config.base_domains.clone())),
        OssDialect::new(Arc::clone(&gateway), verifier, oss),
        kms,
        Trust { proxies: config.trusted_proxies.clone(), insecure_sse: config.allow_insecure_sse },
    );
    Ok(Rooms { front, kept, keystore, gateway, store: walked, trail })
}

async fn local_storage(config: &Config, clock: &Arc<dyn Clock>) -> Result<Storage, Error> {
    if config.keystore_kind() == KeystoreKind::Upstream {
        return Err(Error::NoUpstream);
    }
    let Local { keystore, store, trail } = storage(config, clock).await?;
    Ok(Storage {
        keys: Arc::clone(&keystore) as Arc<dyn KeyService>,
        keystore,
        store: Arc::clone(&store) as Arc<dyn ObjectStore>,
        kept: Kept::Local(store),
        trail,
    })
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::DataDir(std::io::Error::other(error)))?
}

/// Reaches the upstream, and opens keystore and store in it.
async fn upstream_storage(config: &Config, clock: &Arc<dyn Clock>) -> Result<Storage, Error> {
    let opened = upstream_opened(config, clock, Some(config.data_dir.join("cache"))).await?;
    let kept = Kept::Upstream(Pulse::of(&opened.store));
    keep_swept(&opened.store);
    let UpstreamOpened { keystore, keys, store, trail } = opened;
    Ok(Storage { keystore, keys, store, kept, trail })
}

/// Keystore, keys and store of an upstream.
struct UpstreamOpened {
    keystore: Arc<EmbeddedKms>,
    keys: Arc<dyn KeyService>,
    store: Arc<UpstreamStore>,
    trail: Arc<Trail>,
}

async fn upstream_opened(
    config: &Config,
    clock: &Arc<dyn Clock>,
    cache: Option<PathBuf>,
) -> Result<UpstreamOpened, Error> {
    let settings = config.upstream_settings()?;
    let (directory, given) = (config.data_dir.clone(), config.root_key_file.clone());
    let (root, seal, trail_seal) = blocking(move || {
        std::fs::create_dir_all(&directory).map_err(Error::DataDir)?;
        let root = RootKey::load(given.as_deref(), &directory)?;
        let (seal, trail_seal) = (root.record_seal()?, root.record_seal()?);
        Ok((root, seal, trail_seal))
    })
    .await?;
    let reached = upstream::reach(settings, Arc::new(PlaceSeal::new(seal)), Arc::clone(clock)).await;
    let reached = reached.map_err(Error::Upstream)?;
    let used = reached.is_used().await.map_err(Error::Upstream)?;
    let options = KeystoreOptions { region: config.region.clone(), ..KeystoreOptions::default() };
    let ticking = Arc::clone(clock);
    let (keystore, keys) = match config.keystore_kind() {
        KeystoreKind::Local => {
            let directory = config.data_dir.clone();
            let keystore = blocking(move || Ok(EmbeddedKms::open(&directory, root, options, ticking, used)?));
            let keystore = Arc::new(keystore.await?);
            (Arc::clone(&keystore), keystore as Arc<dyn KeyService>)
        }
        KeystoreKind::Upstream => {
            let reserved = reached.reserved().ok_or(Error::NoUpstream)?;
            let shelf = Arc::new(UpstreamShelf::new(reserved, tokio::runtime::Handle::current()));
            let place = shared(&shelf);
            let keystore = blocking(move || Ok(EmbeddedKms::open_on(place, root, options, ticking, used)?));
            let keystore = Arc::new(keystore.await?);
            let following = Following::new(Arc::clone(&keystore), shelf);
            (keystore, following as Arc<dyn KeyService>)
        }
    };
    // Without a cache it is no gateway, but may run beside one.
    let tool = cache.is_none().then_some("encrypt-bucket");
    let (directory, region, ticking) = (config.data_dir.clone(), config.region.clone(), Arc::clone(clock));
    let trail = blocking(move || Ok(Trail::open(&directory, tool, trail_seal, region, ticking)?)).await?;
    let trail = Arc::new(trail);
    keystore.audit_with(Arc::clone(&trail) as Arc<dyn AuditTrail>);
    let region = config.region.clone();
    let store = Arc::new(blocking(move || reached.open(region, cache.as_deref()).map_err(Error::Upstream)).await?);
    Ok(UpstreamOpened { keystore, keys, store, trail })
}

/// The names under which OSS clients reach the gateway.
fn hosts(config: &Config) -> Hosts {
    let bound = config.oss_cnames.iter().map(|(domain, bucket)| (domain.clone(), bucket.as_str().to_owned()));
    Hosts::new(&config.base_domains, &config.oss_domains, bound)
}

/// Keystore and store on local disk.
struct Local {
    keystore: Arc<EmbeddedKms>,
    store: Arc<LocalStore>,
    trail: Arc<Trail>,
}

/// Opens keystore and store on local disk.
async fn storage(config: &Config, clock: &Arc<dyn Clock>) -> Result<Local, Error> {
    let directory = config.data_dir.clone();
    let (given, region, ticking) = (config.root_key_file.clone(), config.region.clone(), Arc::clone(clock));
    // Opening reads and syncs files: not on an async thread.
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&directory).map_err(Error::DataDir)?;
        let data_exists = ["db", "journal"].iter().any(|part| directory.join(part).exists());
        let root = RootKey::load(given.as_deref(), &directory)?;
        let seal = root.record_seal()?;
        let options = KeystoreOptions { region: region.clone(), ..KeystoreOptions::default() };
        let keystore = EmbeddedKms::open(&directory, root, options, Arc::clone(&ticking), data_exists)?;
        // The keystore's lock keeps others from this trail.
        let trail = Arc::new(Trail::open(&directory, None, seal, region, Arc::clone(&ticking))?);
        keystore.audit_with(Arc::clone(&trail) as Arc<dyn AuditTrail>);
        let store = LocalStore::open(&directory, ticking)?;
        Ok::<_, Error>(Local { keystore: Arc::new(keystore), store: Arc::new(store), trail })
    });
    opened.await.map_err(|error| Error::DataDir(std::io::Error::other(error)))?
}

/// The gateway over a data directory, and its store, without a port: for repairs.
///
/// # Errors
/// What keeps keystore or store from opening; a gateway that serves the directory is one.
pub async fn opened(config: &Config) -> Result<(Gateway, Arc<LocalStore>), Error> {
    opened_with_keys(config).await.map(|(gateway, store, _)| (gateway, store))
}

/// As [`opened`], with the keystore.
///
/// # Errors
/// As [`opened`].
pub async fn opened_with_keys(config: &Config) -> Result<(Gateway, Arc<LocalStore>, Arc<EmbeddedKms>), Error> {
    if config.store != StoreKind::Local {
        return Err(Error::NotLocal);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Local { keystore, store, .. } = storage(config, &clock).await?;
    let service = ServiceKey::new(*keystore.service_key());
    let keys = Keyring::new(Arc::clone(&keystore) as Arc<dyn KeyService>, service).caching(config.kms_cache_ttl);
    let gateway = Gateway::new(Arc::clone(&store) as Arc<dyn ObjectStore>, keys, config.region.clone(), clock);
    Ok((gateway, store, keystore))
}

/// The gateway over an upstream, and its store, without a port and without a cache: beside gateways that serve it.
///
/// # Errors
/// What keeps keystore or store from opening.
pub async fn opened_upstream(config: &Config) -> Result<(Gateway, Arc<UpstreamStore>), Error> {
    opened_upstream_with_keys(config).await.map(|(gateway, store, _)| (gateway, store))
}

/// As [`opened_upstream`], with the keystore.
///
/// # Errors
/// As [`opened_upstream`].
pub async fn opened_upstream_with_keys(
    config: &Config,
) -> Result<(Gateway, Arc<UpstreamStore>, Arc<EmbeddedKms>), Error> {
    if config.store != StoreKind::Upstream {
        return Err(Error::NoUpstream);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let UpstreamOpened { keystore, keys, store, .. } = upstream_opened(config, &clock, None).await?;
    let service = ServiceKey::new(*keystore.service_key());
    let keys = Keyring::new(keys, service).caching(config.kms_cache_ttl);
    let gateway = Gateway::new(Arc::clone(&store) as Arc<dyn ObjectStore>, keys, config.region.clone(), clock);
    Ok((gateway.defaulting_to(config.default_encryption), store, keystore))
}

fn credentials(config: &Config) -> Result<Credentials, Error> {
    let secret = |configured: &Configured| Secret::new(configured.secret_access_key.expose().to_owned());
    let token = |configured: &ConfiguredSecret| Secret::new(configured.expose().to_owned());
    let root = config.require_root()?;
    let root = (root.access_key_id.clone(), Credential::of_root(UserId::new(ROOT_USER), secret(root)));
    let users = config.users.iter().map(|user| {
        let credential = Credential::of_user(user.name.clone(), secret(&user.credential));
        let credential = user.security_token.iter().map(token).fold(credential, Credential::with_token);
        let credential = user.expires.into_iter().fold(credential, Credential::expiring);
        (user.credential.access_key_id.clone(), credential)
    });
    Credentials::new(std::iter::once(root).chain(users))
        .map_err(|error| Error::Credentials(format!("access_key_id: {error}")))
}
