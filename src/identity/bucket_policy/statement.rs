//! One statement of a policy.

use super::condition::Condition;
use super::json::Json;
use super::{Malformed, Question, object, pattern, scalars};

/// The actions that S3 knows on buckets and objects, in lower case; a pattern that matches none of them is a mistake.
const ACTIONS: &str = "abortmultipartupload bypassgovernanceretention createbucket deletebucket deletebucketpolicy \
    deletebucketwebsite deleteobject deleteobjecttagging deleteobjectversion deleteobjectversiontagging \
    getaccelerateconfiguration getanalyticsconfiguration getbucketacl getbucketcors getbucketlocation \
    getbucketlogging getbucketnotification getbucketobjectlockconfiguration getbucketownershipcontrols \
    getbucketpolicy getbucketpolicystatus getbucketpublicaccessblock getbucketrequestpayment getbuckettagging \
    getbucketversioning getbucketwebsite getencryptionconfiguration getinventoryconfiguration \
    getlifecycleconfiguration getmetricsconfiguration getobject getobjectacl getobjectattributes \
    getobjectlegalhold getobjectretention getobjecttagging getobjecttorrent getobjectversion getobjectversionacl \
    getobjectversionattributes getobjectversiontagging getreplicationconfiguration listbucket \
    listbucketmultipartuploads listbucketversions listmultipartuploadparts putaccelerateconfiguration \
    putanalyticsconfiguration putbucketacl putbucketcors putbucketlogging putbucketnotification \
    putbucketobjectlockconfiguration putbucketownershipcontrols putbucketpolicy putbucketpublicaccessblock \
    putbucketrequestpayment putbuckettagging putbucketversioning putbucketwebsite putencryptionconfiguration \
    putinventoryconfiguration putlifecycleconfiguration putmetricsconfiguration putobject putobjectacl \
    putobjectlegalhold putobjectretention putobjecttagging putobjectversionacl putobjectversiontagging \
    putreplicationconfiguration restoreobject";

/// Patterns, and whether a request must match one of them or none (`NotAction`, `NotResource`).
#[derive(Debug, Clone, PartialEq)]
struct Patterns {
    negated: bool,
    patterns: Vec<String>,
}

impl Patterns {
    fn accepts(&self, text: &str) -> bool {
        self.negated != self.patterns.iter().any(|pattern| pattern::matches(pattern, text))
    }
}

/// Whom a statement is about.
#[derive(Debug, Clone, PartialEq)]
struct Principals {
    negated: bool,
    everyone: bool,
    users: Vec<String>,
}

impl Principals {
    fn accepts(&self, principal: Option<&str>) -> bool {
        let named = principal.is_some_and(|principal| self.users.iter().any(|user| user == principal));
        self.negated != (self.everyone || named)
    }

    fn parse(json: &Json, negated: bool) -> Result<Self, Malformed> {
        let wrong = || Malformed("Invalid principal in policy".to_owned());
        let names = match json {
            Json::Text(text) if text == "*" => vec![text.clone()],
            Json::Object(members) => match members.as_slice() {
                [(kind, names)] if kind == "AWS" => scalars(names, "Principal")?,
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        let everyone = names.iter().any(|name| name == "*");
        let users: Vec<_> = names.into_iter().filter(|name| name != "*").collect();
        // An account means other things in a grant than in a denial, and here a bucket is a user's: only users are named.
        let known = |name: &String| user_of(name).is_some_and(|(_, user)| !user.is_empty() && !pattern::is_wild(name));
        if !users.iter().all(known) || !everyone && users.is_empty() || negated && everyone {
            return Err(wrong());
        }
        Ok(Self { negated, everyone, users })
    }
}

/// The account and the name in a user's ARN.
fn user_of(arn: &str) -> Option<(&str, &str)> {
    arn.strip_prefix("arn:aws:iam::")?.split_once(":user/")
}

/// A statement: who, what, where and when, and whether that is allowed or denied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    deny: bool,
    principals: Principals,
    actions: Patterns,
    resources: Patterns,
    conditions: Vec<Condition>,
}

impl Statement {
    pub(super) fn parse(json: &Json) -> Result<Self, Malformed> {
        let (mut deny, mut principals, mut actions, mut resources) = (None, None, None, None);
        let mut conditions = Vec::new();
        let mut twice = false;
        for (name, value) in object(json, "Statement")? {
            match (name.as_str(), value) {
                ("Sid", Json::Text(_)) => {}
                ("Effect", Json::Text(effect)) if effect == "Allow" => deny = Some(false),
                ("Effect", Json::Text(effect)) if effect == "Deny" => deny = Some(true),
                ("Effect", _) => return Err(Malformed("Invalid effect".to_owned())),
                ("Principal" | "NotPrincipal", value) => {
                    twice |= principals.replace(Principals::parse(value, name.starts_with("Not"))?).is_some();
                }
                ("Action" | "NotAction", value) => twice |= actions.replace(parse_actions(name, value)?).is_some(),
                ("Resource" | "NotResource", value) => {
                    twice |= resources.replace(parse_resources(name, value)?).is_some();
                }
                ("Condition", value) => conditions = Condition::parse_all(value)?,
                (other, _) => return Err(Malformed(format!("Unknown or invalid field {other}"))),
            }
        }
        if twice {
            return Err(Malformed("Statement has an element and its negation".to_owned()));
        }
        let missing = |field: &str| Malformed(format!("Missing required field {field}"));
        Ok(Self {
            deny: deny.ok_or_else(|| missing("Effect"))?,
            principals: principals.ok_or_else(|| missing("Principal"))?,
            actions: actions.ok_or_else(|| missing("Action"))?,
            resources: resources.ok_or_else(|| missing("Resource"))?,
            conditions,
        })
    }

    pub(super) fn belongs_to(&self, bucket: &str, account: &str) -> Result<(), Malformed> {
        let inside = |resource: &String| {
            let rest = resource.strip_prefix("arn:aws:s3:::").and_then(|rest| rest.strip_prefix(bucket));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '*']))
        };
        if !self.resources.patterns.iter().all(inside) {
            return Err(Malformed("Policy has invalid resource".to_owned()));
        }
        if !self.principals.users.iter().all(|user| user_of(user).is_some_and(|(of, _)| of == account)) {
            return Err(Malformed("Invalid principal in policy".to_owned()));
        }
        Ok(())
    }

    pub(super) fn is_about(&self, question: &Question<'_>) -> bool {
        self.principals.accepts(question.principal)
            && self.actions.accepts(&question.action.to_ascii_lowercase())
            && self.resources.accepts(question.resource)
            && self.conditions.iter().all(|condition| condition.holds(question.context))
    }

    pub(super) fn denies(&self) -> bool {
        self.deny
    }

    pub(super) fn is_public(&self) -> bool {
        !self.deny
            && (self.principals.everyone || self.principals.negated)
            && !self.conditions.iter().any(Condition::keeps_the_public_out)
    }
}

fn parse_actions(name: &str, json: &Json) -> Result<Patterns, Malformed> {
    let patterns: Vec<_> = scalars(json, name)?.iter().map(|action| action.to_ascii_lowercase()).collect();
    let known = |action: &String| {
        action == "*"
            || action
                .strip_prefix("s3:")
                .is_some_and(|verb| ACTIONS.split_ascii_whitespace().any(|action| pattern::matches(verb, action)))
    };
    if patterns.is_empty() || !patterns.iter().all(known) {
        return Err(Malformed("Policy has invalid action".to_owned()));
    }
    Ok(Patterns { negated: name.starts_with("Not"), patterns })
}

fn parse_resources(name: &str, json: &Json) -> Result<Patterns, Malformed> {
    let patterns = scalars(json, name)?;
    if patterns.is_empty() || !patterns.iter().all(|arn| arn.len() > 13 && arn.starts_with("arn:aws:s3:::")) {
        return Err(Malformed("Policy has invalid resource".to_owned()));
    }
    Ok(Patterns { negated: name.starts_with("Not"), patterns })
}
