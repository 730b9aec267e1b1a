//! Aliases: CreateAlias, UpdateAlias, DeleteAlias, ListAliases.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kms::embedded::{AliasDescription, AliasName};
use crate::kms::{KeyRef, Principal};

use super::api::{KmsApi, seconds};
use super::error::Fault;
use super::pages::{List, invalid_marker, limit, listing};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Naming {
    alias_name: String,
    target_key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfAlias {
    alias_name: String,
}

impl KmsApi {
    pub(super) async fn create_alias(&self, by: &Principal, asked: Naming) -> Result<Value, Fault> {
        self.keystore.create_alias(by, name(&asked.alias_name)?, &KeyRef(asked.target_key_id)).await?;
        Ok(json!({}))
    }

    pub(super) async fn update_alias(&self, by: &Principal, asked: Naming) -> Result<Value, Fault> {
        self.keystore.update_alias(by, name(&asked.alias_name)?, &KeyRef(asked.target_key_id)).await?;
        Ok(json!({}))
    }

    pub(super) async fn delete_alias(&self, by: &Principal, asked: OfAlias) -> Result<Value, Fault> {
        self.keystore.delete_alias(by, name(&asked.alias_name)?).await?;
        Ok(json!({}))
    }

    pub(super) fn list_aliases(&self, by: &Principal, asked: List) -> Result<Value, Fault> {
        let after: Option<AliasName> =
            asked.marker.as_deref().map(str::parse).transpose().map_err(|()| invalid_marker())?;
        let key = asked.key_id.map(KeyRef);
        let page = self.keystore.list_aliases(by, key.as_ref(), after.as_ref(), limit(asked.limit, 50)?)?;
        let row = |alias: &AliasDescription| {
            json!({
                "AliasName": alias.name.to_string(), "AliasArn": alias.arn, "TargetKeyId": alias.target.to_string(),
                "CreationDate": seconds(alias.created), "LastUpdatedDate": seconds(alias.updated),
            })
        };
        let next = page.items.last().map(|alias| alias.name.to_string());
        Ok(listing("Aliases", page.items.iter().map(row).collect(), next.filter(|_| page.truncated)))
    }
}

fn name(text: &str) -> Result<AliasName, Fault> {
    text.parse()
        .map_err(|()| Fault::new("ValidationException", "AliasName must be alias/ and 1 to 250 of [a-zA-Z0-9/_-]"))
}
