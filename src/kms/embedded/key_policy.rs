//! Key policies: what a CMK's owner says of who may administer it and who may use it.
//!
//! Without a policy the owner and root may do everything. With one, the policy alone decides, over the owner as well; root
//! may go on administering, so that no policy locks everybody out, but uses a key only where the policy lets it.
//! Source: KMS developer guide, "Key policies in AWS KMS".

use std::sync::Arc;

use serde_json::json;

#[cfg(doc)]
use crate::kms::Error;
use crate::kms::{KeyRef, Principal};
use crate::policy::{Context, Policy, Question, Verdict};

use super::admin::AdminError;
use super::keystore::{EmbeddedKms, Inner, open_material};
use super::record::KeyOrigin;
use super::rights::{Asker, Right, Via};
use super::state::Cmk;

/// A CMK's policy, ready to be asked.
#[derive(Debug, Clone)]
pub(super) enum KeyPolicy {
    /// None was put: the owner and root.
    Default,
    /// This one.
    Given(Arc<Policy>),
    /// One was put that this build does not understand: nobody uses the key until root has put another.
    Unreadable,
}

impl KeyPolicy {
    pub(super) fn of(document: Option<&str>) -> Self {
        match document.map(|document| Policy::parse_of_key(document.as_bytes())) {
            None => Self::Default,
            Some(Ok(policy)) => Self::Given(Arc::new(policy)),
            Some(Err(_)) => Self::Unreadable,
        }
    }
}

impl EmbeddedKms {
    /// A CMK's policy, or the default one written out.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn key_policy(&self, principal: &Principal, key: &KeyRef) -> Result<String, AdminError> {
        let cmk = self.inspect(Right::GetKeyPolicy, principal, key)?;
        Ok(cmk.record.policy.clone().unwrap_or_else(|| self.inner.default_policy()))
    }

    /// Says whether the caller may ask which policies a CMK has: always one, `default`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn may_list_policies(&self, principal: &Principal, key: &KeyRef) -> Result<(), AdminError> {
        self.inspect(Right::ListKeyPolicies, principal, key).map(drop)
    }

    /// Gives a CMK a policy. Durable when it returns, and in force for every call after. Unless `lockout` is accepted, the
    /// caller must be able to put another afterwards.
    ///
    /// # Errors
    /// [`AdminError::MalformedPolicy`], [`AdminError::ServiceManaged`]; [`Error::NotFound`], [`Error::Denied`],
    /// [`Error::PendingDeletion`].
    pub async fn put_key_policy(
        &self,
        principal: &Principal,
        key: &KeyRef,
        document: String,
        lockout: bool,
    ) -> Result<(), AdminError> {
        let by = principal.clone();
        let done = self.administer(Right::PutKeyPolicy, principal, key, move |inner, cmk| {
            if cmk.record.owner.is_none() {
                return Err(AdminError::ServiceManaged(cmk.record.arn.0.clone()));
            }
            inner.not_pending_deletion(cmk)?;
            let mut record = cmk.record.clone();
            record.policy = Some(document.clone());
            let changed = open_material(&inner.root, record)?;
            inner.check_policy(&by, &changed, &document, lockout)?;
            inner.keep(Arc::new(changed).into())
        });
        done.await
    }
}

impl Inner {
    /// # Errors
    /// [`AdminError::MalformedPolicy`].
    pub(super) fn check_policy(
        &self,
        by: &Principal,
        cmk: &Cmk,
        document: &str,
        lockout: bool,
    ) -> Result<(), AdminError> {
        let malformed = |error: crate::policy::Malformed| AdminError::MalformedPolicy(error.to_string());
        let policy = Policy::parse_of_key(document.as_bytes()).map_err(malformed)?;
        policy.belongs_to_key(&cmk.record.arn.0, &self.place.account).map_err(malformed)?;
        let asker = Asker::administrator(by);
        if !lockout && self.judge(&policy, &asker, Right::PutKeyPolicy, cmk) != Verdict::Allow {
            let text = "The new key policy will not allow you to update the key policy in the future.";
            return Err(AdminError::MalformedPolicy(text.to_owned()));
        }
        Ok(())
    }

    /// What a policy says to this.
    pub(super) fn judge(&self, policy: &Policy, asker: &Asker<'_>, right: Right, cmk: &Cmk) -> Verdict {
        let account = &self.place.account;
        let by = asker.principal;
        let user = by.user.as_str();
        let arn = if by.root {
            format!("arn:aws:iam::{account}:root")
        } else {
            format!("arn:aws:iam::{account}:user/{user}")
        };
        let mut context = Context::default();
        context.set("aws:PrincipalArn", arn.as_str());
        if !by.root {
            context.set("aws:username", user);
        }
        context.set("aws:CurrentTime", (self.clock.now().0 / 1000).to_string());
        context.set("kms:CallerAccount", account.as_str());
        let origin = match cmk.record.origin {
            KeyOrigin::Service => "AWS_KMS",
            KeyOrigin::External => "EXTERNAL",
        };
        context.set("kms:KeyOrigin", origin);
        if asker.via == Via::Gateway {
            context.set("kms:ViaService", format!("s3.{}.amazonaws.com", self.place.region));
        }
        for (name, value) in asker.context.iter().flat_map(|pairs| &pairs.0) {
            context.add(&format!("kms:EncryptionContext:{name}"), value.as_str());
            context.add("kms:EncryptionContextKeys", name.as_str());
        }
        policy.judge(&Question {
            principal: Some(&arn),
            action: &right.action(),
            resource: &cmk.record.arn.0,
            context: &context,
            speaks_for_account: by.root || cmk.record.owner.as_ref() == Some(&by.user),
        })
    }

    /// The policy that a CMK without one behaves by, as AWS KMS writes its default.
    fn default_policy(&self) -> String {
        let everything = json!({
            "Sid": "Enable IAM User Permissions", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Principal": { "AWS": format!("arn:aws:iam::{}:root", self.place.account) },
        });
        let policy = json!({ "Version": "2012-10-17", "Id": "key-default-1", "Statement": [everything] });
        format!("{policy:#}")
    }
}
