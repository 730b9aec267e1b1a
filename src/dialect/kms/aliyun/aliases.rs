//! CreateAlias, UpdateAlias, DeleteAlias, ListAliases, ListAliasesByKeyId.

use serde_json::{Value, json};

use crate::kms::embedded::AliasName;
use crate::kms::{KeyRef, Principal};

use super::api::AliyunApi;
use super::error::Fault;
use super::values::Values;

impl AliyunApi {
    pub(super) async fn create_alias(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["AliasName", "KeyId"])?;
        let key = self.place.key(asked.required("KeyId")?);
        self.keystore.create_alias(by, name(asked)?, &key).await.map_err(Fault::of_change)?;
        Ok(json!({}))
    }

    pub(super) async fn update_alias(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["AliasName", "KeyId"])?;
        let key = self.place.key(asked.required("KeyId")?);
        self.keystore.update_alias(by, name(asked)?, &key).await?;
        Ok(json!({}))
    }

    pub(super) async fn delete_alias(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["AliasName"])?;
        self.keystore.delete_alias(by, name(asked)?).await?;
        Ok(json!({}))
    }

    pub(super) fn list_aliases_by_key_id(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        let key = self.place.key(asked.required("KeyId")?);
        self.list_aliases(by, asked, Some(&key))
    }

    pub(super) fn list_aliases(
        &self,
        by: &Principal,
        asked: &Values<'_>,
        key: Option<&KeyRef>,
    ) -> Result<Value, Fault> {
        let of_key: &[&str] =
            if key.is_some() { &["KeyId", "PageNumber", "PageSize"] } else { &["PageNumber", "PageSize"] };
        asked.only(of_key)?;
        let page = asked.page()?;
        let (rows, total) = self.keystore.window_of_aliases(by, key, page.skip(), page.size)?;
        let row = |alias: &crate::kms::embedded::AliasDescription| {
            json!({
                "AliasName": alias.name.to_string(), "AliasArn": self.place.alias_arn(&alias.name),
                "KeyId": alias.target.to_string(),
            })
        };
        let rows: Vec<Value> = rows.iter().map(row).collect();
        Ok(json!({
            "Aliases": { "Alias": rows }, "TotalCount": total, "PageNumber": page.number, "PageSize": page.size,
        }))
    }
}

fn name(asked: &Values<'_>) -> Result<AliasName, Fault> {
    asked.required("AliasName")?.parse().map_err(|()| Fault::parameter("AliasName"))
}
