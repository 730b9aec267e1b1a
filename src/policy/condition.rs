//! Conditions of a statement: operator, key and values.
//!
//! Source: the IAM user guide, "IAM JSON policy elements: Condition operators".

use std::collections::BTreeMap;
use std::net::IpAddr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json::Json;
use super::pattern;
use super::{Malformed, Subject};

/// The condition keys that a request is judged by. Anything else is refused when the policy is written.
const KEYS: &[&str] = &[
    "aws:currenttime",
    "aws:principalarn",
    "aws:securetransport",
    "aws:sourceip",
    "aws:username",
    "s3:authtype",
    "s3:delimiter",
    "s3:max-keys",
    "s3:prefix",
    "s3:signatureversion",
    "s3:versionid",
    "s3:x-amz-acl",
    "s3:x-amz-copy-source",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
];

/// The same for a key's policy. What follows the last one is the name of a pair of the encryption context.
const KEY_KEYS: &[&str] = &[
    "aws:currenttime",
    "aws:principalarn",
    "aws:username",
    "kms:calleraccount",
    "kms:encryptioncontextkeys",
    "kms:keyorigin",
    "kms:viaservice",
];
const CONTEXT_KEY: &str = "kms:encryptioncontext:";

/// What a request says for each condition key, as it was sent: an absent header is an absent key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Sets the value of `key`, whose case does not matter; an earlier value is replaced.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_ascii_lowercase(), vec![value.into()]);
    }

    /// Adds a value of `key`, whose case does not matter, to those that are there: two pairs of an encryption context whose
    /// names differ in case only are one key with two values.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_ascii_lowercase()).or_default().push(value.into());
    }

    /// Takes the value of `key` away.
    pub(crate) fn unset(&mut self, key: &str) {
        self.0.remove(&key.to_ascii_lowercase());
    }

    fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Many {
    All,
    Any,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Equals(String),
    EqualsIgnoreCase(String),
    Like(String),
    Bool(bool),
    Ip(IpAddr, u32),
    Number(f64, Order),
    Date(OffsetDateTime, Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn named(text: &str) -> Option<Self> {
        Some(match text {
            "Equals" | "NotEquals" => Self::Equal,
            "LessThan" => Self::Less,
            "LessThanEquals" => Self::LessOrEqual,
            "GreaterThan" => Self::Greater,
            "GreaterThanEquals" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Test {
    /// What `operator` (without qualifier and suffix) asks of one value; `None` if it is no operator.
    fn parse(operator: &str, value: &str) -> Option<Result<Self, Malformed>> {
        let wrong = || Malformed(format!("{value:?} is not a value that {operator} takes"));
        let text = value.to_owned();
        if let Some(order) = operator.strip_prefix("Numeric").and_then(Order::named) {
            let number = value.parse().ok().filter(|number: &f64| number.is_finite());
            return Some(number.map(|number| Self::Number(number, order)).ok_or_else(wrong));
        }
        if let Some(order) = operator.strip_prefix("Date").and_then(Order::named) {
            return Some(date(value).map(|date| Self::Date(date, order)).ok_or_else(wrong));
        }
        Some(Ok(match operator {
            "StringEquals" | "StringNotEquals" => Self::Equals(text),
            "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" => Self::EqualsIgnoreCase(text),
            // Of ARNs, too, both operators know wildcards.
            "StringLike" | "StringNotLike" | "ArnEquals" | "ArnLike" | "ArnNotEquals" | "ArnNotLike" => {
                Self::Like(text)
            }
            "Bool" | "Null" => match boolean(value) {
                Some(value) => Self::Bool(value),
                None => return Some(Err(wrong())),
            },
            "IpAddress" | "NotIpAddress" => match block(value) {
                Some((network, prefix)) => Self::Ip(network, prefix),
                None => return Some(Err(wrong())),
            },
            _ => return None,
        }))
    }

    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Equals(wanted) => wanted == value,
            Self::EqualsIgnoreCase(wanted) => wanted.to_lowercase() == value.to_lowercase(),
            Self::Like(wanted) => pattern::matches(wanted, value),
            Self::Bool(wanted) => boolean(value) == Some(*wanted),
            Self::Ip(network, prefix) => {
                value.parse().is_ok_and(|ip: IpAddr| masked(ip.to_canonical(), *prefix) == Some(*network))
            }
            Self::Number(wanted, order) => value.parse().is_ok_and(|number: f64| order.holds(number, *wanted)),
            Self::Date(wanted, order) => date(value).is_some_and(|date| order.holds(date, *wanted)),
        }
    }
}

/// One operator on one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    key: String,
    many: Option<Many>,
    negated: bool,
    null: bool,
    if_exists: bool,
    tests: Vec<Test>,
}

impl Condition {
    /// Reads the `Condition` element.
    pub(super) fn parse_all(element: &Json, subject: Subject) -> Result<Vec<Self>, Malformed> {
        let mut conditions = Vec::new();
        for (operator, keys) in super::object(element, "Condition")? {
            for (key, values) in super::object(keys, operator)? {
                conditions.push(Self::parse(operator, key, values, subject)?);
            }
        }
        Ok(conditions)
    }

    fn parse(written: &str, key: &str, values: &Json, subject: Subject) -> Result<Self, Malformed> {
        let key = key.to_ascii_lowercase();
        let known = match subject {
            Subject::Bucket => KEYS.contains(&key.as_str()),
            Subject::Key => {
                let named = key.strip_prefix(CONTEXT_KEY).is_some_and(|name| !name.is_empty());
                named || KEY_KEYS.contains(&key.as_str())
            }
        };
        if !known {
            return Err(Malformed(format!("Policy has an invalid condition key: {key}")));
        }
        let (many, rest) = match written.split_once(':') {
            None => (None, written),
            Some(("ForAllValues", rest)) => (Some(Many::All), rest),
            Some(("ForAnyValue", rest)) => (Some(Many::Any), rest),
            Some(_) => return Err(Malformed(format!("Invalid Condition type : {written}"))),
        };
        let (operator, if_exists) = match rest.strip_suffix("IfExists") {
            Some(operator) => (operator, true),
            None => (rest, false),
        };
        let null = operator == "Null";
        let mut tests = Vec::new();
        for value in super::scalars(values, &key)? {
            let test = Test::parse(operator, &value);
            tests.push(test.ok_or_else(|| Malformed(format!("Invalid Condition type : {written}")))??);
        }
        if tests.is_empty() || null && (if_exists || many.is_some() || tests.len() != 1) {
            return Err(Malformed(format!("Invalid Condition : {written} on {key}")));
        }
        Ok(Self { key, many, negated: operator.contains("Not"), null, if_exists, tests })
    }

    /// Whether the request meets it.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let values = context.values(&self.key);
        if self.null {
            return self.tests.contains(&Test::Bool(values.is_empty()));
        }
        let one = |value: &String| self.negated != self.tests.iter().any(|test| test.accepts(value));
        match self.many {
            _ if values.is_empty() && self.if_exists => true,
            Some(Many::All) => values.iter().all(one),
            Some(Many::Any) => values.iter().any(one),
            None if values.is_empty() => self.negated,
            None => values.iter().all(one),
        }
    }

    /// Whether only callers from fixed places or of fixed names can meet it, so that it keeps the public out. Networks
    /// wider than /8 (IPv6: /32) count as everywhere ("The meaning of public", S3 user guide).
    pub(super) fn keeps_the_public_out(&self) -> bool {
        let fixed = |test: &Test| match (self.key.as_str(), test) {
            ("aws:sourceip", Test::Ip(IpAddr::V4(_), prefix)) => *prefix >= 8,
            ("aws:sourceip", Test::Ip(IpAddr::V6(_), prefix)) => *prefix >= 32,
            ("aws:principalarn", Test::Equals(_)) => true,
            ("aws:principalarn", Test::Like(text)) => !pattern::is_wild(text),
            _ => false,
        };
        !self.negated && !self.if_exists && self.many != Some(Many::All) && self.tests.iter().all(fixed)
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A date of ISO 8601 with a time, or seconds since 1970.
fn date(text: &str) -> Option<OffsetDateTime> {
    match text.parse() {
        Ok(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok(),
    }
}

/// A network and its prefix length. An address alone is a network of one.
fn block(text: &str) -> Option<(IpAddr, u32)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    // Requests from such addresses count as IPv4, so a network of them would match none.
    if address.to_canonical() != address {
        return None;
    }
    let prefix = prefix.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
    Some((masked(address, prefix)?, prefix))
}

/// The first `prefix` bits of `address`; `None` if it has not so many.
fn masked(address: IpAddr, prefix: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.checked_sub(prefix)?).unwrap_or(0);
            Some(IpAddr::from((u32::from(v4) & mask).to_be_bytes()))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.checked_sub(prefix)?).unwrap_or(0);
            Some(IpAddr::from((u128::from(v6) & mask).to_be_bytes()))
        }
    }
}
