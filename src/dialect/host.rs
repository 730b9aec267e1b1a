//! Virtual-host addressing: `bucket.base-domain` names a bucket, every other host is path style.

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
        let host = host_name(host);
        if host.parse::<std::net::IpAddr>().is_ok() || self.0.contains(&host) {
            return None;
        }
        self.0
            .iter()
            .find_map(|domain| host.strip_suffix(domain.as_str())?.strip_suffix('.'))
            .filter(|bucket| !bucket.is_empty())
            .map(str::to_owned)
    }

    /// Whether a `Host` header names one of the domains themselves, or a name below one.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.bucket(host).is_some() || self.0.contains(&host_name(host))
    }
}

/// A host without its port and a closing dot, in lower case.
pub(super) fn host_name(host: &str) -> String {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
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
