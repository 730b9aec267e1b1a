//! One source of settings (flags, file, environment) as texts by field, and the choice among several sources.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::setting::{AccessKeyText, Moment, Setting, UserName};
use super::{Credential, Error, Secret, User};
use crate::types::{AccessKeyId, UserId};

/// Every setting that holds a value of its own, by the name it has in the file. `users` and `upstream` are the tables beside
/// them.
pub(super) const FIELDS: &[&str] = &[
    "listen",
    "admin_listen",
    "data_dir",
    "root_key_file",
    "region",
    "default_encryption",
    "base_domains",
    "oss_domains",
    "oss_cnames",
    "access_key_id",
    "secret_access_key",
    "secret_access_key_file",
    "allow_sigv2",
    "allow_insecure_sse",
    "trusted_proxies",
    "tls_cert",
    "tls_key",
    "log_format",
    "log_level",
    "header_read_timeout",
    "body_idle_timeout",
    "body_min_rate",
    "verify_writes_sample",
    "audit_bucket",
    "audit_prefix",
    "max_connections",
    "drain_timeout",
    "kms_cache_ttl",
    "store",
    "keystore",
    "upstream_endpoint",
    "upstream_region",
    "upstream_dialect",
    "upstream_addressing",
    "upstream_access_key_id",
    "upstream_secret_access_key",
    "upstream_secret_access_key_file",
    "upstream_credentials_file",
    "upstream_ca_file",
    "upstream_connect_timeout",
    "upstream_answer_timeout",
    "upstream_idle_timeout",
    "upstream_reserved",
    "upstream_bucket_prefix",
    "upstream_buckets",
    "upstream_foreign_buckets",
    "upstream_abandoned_after",
    "upstream_pass_through",
];

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Env,
    File(PathBuf),
    Flag,
}

impl Source {
    /// How a message names the place of `field`.
    pub(super) fn describe(&self, field: &str) -> String {
        match self {
            Self::Env => format!("environment {}", env_name(field)),
            Self::File(path) => path.display().to_string(),
            Self::Flag => format!("flag --{}", field.replace('_', "-")),
        }
    }
}

fn env_name(field: &str) -> String {
    format!("SEALGATE_{}", field.to_ascii_uppercase())
}

/// A value before it is read. Wiped on drop, since one of them is a secret.
pub(super) enum Raw {
    Many(Vec<Zeroizing<String>>),
    One(Zeroizing<String>),
}

impl Raw {
    pub(super) fn text(text: String) -> Self {
        Self::One(Zeroizing::new(text))
    }
}

/// A user as the file writes it.
#[derive(Default)]
pub(super) struct RawUser {
    name: Option<Zeroizing<String>>,
    access_key_id: Option<Zeroizing<String>>,
    secret_access_key: Option<Zeroizing<String>>,
    secret_access_key_file: Option<Zeroizing<String>>,
    security_token: Option<Zeroizing<String>>,
    security_token_file: Option<Zeroizing<String>>,
    expires: Option<Zeroizing<String>>,
}

impl RawUser {
    /// The user, or what is wrong with entry `index`.
    pub(super) fn check(self, index: usize, source: &Source) -> Result<User, Error> {
        let wrong = |field: &str, reason: String| Error::invalid(format!("users[{index}].{field}"), source, reason);
        let need =
            |field: &str, text: Option<Zeroizing<String>>| text.ok_or_else(|| wrong(field, "is missing".to_owned()));
        let name = UserName::parse(&need("name", self.name)?).map_err(|reason| wrong("name", reason))?;
        let id = AccessKeyText::parse(&need("access_key_id", self.access_key_id)?)
            .map_err(|reason| wrong("access_key_id", reason))?;
        let secret_access_key = match (self.secret_access_key, self.secret_access_key_file) {
            (Some(_), Some(_)) => {
                return Err(wrong("secret_access_key", "is set beside secret_access_key_file: keep one".to_owned()));
            }
            (Some(text), None) => Secret::new(text).map_err(|reason| wrong("secret_access_key", reason.to_owned()))?,
            (None, Some(path)) => {
                let secret = Secret::read(Path::new(path.as_str()), Secret::new);
                secret.map_err(|reason| wrong("secret_access_key_file", reason))?
            }
            (None, None) => return Err(wrong("secret_access_key", "is missing".to_owned())),
        };
        let security_token = match (self.security_token, self.security_token_file) {
            (Some(_), Some(_)) => {
                return Err(wrong("security_token", "is set beside security_token_file: keep one".to_owned()));
            }
            (Some(text), None) => {
                Some(Secret::token(text).map_err(|reason| wrong("security_token", reason.to_owned()))?)
            }
            (None, Some(path)) => {
                let token = Secret::read(Path::new(path.as_str()), Secret::token);
                Some(token.map_err(|reason| wrong("security_token_file", reason))?)
            }
            (None, None) => None,
        };
        let expires = self.expires.map(|text| Moment::parse(&text).map_err(|reason| wrong("expires", reason)));
        let credential = Credential { access_key_id: AccessKeyId::new(id.0), secret_access_key };
        let expires = expires.transpose()?.map(|moment| moment.0);
        Ok(User { name: UserId::new(name.0), credential, security_token, expires })
    }

    fn slot(&mut self, field: &str) -> Option<&mut Option<Zeroizing<String>>> {
        match field {
            "name" => Some(&mut self.name),
            "access_key_id" => Some(&mut self.access_key_id),
            "secret_access_key" => Some(&mut self.secret_access_key),
            "secret_access_key_file" => Some(&mut self.secret_access_key_file),
            "security_token" => Some(&mut self.security_token),
            "security_token_file" => Some(&mut self.security_token_file),
            "expires" => Some(&mut self.expires),
            _ => None,
        }
    }
}

/// An upstream as the file writes it: its values under the names of the short form.
pub(super) struct RawUpstream {
    pub(super) name: Option<String>,
    pub(super) is_default: bool,
    pub(super) layer: Layer,
}

/// The values of one source.
pub(super) struct Layer {
    source: Source,
    values: BTreeMap<&'static str, Raw>,
    users: Option<Vec<RawUser>>,
    upstreams: Option<Vec<RawUpstream>>,
}

impl Layer {
    pub(super) fn new(source: Source) -> Self {
        Self { source, values: BTreeMap::new(), users: None, upstreams: None }
    }

    pub(super) fn set(&mut self, field: &'static str, raw: Raw) {
        self.values.insert(field, raw);
    }

    /// The variables `SEALGATE_<FIELD>`. An empty variable counts as not set, as in most container tools.
    pub(super) fn from_env(environment: &impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let mut layer = Self::new(Source::Env);
        for &field in FIELDS {
            let Some(value) = environment(&env_name(field)).filter(|value| !value.is_empty()) else { continue };
            let text = value.into_string().map_err(|_| Error::invalid(field, &Source::Env, "is not valid UTF-8"))?;
            layer.set(field, Raw::text(text));
        }
        Ok(layer)
    }

    /// A TOML file. Unknown fields are refused.
    pub(super) fn from_file(path: &Path) -> Result<Self, Error> {
        let text = read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let table: toml::Table = toml::from_str(&text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
            Error::Syntax { path: path.to_owned(), line, reason: e.message().replace('\n', " ") }
        })?;
        let mut layer = Self::new(Source::File(path.to_owned()));
        for (name, value) in table {
            if name == "users" {
                layer.users = Some(layer.read_users(value)?);
            } else if name == "upstream" {
                layer.upstreams = Some(layer.read_upstreams(value)?);
            } else {
                let Some(&field) = FIELDS.iter().find(|field| **field == name) else {
                    return Err(Error::unknown(name, &layer.source));
                };
                let raw = raw(value).ok_or_else(|| layer.wrong_kind(field))?;
                layer.set(field, raw);
            }
        }
        Ok(layer)
    }

    fn wrong_kind(&self, field: &str) -> Error {
        Error::invalid(field, &self.source, "must be a text, a number, true or false, or a list of texts")
    }

    fn read_users(&self, value: toml::Value) -> Result<Vec<RawUser>, Error> {
        let kind = || Error::invalid("users", &self.source, "must be tables: [[users]]");
        let toml::Value::Array(entries) = value else { return Err(kind()) };
        let mut users = Vec::with_capacity(entries.len());
        for (i, entry) in entries.into_iter().enumerate() {
            let toml::Value::Table(entry) = entry else { return Err(kind()) };
            let mut user = RawUser::default();
            for (name, value) in entry {
                let field = format!("users[{i}].{name}");
                let Some(slot) = user.slot(&name) else { return Err(Error::unknown(field, &self.source)) };
                let text = match value {
                    toml::Value::String(text) => text,
                    // TOML has moments of its own, which people will write for one.
                    toml::Value::Datetime(moment) => moment.to_string(),
                    _ => return Err(Error::invalid(field, &self.source, "must be a text")),
                };
                *slot = Some(Zeroizing::new(text));
            }
            users.push(user);
        }
        Ok(users)
    }

    fn read_upstreams(&self, value: toml::Value) -> Result<Vec<RawUpstream>, Error> {
        let kind = || Error::invalid("upstream", &self.source, "must be tables: [[upstream]]");
        let toml::Value::Array(entries) = value else { return Err(kind()) };
        let read = |(nth, entry)| {
            let toml::Value::Table(entry) = entry else { return Err(kind()) };
            self.read_upstream(nth, entry)
        };
        entries.into_iter().enumerate().map(read).collect()
    }

    fn read_upstream(&self, nth: usize, entry: toml::Table) -> Result<RawUpstream, Error> {
        let mut upstream = RawUpstream { name: None, is_default: false, layer: Self::new(self.source.clone()) };
        for (name, value) in entry {
            let field = format!("upstream[{nth}].{name}");
            match (name.as_str(), value) {
                ("name", toml::Value::String(text)) => upstream.name = Some(text),
                ("default", toml::Value::Boolean(flag)) => upstream.is_default = flag,
                ("name", _) => return Err(Error::invalid(field, &self.source, "must be a text")),
                ("default", _) => return Err(Error::invalid(field, &self.source, "must be true or false")),
                (name, value) => {
                    let known = FIELDS.iter().find(|known| known.strip_prefix("upstream_") == Some(name));
                    let Some(&known) = known else { return Err(Error::unknown(field, &self.source)) };
                    let raw = if name == "buckets" { pairs(value) } else { raw(value) };
                    let raw = raw.ok_or_else(|| Error::invalid(field, &self.source, wrong_kind_of(name)))?;
                    upstream.layer.set(known, raw);
                }
            }
        }
        Ok(upstream)
    }
}

fn wrong_kind_of(name: &str) -> &'static str {
    match name {
        "buckets" => "must be a table of buckets and their places, or a list of texts",
        _ => "must be a text or a list of texts",
    }
}

/// A table of names and texts as a list of pairs; anything else as it is.
fn pairs(value: toml::Value) -> Option<Raw> {
    let toml::Value::Table(table) = value else { return raw(value) };
    let pair = |(name, value): (String, toml::Value)| Some(Zeroizing::new(format!("{name}={}", value.as_str()?)));
    table.into_iter().map(pair).collect::<Option<Vec<_>>>().map(Raw::Many)
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn raw(value: toml::Value) -> Option<Raw> {
    match value {
        toml::Value::String(text) => Some(Raw::text(text)),
        toml::Value::Integer(number) => Some(Raw::text(number.to_string())),
        toml::Value::Boolean(flag) => Some(Raw::text(flag.to_string())),
        toml::Value::Array(items) => {
            let texts = items.into_iter().map(|item| match item {
                toml::Value::String(text) => Some(Zeroizing::new(text)),
                _ => None,
            });
            texts.collect::<Option<Vec<_>>>().map(Raw::Many)
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// Several sources, the strongest first.
pub(super) struct Layers(Vec<Layer>);

impl Layers {
    pub(super) fn new(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self(layers.into_iter().collect())
    }

    fn find(&self, field: &str) -> Option<(&Source, &Raw)> {
        self.0.iter().find_map(|layer| layer.values.get(field).map(|raw| (&layer.source, raw)))
    }

    /// The strongest source's value of `field`.
    pub(super) fn one<T: Setting>(&self, field: &'static str) -> Result<Option<T>, Error> {
        match self.find(field) {
            None => Ok(None),
            Some((source, Raw::One(text))) => {
                T::parse(text).map(Some).map_err(|reason| Error::invalid(field, source, reason))
            }
            Some((source, Raw::Many(_))) => Err(Error::invalid(field, source, "must be a single value")),
        }
    }

    /// The strongest source's list of `field`: a TOML list, or one text with commas. Lists are not merged.
    pub(super) fn many<T: Setting>(&self, field: &'static str) -> Result<Vec<T>, Error> {
        let Some((source, raw)) = self.find(field) else { return Ok(Vec::new()) };
        let texts: Vec<&str> = match raw {
            Raw::One(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
            Raw::Many(items) => items.iter().map(|item| item.as_str()).collect(),
        };
        let parse = |text: &str| T::parse(text).map_err(|reason| Error::invalid(field, source, reason));
        texts.into_iter().map(parse).collect()
    }

    /// A secret: from the strongest source that has it, either as text or as the name of a file.
    pub(super) fn secret(&self, in_text: &str, in_file: &str) -> Result<Option<Secret>, Error> {
        for layer in &self.0 {
            let wrong = |field: &str, reason: String| Error::invalid(field, &layer.source, reason);
            match (layer.values.get(in_text), layer.values.get(in_file)) {
                (None, None) => {}
                (Some(Raw::One(text)), None) => {
                    let secret = Secret::new(text.clone());
                    return secret.map(Some).map_err(|reason| wrong(in_text, reason.to_owned()));
                }
                (None, Some(Raw::One(path))) => {
                    let secret = Secret::read(Path::new(path.as_str()), Secret::new);
                    return secret.map(Some).map_err(|reason| wrong(in_file, reason));
                }
                (Some(_), Some(_)) => {
                    return Err(wrong(in_text, format!("is set beside {in_file}: keep one")));
                }
                (Some(Raw::Many(_)), None) => {
                    return Err(wrong(in_text, "must be a single value".to_owned()));
                }
                (None, Some(Raw::Many(_))) => {
                    return Err(wrong(in_file, "must be a single value".to_owned()));
                }
            }
        }
        Ok(None)
    }

    /// The upstreams of the strongest source that lists any (only files can).
    pub(super) fn take_upstreams(&mut self) -> Option<(Source, Vec<RawUpstream>)> {
        self.0.iter_mut().find_map(|layer| layer.upstreams.take().map(|all| (layer.source.clone(), all)))
    }

    /// The first field that any source has and whose name begins like this.
    pub(super) fn any_of(&self, beginning: &str) -> Option<&'static str> {
        self.0.iter().flat_map(|layer| layer.values.keys()).find(|field| field.starts_with(beginning)).copied()
    }

    /// The users of the strongest source that lists any (only files can).
    pub(super) fn take_users(&mut self) -> Option<(Source, Vec<RawUser>)> {
        self.0.iter_mut().find_map(|layer| layer.users.take().map(|users| (layer.source.clone(), users)))
    }
}
