//! Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext. Plaintexts are base64, both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::kms::Principal;
use crate::kms::embedded::{ReEncryptFrom, version_id, version_of};

use super::api::AliyunApi;
use super::error::Fault;
use super::values::Values;

/// Data keys that this API makes without being told how long: AES-256's.
const DEFAULT_BYTES: usize = 32;

impl AliyunApi {
    pub(super) async fn encrypt(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["DryRun", "EncryptionContext", "KeyId", "Plaintext"])?;
        asked.not_dry()?;
        let key = self.place.key(asked.required("KeyId")?);
        let (plaintext, context) = (asked.blob("Plaintext")?, asked.context("EncryptionContext")?);
        let (_, ciphertext) = self.keystore.encrypt(by, &key, &plaintext, &context).await?;
        Ok(wrapped(&ciphertext))
    }

    pub(super) async fn decrypt(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["CiphertextBlob", "DryRun", "EncryptionContext"])?;
        asked.not_dry()?;
        let (ciphertext, context) = (asked.blob("CiphertextBlob")?, asked.context("EncryptionContext")?);
        let (_, plaintext) = self.keystore.decrypt(by, None, &ciphertext, &context).await?;
        let mut value = under(&ciphertext);
        value["Plaintext"] = json!(BASE64.encode(&*plaintext));
        Ok(value)
    }

    pub(super) async fn re_encrypt(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&[
            "CiphertextBlob",
            "DestinationEncryptionContext",
            "DestinationKeyId",
            "DryRun",
            "SourceEncryptionContext",
            "SourceKeyId",
        ])?;
        asked.not_dry()?;
        let ciphertext = asked.blob("CiphertextBlob")?;
        let (source, context) =
            (asked.context("SourceEncryptionContext")?, asked.context("DestinationEncryptionContext")?);
        let expected = asked.get("SourceKeyId").map(|key| self.place.key(key));
        let from = ReEncryptFrom { ciphertext: &ciphertext, expected: expected.as_ref(), context: &source };
        let to = self.place.key(asked.required("DestinationKeyId")?);
        let (_, _, ciphertext) = self.keystore.re_encrypt(by, from, &to, &context).await?;
        Ok(wrapped(&ciphertext))
    }

    pub(super) async fn generate_data_key(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        let len = data_key(asked)?;
        let (key, context) = (self.place.key(asked.required("KeyId")?), asked.context("EncryptionContext")?);
        let made = self.keystore.generate(by, &key, len, &context).await?;
        let mut value = wrapped(&made.ciphertext);
        value["Plaintext"] = json!(BASE64.encode(&*made.plaintext));
        Ok(value)
    }

    pub(super) async fn generate_data_key_without_plaintext(
        &self,
        by: &Principal,
        asked: &Values<'_>,
    ) -> Result<Value, Fault> {
        let len = data_key(asked)?;
        let (key, context) = (self.place.key(asked.required("KeyId")?), asked.context("EncryptionContext")?);
        let (_, ciphertext) = self.keystore.generate_wrapped(by, &key, len, &context).await?;
        Ok(wrapped(&ciphertext))
    }
}

/// The length of a data key that is asked for, in bytes.
fn data_key(asked: &Values<'_>) -> Result<usize, Fault> {
    asked.only(&["DryRun", "EncryptionContext", "KeyId", "KeySpec", "NumberOfBytes"])?;
    asked.not_dry()?;
    match (asked.get("KeySpec"), asked.number("NumberOfBytes")?) {
        (Some(_), Some(_)) => Err(Fault::parameter("NumberOfBytes")),
        (Some("AES_256"), None) => Ok(32),
        (Some("AES_128"), None) => Ok(16),
        (Some(_), None) => Err(Fault::parameter("KeySpec")),
        (None, Some(len)) => usize::try_from(len).map_err(|_| Fault::parameter("NumberOfBytes")),
        (None, None) => Ok(DEFAULT_BYTES),
    }
}

/// What says under which key and version a ciphertext is.
fn under(ciphertext: &[u8]) -> Value {
    match version_of(ciphertext) {
        Some((key, number)) => json!({ "KeyId": key.to_string(), "KeyVersionId": version_id(key, number) }),
        None => json!({}),
    }
}

fn wrapped(ciphertext: &[u8]) -> Value {
    let mut value = under(ciphertext);
    value["CiphertextBlob"] = json!(BASE64.encode(ciphertext));
    value
}
