//! CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion, UpdateKeyDescription.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kms::embedded::{Expiry, KeyDescription, KeyOrigin, KeyState, NewKey, Tag, version_id};
use crate::kms::{KeyRef, Principal};
use crate::types::ACCOUNT;

use super::api::AliyunApi;
use super::error::Fault;
use super::values::{Values, shown};
use super::versions::interval;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SentTag {
    tag_key: String,
    #[serde(default)]
    tag_value: String,
}

impl AliyunApi {
    pub(super) async fn create_key(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&[
            "Description",
            "EnableAutomaticRotation",
            "KeySpec",
            "KeyUsage",
            "Origin",
            "ProtectionLevel",
            "RotationInterval",
            "Tags",
        ])?;
        for (name, only) in
            [("KeySpec", "Aliyun_AES_256"), ("KeyUsage", "ENCRYPT/DECRYPT"), ("ProtectionLevel", "SOFTWARE")]
        {
            if asked.get(name).is_some_and(|value| value != only) {
                return Err(Fault::unsupported(&format!("{name} must be {only}.")));
            }
        }
        let origin = match asked.get("Origin") {
            None | Some("Aliyun_KMS") => KeyOrigin::Service,
            Some("EXTERNAL") => KeyOrigin::External,
            Some(_) => return Err(Fault::parameter("Origin")),
        };
        let rotation = match asked.flag("EnableAutomaticRotation")? {
            Some(true) if origin == KeyOrigin::External => return Err(Fault::parameter("EnableAutomaticRotation")),
            Some(true) => Some(interval(asked.required("RotationInterval")?)?),
            _ => None,
        };
        let tags = match asked.get("Tags") {
            None => Vec::new(),
            Some(text) => {
                let sent: Vec<SentTag> = serde_json::from_str(text).map_err(|_| Fault::parameter("Tags"))?;
                sent.into_iter().map(|tag| Tag { key: tag.tag_key, value: tag.tag_value }).collect()
            }
        };
        let description = asked.get("Description").unwrap_or_default().to_owned();
        let new = NewKey { origin, description, tags, policy: None };
        let made = self.keystore.create_key(by, new).await?;
        let key = KeyRef(made.id.to_string());
        if let Some(days) = rotation {
            self.keystore.enable_rotation(by, &key, days).await?;
        }
        self.described(by, &key).await
    }

    pub(super) async fn describe_key(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["KeyId"])?;
        self.described(by, &self.place.key(asked.required("KeyId")?)).await
    }

    async fn described(&self, by: &Principal, key: &KeyRef) -> Result<Value, Fault> {
        let described = self.keystore.describe_key(by, key).await?;
        Ok(json!({ "KeyMetadata": self.metadata(&described) }))
    }

    fn metadata(&self, key: &KeyDescription) -> Value {
        let state = match key.state {
            KeyState::Enabled => "Enabled",
            KeyState::Disabled => "Disabled",
            KeyState::PendingDeletion => "PendingDeletion",
            KeyState::PendingImport => "PendingImport",
        };
        let origin = match key.origin {
            KeyOrigin::Service => "Aliyun_KMS",
            KeyOrigin::External => "EXTERNAL",
        };
        // Rotation rests while the key cannot be used, and goes on when it can.
        let automatic = match (key.rotation, key.state) {
            (None, _) => "Disabled",
            (Some(_), KeyState::Enabled) => "Enabled",
            (Some(_), _) => "Suspended",
        };
        let mut value = json!({
            "KeyId": key.id.to_string(), "Arn": self.place.key_arn(key.id), "Creator": ACCOUNT,
            "CreationDate": shown(key.created), "Description": key.description, "KeyState": state,
            "KeySpec": "Aliyun_AES_256", "KeyUsage": "ENCRYPT/DECRYPT", "Origin": origin, "ProtectionLevel": "SOFTWARE",
            "AutomaticRotation": automatic, "DeletionProtection": "Disabled",
        });
        if let Some((number, created)) = key.current {
            value["PrimaryKeyVersion"] = json!(version_id(key.id, number));
            value["LastRotationDate"] = json!(shown(created));
        }
        if let Some((days, next)) = key.rotation {
            value["RotationInterval"] = json!(format!("{}s", u64::from(days) * 86_400));
            value["NextRotationDate"] = json!(shown(next));
        }
        if let Some(deletion) = key.deletion {
            value["DeleteDate"] = json!(shown(deletion));
        }
        if let Some(Expiry::At(end)) = key.expiry {
            value["MaterialExpireTime"] = json!(shown(end));
        }
        value
    }

    pub(super) fn list_keys(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["PageNumber", "PageSize"])?;
        let page = asked.page()?;
        let (rows, total) = self.keystore.window_of_keys(by, page.skip(), page.size);
        let row = |key: &crate::kms::embedded::KeyRow| json!({ "KeyId": key.id.to_string(), "KeyArn": self.place.key_arn(key.id) });
        let rows: Vec<Value> = rows.iter().map(row).collect();
        Ok(json!({ "Keys": { "Key": rows }, "TotalCount": total, "PageNumber": page.number, "PageSize": page.size }))
    }

    pub(super) async fn enable_key(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        let key = self.of_key(asked)?;
        self.keystore.enable_key(by, &key).await.map_err(Fault::of_change)?;
        Ok(json!({}))
    }

    pub(super) async fn disable_key(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        let key = self.of_key(asked)?;
        self.keystore.disable_key(by, &key).await.map_err(Fault::of_change)?;
        Ok(json!({}))
    }

    pub(super) async fn schedule_key_deletion(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["KeyId", "PendingWindowInDays"])?;
        let key = self.place.key(asked.required("KeyId")?);
        let days = asked.number("PendingWindowInDays")?.ok_or_else(|| Fault::missing("PendingWindowInDays"))?;
        let days = u32::try_from(days).ok().filter(|days| (7..=366).contains(days));
        let days = days.ok_or_else(|| Fault::parameter("PendingWindowInDays"))?;
        self.keystore.schedule_deletion(by, &key, days).await.map_err(Fault::of_change)?;
        Ok(json!({}))
    }

    pub(super) async fn cancel_key_deletion(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        let key = self.of_key(asked)?;
        // Here a key that is kept is usable again, where AWS leaves it disabled.
        self.keystore.cancel_deletion(by, &key, KeyState::Enabled).await.map_err(Fault::of_change)?;
        Ok(json!({}))
    }

    pub(super) async fn update_key_description(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["KeyId", "Description"])?;
        let key = self.place.key(asked.required("KeyId")?);
        let description = asked.get("Description").unwrap_or_default().to_owned();
        self.keystore.update_description(by, &key, description).await?;
        Ok(json!({}))
    }

    /// The one parameter of many operations.
    pub(super) fn of_key(&self, asked: &Values<'_>) -> Result<KeyRef, Fault> {
        asked.only(&["KeyId"])?;
        Ok(self.place.key(asked.required("KeyId")?))
    }
}
