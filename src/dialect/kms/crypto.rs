//! Using keys: Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::kms::embedded::{ReEncryptFrom, random_bytes};
use crate::kms::{EncryptionContext, KeyRef, Principal};

use super::api::KmsApi;
use super::error::Fault;

/// What every use may ask for beside its own.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct How {
    #[serde(default)]
    dry_run: bool,
    /// An attested enclave for which alone the answer is to be encrypted.
    recipient: Option<IgnoredAny>,
}

impl How {
    /// Answers in plaintext are not to be given where an enclave was to have them.
    fn check(&self) -> Result<(), Fault> {
        match self.recipient {
            None => Ok(()),
            Some(_) => Err(Fault::new("UnsupportedOperationException", "Recipient is not supported")),
        }
    }

    fn answer(&self, value: Value) -> Result<Value, Fault> {
        if self.dry_run {
            let text = "The request would have succeeded, but the DryRun option is set.";
            return Err(Fault { status: 412, ..Fault::new("DryRunOperationException", text) });
        }
        Ok(value)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateRandom {
    number_of_bytes: Option<usize>,
    custom_key_store_id: Option<IgnoredAny>,
    recipient: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReEncrypt {
    #[serde(flatten)]
    how: How,
    ciphertext_blob: String,
    source_key_id: Option<String>,
    destination_key_id: String,
    source_encryption_algorithm: Option<String>,
    destination_encryption_algorithm: Option<String>,
    #[serde(default)]
    source_encryption_context: BTreeMap<String, String>,
    #[serde(default)]
    destination_encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateDataKey {
    #[serde(flatten)]
    how: How,
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Encrypt {
    #[serde(flatten)]
    how: How,
    key_id: String,
    plaintext: String,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypt {
    #[serde(flatten)]
    how: How,
    key_id: Option<String>,
    ciphertext_blob: String,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

impl GenerateDataKey {
    /// How many bytes the data key has.
    fn len(&self) -> Result<usize, Fault> {
        match (self.key_spec.as_deref(), self.number_of_bytes) {
            (Some("AES_256"), None) => Ok(32),
            (Some("AES_128"), None) => Ok(16),
            (None, Some(len)) => Ok(len),
            _ => {
                let text = "give either KeySpec (AES_256 or AES_128) or NumberOfBytes";
                Err(Fault::new("ValidationException", text))
            }
        }
    }
}

impl KmsApi {
    pub(super) async fn generate_data_key(&self, by: &Principal, asked: GenerateDataKey) -> Result<Value, Fault> {
        asked.how.check()?;
        let len = asked.len()?;
        let context = EncryptionContext(asked.encryption_context);
        let made = self.keystore.generate(by, &KeyRef(asked.key_id), len, &context).await?;
        asked.how.answer(json!({
            "KeyId": made.key.0, "Plaintext": BASE64.encode(&*made.plaintext),
            "CiphertextBlob": BASE64.encode(&made.ciphertext),
        }))
    }

    pub(super) async fn generate_data_key_without_plaintext(
        &self,
        by: &Principal,
        asked: GenerateDataKey,
    ) -> Result<Value, Fault> {
        let len = asked.len()?;
        let context = EncryptionContext(asked.encryption_context);
        let (key, blob) = self.keystore.generate_wrapped(by, &KeyRef(asked.key_id), len, &context).await?;
        asked.how.answer(json!({ "KeyId": key.0, "CiphertextBlob": BASE64.encode(blob) }))
    }

    pub(super) fn generate_random(asked: &GenerateRandom) -> Result<Value, Fault> {
        if asked.custom_key_store_id.is_some() {
            return Err(Fault::new("CustomKeyStoreNotFoundException", "there are no custom key stores"));
        }
        if asked.recipient.is_some() {
            return Err(Fault::new("UnsupportedOperationException", "Recipient is not supported"));
        }
        let bytes = random_bytes(asked.number_of_bytes.unwrap_or(0))?;
        Ok(json!({ "Plaintext": BASE64.encode(&*bytes) }))
    }

    pub(super) async fn re_encrypt(&self, by: &Principal, asked: ReEncrypt) -> Result<Value, Fault> {
        symmetric(asked.source_encryption_algorithm.as_deref())?;
        symmetric(asked.destination_encryption_algorithm.as_deref())?;
        let ciphertext = blob("CiphertextBlob", &asked.ciphertext_blob)?;
        let (source_context, context) = (
            EncryptionContext(asked.source_encryption_context),
            EncryptionContext(asked.destination_encryption_context),
        );
        let expected = asked.source_key_id.map(KeyRef);
        let from = ReEncryptFrom { ciphertext: &ciphertext, expected: expected.as_ref(), context: &source_context };
        let to = KeyRef(asked.destination_key_id);
        let (source, key, blob) = self.keystore.re_encrypt(by, from, &to, &context).await?;
        asked.how.answer(json!({
            "SourceKeyId": source.0, "KeyId": key.0, "CiphertextBlob": BASE64.encode(blob),
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    pub(super) async fn encrypt(&self, by: &Principal, asked: Encrypt) -> Result<Value, Fault> {
        symmetric(asked.encryption_algorithm.as_deref())?;
        let sent = Zeroizing::new(asked.plaintext);
        let plaintext = Zeroizing::new(blob("Plaintext", &sent)?);
        let context = EncryptionContext(asked.encryption_context);
        let (key, blob) = self.keystore.encrypt(by, &KeyRef(asked.key_id), &plaintext, &context).await?;
        asked.how.answer(json!({
            "KeyId": key.0, "CiphertextBlob": BASE64.encode(blob), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    pub(super) async fn decrypt(&self, by: &Principal, asked: Decrypt) -> Result<Value, Fault> {
        symmetric(asked.encryption_algorithm.as_deref())?;
        asked.how.check()?;
        let ciphertext = blob("CiphertextBlob", &asked.ciphertext_blob)?;
        let context = EncryptionContext(asked.encryption_context);
        let expected = asked.key_id.map(KeyRef);
        let (key, plaintext) = self.keystore.decrypt(by, expected.as_ref(), &ciphertext, &context).await?;
        asked.how.answer(json!({
            "KeyId": key.0, "Plaintext": BASE64.encode(&*plaintext), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }
}

/// Reads a blob of a request.
pub(super) fn blob(name: &str, text: &str) -> Result<Vec<u8>, Fault> {
    BASE64.decode(text).map_err(|_| Fault::new("SerializationException", format!("{name} is not base64")))
}

fn symmetric(algorithm: Option<&str>) -> Result<(), Fault> {
    match algorithm {
        None | Some("SYMMETRIC_DEFAULT") => Ok(()),
        Some(_) => Err(Fault::new("InvalidKeyUsageException", "the key supports SYMMETRIC_DEFAULT only")),
    }
}
