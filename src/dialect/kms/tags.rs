//! What an owner writes on a key: TagResource, UntagResource, ListResourceTags, UpdateKeyDescription.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kms::embedded::Tag;
use crate::kms::{KeyRef, Principal};

use super::api::KmsApi;
use super::error::Fault;
use super::pages::{List, limit, listing};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SentTag {
    tag_key: String,
    tag_value: String,
}

impl From<SentTag> for Tag {
    fn from(sent: SentTag) -> Self {
        Self { key: sent.tag_key, value: sent.tag_value }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagResource {
    key_id: String,
    tags: Vec<SentTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagResource {
    key_id: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateKeyDescription {
    key_id: String,
    description: String,
}

impl KmsApi {
    pub(super) async fn tag_resource(&self, by: &Principal, asked: TagResource) -> Result<Value, Fault> {
        let tags = asked.tags.into_iter().map(Tag::from).collect();
        self.keystore.tag_key(by, &KeyRef(asked.key_id), tags).await?;
        Ok(json!({}))
    }

    pub(super) async fn untag_resource(&self, by: &Principal, asked: UntagResource) -> Result<Value, Fault> {
        self.keystore.untag_key(by, &KeyRef(asked.key_id), asked.tag_keys).await?;
        Ok(json!({}))
    }

    pub(super) fn list_resource_tags(&self, by: &Principal, asked: List) -> Result<Value, Fault> {
        let key = KeyRef(asked.key_id.ok_or_else(|| Fault::new("ValidationException", "KeyId is required"))?);
        let page = self.keystore.list_tags(by, &key, asked.marker.as_deref(), limit(asked.limit, 50)?)?;
        let rows = page.items.iter().map(|tag| json!({ "TagKey": tag.key, "TagValue": tag.value }));
        let next = page.items.last().map(|tag| tag.key.clone());
        Ok(listing("Tags", rows.collect(), next.filter(|_| page.truncated)))
    }

    pub(super) async fn update_key_description(
        &self,
        by: &Principal,
        asked: UpdateKeyDescription,
    ) -> Result<Value, Fault> {
        self.keystore.update_description(by, &KeyRef(asked.key_id), asked.description).await?;
        Ok(json!({}))
    }
}
