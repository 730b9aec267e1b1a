//! Key policies: GetKeyPolicy, PutKeyPolicy, ListKeyPolicies. A key has one, and it is called `default`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kms::{KeyRef, Principal};

use super::api::KmsApi;
use super::error::Fault;
use super::pages::List;

const NAME: &str = "default";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
    policy: String,
    #[serde(default)]
    bypass_policy_lockout_safety_check: bool,
}

impl KmsApi {
    pub(super) fn get_key_policy(&self, by: &Principal, asked: GetKeyPolicy) -> Result<Value, Fault> {
        named(asked.policy_name.as_deref())?;
        let document = self.keystore.key_policy(by, &KeyRef(asked.key_id))?;
        Ok(json!({ "Policy": document, "PolicyName": NAME }))
    }

    pub(super) async fn put_key_policy(&self, by: &Principal, asked: PutKeyPolicy) -> Result<Value, Fault> {
        named(asked.policy_name.as_deref())?;
        let lockout = asked.bypass_policy_lockout_safety_check;
        self.keystore.put_key_policy(by, &KeyRef(asked.key_id), asked.policy, lockout).await?;
        Ok(json!({}))
    }

    pub(super) fn list_key_policies(&self, by: &Principal, asked: List) -> Result<Value, Fault> {
        let key = KeyRef(asked.key_id.ok_or_else(|| Fault::new("ValidationException", "KeyId is required"))?);
        self.keystore.may_list_policies(by, &key)?;
        Ok(json!({ "PolicyNames": [NAME], "Truncated": false }))
    }
}

fn named(name: Option<&str>) -> Result<(), Fault> {
    match name {
        None | Some(NAME) => Ok(()),
        Some(_) => Err(Fault::new("NotFoundException", "No such policy exists")),
    }
}
