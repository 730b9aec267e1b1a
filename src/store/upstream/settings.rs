//! What the operator says of an upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::store::Passage;
use crate::types::BucketName;

/// Which words an upstream understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Wire {
    /// S3, signed by SigV4.
    #[default]
    S3,
    /// Alibaba Cloud OSS, signed by OSS V4.
    Oss,
}

/// Where the bucket stands in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// `endpoint/bucket/key`.
    #[default]
    Path,
    /// `bucket.endpoint/key`.
    Virtual,
}

/// Scheme, host and port of an upstream. Without a path: keys are all that may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The host, and the port where it is not the scheme's own; as a `Host` header has it.
    pub authority: String,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an endpoint such as https://s3.example.com or http://10.0.0.1:7480");
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
        if !bare || authority.host().is_empty() {
            return Err(wrong());
        }
        let own = if tls { 443 } else { 80 };
        let authority = match authority.port_u16() {
            Some(port) if port == own => authority.host().to_owned(),
            _ => authority.as_str().to_owned(),
        };
        Ok(Self { tls, authority: authority.to_ascii_lowercase() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

/// The access key with which the gateway signs.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamKey {
    /// The public half.
    pub id: String,
    /// The secret half. Wiped on drop, never printed.
    pub secret: Zeroizing<String>,
    /// The token of a temporary credential.
    pub token: Option<Zeroizing<String>>,
}

impl fmt::Debug for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where the access key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// It stays as it is.
    Fixed(UpstreamKey),
    /// A file in the form of AWS's shared credentials, section `[default]`; read again when it changes.
    File(PathBuf),
}

/// Where the objects of a bucket are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mapped {
    /// The upstream's bucket.
    pub bucket: String,
    /// What precedes each key there: empty, or a text that ends with a slash.
    pub prefix: String,
}

/// Which buckets an upstream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takes {
    /// Those that it names.
    Named,
    /// And all that no other upstream names.
    #[default]
    Unnamed,
}

/// An upstream as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What messages call it, where it is one of several; else nothing.
    pub name: String,
    /// Which buckets it has.
    pub takes: Takes,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The region that signatures name.
    pub region: String,
    /// What it speaks.
    pub wire: Wire,
    /// Where the bucket stands.
    pub addressing: Addressing,
    /// The access key.
    pub key: KeySource,
    /// PEM file with the only certificates to trust; the system's roots without it.
    pub ca_file: Option<PathBuf>,
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest wait for an answer once a request is out.
    pub answer_timeout: Duration,
    /// Longest standstill of a body, in either direction.
    pub idle_timeout: Duration,
    /// The bucket in which the gateways keep what is theirs. No client sees it.
    pub reserved: String,
    /// What precedes a bucket's name in the upstream, where other users have buckets there, too.
    pub bucket_prefix: String,
    /// Buckets that it has whatever else it takes, and where they are kept.
    pub buckets: BTreeMap<BucketName, Mapped>,
    /// Buckets that may hold objects which sealgate did not write: these are readable as they are.
    pub foreign: BTreeSet<BucketName>,
    /// After how long without a new part an upload is given up; `None`: never.
    pub abandoned_after: Option<Duration>,
    /// What of a bucket's configurations passes to it. Nothing else does.
    pub pass_through: BTreeSet<Passage>,
}

impl Settings {
    /// The settings of an upstream at this place, everything else as by default.
    #[must_use]
    pub fn new(endpoint: Endpoint, key: KeySource) -> Self {
        Self {
            name: String::new(),
            takes: Takes::Unnamed,
            endpoint,
            region: "us-east-1".to_owned(),
            wire: Wire::S3,
            addressing: Addressing::Path,
            key,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            reserved: "sealgate-system".to_owned(),
            bucket_prefix: String::new(),
            buckets: BTreeMap::new(),
            foreign: BTreeSet::new(),
            abandoned_after: None,
            pass_through: BTreeSet::new(),
        }
    }

    /// The upstream in a message: its name, if it has one, and its endpoint.
    #[must_use]
    pub fn label(&self) -> String {
        match self.name.as_str() {
            "" => self.endpoint.to_string(),
            name => format!("{name} ({})", self.endpoint),
        }
    }

    /// Where a bucket's objects are.
    #[must_use]
    pub fn place(&self, name: &BucketName) -> Mapped {
        let own = || Mapped { bucket: format!("{}{name}", self.bucket_prefix), prefix: String::new() };
        self.buckets.get(name).cloned().unwrap_or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_scheme_host_and_port_only() {
        let endpoint: Endpoint = "https://S3.example.com:443/".parse().unwrap();
        assert_eq!(endpoint.to_string(), "https://s3.example.com");
        assert_eq!("http://[::1]:7480".parse::<Endpoint>().unwrap().authority, "[::1]:7480");
        for bad in ["", "s3.example.com", "ftp://x", "http://x/y", "http://x?y", "http://user@x", "http://"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let key = UpstreamKey { id: "AK".into(), secret: Zeroizing::new("hidden".into()), token: None };
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
