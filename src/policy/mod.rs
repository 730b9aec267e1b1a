//! Policies: a document that says who may do what in a bucket, or with a key.
//!
//! [`Policy::parse`] is a pure function of the document's bytes. It refuses everything that it does not understand:
//! an element that is ignored could be the one that denies. Sources: the IAM user guide, "Grammar of the IAM JSON
//! policy language", the S3 user guide, "Bucket policies for Amazon S3", and the KMS developer guide, "Key policies".
//!
//! This room knows texts only. Whose key or bucket it is, and who somebody is, the asker says.

mod condition;
mod json;
mod pattern;
mod statement;
#[cfg(test)]
mod tests;

pub use condition::Context;

use json::Json;
use statement::Statement;

/// The most bytes of a bucket's policy (S3: 20 KB).
pub const MAX_POLICY: usize = 20 * 1024;
/// The most bytes of a key's policy (KMS: 32 KB).
pub const MAX_KEY_POLICY: usize = 32 * 1024;

/// What a policy is about: which actions, resources, principals and condition keys it may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Bucket,
    Key,
}

/// Why a document is not a policy, in a sentence for the client (S3: `MalformedPolicy`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

/// A policy of a bucket or a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// What a policy is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The ARN of the caller; `None` for an anonymous one.
    pub principal: Option<&'a str>,
    /// The action, such as `s3:GetObject`.
    pub action: &'a str,
    /// The ARN of the bucket, the object or the key.
    pub resource: &'a str,
    /// What the request says.
    pub context: &'a Context,
    /// Whether what is allowed to the account is allowed to the caller: a key's owner, and root. Buckets' policies name no
    /// accounts.
    pub speaks_for_account: bool,
}

/// What a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it, whatever others say.
    Deny,
    /// No statement is about it.
    Silent,
}

impl Policy {
    /// Reads a bucket's policy.
    ///
    /// # Errors
    /// [`Malformed`] for anything that is no policy, is larger than [`MAX_POLICY`], or says what is not understood here:
    /// unknown elements, actions, operators, condition keys and principals, members that stand twice, policy variables.
    pub fn parse(document: &[u8]) -> Result<Self, Malformed> {
        Self::parse_of(document, Subject::Bucket, MAX_POLICY)
    }

    /// Reads a key's policy.
    ///
    /// # Errors
    /// As [`Policy::parse`], with [`MAX_KEY_POLICY`].
    pub fn parse_of_key(document: &[u8]) -> Result<Self, Malformed> {
        Self::parse_of(document, Subject::Key, MAX_KEY_POLICY)
    }

    fn parse_of(document: &[u8], subject: Subject, max: usize) -> Result<Self, Malformed> {
        if document.len() > max {
            return Err(Malformed(format!("Policy is larger than {max} bytes")));
        }
        let json: Json = serde_json::from_slice(document)
            .map_err(|error| Malformed(format!("Policies must be valid JSON: {error}")))?;
        let mut variables = false;
        let mut statements = None;
        for (name, value) in object(&json, "the policy")? {
            match (name.as_str(), value) {
                ("Version", Json::Text(version)) if version == "2012-10-17" => variables = true,
                ("Version", Json::Text(version)) if version == "2008-10-17" => {}
                ("Version", _) => return Err(Malformed("The policy must contain a valid version string".to_owned())),
                ("Id", Json::Text(_)) => {}
                ("Statement", Json::List(list)) => {
                    statements =
                        Some(list.iter().map(|one| Statement::parse(one, subject)).collect::<Result<Vec<_>, _>>()?);
                }
                ("Statement", one) => statements = Some(vec![Statement::parse(one, subject)?]),
                (other, _) => return Err(Malformed(format!("Unknown or invalid field {other}"))),
            }
        }
        // Taken literally a variable would match nothing, and a denial that uses it would deny nothing.
        if variables && mentions_variable(&json) {
            return Err(Malformed("Policy variables are not supported".to_owned()));
        }
        let statements = statements.filter(|statements| !statements.is_empty());
        Ok(Self { statements: statements.ok_or_else(|| Malformed("Missing required field Statement".to_owned()))? })
    }

    /// Checks that every statement is about `bucket` and names only users of `account`.
    ///
    /// # Errors
    /// [`Malformed`] where a resource lies elsewhere or a principal is nobody that could ever call here.
    pub fn belongs_to(&self, bucket: &str, account: &str) -> Result<(), Malformed> {
        self.statements.iter().try_for_each(|statement| statement.belongs_to(bucket, account))
    }

    /// Checks that every statement is about the key of this ARN and names only `account` and its users.
    ///
    /// # Errors
    /// [`Malformed`], as [`Policy::belongs_to`].
    pub fn belongs_to_key(&self, arn: &str, account: &str) -> Result<(), Malformed> {
        self.statements.iter().try_for_each(|statement| statement.belongs_to_key(arn, account))
    }

    /// What the policy says to a request. A statement that denies wins over all that allow.
    #[must_use]
    pub fn judge(&self, question: &Question<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in self.statements.iter().filter(|statement| statement.is_about(question)) {
            if statement.denies() {
                return Verdict::Deny;
            }
            verdict = Verdict::Allow;
        }
        verdict
    }

    /// Whether it lets the public in, as "The meaning of public" in the S3 user guide has it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(Statement::is_public)
    }
}

fn object<'a>(json: &'a Json, what: &str) -> Result<&'a [(String, Json)], Malformed> {
    match json {
        Json::Object(members) => Ok(members),
        _ => Err(Malformed(format!("{what} must be a JSON object"))),
    }
}

/// A string, number or boolean, or a list of them, as text.
fn scalars(json: &Json, what: &str) -> Result<Vec<String>, Malformed> {
    match json {
        Json::List(list) if list.iter().any(|item| matches!(item, Json::List(_))) => {
            Err(Malformed(format!("{what} must not be a list of lists")))
        }
        Json::List(list) => Ok(list.iter().map(|item| scalars(item, what)).collect::<Result<Vec<_>, _>>()?.concat()),
        Json::Text(text) | Json::Number(text) => Ok(vec![text.clone()]),
        Json::Bool(value) => Ok(vec![value.to_string()]),
        Json::Null | Json::Object(_) => Err(Malformed(format!("{what} must be a string or a list of strings"))),
    }
}

fn mentions_variable(json: &Json) -> bool {
    match json {
        Json::Text(text) => text.contains("${"),
        Json::List(list) => list.iter().any(mentions_variable),
        Json::Object(members) => members.iter().any(|(_, value)| mentions_variable(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}
