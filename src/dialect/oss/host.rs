//! Which bucket and key an address means: virtual host, path style, or a domain that is bound to a bucket (CNAME).
//! <https://www.alibabacloud.com/help/en/oss/user-guide/oss-domain-names>
//!
//! ali-oss talks to an IP address with the `Host` that its bucket would have at the service, so those names mean what
//! they mean there. With `sldEnable` it names the bucket twice, and only the signature tells what it meant.

use std::collections::BTreeMap;

use crate::dialect::host::{BaseDomains, host_name};
use crate::identity::OssResource;
use crate::identity::percent_decode;

use super::error::bad_key;
use super::face::Face;

/// The service's own domain.
const SERVICE: &str = ".aliyuncs.com";

/// The names under which this gateway is reached.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// Every base domain: `X.base` is bucket X.
    domains: BaseDomains,
    /// Those at which a request without any mark of a dialect is of OSS.
    own: BaseDomains,
    /// Domains bound to one bucket each.
    bound: BTreeMap<String, String>,
    /// The first base domain, which answers name as the endpoint.
    endpoint: Option<String>,
}

/// What a host says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The bucket; the whole path is the key.
    Bucket(String),
    /// Nothing: the path begins with the bucket.
    Path,
    /// The service itself, by a name that has a place for a bucket and none in it.
    Service,
}

impl Hosts {
    /// `shared` are the base domains of every dialect, `own` those of OSS alone, `bound` pairs of a domain and its bucket.
    #[must_use]
    pub fn new(shared: &[String], own: &[String], bound: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            domains: BaseDomains::new(shared.iter().chain(own).cloned()),
            own: BaseDomains::new(own.iter().cloned()),
            bound: bound.into_iter().map(|(domain, bucket)| (host_name(&domain), bucket)).collect(),
            endpoint: own.first().or(shared.first()).cloned(),
        }
    }

    /// Whether a request to this host is of OSS if nothing else in it says so.
    #[must_use]
    pub fn is_oss(&self, host: &str) -> bool {
        let name = host_name(host);
        at_service(&name).is_some() || self.own.covers(host) || self.bound.contains_key(&name)
    }

    /// The endpoint that answers show: a base domain, or what the request calls us.
    pub(super) fn endpoint(&self, host: &str) -> String {
        self.endpoint.clone().unwrap_or_else(|| host_name(host))
    }

    fn place(&self, host: &str) -> Place {
        let name = host_name(host);
        if let Some(bucket) = self.bound.get(&name) {
            return Place::Bucket(bucket.clone());
        }
        match (self.domains.bucket(host), at_service(&name)) {
            (Some(bucket), _) => Place::Bucket(bucket),
            (None, Some(place)) => place,
            (None, None) => Place::Path,
        }
    }

    /// What the address of a request can mean, the likelier first. There is at least one reading, and more than one only
    /// where the host and the path name the same bucket.
    ///
    /// # Errors
    /// InvalidObjectName where a name is not UTF-8.
    pub(super) fn readings(&self, host: &str, path: &str) -> Result<Vec<OssResource>, Face> {
        let rest = path.strip_prefix('/').unwrap_or(path);
        let bucket = match self.place(host) {
            Place::Service => return Ok(vec![OssResource { bucket: None, key: None }]),
            Place::Path => return Ok(vec![in_path(rest)?]),
            Place::Bucket(bucket) => bucket,
        };
        let whole = OssResource { bucket: Some(bucket), key: key(rest)? };
        let again = in_path(rest)?;
        if again.bucket == whole.bucket { Ok(vec![whole, again]) } else { Ok(vec![whole]) }
    }
}

/// What a name at the service means: `bucket.oss-region`, `bucket.oss-region-internal` or `bucket.region.oss`, each with
/// or without a bucket.
fn at_service(name: &str) -> Option<Place> {
    let name = name.strip_suffix(SERVICE)?;
    let (bucket, endpoint) = match name.strip_suffix(".oss") {
        Some(name) => name.rsplit_once('.').unwrap_or(("", name)),
        None => name.rsplit_once('.').unwrap_or(("", name)),
    };
    // `oss`, `oss-cn-hangzhou`, `cn-hangzhou`: what else is there is not storage.
    let is_endpoint = endpoint == "oss" || endpoint.contains('-');
    match (is_endpoint, bucket) {
        (false, _) => None,
        (true, "") if name.starts_with('.') => Some(Place::Service),
        (true, "") => Some(Place::Path),
        (true, bucket) => Some(Place::Bucket(bucket.to_owned())),
    }
}

/// Path style: the first segment is the bucket. What follows its slash is the key, `%2F` and all.
fn in_path(rest: &str) -> Result<OssResource, Face> {
    if rest.is_empty() {
        return Ok(OssResource { bucket: None, key: None });
    }
    let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(OssResource { bucket: Some(decoded(bucket)?), key: key(rest)? })
}

fn key(rest: &str) -> Result<Option<String>, Face> {
    if rest.is_empty() { Ok(None) } else { decoded(rest).map(Some) }
}

/// Decoded once; a plus is a plus.
fn decoded(text: &str) -> Result<String, Face> {
    String::from_utf8(percent_decode(text.as_bytes()).into_owned()).map_err(|_| bad_key(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        let bound = [("img.Example.com".to_owned(), "pictures".to_owned())];
        Hosts::new(&["both.test".to_owned()], &["oss.test".to_owned()], bound)
    }

    fn read(host: &str, path: &str) -> Vec<(Option<String>, Option<String>)> {
        hosts().readings(host, path).unwrap().into_iter().map(|read| (read.bucket, read.key)).collect()
    }

    fn one(bucket: Option<&str>, key: Option<&str>) -> (Option<String>, Option<String>) {
        (bucket.map(str::to_owned), key.map(str::to_owned))
    }

    #[test]
    fn hosts_and_paths_name_buckets_and_keys() {
        let table = [
            ("127.0.0.1:9000", "/", None, None),
            ("127.0.0.1:9000", "/bkt", Some("bkt"), None),
            ("127.0.0.1:9000", "/bkt/", Some("bkt"), None),
            ("[::1]:9000", "/bkt/dir%2Fa%20b+%E4%B8%AD", Some("bkt"), Some("dir/a b+中")),
            ("127.0.0.1", "/bkt/a//../b/", Some("bkt"), Some("a//../b/")),
            ("localhost", "/bkt/k", Some("bkt"), Some("k")),
            ("oss.test", "/bkt/k", Some("bkt"), Some("k")),
            ("both.test:80", "/", None, None),
            ("bkt.oss.test:80", "/", Some("bkt"), None),
            ("bkt.both.test", "/k%25", Some("bkt"), Some("k%")),
            ("IMG.example.com", "/k", Some("pictures"), Some("k")),
            ("other.example.com", "/bkt/k", Some("bkt"), Some("k")),
            ("bkt.oss-cn-hangzhou.aliyuncs.com", "/k", Some("bkt"), Some("k")),
            ("bkt.oss-cn-hangzhou-internal.aliyuncs.com", "/k", Some("bkt"), Some("k")),
            ("bkt.cn-hangzhou.oss.aliyuncs.com", "/k", Some("bkt"), Some("k")),
            ("bkt.cn-hangzhou.aliyuncs.com", "/", Some("bkt"), None),
            (".oss-cn-hangzhou.aliyuncs.com", "/", None, None),
            ("oss-cn-hangzhou.aliyuncs.com", "/", None, None),
            ("oss-cn-hangzhou.aliyuncs.com", "/bkt/k", Some("bkt"), Some("k")),
        ];
        for (host, path, bucket, key) in table {
            assert_eq!(read(host, path), [one(bucket, key)], "{host} {path}");
        }
        assert_eq!(hosts().readings("h", "/b/%ff").unwrap_err().code, "InvalidObjectName");
    }

    #[test]
    fn a_bucket_that_is_named_twice_can_mean_two_things() {
        let both = [one(Some("bkt"), Some("bkt/k")), one(Some("bkt"), Some("k"))];
        assert_eq!(read("bkt.oss-cn-hangzhou.aliyuncs.com", "/bkt/k"), both);
        assert_eq!(read("bkt.oss.test", "/bkt/"), [one(Some("bkt"), Some("bkt/")), one(Some("bkt"), None)]);
        assert_eq!(read("bkt.oss.test", "/other/k"), [one(Some("bkt"), Some("other/k"))]);
    }

    #[test]
    fn some_hosts_are_of_oss_by_themselves() {
        for host in
            ["bkt.oss-cn-hangzhou.aliyuncs.com", ".oss-x.aliyuncs.com:80", "oss.test", "b.oss.test", "img.example.com"]
        {
            assert!(hosts().is_oss(host), "{host}");
        }
        for host in ["127.0.0.1", "both.test", "b.both.test", "example.com", "kms.aliyuncs.com", "aliyuncs.com"] {
            assert!(!hosts().is_oss(host), "{host}");
        }
    }
}
