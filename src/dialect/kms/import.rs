//! A key owner's own material: GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::kms::embedded::{Expiry, WrappingAlgorithm, WrappingKey};
use crate::kms::{KeyRef, Principal};
use crate::types::Timestamp;

use super::api::{KmsApi, seconds};
use super::crypto::blob;
use super::error::Fault;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParametersForImport {
    key_id: String,
    wrapping_algorithm: String,
    wrapping_key_spec: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImportKeyMaterial {
    key_id: String,
    import_token: String,
    encrypted_key_material: String,
    /// Seconds since 1970.
    valid_to: Option<f64>,
    expiration_model: Option<String>,
    import_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteImportedKeyMaterial {
    key_id: String,
}

impl KmsApi {
    pub(super) async fn get_parameters_for_import(
        &self,
        by: &Principal,
        asked: GetParametersForImport,
    ) -> Result<Value, Fault> {
        let algorithm = match asked.wrapping_algorithm.as_str() {
            "RSAES_OAEP_SHA_1" => WrappingAlgorithm::OaepSha1,
            "RSAES_OAEP_SHA_256" => WrappingAlgorithm::OaepSha256,
            "RSA_AES_KEY_WRAP_SHA_1" => WrappingAlgorithm::AesKeyWrapSha1,
            "RSA_AES_KEY_WRAP_SHA_256" => WrappingAlgorithm::AesKeyWrapSha256,
            "RSAES_PKCS1_V1_5" | "SM2PKE" => return Err(unsupported("this WrappingAlgorithm")),
            _ => return Err(invalid("WrappingAlgorithm is none that is known")),
        };
        let size = match asked.wrapping_key_spec.as_str() {
            "RSA_2048" => WrappingKey::Rsa2048,
            "RSA_3072" => WrappingKey::Rsa3072,
            "RSA_4096" => WrappingKey::Rsa4096,
            "SM2" => return Err(unsupported("this WrappingKeySpec")),
            _ => return Err(invalid("WrappingKeySpec is none that is known")),
        };
        let made = self.keystore.import_parameters(by, &KeyRef(asked.key_id), algorithm, size).await?;
        Ok(json!({
            "KeyId": made.key.0, "ImportToken": BASE64.encode(made.token), "PublicKey": BASE64.encode(made.public_key),
            "ParametersValidTo": seconds(made.valid_to),
        }))
    }

    pub(super) async fn import_key_material(&self, by: &Principal, asked: ImportKeyMaterial) -> Result<Value, Fault> {
        match asked.import_type.as_deref() {
            None | Some("EXISTING_KEY_MATERIAL") => {}
            Some("NEW_KEY_MATERIAL") => return Err(unsupported("rotating imported material")),
            Some(_) => return Err(invalid("ImportType is none that is known")),
        }
        let expiry = match (asked.expiration_model.as_deref(), asked.valid_to) {
            (Some("KEY_MATERIAL_DOES_NOT_EXPIRE"), None) => Expiry::Never,
            (None | Some("KEY_MATERIAL_EXPIRES"), Some(end)) => Expiry::At(moment(end)?),
            (Some("KEY_MATERIAL_DOES_NOT_EXPIRE"), Some(_)) => {
                return Err(invalid("ValidTo must not be given for material that does not expire"));
            }
            (None | Some("KEY_MATERIAL_EXPIRES"), None) => {
                return Err(invalid("ValidTo must be given for material that expires"));
            }
            (Some(_), _) => return Err(invalid("ExpirationModel is none that is known")),
        };
        let token = blob("ImportToken", &asked.import_token)?;
        let wrapped = blob("EncryptedKeyMaterial", &asked.encrypted_key_material)?;
        let key = self.keystore.import_material(by, &KeyRef(asked.key_id), token, wrapped, expiry).await?;
        Ok(json!({ "KeyId": key.0 }))
    }

    pub(super) async fn delete_imported_key_material(
        &self,
        by: &Principal,
        asked: DeleteImportedKeyMaterial,
    ) -> Result<Value, Fault> {
        let key = self.keystore.delete_material(by, &KeyRef(asked.key_id)).await?;
        Ok(json!({ "KeyId": key.0 }))
    }
}

fn moment(seconds: f64) -> Result<Timestamp, Fault> {
    let millis = seconds * 1000.0;
    // Far beyond any date that is taken, and exact in a double.
    if !(0.0..=1e15).contains(&millis) {
        return Err(invalid("ValidTo is no time"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at")]
    Ok(Timestamp(millis as u64))
}

fn invalid(text: &str) -> Fault {
    Fault::new("ValidationException", text)
}

fn unsupported(what: &str) -> Fault {
    Fault::new("UnsupportedOperationException", format!("{what} is not supported"))
}
