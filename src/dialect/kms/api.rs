//! The operations: JSON in, JSON out.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::identity::AuthError;
use crate::kms::embedded::{AliasName, EmbeddedKms, KeyDescription, KeyOrigin, KeyState, NewKey, Tag};
use crate::kms::{EncryptionContext, KeyRef, Principal};

use super::error::Fault;

/// The longest request body in bytes.
pub const MAX_BODY: usize = 64 << 10;
const SERVICE: &str = "TrentService.";
const MAX_PAGE: usize = 1000;
const DEFAULT_PAGE: usize = 100;

/// Whether an `X-Amz-Target` header names this service.
#[must_use]
pub fn is_target(target: &str) -> bool {
    target.starts_with(SERVICE)
}

/// An answer: its status and its JSON, which is wiped on drop since it may hold a key.
#[derive(Debug)]
pub struct KmsReply {
    /// The HTTP status.
    pub status: u16,
    /// The body, `application/x-amz-json-1.1`.
    pub json: Zeroizing<Vec<u8>>,
}

/// The API over a keystore.
#[derive(Debug)]
pub struct KmsApi {
    keystore: Arc<EmbeddedKms>,
}

impl KmsApi {
    /// An API over this keystore.
    #[must_use]
    pub fn new(keystore: Arc<EmbeddedKms>) -> Self {
        Self { keystore }
    }

    /// Answers one call of an authenticated user. Every failure is an answer too.
    pub async fn call(&self, principal: &Principal, target: &str, body: &[u8]) -> KmsReply {
        match self.dispatch(principal, target.strip_prefix(SERVICE).unwrap_or_default(), body).await {
            Ok(value) => reply(200, &value),
            Err(fault) => refuse(&fault),
        }
    }

    /// The answer to whom nobody knows.
    #[must_use]
    pub fn unauthenticated(name: &'static str, message: &str) -> KmsReply {
        refuse(&Fault::new(name, message))
    }

    /// The answer to a request whose signature is not what it should be.
    #[must_use]
    pub fn unverified(error: &AuthError) -> KmsReply {
        refuse(&Fault::from(error))
    }

    async fn dispatch(&self, principal: &Principal, operation: &str, body: &[u8]) -> Result<Value, Fault> {
        match operation {
            "CreateAlias" => self.create_alias(principal, read(body)?).await,
            "CreateKey" => self.create_key(principal, read(body)?).await,
            "Decrypt" => self.decrypt(principal, read(body)?).await,
            "DescribeKey" => {
                let asked: OfKey = read(body)?;
                let key = self.keystore.describe_key(principal, &KeyRef(asked.key_id)).await?;
                Ok(json!({ "KeyMetadata": metadata(&key) }))
            }
            "DisableKey" => {
                let asked: OfKey = read(body)?;
                self.keystore.disable_key(principal, &KeyRef(asked.key_id)).await?;
                Ok(json!({}))
            }
            "EnableKey" => {
                let asked: OfKey = read(body)?;
                self.keystore.enable_key(principal, &KeyRef(asked.key_id)).await?;
                Ok(json!({}))
            }
            "Encrypt" => self.encrypt(principal, read(body)?).await,
            "GenerateDataKey" => self.generate_data_key(principal, read(body)?).await,
            "ListAliases" => self.list_aliases(principal, read(body)?),
            "ListKeys" => self.list_keys(principal, read(body)?),
            other => Err(Fault::new("UnknownOperationException", format!("{other} is not implemented"))),
        }
    }

    async fn create_key(&self, principal: &Principal, asked: CreateKey) -> Result<Value, Fault> {
        let unsupported =
            |what: &str| Err(Fault::new("UnsupportedOperationException", format!("{what} is not supported")));
        if asked.key_usage.is_some_and(|usage| usage != "ENCRYPT_DECRYPT") {
            return unsupported("another KeyUsage than ENCRYPT_DECRYPT");
        }
        if asked.key_spec.or(asked.customer_master_key_spec).is_some_and(|spec| spec != "SYMMETRIC_DEFAULT") {
            return unsupported("another KeySpec than SYMMETRIC_DEFAULT");
        }
        if asked.origin.is_some_and(|origin| origin != "AWS_KMS") {
            return unsupported("another Origin than AWS_KMS");
        }
        if asked.multi_region == Some(true) {
            return unsupported("MultiRegion");
        }
        if asked.policy.is_some() {
            return unsupported("Policy");
        }
        let description = asked.description.unwrap_or_default();
        if description.chars().count() > 8192 {
            return Err(Fault::new("ValidationException", "Description has more than 8192 characters"));
        }
        if asked.tags.len() > 50 {
            return Err(Fault::new("LimitExceededException", "more than 50 tags"));
        }
        let tags = asked.tags.into_iter().map(|tag| Tag { key: tag.tag_key, value: tag.tag_value }).collect();
        let key = self.keystore.create_key(principal, NewKey { description, tags }).await?;
        Ok(json!({ "KeyMetadata": metadata(&key) }))
    }

    async fn create_alias(&self, principal: &Principal, asked: CreateAlias) -> Result<Value, Fault> {
        let name = asked.alias_name.parse::<AliasName>().map_err(|()| {
            Fault::new("ValidationException", "AliasName must be alias/ and 1 to 250 of [a-zA-Z0-9/_-]")
        })?;
        self.keystore.create_alias(principal, name, &KeyRef(asked.target_key_id)).await?;
        Ok(json!({}))
    }

    fn list_keys(&self, principal: &Principal, asked: List) -> Result<Value, Fault> {
        let after = asked.marker.as_deref().map(str::parse).transpose().map_err(|()| invalid_marker())?;
        let page = self.keystore.list_keys(principal, after, limit(asked.limit)?);
        let rows = page.items.iter().map(|key| json!({ "KeyId": key.id.to_string(), "KeyArn": key.arn.0 }));
        let next = page.items.last().map(|key| key.id.to_string());
        Ok(listing("Keys", rows.collect(), next.filter(|_| page.truncated)))
    }

    fn list_aliases(&self, principal: &Principal, asked: List) -> Result<Value, Fault> {
        let after: Option<AliasName> =
            asked.marker.as_deref().map(str::parse).transpose().map_err(|()| invalid_marker())?;
        let key = asked.key_id.map(KeyRef);
        let page = self.keystore.list_aliases(principal, key.as_ref(), after.as_ref(), limit(asked.limit)?)?;
        let row = |alias: &crate::kms::embedded::AliasDescription| {
            json!({
                "AliasName": alias.name.to_string(), "AliasArn": alias.arn, "TargetKeyId": alias.target.to_string(),
                "CreationDate": seconds(alias.created), "LastUpdatedDate": seconds(alias.updated),
            })
        };
        let next = page.items.last().map(|alias| alias.name.to_string());
        Ok(listing("Aliases", page.items.iter().map(row).collect(), next.filter(|_| page.truncated)))
    }

    async fn generate_data_key(&self, principal: &Principal, asked: GenerateDataKey) -> Result<Value, Fault> {
        let len = match (asked.key_spec.as_deref(), asked.number_of_bytes) {
            (Some("AES_256"), None) => 32,
            (Some("AES_128"), None) => 16,
            (None, Some(len)) => len,
            _ => {
                let text = "give either KeySpec (AES_256 or AES_128) or NumberOfBytes";
                return Err(Fault::new("ValidationException", text));
            }
        };
        let context = EncryptionContext(asked.encryption_context);
        let made = self.keystore.generate(principal, &KeyRef(asked.key_id), len, &context).await?;
        Ok(json!({
            "KeyId": made.key.0, "Plaintext": BASE64.encode(&*made.plaintext),
            "CiphertextBlob": BASE64.encode(&made.ciphertext),
        }))
    }

    async fn encrypt(&self, principal: &Principal, asked: Encrypt) -> Result<Value, Fault> {
        symmetric(asked.encryption_algorithm.as_deref())?;
        let sent = Zeroizing::new(asked.plaintext);
        let plaintext = Zeroizing::new(blob("Plaintext", &sent)?);
        let context = EncryptionContext(asked.encryption_context);
        let (key, blob) = self.keystore.encrypt(principal, &KeyRef(asked.key_id), &plaintext, &context).await?;
        Ok(json!({
            "KeyId": key.0, "CiphertextBlob": BASE64.encode(blob), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    async fn decrypt(&self, principal: &Principal, asked: Decrypt) -> Result<Value, Fault> {
        symmetric(asked.encryption_algorithm.as_deref())?;
        let ciphertext = blob("CiphertextBlob", &asked.ciphertext_blob)?;
        let context = EncryptionContext(asked.encryption_context);
        let expected = asked.key_id.map(KeyRef);
        let (key, plaintext) = self.keystore.decrypt(principal, expected.as_ref(), &ciphertext, &context).await?;
        Ok(json!({
            "KeyId": key.0, "Plaintext": BASE64.encode(&*plaintext), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfKey {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateKey {
    description: Option<String>,
    key_usage: Option<String>,
    key_spec: Option<String>,
    customer_master_key_spec: Option<String>,
    origin: Option<String>,
    multi_region: Option<bool>,
    policy: Option<String>,
    #[serde(default)]
    tags: Vec<SentTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SentTag {
    tag_key: String,
    tag_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateAlias {
    alias_name: String,
    target_key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    key_id: Option<String>,
    limit: Option<usize>,
    marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt {
    key_id: String,
    plaintext: String,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt {
    key_id: Option<String>,
    ciphertext_blob: String,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = if body.is_empty() { b"{}" } else { body };
    // The parser's words could quote a plaintext: they are not passed on.
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "ValidationException" } else { "SerializationException" };
        Fault::new(what, "the request is not valid JSON of this operation's shape")
    })
}

fn blob(name: &str, text: &str) -> Result<Vec<u8>, Fault> {
    BASE64.decode(text).map_err(|_| Fault::new("SerializationException", format!("{name} is not base64")))
}

fn symmetric(algorithm: Option<&str>) -> Result<(), Fault> {
    match algorithm {
        None | Some("SYMMETRIC_DEFAULT") => Ok(()),
        Some(_) => Err(Fault::new("InvalidKeyUsageException", "the key supports SYMMETRIC_DEFAULT only")),
    }
}

fn limit(asked: Option<usize>) -> Result<usize, Fault> {
    match asked {
        None => Ok(DEFAULT_PAGE),
        Some(limit @ 1..=MAX_PAGE) => Ok(limit),
        Some(_) => Err(Fault::new("ValidationException", "Limit must be between 1 and 1000")),
    }
}

fn invalid_marker() -> Fault {
    Fault::new("InvalidMarkerException", "the marker is not one that this service gave")
}

fn listing(name: &str, rows: Vec<Value>, next: Option<String>) -> Value {
    let mut value = json!({ name: rows, "Truncated": next.is_some() });
    if let Some(next) = next {
        value["NextMarker"] = Value::String(next);
    }
    value
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
    if let Some(deletion) = key.deletion {
        value["DeletionDate"] = seconds(deletion);
    }
    value
}

/// Seconds since 1970 with three decimals, as the protocol writes times.
fn seconds(at: crate::types::Timestamp) -> Value {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds stay exact in a double for 285,000 years")]
    let seconds = at.0 as f64 / 1000.0;
    json!(seconds)
}

fn refuse(fault: &Fault) -> KmsReply {
    reply(fault.status, &json!({ "__type": fault.name, "message": fault.message }))
}

fn reply(status: u16, value: &Value) -> KmsReply {
    KmsReply { status, json: Zeroizing::new(value.to_string().into_bytes()) }
}
