//! Using keys: Encrypt, Decrypt, GenerateDataKey.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::kms::{EncryptionContext, KeyRef, Principal};

use super::api::KmsApi;
use super::error::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Encrypt {
    key_id: String,
    plaintext: String,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypt {
    key_id: Option<String>,
    ciphertext_blob: String,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

impl KmsApi {
    pub(super) async fn generate_data_key(&self, by: &Principal, asked: GenerateDataKey) -> Result<Value, Fault> {
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
        let made = self.keystore.generate(by, &KeyRef(asked.key_id), len, &context).await?;
        Ok(json!({
            "KeyId": made.key.0, "Plaintext": BASE64.encode(&*made.plaintext),
            "CiphertextBlob": BASE64.encode(&made.ciphertext),
        }))
    }

    pub(super) async fn encrypt(&self, by: &Principal, asked: Encrypt) -> Result<Value, Fault> {
        symmetric(asked.encryption_algorithm.as_deref())?;
        let sent = Zeroizing::new(asked.plaintext);
        let plaintext = Zeroizing::new(blob("Plaintext", &sent)?);
        let context = EncryptionContext(asked.encryption_context);
        let (key, blob) = self.keystore.encrypt(by, &KeyRef(asked.key_id), &plaintext, &context).await?;
        Ok(json!({
            "KeyId": key.0, "CiphertextBlob": BASE64.encode(blob), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    pub(super) async fn decrypt(&self, by: &Principal, asked: Decrypt) -> Result<Value, Fault> {
        symmetric(asked.encryption_algorithm.as_deref())?;
        let ciphertext = blob("CiphertextBlob", &asked.ciphertext_blob)?;
        let context = EncryptionContext(asked.encryption_context);
        let expected = asked.key_id.map(KeyRef);
        let (key, plaintext) = self.keystore.decrypt(by, expected.as_ref(), &ciphertext, &context).await?;
        Ok(json!({
            "KeyId": key.0, "Plaintext": BASE64.encode(&*plaintext), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }
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
