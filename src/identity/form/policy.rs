//! The policy document of a form: until when, and which fields. S3's and OSS's are one format; OSS has two more operators,
//! and asks for fewer conditions.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/postobject>

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::identity::date::millis;
use crate::types::Timestamp;

use super::FormFields;

/// Why a policy does not let a form in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The policy is past its expiration.
    #[error("the policy has expired")]
    Expired,
    /// The document is none; the text says why.
    #[error("the policy document is invalid: {0}")]
    Invalid(String),
    /// It does not allow these fields; the text says which condition failed.
    #[error("the policy does not allow the form: {0}")]
    Refuses(String),
}

/// Whose rules a policy document follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum Rules {
    /// A form may add what its policy does not mention: the service's own examples give policies of a length alone.
    Oss,
    /// Every field has a condition.
    S3,
}

/// What OSS's policies must mention here, by the beginnings of the names. The first three are the service's rule, for V4. The
/// others are ours: a browser that was given a policy for an upload does not decide who reads it and under which key.
const OSS_COVERED: [&str; 5] =
    ["x-oss-credential", "x-oss-date", "x-oss-signature-version", "x-oss-object-acl", "x-oss-server-side-"];

/// Fields that no condition needs to cover: the signature cannot, the file has its own, `x-ignore-…` is for the page.
const EXEMPT: [&str; 5] = ["x-amz-signature", "signature", "awsaccesskeyid", "policy", "file"];

/// A policy document.
#[derive(Debug)]
pub(in crate::identity) struct Policy {
    rules: Rules,
    expires_at: i64,
    conditions: Vec<Condition>,
}

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Equals {
        field: String,
        value: String,
    },
    /// One of these values, or (`wanted` is false) none of them.
    Among {
        field: String,
        values: Vec<String>,
        wanted: bool,
    },
    Length(RangeInclusive<u64>),
    StartsWith {
        field: String,
        prefix: String,
    },
}

fn invalid(why: impl Into<String>) -> PolicyError {
    PolicyError::Invalid(why.into())
}

impl Policy {
    /// Reads a document in base64, as the field has it.
    pub(in crate::identity) fn parse(text: &str, rules: Rules) -> Result<Self, PolicyError> {
        // A field may be folded, since base64 often is.
        let compact: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let json = STANDARD.decode(compact).map_err(|_| invalid("Invalid Base64."))?;
        let Ok(Value::Object(document)) = serde_json::from_slice(&json) else {
            return Err(invalid("Invalid JSON."));
        };
        let (mut expiration, mut conditions) = (None, None);
        for (name, value) in &document {
            match (name.as_str(), value) {
                ("expiration", Value::String(text)) => expiration = Some(text),
                ("conditions", Value::Array(list)) => conditions = Some(list),
                ("expiration" | "conditions", _) => return Err(invalid(format!("Invalid '{name}' value."))),
                _ => return Err(invalid(format!("Unexpected: '{name}'."))),
            }
        }
        let expiration = expiration.ok_or_else(|| invalid("Policy is missing expiration."))?;
        let at = OffsetDateTime::parse(expiration, &Rfc3339)
            .map_err(|_| invalid(format!("Invalid 'expiration' value: '{expiration}'.")))?;
        let expires_at = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|_| invalid("Invalid year."))?;
        let listed = conditions.ok_or_else(|| invalid("Policy is missing conditions."))?;
        let mut conditions = Vec::with_capacity(listed.len());
        for condition in listed {
            Condition::parse_into(condition, rules, &mut conditions)?;
        }
        Ok(Self { rules, expires_at, conditions })
    }

    /// It has not expired, every condition holds, and every field that must have one has. Gives the lengths that the file
    /// may have. For S3, the bucket that the form is posted to counts as a field: otherwise a policy for one bucket would
    /// open them all.
    pub(in crate::identity) fn check(
        &self,
        fields: &FormFields,
        bucket: &str,
        now: Timestamp,
    ) -> Result<Option<RangeInclusive<u64>>, PolicyError> {
        if self.expires_at < millis(now) {
            return Err(PolicyError::Expired);
        }
        let value = |name: &str| if name == "bucket" { bucket } else { fields.get(name).unwrap_or_default() };
        if fields.get("bucket").is_some_and(|named| named != bucket) {
            return Err(PolicyError::Refuses(r#"Policy Condition failed: ["eq", "$bucket"]"#.to_owned()));
        }
        let mut length: Option<RangeInclusive<u64>> = None;
        for condition in &self.conditions {
            let (holds, shown) = match condition {
                Condition::Equals { field, value: wanted } => {
                    (value(field) == wanted, format!(r#"["eq", "${field}", "{wanted}"]"#))
                }
                Condition::StartsWith { field, prefix } => {
                    (starts_with(field, value(field), prefix), format!(r#"["starts-with", "${field}", "{prefix}"]"#))
                }
                Condition::Among { field, values, wanted } => {
                    let operator = if *wanted { "in" } else { "not-in" };
                    let found = values.iter().any(|one| one == value(field));
                    (found == *wanted, format!(r#"["{operator}", "${field}"]"#))
                }
                Condition::Length(range) => {
                    let (low, high) = length.map_or((0, u64::MAX), RangeInclusive::into_inner);
                    length = Some(low.max(*range.start())..=high.min(*range.end()));
                    continue;
                }
            };
            if !holds {
                return Err(PolicyError::Refuses(format!("Policy Condition failed: {shown}")));
            }
        }
        let exempt = |name: &str| match self.rules {
            Rules::Oss => !OSS_COVERED.iter().any(|begin| name.starts_with(begin)),
            Rules::S3 => EXEMPT.contains(&name) || name.starts_with("x-ignore-"),
        };
        let covered = |name: &str| exempt(name) || self.conditions.iter().any(|c| c.is_on(name));
        let mut extra: Vec<&str> = fields.iter().map(|(name, _)| name).filter(|name| !covered(name)).collect();
        if !covered("bucket") && !extra.contains(&"bucket") {
            extra.push("bucket");
        }
        if extra.is_empty() {
            return Ok(length);
        }
        Err(PolicyError::Refuses(format!("Extra input fields: {}", extra.join(", "))))
    }
}

/// A content type may be a list; each member must begin so.
fn starts_with(field: &str, value: &str, prefix: &str) -> bool {
    if field == "content-type" {
        value.split(',').all(|one| one.trim().starts_with(prefix))
    } else {
        value.starts_with(prefix)
    }
}

impl Condition {
    fn parse_into(condition: &Value, rules: Rules, out: &mut Vec<Self>) -> Result<(), PolicyError> {
        match condition {
            Value::Object(pairs) if !pairs.is_empty() => {
                for (field, value) in pairs {
                    let value =
                        value.as_str().ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?;
                    out.push(Self::Equals { field: field.to_ascii_lowercase(), value: value.to_owned() });
                }
                Ok(())
            }
            Value::Array(words) => {
                out.push(Self::parse_list(words, rules)?);
                Ok(())
            }
            _ => Err(invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")),
        }
    }

    fn parse_list(words: &[Value], rules: Rules) -> Result<Self, PolicyError> {
        let [operator, first, second] = words else {
            return Err(invalid("Invalid condition: wrong number of arguments."));
        };
        let operator = operator.as_str().ok_or_else(|| invalid("Invalid condition: the operator must be a string."))?;
        if operator.eq_ignore_ascii_case("content-length-range") {
            let number = |value: &Value| match value {
                Value::String(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
                other => other.as_u64(),
            };
            return match (number(first), number(second)) {
                (Some(low), Some(high)) => Ok(Self::Length(low..=high)),
                _ => Err(invalid("Invalid content-length-range: bounds must be numbers.")),
            };
        }
        let field = first.as_str().and_then(|name| name.strip_prefix('$')).map(str::to_ascii_lowercase);
        if rules == Rules::Oss && ["in", "not-in"].iter().any(|name| operator.eq_ignore_ascii_case(name)) {
            let flaw = || invalid(format!("Invalid {operator}: expecting a $field and a list of strings."));
            let texts = |list: &Vec<Value>| list.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            let values: Vec<String> = second.as_array().and_then(texts).ok_or_else(flaw)?;
            let wanted = operator.eq_ignore_ascii_case("in");
            return Ok(Self::Among { field: field.ok_or_else(flaw)?, values, wanted });
        }
        match (operator.to_ascii_lowercase().as_str(), field, second.as_str()) {
            ("eq", Some(field), Some(value)) => Ok(Self::Equals { field, value: value.to_owned() }),
            ("starts-with", Some(field), Some(prefix)) => Ok(Self::StartsWith { field, prefix: prefix.to_owned() }),
            ("eq" | "starts-with", ..) => Err(invalid(format!("Invalid {operator}: expecting a $field and a string."))),
            _ => Err(invalid(format!("Invalid condition: unknown operator '{operator}'."))),
        }
    }

    fn is_on(&self, name: &str) -> bool {
        match self {
            Self::Among { field, .. } | Self::Equals { field, .. } | Self::StartsWith { field, .. } => field == name,
            Self::Length(_) => false,
        }
    }
}
