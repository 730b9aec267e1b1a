//! Rotation: EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kms::embedded::VersionCause;
use crate::kms::{KeyRef, Principal};

use super::api::{KmsApi, seconds};
use super::error::Fault;
use super::keys::OfKey;
use super::pages::{List, invalid_marker, limit, listing};

/// How long a version wraps, in days, when the request does not say it.
const DEFAULT_PERIOD: u16 = 365;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EnableKeyRotation {
    key_id: String,
    rotation_period_in_days: Option<u32>,
}

impl KmsApi {
    pub(super) async fn enable_key_rotation(&self, by: &Principal, asked: EnableKeyRotation) -> Result<Value, Fault> {
        let days = asked.rotation_period_in_days.map_or(Ok(DEFAULT_PERIOD), u16::try_from);
        let days = days.ok().filter(|days| (90..=2560).contains(days));
        let days =
            days.ok_or_else(|| Fault::new("ValidationException", "RotationPeriodInDays must be between 90 and 2560"))?;
        self.keystore.enable_rotation(by, &KeyRef(asked.key_id), days).await?;
        Ok(json!({}))
    }

    pub(super) async fn disable_key_rotation(&self, by: &Principal, asked: OfKey) -> Result<Value, Fault> {
        self.keystore.disable_rotation(by, &KeyRef(asked.key_id)).await?;
        Ok(json!({}))
    }

    pub(super) fn get_key_rotation_status(&self, by: &Principal, asked: OfKey) -> Result<Value, Fault> {
        let status = self.keystore.rotation_status(by, &KeyRef(asked.key_id))?;
        let mut value = json!({ "KeyId": status.key.0, "KeyRotationEnabled": status.automatic.is_some() });
        if let Some((days, next)) = status.automatic {
            value["RotationPeriodInDays"] = json!(days);
            value["NextRotationDate"] = seconds(next);
        }
        Ok(value)
    }

    pub(super) async fn rotate_key_on_demand(&self, by: &Principal, asked: OfKey) -> Result<Value, Fault> {
        let (key, _) = self.keystore.rotate_on_demand(by, &KeyRef(asked.key_id)).await?;
        Ok(json!({ "KeyId": key.0 }))
    }

    pub(super) fn list_key_rotations(&self, by: &Principal, asked: List) -> Result<Value, Fault> {
        // The first version is no rotation, so a listing begins after it.
        let after = asked.marker.as_deref().map_or(Ok(1), str::parse).map_err(|_| invalid_marker())?;
        let key = KeyRef(asked.key_id.ok_or_else(|| Fault::new("ValidationException", "KeyId is required"))?);
        let (id, page) = self.keystore.list_versions(by, &key, after.max(1), limit(asked.limit, 100)?)?;
        let row = |version: &crate::kms::embedded::VersionRow| {
            let cause = match version.cause {
                VersionCause::First | VersionCause::OnDemand => "ON_DEMAND",
                VersionCause::Automatic => "AUTOMATIC",
            };
            json!({ "KeyId": id.to_string(), "RotationDate": seconds(version.created), "RotationType": cause })
        };
        let next = page.items.last().map(|version| version.number.to_string());
        Ok(listing("Rotations", page.items.iter().map(row).collect(), next.filter(|_| page.truncated)))
    }
}
