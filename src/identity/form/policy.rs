//! The policy document of a form: until when, and which fields.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{FormError, FormFields};

/// Fields that no condition needs to cover: the signature cannot, the file has its own, `x-ignore-…` is for the page.
const EXEMPT: [&str; 5] = ["x-amz-signature", "signature", "awsaccesskeyid", "policy", "file"];

/// A policy document.
#[derive(Debug)]
pub(super) struct Policy {
    expires_at: i64,
    conditions: Vec<Condition>,
}

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Equals { field: String, value: String },
    StartsWith { field: String, prefix: String },
    Length(RangeInclusive<u64>),
}

fn invalid(why: impl Into<String>) -> FormError {
    FormError::PolicyInvalid(why.into())
}

impl Policy {
    /// Reads a document in base64, as the field has it.
    pub(super) fn parse(text: &str) -> Result<Self, FormError> {
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
            Condition::parse_into(condition, &mut conditions)?;
        }
        Ok(Self { expires_at, conditions })
    }

    /// The expiration, in milliseconds since 1970.
    pub(super) fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Every condition holds, and every field has one. Gives the lengths that the file may have. The bucket that the
    /// form is posted to counts as a field: otherwise a policy for one bucket would open them all.
    pub(super) fn check(&self, fields: &FormFields, bucket: &str) -> Result<Option<RangeInclusive<u64>>, FormError> {
        let value = |name: &str| if name == "bucket" { bucket } else { fields.get(name).unwrap_or_default() };
        if fields.get("bucket").is_some_and(|named| named != bucket) {
            return Err(FormError::PolicyRefuses(r#"Policy Condition failed: ["eq", "$bucket"]"#.to_owned()));
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
                Condition::Length(range) => {
                    let (low, high) = length.map_or((0, u64::MAX), RangeInclusive::into_inner);
                    length = Some(low.max(*range.start())..=high.min(*range.end()));
                    continue;
                }
            };
            if !holds {
                return Err(FormError::PolicyRefuses(format!("Policy Condition failed: {shown}")));
            }
        }
        let covered = |name: &str| {
            EXEMPT.contains(&name) || name.starts_with("x-ignore-") || self.conditions.iter().any(|c| c.is_on(name))
        };
        let mut extra: Vec<&str> = fields.iter().map(|(name, _)| name).filter(|name| !covered(name)).collect();
        if !covered("bucket") && !extra.contains(&"bucket") {
            extra.push("bucket");
        }
        if extra.is_empty() {
            return Ok(length);
        }
        Err(FormError::PolicyRefuses(format!("Extra input fields: {}", extra.join(", "))))
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
    fn parse_into(condition: &Value, out: &mut Vec<Self>) -> Result<(), FormError> {
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
                out.push(Self::parse_list(words)?);
                Ok(())
            }
            _ => Err(invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")),
        }
    }

    fn parse_list(words: &[Value]) -> Result<Self, FormError> {
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
        match (operator.to_ascii_lowercase().as_str(), field, second.as_str()) {
            ("eq", Some(field), Some(value)) => Ok(Self::Equals { field, value: value.to_owned() }),
            ("starts-with", Some(field), Some(prefix)) => Ok(Self::StartsWith { field, prefix: prefix.to_owned() }),
            ("eq" | "starts-with", ..) => Err(invalid(format!("Invalid {operator}: expecting a $field and a string."))),
            _ => Err(invalid(format!("Invalid condition: unknown operator '{operator}'."))),
        }
    }

    fn is_on(&self, name: &str) -> bool {
        match self {
            Self::Equals { field, .. } | Self::StartsWith { field, .. } => field == name,
            Self::Length(_) => false,
        }
    }
}
