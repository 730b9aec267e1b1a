//! Which pages of which origins a browser lets read a bucket's answers.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>.

use serde::{Deserialize, Serialize};

use crate::identity::{Action, Requester};
use crate::store;
use crate::types::BucketName;

use super::{Error, Gateway};

/// The kind under which the store keeps the rules.
const CORS: &str = "cors";
/// The most rules of a bucket (S3).
const MAX_RULES: usize = 100;
/// The methods that a rule may name.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// One rule. The first that a request matches is the one that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRule {
    /// A name for people, at most 255 characters.
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub origins: Vec<String>,
    /// Methods: GET, PUT, POST, DELETE, HEAD.
    pub methods: Vec<String>,
    /// Request headers, each with at most one `*`; case does not matter.
    pub headers: Vec<String>,
    /// Response headers that a page may read.
    pub expose: Vec<String>,
    /// Seconds that a browser may remember the answer to a preflight.
    pub max_age: Option<i32>,
}

impl CorsRule {
    /// Whether a page of this origin may use this method.
    #[must_use]
    pub fn allows(&self, origin: &str, method: &str) -> bool {
        self.methods.iter().any(|allowed| allowed == method) && self.origins.iter().any(|one| matches(one, origin))
    }

    /// Whether it may send these headers.
    #[must_use]
    pub fn allows_headers<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        names.all(|name| {
            let name = name.to_ascii_lowercase();
            self.headers.iter().any(|allowed| matches(&allowed.to_ascii_lowercase(), &name))
        })
    }

    /// Whether it is for every origin.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::InvalidCors(what));
        // What comes back in a header must be able to stand in one.
        let plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(method) = self.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return wrong(format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}"));
        }
        for (name, list) in [("AllowedOrigin", &self.origins), ("AllowedHeader", &self.headers)] {
            if let Some(text) = list.iter().find(|text| text.matches('*').count() > 1 || !plain(text)) {
                return wrong(format!("{name} \"{text}\" can not have more than one wildcard, or is not valid."));
            }
        }
        if let Some(text) = self.expose.iter().find(|text| text.contains('*') || !plain(text)) {
            return wrong(format!("ExposeHeader \"{text}\" contains wildcard, or is not valid."));
        }
        let long = self.id.as_ref().is_some_and(|id| id.chars().count() > 255);
        if self.origins.is_empty() || self.methods.is_empty() || long || self.max_age.is_some_and(|age| age < 0) {
            return wrong(
                "A rule needs an origin and a method, an ID of at most 255 characters, and no negative age.".to_owned(),
            );
        }
        Ok(())
    }
}

/// Whether a pattern with at most one `*` describes a text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.strip_prefix(head).is_some_and(|rest| rest.len() >= tail.len() && rest.ends_with(tail))
        }
    }
}

impl Gateway {
    /// The bucket's rules, for a browser's question: it comes without a name, and its answer is what the owner of the
    /// bucket has told everybody. A bucket that is not there has none.
    pub async fn cors_rules(&self, name: &BucketName) -> Vec<CorsRule> {
        let Ok(bucket) = self.store.bucket(name).await else { return Vec::new() };
        let rules = bucket.configs.get(CORS).and_then(|value| serde_json::from_slice(value).ok());
        rules.unwrap_or_default()
    }

    /// The bucket's rules.
    ///
    /// # Errors
    /// [`Error::NoSuchCors`], [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn bucket_cors(&self, caller: &Requester, name: &BucketName) -> Result<Vec<CorsRule>, Error> {
        let bucket = self.bucket_for(caller, name, Action::GetBucketCors).await?;
        let value = bucket.configs.get(CORS).ok_or(Error::NoSuchCors)?;
        let damaged = |_| Error::Store(store::Error::Corrupt(format!("the CORS rules of bucket {name}")));
        serde_json::from_slice(value).map_err(damaged)
    }

    /// Sets the bucket's rules, or with none takes them away.
    ///
    /// # Errors
    /// [`Error::InvalidCors`], [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn put_bucket_cors(
        &self,
        caller: &Requester,
        name: &BucketName,
        rules: Option<Vec<CorsRule>>,
    ) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::PutBucketCors).await?;
        if let Some(rules) = &rules {
            if rules.is_empty() || rules.len() > MAX_RULES {
                return Err(Error::InvalidCors(format!("There must be 1 to {MAX_RULES} rules.")));
            }
            rules.iter().try_for_each(CorsRule::check)?;
        }
        let value = rules.map(|rules| serde_json::to_vec(&rules)).transpose();
        let value = value.map_err(|_| Error::Store(store::Error::Corrupt("rules cannot be written".to_owned())))?;
        Ok(self.store.set_bucket_config(name, CORS, value).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, method: &str, header: &str) -> CorsRule {
        let list = |text: &str| vec![text.to_owned()];
        CorsRule { origins: list(origin), methods: list(method), headers: list(header), ..CorsRule::default() }
    }

    #[test]
    fn one_star_stands_for_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("*", "http://a", true),
            ("http://a", "http://a", true),
            ("http://a", "http://a.evil", false),
            ("http://*.a", "http://www.a", true),
            ("http://*.a", "http://.a", true),
            ("http://*.a", "http://a", false),
            ("ab*ba", "aba", false),
            ("http://a*", "https://a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn origin_method_and_headers_must_all_be_allowed() {
        let rule = rule("http://*.example", "PUT", "X-Amz-*");
        assert!(rule.allows("http://www.example", "PUT"));
        assert!(!rule.allows("http://www.example", "GET") && !rule.allows("null", "PUT"));
        assert!(rule.allows_headers(["x-amz-date", "X-AMZ-ACL"].into_iter()));
        assert!(!rule.allows_headers(["x-amz-date", "content-type"].into_iter()));
    }

    #[test]
    fn rules_that_s3_would_refuse_are_refused() {
        assert!(rule("*", "GET", "*").check().is_ok());
        for bad in [
            rule("http://*.*", "GET", "*"),
            rule("*", "PATCH", "*"),
            rule("*", "get", "*"),
            rule("*", "GET", "x-*-*"),
            rule("http://a\r\nSet-Cookie: b", "GET", "*"),
            CorsRule { expose: vec!["*".to_owned()], ..rule("*", "GET", "*") },
            CorsRule { id: Some("i".repeat(256)), ..rule("*", "GET", "*") },
            CorsRule { origins: Vec::new(), ..rule("*", "GET", "*") },
            CorsRule { max_age: Some(-1), ..rule("*", "GET", "*") },
        ] {
            assert!(matches!(bad.check(), Err(Error::InvalidCors(_))), "{bad:?}");
        }
    }
}
