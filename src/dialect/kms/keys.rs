//! Keys and their states: CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kms::embedded::{Expiry, KeyDescription, KeyOrigin, KeyState, NewKey};
use crate::kms::{KeyRef, Principal};

use super::api::{KmsApi, seconds};
use super::error::Fault;
use super::pages::{List, invalid_marker, limit, listing};
use super::tags::SentTag;

/// How long a key waits for its deletion, in days, when the request does not say it.
const DEFAULT_WINDOW: u32 = 30;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfKey {
    pub(super) key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateKey {
    description: Option<String>,
    key_usage: Option<String>,
    key_spec: Option<String>,
    customer_master_key_spec: Option<String>,
    origin: Option<String>,
    multi_region: Option<bool>,
    policy: Option<String>,
    #[serde(default)]
    bypass_policy_lockout_safety_check: bool,
    #[serde(default)]
    tags: Vec<SentTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScheduleKeyDeletion {
    key_id: String,
    pending_window_in_days: Option<u32>,
}

impl KmsApi {
    pub(super) async fn create_key(&self, by: &Principal, asked: CreateKey) -> Result<Value, Fault> {
        let unsupported =
            |what: &str| Err(Fault::new("UnsupportedOperationException", format!("{what} is not supported")));
        if asked.key_usage.is_some_and(|usage| usage != "ENCRYPT_DECRYPT") {
            return unsupported("another KeyUsage than ENCRYPT_DECRYPT");
        }
        if asked.key_spec.or(asked.customer_master_key_spec).is_some_and(|spec| spec != "SYMMETRIC_DEFAULT") {
            return unsupported("another KeySpec than SYMMETRIC_DEFAULT");
        }
        let origin = match asked.origin.as_deref() {
            None | Some("AWS_KMS") => KeyOrigin::Service,
            Some("EXTERNAL") => KeyOrigin::External,
            Some(_) => return unsupported("another Origin than AWS_KMS and EXTERNAL"),
        };
        if asked.multi_region == Some(true) {
            return unsupported("MultiRegion");
        }
        let tags = asked.tags.into_iter().map(Into::into).collect();
        let policy = asked.policy.map(|document| (document, asked.bypass_policy_lockout_safety_check));
        let new = NewKey { origin, description: asked.description.unwrap_or_default(), tags, policy };
        let key = self.keystore.create_key(by, new).await?;
        Ok(json!({ "KeyMetadata": metadata(&key) }))
    }

    pub(super) async fn describe_key(&self, by: &Principal, asked: OfKey) -> Result<Value, Fault> {
        let key = self.keystore.describe_key(by, &KeyRef(asked.key_id)).await?;
        Ok(json!({ "KeyMetadata": metadata(&key) }))
    }

    pub(super) fn list_keys(&self, by: &Principal, asked: List) -> Result<Value, Fault> {
        let after = asked.marker.as_deref().map(str::parse).transpose().map_err(|()| invalid_marker())?;
        let page = self.keystore.list_keys(by, after, limit(asked.limit, 100)?);
        let rows = page.items.iter().map(|key| json!({ "KeyId": key.id.to_string(), "KeyArn": key.arn.0 }));
        let next = page.items.last().map(|key| key.id.to_string());
        Ok(listing("Keys", rows.collect(), next.filter(|_| page.truncated)))
    }

    pub(super) async fn enable_key(&self, by: &Principal, asked: OfKey) -> Result<Value, Fault> {
        self.keystore.enable_key(by, &KeyRef(asked.key_id)).await?;
        Ok(json!({}))
    }

    pub(super) async fn disable_key(&self, by: &Principal, asked: OfKey) -> Result<Value, Fault> {
        self.keystore.disable_key(by, &KeyRef(asked.key_id)).await?;
        Ok(json!({}))
    }

    pub(super) async fn schedule_key_deletion(
        &self,
        by: &Principal,
        asked: ScheduleKeyDeletion,
    ) -> Result<Value, Fault> {
        let days = asked.pending_window_in_days.unwrap_or(DEFAULT_WINDOW);
        if !(7..=30).contains(&days) {
            return Err(Fault::new("ValidationException", "PendingWindowInDays must be between 7 and 30"));
        }
        let scheduled = self.keystore.schedule_deletion(by, &KeyRef(asked.key_id), days).await?;
        Ok(json!({
            "KeyId": scheduled.key.0, "DeletionDate": seconds(scheduled.deletion), "KeyState": "PendingDeletion",
            "PendingWindowInDays": days,
        }))
    }

    pub(super) async fn cancel_key_deletion(&self, by: &Principal, asked: OfKey) -> Result<Value, Fault> {
        let key = self.keystore.cancel_deletion(by, &KeyRef(asked.key_id), KeyState::Disabled).await?;
        Ok(json!({ "KeyId": key.0 }))
    }
}

fn metadata(key: &KeyDescription) -> Value {
    let state = match key.state {
        KeyState::Enabled => "Enabled",
        KeyState::Disabled => "Disabled",
        KeyState::PendingDeletion => "PendingDeletion",
        KeyState::PendingImport => "PendingImport",
    };
    let origin = match key.origin {
        KeyOrigin::Service => "AWS_KMS",
        KeyOrigin::External => "EXTERNAL",
    };
    let mut value = json!({
        "AWSAccountId": key.arn.0.split(':').nth(4).unwrap_or_default(),
        "KeyId": key.id.to_string(), "Arn": key.arn.0, "CreationDate": seconds(key.created),
        "Enabled": key.state == KeyState::Enabled, "Description": key.description, "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": state, "Origin": origin, "KeyManager": if key.service_managed { "AWS" } else { "CUSTOMER" },
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false,
    });
    match key.expiry {
        None => {}
        Some(Expiry::Never) => value["ExpirationModel"] = json!("KEY_MATERIAL_DOES_NOT_EXPIRE"),
        Some(Expiry::At(end)) => {
            value["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
            value["ValidTo"] = seconds(end);
        }
    }
    if let Some(deletion) = key.deletion {
        value["DeletionDate"] = seconds(deletion);
    }
    value
}
