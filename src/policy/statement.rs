//! One statement of a policy.

use super::condition::Condition;
use super::json::Json;
use super::{Malformed, Question, Subject, object, pattern, scalars};

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
    putreplicationconfiguration restoreobject updateobjectencryption";

/// The actions that KMS knows, in lower case.
const KEY_ACTIONS: &str = "cancelkeydeletion connectcustomkeystore createalias createcustomkeystore creategrant createkey \
    decrypt deletealias deletecustomkeystore deleteimportedkeymaterial derivesharedsecret describecustomkeystores \
    describekey disablekey disablekeyrotation disconnectcustomkeystore enablekey enablekeyrotation encrypt \
    generatedatakey generatedatakeypair generatedatakeypairwithoutplaintext generatedatakeywithoutplaintext generatemac \
    generaterandom getkeypolicy getkeyrotationstatus getparametersforimport getpublickey importkeymaterial listaliases \
    listgrants listkeypolicies listkeyrotations listkeys listresourcetags listretirablegrants putkeypolicy reencryptfrom \
    reencryptto replicatekey retiregrant revokegrant rotatekeyondemand schedulekeydeletion sign \
    synchronizemultiregionkey tagresource untagresource updatealias updatecustomkeystore updatekeydescription \
    updateprimaryregion verify verifymac";

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
    /// Accounts by their numbers.
    accounts: Vec<String>,
}

impl Principals {
    /// What is denied to an account is denied to all in it; what is allowed to it, to those who speak for it.
    fn accepts(&self, question: &Question<'_>, deny: bool) -> bool {
        let named = question.principal.is_some_and(|principal| {
            let in_account =
                || account_of(principal).is_some_and(|of| self.accounts.iter().any(|account| account == of));
            self.users.iter().any(|user| user == principal) || (deny || question.speaks_for_account) && in_account()
        });
        self.negated != (self.everyone || named)
    }

    fn parse(json: &Json, negated: bool, subject: Subject) -> Result<Self, Malformed> {
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
        let (accounts, users): (Vec<_>, Vec<_>) =
            names.into_iter().filter(|name| name != "*").partition(|name| whole_account(name).is_some());
        // An account means other things in a grant than in a denial, and here a bucket is a user's: only users are named.
        // A key's policy names the account by custom, to say that the key's owner is not locked out.
        if !accounts.is_empty() && (subject == Subject::Bucket || negated) {
            return Err(wrong());
        }
        let accounts: Vec<_> = accounts.iter().filter_map(|name| whole_account(name)).map(str::to_owned).collect();
        let known = |name: &String| user_of(name).is_some_and(|(_, user)| !user.is_empty() && !pattern::is_wild(name));
        let nobody = !everyone && users.is_empty() && accounts.is_empty();
        if !users.iter().all(known) || nobody || negated && everyone {
            return Err(wrong());
        }
        Ok(Self { negated, everyone, users, accounts })
    }
}

/// The account and the name in a user's ARN.
fn user_of(arn: &str) -> Option<(&str, &str)> {
    arn.strip_prefix("arn:aws:iam::")?.split_once(":user/")
}

/// The account that a principal belongs to.
fn account_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:aws:iam::")?.split_once(':').map(|(account, _)| account)
}

/// The account that a name stands for as a whole: by its number, or by the ARN of its root.
fn whole_account(name: &str) -> Option<&str> {
    let number = match name.strip_prefix("arn:aws:iam::") {
        Some(rest) => rest.strip_suffix(":root")?,
        None => name,
    };
    (number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
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
    pub(super) fn parse(json: &Json, subject: Subject) -> Result<Self, Malformed> {
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
                    twice |= principals.replace(Principals::parse(value, name.starts_with("Not"), subject)?).is_some();
                }
                ("Action" | "NotAction", value) => {
                    twice |= actions.replace(parse_actions(name, value, subject)?).is_some()
                }
                ("Resource" | "NotResource", value) => {
                    twice |= resources.replace(parse_resources(name, value, subject)?).is_some();
                }
                ("Condition", value) => conditions = Condition::parse_all(value, subject)?,
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

    pub(super) fn belongs_to_key(&self, arn: &str, account: &str) -> Result<(), Malformed> {
        // "*" is this key, and AWS's own examples write nothing else.
        if self.resources.negated || !self.resources.patterns.iter().all(|pattern| pattern::matches(pattern, arn)) {
            return Err(Malformed("Policy has invalid resource".to_owned()));
        }
        let here = self.principals.users.iter().all(|user| user_of(user).is_some_and(|(of, _)| of == account));
        if !here || self.principals.accounts.iter().any(|of| of != account) {
            return Err(Malformed("Invalid principal in policy".to_owned()));
        }
        Ok(())
    }

    pub(super) fn is_about(&self, question: &Question<'_>) -> bool {
        self.principals.accepts(question, self.deny)
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

fn parse_actions(name: &str, json: &Json, subject: Subject) -> Result<Patterns, Malformed> {
    let patterns: Vec<_> = scalars(json, name)?.iter().map(|action| action.to_ascii_lowercase()).collect();
    let (service, actions) = match subject {
        Subject::Bucket => ("s3:", ACTIONS),
        Subject::Key => ("kms:", KEY_ACTIONS),
    };
    let known = |action: &String| {
        action == "*"
            || action
                .strip_prefix(service)
                .is_some_and(|verb| actions.split_ascii_whitespace().any(|action| pattern::matches(verb, action)))
    };
    if patterns.is_empty() || !patterns.iter().all(known) {
        return Err(Malformed("Policy has invalid action".to_owned()));
    }
    Ok(Patterns { negated: name.starts_with("Not"), patterns })
}

fn parse_resources(name: &str, json: &Json, subject: Subject) -> Result<Patterns, Malformed> {
    let patterns = scalars(json, name)?;
    let known = |arn: &String| match subject {
        Subject::Bucket => arn.len() > 13 && arn.starts_with("arn:aws:s3:::"),
        Subject::Key => arn == "*" || arn.starts_with("arn:aws:kms:"),
    };
    if patterns.is_empty() || !patterns.iter().all(known) {
        return Err(Malformed("Policy has invalid resource".to_owned()));
    }
    Ok(Patterns { negated: name.starts_with("Not"), patterns })
}
