//! GetParametersForImport, ImportKeyMaterial, DeleteKeyMaterial.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::kms::Principal;
use crate::kms::embedded::{Expiry, WrappingAlgorithm, WrappingKey};
use crate::types::Timestamp;

use super::api::AliyunApi;
use super::error::Fault;
use super::values::{Values, shown};

impl AliyunApi {
    pub(super) async fn get_parameters_for_import(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["KeyId", "WrappingAlgorithm", "WrappingKeySpec"])?;
        let algorithm = match asked.required("WrappingAlgorithm")? {
            "RSAES_OAEP_SHA_1" => WrappingAlgorithm::OaepSha1,
            "RSAES_OAEP_SHA_256" => WrappingAlgorithm::OaepSha256,
            "RSAES_PKCS1_V1_5" => return Err(Fault::unsupported("RSAES_PKCS1_V1_5 is not supported.")),
            _ => return Err(Fault::parameter("WrappingAlgorithm")),
        };
        if asked.required("WrappingKeySpec")? != "RSA_2048" {
            return Err(Fault::parameter("WrappingKeySpec"));
        }
        let key = self.place.key(asked.required("KeyId")?);
        let made = self.keystore.import_parameters(by, &key, algorithm, WrappingKey::Rsa2048).await;
        let made = made.map_err(Fault::of_import)?;
        Ok(json!({
            "KeyId": id_of(&made.key.0), "ImportToken": BASE64.encode(made.token),
            "PublicKey": BASE64.encode(made.public_key), "TokenExpireTime": shown(made.valid_to),
        }))
    }

    pub(super) async fn import_key_material(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        asked.only(&["EncryptedKeyMaterial", "ImportToken", "KeyId", "KeyMaterialExpireUnix"])?;
        let key = self.place.key(asked.required("KeyId")?);
        // No end, or 0 for none, in seconds since 1970.
        let expiry = match asked.number("KeyMaterialExpireUnix")? {
            None | Some(0) => Expiry::Never,
            Some(seconds) => Expiry::At(Timestamp(seconds.saturating_mul(1000))),
        };
        let (token, wrapped) = (asked.blob("ImportToken")?, asked.blob("EncryptedKeyMaterial")?);
        let done = self.keystore.import_material(by, &key, token.to_vec(), wrapped.to_vec(), expiry).await;
        done.map_err(|error| match Fault::of_import(error) {
            fault if fault.status == 409 => {
                Fault::new(409, "Rejected.StateModifiedFailed", "Keystate modified failed.")
            }
            fault => fault,
        })?;
        Ok(json!({}))
    }

    pub(super) async fn delete_key_material(&self, by: &Principal, asked: &Values<'_>) -> Result<Value, Fault> {
        let key = self.of_key(asked)?;
        self.keystore.delete_material(by, &key).await.map_err(Fault::of_import)?;
        Ok(json!({}))
    }
}

fn id_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
