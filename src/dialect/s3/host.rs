//! Virtual-host addressing: `bucket.base-domain` names a bucket, every other host is path style.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The domains under which `bucket.domain` names a bucket. None: all requests are path style.
#[derive(Debug, Clone, Default)]
pub struct BaseDomains(Vec<String>);

impl BaseDomains {
    /// Base domains as the configuration names them, without port; compared without case.
    #[must_use]
    pub fn new(domains: impl IntoIterator<Item = String>) -> Self {
        let mut domains: Vec<String> =
            domains.into_iter().map(|domain| domain.trim_matches('.').to_ascii_lowercase()).collect();
        domains.retain(|domain| !domain.is_empty());
        // The longest first, so that of two nested domains the more specific one decides.
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        Self(domains)
    }

    /// The bucket that a `Host` header names, in lower case.
    #[must_use]
    pub fn bucket(&self, host: &str) -> Option<String> {
        let host = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host.parse::<std::net::IpAddr>().is_ok() || self.0.contains(&host) {
            return None;
        }
        self.0
            .iter()
            .find_map(|domain| host.strip_suffix(domain.as_str())?.strip_suffix('.'))
            .filter(|bucket| !bucket.is_empty())
            .map(str::to_owned)
    }
}

impl S3Host for BaseDomains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let found = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_base_domains_child_names_a_bucket() {
        let domains = BaseDomains::new(["s3.Example.com".to_owned(), "example.com".to_owned()]);
        let table = [
            ("b.s3.example.com", Some("b")),
            ("B.S3.EXAMPLE.COM:9000", Some("b")),
            ("a.b.s3.example.com", Some("a.b")),
            ("c.example.com", Some("c")),
            ("s3.example.com", None),
            ("s3.example.com:443", None),
            ("example.com", None),
            ("other.org", None),
            ("b.notexample.com", None),
            ("127.0.0.1:9000", None),
            ("[::1]:9000", None),
            (".example.com", None),
        ];
        for (host, bucket) in table {
            assert_eq!(domains.bucket(host).as_deref(), bucket, "{host}");
        }
        assert_eq!(BaseDomains::default().bucket("b.example.com"), None);
    }
}
