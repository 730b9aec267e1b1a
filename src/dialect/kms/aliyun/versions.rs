//! UpdateRotationPolicy, CreateKeyVersion, ListKeyVersions, DescribeKeyVersion. A version's id here is a UUID that follows
//! from the key's and the version's number.

use serde_json::{Value, json};

use crate::kms::Principal;
use crate::kms::embedded::{KeyId, VersionRow, version_id};

use super::api::AliyunApi;
use super::error::Fault;
use super::values::{Values, shown};

/// More versions than a key can have.
const ALL: usize = 100_000;

impl AliyunApi {
    pub(super) async fn update_rotation_policy(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["KeyId", "EnableAutomaticRotation", "RotationInterval"])?;
        let key = self.place.key(asked.required("KeyId")?);
        let name = "EnableAutomaticRotation";
        if asked.flag(name)?.ok_or_else(|| Fault::missing(name))? {
            let days = interval(asked.required("RotationInterval")?)?;
            self.keystore.enable_rotation(by, &key, days).await?;
        } else {
            self.keystore.disable_rotation(by, &key).await?;
        }
        Ok(json!({}))
    }

    pub(super) async fn create_key_version(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        let key = self.of_key(asked)?;
        let (_, number) = self.keystore.rotate_on_demand(by, &key).await?;
        let (id, versions) = self.keystore.list_versions(by, &key, number.saturating_sub(1), 1)?;
        let made = versions.items.first().map(|version| row(id, version));
        Ok(json!({ "KeyVersion": made }))
    }

    pub(super) fn list_key_versions(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["KeyId", "PageNumber", "PageSize"])?;
        let (key, page) = (self.place.key(asked.required("KeyId")?), asked.page()?);
        let (id, versions) = self.keystore.list_versions(by, &key, 0, ALL)?;
        let rows = versions.items.iter().skip(page.skip()).take(page.size).map(|version| row(id, version));
        let rows: Vec<Value> = rows.collect();
        Ok(json!({
            "KeyVersions": { "KeyVersion": rows }, "TotalCount": versions.items.len(), "PageNumber": page.number,
            "PageSize": page.size,
        }))
    }

    pub(super) fn describe_key_version(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["KeyId", "KeyVersionId"])?;
        let (key, wanted) = (self.place.key(asked.required("KeyId")?), asked.required("KeyVersionId")?);
        let (id, versions) = self.keystore.list_versions(by, &key, 0, ALL)?;
        let found = versions.items.iter().find(|version| version_id(id, version.number) == wanted);
        let found = found.ok_or_else(|| {
            Fault::new(404, "Forbidden.KeyVersionNotFound", "The specified key version is not found.")
        })?;
        Ok(json!({ "KeyVersion": row(id, found) }))
    }
}

fn row(id: KeyId, version: &VersionRow) -> Value {
    json!({
        "KeyId": id.to_string(), "KeyVersionId": version_id(id, version.number), "CreationDate": shown(version.created),
    })
}

/// A rotation's period, `30d` or `2592000s`, in days: whole ones from 7 to 730.
pub(super) fn interval(text: &str) -> Result<u16, Fault> {
    let wrong = || Fault::parameter("RotationInterval");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| digits).and_then(|number| number.checked_mul(seconds));
    let days = seconds.filter(|seconds| seconds % 86_400 == 0).and_then(|seconds| u16::try_from(seconds / 86_400).ok());
    days.filter(|days| (7..=730).contains(days)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_whole_days_in_any_unit() {
        for (text, days) in [("7d", 7), ("604800s", 7), ("720h", 30), ("1051200m", 730)] {
            assert_eq!(interval(text).unwrap(), days);
        }
        for wrong in ["", "d", "7", "6d", "731d", "7.5d", "-7d", "+7d", "604801s", "7w", "99999999999999999999d", "七d"]
        {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
