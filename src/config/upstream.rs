//! What the configuration says of an upstream store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layer::{Layers, RawUpstream, Source};
use super::setting::{AccessKeyText, DurationText, Region, Setting, UserName};
use super::{Error, Secret};
use crate::store::Passage;
use crate::store::upstream::{Addressing, Endpoint, KeySource, Mapped, Settings, Takes, UpstreamKey, Wire};
use crate::types::BucketName;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where ciphertext is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// In `data_dir`.
    #[default]
    Local,
    /// In another object store.
    Upstream,
}

/// Where the embedded keystore is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeystoreKind {
    /// In `data_dir`.
    Local,
    /// In the upstream's reserved bucket, for all gateways.
    Upstream,
}

/// The upstream, as far as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is.
    pub endpoint: Option<Endpoint>,
    /// The region that signatures name.
    pub region: String,
    /// What it speaks.
    pub dialect: Wire,
    /// Where the bucket stands in an address.
    pub addressing: Addressing,
    /// The public half of the access key.
    pub access_key_id: Option<String>,
    /// The secret half.
    pub secret_access_key: Option<Secret>,
    /// A file with both, read again when it changes.
    pub credentials_file: Option<PathBuf>,
    /// The certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest wait for an answer.
    pub answer_timeout: Duration,
    /// Longest standstill of a body.
    pub idle_timeout: Duration,
    /// The bucket that belongs to the gateways.
    pub reserved: String,
    /// What precedes a bucket's name upstream.
    pub bucket_prefix: String,
    /// Buckets that are its own, and where in it they are kept.
    pub buckets: BTreeMap<BucketName, Mapped>,
    /// Buckets that may hold what sealgate did not write.
    pub foreign_buckets: BTreeSet<BucketName>,
    /// After how long without a new part an upload is given up; `None`: never.
    pub abandoned_after: Option<Duration>,
    /// What of a bucket's configurations passes to it.
    pub pass_through: BTreeSet<Passage>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            dialect: Wire::S3,
            addressing: Addressing::Path,
            access_key_id: None,
            secret_access_key: None,
            credentials_file: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            reserved: "sealgate-system".to_owned(),
            bucket_prefix: String::new(),
            buckets: BTreeMap::new(),
            foreign_buckets: BTreeSet::new(),
            abandoned_after: Some(7 * DAY),
            pass_through: BTreeSet::new(),
        }
    }
}

impl Upstream {
    pub(super) fn from_layers(layers: &Layers) -> Result<Self, Error> {
        let d = Self::default();
        let seconds =
            |field, default| layers.one::<DurationText>(field).map(|found| found.map_or(default, |text| text.0));
        let dialect = layers.one("upstream_dialect")?.unwrap_or(d.dialect);
        let bucket_prefix = layers.one::<PrefixText>("upstream_bucket_prefix")?.map_or(d.bucket_prefix, |text| text.0);
        let own = |name: &BucketName| Mapped { bucket: format!("{bucket_prefix}{name}"), prefix: String::new() };
        let buckets = layers.many::<MappedText>("upstream_buckets")?.into_iter();
        let buckets = buckets.map(|MappedText(name, place)| (name.clone(), place.unwrap_or_else(|| own(&name))));
        Ok(Self {
            endpoint: layers.one("upstream_endpoint")?,
            region: layers.one::<Region>("upstream_region")?.map_or(d.region, |region| region.0),
            dialect,
            addressing: layers.one("upstream_addressing")?.unwrap_or(d.addressing),
            access_key_id: layers.one::<AccessKeyText>("upstream_access_key_id")?.map(|id| id.0),
            secret_access_key: layers.secret("upstream_secret_access_key", "upstream_secret_access_key_file")?,
            credentials_file: layers.one("upstream_credentials_file")?,
            ca_file: layers.one("upstream_ca_file")?,
            connect_timeout: seconds("upstream_connect_timeout", d.connect_timeout)?,
            answer_timeout: seconds("upstream_answer_timeout", d.answer_timeout)?,
            idle_timeout: seconds("upstream_idle_timeout", d.idle_timeout)?,
            reserved: layers.one::<BucketText>("upstream_reserved")?.map_or(d.reserved, |name| name.0),
            buckets: buckets.collect(),
            bucket_prefix,
            foreign_buckets: layers.many::<BucketName>("upstream_foreign_buckets")?.into_iter().collect(),
            abandoned_after: layers
                .one::<DaysText>("upstream_abandoned_after")?
                .map_or(d.abandoned_after, |days| days.0),
            pass_through: passages(layers, dialect)?,
        })
    }

    /// The settings of the store.
    ///
    /// # Errors
    /// [`Error`] names what is missing.
    pub fn settings(&self) -> Result<Settings, Error> {
        let missing = |field: &str| Error::conflict(field, "is missing, while store is \"upstream\"");
        let endpoint = self.endpoint.clone().ok_or_else(|| missing("upstream_endpoint"))?;
        let key = match (&self.credentials_file, &self.access_key_id, &self.secret_access_key) {
            (Some(path), None, None) => KeySource::File(path.clone()),
            (Some(_), _, _) => {
                return Err(Error::conflict("upstream_credentials_file", "is set beside an access key: keep one"));
            }
            (None, Some(id), Some(secret)) => {
                KeySource::Fixed(UpstreamKey { id: id.clone(), secret: secret.expose().to_owned().into(), token: None })
            }
            (None, None, _) => return Err(missing("upstream_access_key_id")),
            (None, Some(_), None) => return Err(missing("upstream_secret_access_key")),
        };
        if self.buckets.values().any(|mapped| mapped.bucket == self.reserved) {
            return Err(Error::conflict("upstream_buckets", "names the reserved bucket"));
        }
        Ok(Settings {
            region: self.region.clone(),
            wire: self.dialect,
            addressing: self.addressing,
            ca_file: self.ca_file.clone(),
            connect_timeout: self.connect_timeout,
            answer_timeout: self.answer_timeout,
            idle_timeout: self.idle_timeout,
            reserved: self.reserved.clone(),
            bucket_prefix: self.bucket_prefix.clone(),
            buckets: self.buckets.clone(),
            foreign: self.foreign_buckets.clone(),
            abandoned_after: self.abandoned_after,
            pass_through: self.pass_through.clone(),
            ..Settings::new(endpoint, key)
        })
    }
}

/// One of several upstreams: an entry `[[upstream]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedUpstream {
    /// What messages call it.
    pub name: String,
    /// Whether it takes the buckets that none names.
    pub is_default: bool,
    /// What it is, as the short form says of the only one.
    pub upstream: Upstream,
}

impl NamedUpstream {
    /// The entries of a file, each in the words of the short form.
    pub(super) fn all(raw: Option<(Source, Vec<RawUpstream>)>) -> Result<Vec<Self>, Error> {
        let Some((source, raw)) = raw else { return Ok(Vec::new()) };
        raw.into_iter().enumerate().map(|(nth, raw)| Self::read(nth, &source, raw)).collect()
    }

    fn read(nth: usize, source: &Source, raw: RawUpstream) -> Result<Self, Error> {
        let wrong = |field: &str, reason: String| Error::invalid(format!("upstream[{nth}].{field}"), source, reason);
        let name = raw.name.ok_or_else(|| wrong("name", "is missing".to_owned()))?;
        let name = UserName::parse(&name).map_err(|reason| wrong("name", reason))?.0;
        let layers = Layers::new([raw.layer]);
        let upstream = Upstream::from_layers(&layers).map_err(|error| error.of_entry(nth))?;
        Ok(Self { name, is_default: raw.is_default, upstream })
    }
}

/// The settings of all upstreams, in the order in which they are configured: the only one of the short form, or the entries.
pub(super) fn all_settings(short: &Upstream, named: &[NamedUpstream]) -> Result<Vec<Settings>, Error> {
    let entry = |nth: usize, field: &str| format!("upstream[{nth}].{field}");
    let mut all: Vec<Settings> = Vec::with_capacity(named.len().max(1));
    for (nth, one) in named.iter().enumerate() {
        let takes = if one.is_default { Takes::Unnamed } else { Takes::Named };
        let settings = one.upstream.settings().map_err(|error| error.of_entry(nth))?;
        if all.iter().any(|other| other.name == one.name) {
            return Err(Error::conflict(entry(nth, "name"), "is taken by another upstream"));
        }
        if one.is_default && all.iter().any(|other| other.takes == Takes::Unnamed) {
            return Err(Error::conflict(
                entry(nth, "default"),
                "is true of another upstream already: one takes the rest",
            ));
        }
        if takes == Takes::Named && settings.buckets.is_empty() {
            return Err(Error::conflict(
                entry(nth, "buckets"),
                "is missing: without it only the default upstream has any",
            ));
        }
        let of_another = |name: &&BucketName| {
            let named_here = settings.buckets.contains_key(*name);
            let named_there = named.iter().any(|other| other.upstream.buckets.contains_key(*name));
            !named_here && (named_there || takes == Takes::Named)
        };
        if let Some(name) = settings.foreign.iter().find(of_another) {
            return Err(Error::conflict(
                entry(nth, "foreign_buckets"),
                format!("names {name}, which is not its bucket"),
            ));
        }
        all.push(Settings { name: one.name.clone(), takes, ..settings });
    }
    if named.is_empty() {
        all.push(short.settings()?);
    }
    let field = |nth: usize| if named.is_empty() { "upstream_buckets".to_owned() } else { entry(nth, "buckets") };
    for (nth, settings) in all.iter().enumerate() {
        check_places(&all[..nth], settings, &field(nth), &entry(nth, "reserved"))?;
    }
    Ok(all)
}

/// Whether what an upstream's buckets are kept in is nobody else's, among the upstreams before it and its own buckets.
fn check_places(before: &[Settings], settings: &Settings, buckets: &str, reserved: &str) -> Result<(), Error> {
    let same_place = |other: &&Settings| other.endpoint == settings.endpoint;
    for other in before.iter().filter(same_place) {
        if other.reserved == settings.reserved {
            let reason = format!("is the reserved bucket of upstream {} at the same endpoint, too", other.name);
            return Err(Error::conflict(reserved, reason));
        }
        if let Some((name, _)) = other.buckets.iter().find(|(_, place)| place.bucket == settings.reserved) {
            return Err(Error::conflict(reserved, format!("is what bucket {name} is kept in")));
        }
        if settings.buckets.values().any(|place| place.bucket == other.reserved) {
            return Err(Error::conflict(buckets, format!("names the reserved bucket of upstream {}", other.name)));
        }
    }
    for (name, place) in &settings.buckets {
        if before.iter().any(|other| other.buckets.contains_key(name)) {
            return Err(Error::conflict(buckets, format!("names {name}, which another upstream has")));
        }
        let own = settings.buckets.iter().take_while(|(other, _)| *other != name);
        let others = before.iter().filter(same_place).flat_map(|other| &other.buckets);
        let overlaps = |(_, other): &(&BucketName, &Mapped)| {
            let (a, b) = (place.prefix.as_str(), other.prefix.as_str());
            other.bucket == place.bucket && (a.starts_with(b) || b.starts_with(a))
        };
        if let Some((other, _)) = own.chain(others).find(overlaps) {
            return Err(Error::conflict(buckets, format!("keeps {name} and {other} in the same place")));
        }
    }
    Ok(())
}

impl Setting for StoreKind {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "upstream" => Ok(Self::Upstream),
            _ => Err(format!("{text:?} is neither local nor upstream")),
        }
    }
}

impl Setting for KeystoreKind {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "upstream" => Ok(Self::Upstream),
            _ => Err(format!("{text:?} is neither local nor upstream")),
        }
    }
}

impl Setting for Endpoint {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Setting for Wire {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "s3" => Ok(Self::S3),
            "oss" => Ok(Self::Oss),
            _ => Err(format!("{text:?} is neither s3 nor oss")),
        }
    }
}

impl Setting for Addressing {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "path" => Ok(Self::Path),
            "virtual" => Ok(Self::Virtual),
            _ => Err(format!("{text:?} is neither path nor virtual")),
        }
    }
}

/// A passage in the words of any dialect: which of them counts, another field says.
struct PassageText(String);

impl Setting for PassageText {
    fn parse(text: &str) -> Result<Self, String> {
        Passage::parse(Wire::Oss, text).or_else(|_| Passage::parse(Wire::S3, text)).map(|_| Self(text.to_owned()))
    }
}

/// What passes, in the upstream's own words.
fn passages(layers: &Layers, dialect: Wire) -> Result<BTreeSet<Passage>, Error> {
    let listed = layers.many::<PassageText>("upstream_pass_through")?.into_iter();
    let read = |PassageText(text)| {
        let here = Passage::parse(dialect, &text);
        here.map_err(|why| Error::conflict("upstream_pass_through", format!("is not in the upstream's dialect: {why}")))
    };
    listed.map(read).collect()
}

impl Setting for BucketName {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a bucket's name"))
    }
}

/// The name of an upstream's bucket, whose rules may be wider than ours.
struct BucketText(String);

impl Setting for BucketText {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = (3..=255).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if fits { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} is not a bucket's name")) }
    }
}

/// What a bucket's name begins with upstream; it may be nothing.
struct PrefixText(String);

impl Setting for PrefixText {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = text.len() <= 32 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let fits = fits && !text.starts_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} is not the beginning of a bucket's name")) }
    }
}

/// `bucket=upstream-bucket` or `bucket=upstream-bucket/prefix`; a name alone is kept as any other bucket would be.
struct MappedText(BucketName, Option<Mapped>);

impl Setting for MappedText {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a mapping such as bucket=upstream-bucket/prefix");
        let Some((name, place)) = text.split_once('=') else {
            return Ok(Self(text.parse().map_err(|_| wrong())?, None));
        };
        let name = name.parse().map_err(|_| wrong())?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let bucket = BucketText::parse(bucket).map_err(|_| wrong())?.0;
        let prefix = prefix.trim_end_matches('/');
        if prefix.starts_with('/') || prefix.len() > 256 {
            return Err(wrong());
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self(name, Some(Mapped { bucket, prefix })))
    }
}

/// A number of days, or never.
struct DaysText(Option<Duration>);

impl Setting for DaysText {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        match text.strip_suffix('d').map(str::parse) {
            Some(Ok(days @ 1..=3650)) => Ok(Self(Some(DAY * days))),
            _ => Err(format!("{text:?} is not a number of days between 1d and 3650d, nor never")),
        }
    }
}

/// Whether a root key is needed that every gateway is given.
pub(super) fn check_root_key(keystore: KeystoreKind, root_key_file: Option<&Path>) -> Result<(), Error> {
    if keystore == KeystoreKind::Upstream && root_key_file.is_none() {
        return Err(Error::conflict(
            "root_key_file",
            "is missing, while the keystore is upstream: every gateway needs the same one (head -c 32 /dev/urandom | base64)",
        ));
    }
    Ok(())
}
