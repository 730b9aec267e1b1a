//! The operations: which there are, and how a request is read and answered.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::identity::AuthError;
use crate::kms::Principal;
use crate::kms::embedded::EmbeddedKms;
use crate::types::Timestamp;

use super::error::Fault;

/// The longest request body in bytes.
pub const MAX_BODY: usize = 64 << 10;
const SERVICE: &str = "TrentService.";

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
    pub(super) keystore: Arc<EmbeddedKms>,
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

    async fn dispatch(&self, by: &Principal, operation: &str, body: &[u8]) -> Result<Value, Fault> {
        match operation {
            "CancelKeyDeletion" => self.cancel_key_deletion(by, read(body)?).await,
            "CreateAlias" => self.create_alias(by, read(body)?).await,
            "CreateKey" => self.create_key(by, read(body)?).await,
            "Decrypt" => self.decrypt(by, read(body)?).await,
            "DeleteAlias" => self.delete_alias(by, read(body)?).await,
            "DeleteImportedKeyMaterial" => self.delete_imported_key_material(by, read(body)?).await,
            "DescribeKey" => self.describe_key(by, read(body)?).await,
            "DisableKey" => self.disable_key(by, read(body)?).await,
            "DisableKeyRotation" => self.disable_key_rotation(by, read(body)?).await,
            "EnableKey" => self.enable_key(by, read(body)?).await,
            "EnableKeyRotation" => self.enable_key_rotation(by, read(body)?).await,
            "Encrypt" => self.encrypt(by, read(body)?).await,
            "GenerateDataKey" => self.generate_data_key(by, read(body)?).await,
            "GenerateDataKeyWithoutPlaintext" => self.generate_data_key_without_plaintext(by, read(body)?).await,
            "GenerateRandom" => Self::generate_random(&read(body)?),
            "GetKeyPolicy" => self.get_key_policy(by, read(body)?),
            "GetKeyRotationStatus" => self.get_key_rotation_status(by, read(body)?),
            "GetParametersForImport" => self.get_parameters_for_import(by, read(body)?).await,
            "ImportKeyMaterial" => self.import_key_material(by, read(body)?).await,
            "ListAliases" => self.list_aliases(by, read(body)?),
            "ListKeyPolicies" => self.list_key_policies(by, read(body)?),
            "ListKeyRotations" => self.list_key_rotations(by, read(body)?),
            "ListKeys" => self.list_keys(by, read(body)?),
            "ListResourceTags" => self.list_resource_tags(by, read(body)?),
            "PutKeyPolicy" => self.put_key_policy(by, read(body)?).await,
            "ReEncrypt" => self.re_encrypt(by, read(body)?).await,
            "RotateKeyOnDemand" => self.rotate_key_on_demand(by, read(body)?).await,
            "ScheduleKeyDeletion" => self.schedule_key_deletion(by, read(body)?).await,
            "TagResource" => self.tag_resource(by, read(body)?).await,
            "UntagResource" => self.untag_resource(by, read(body)?).await,
            "UpdateAlias" => self.update_alias(by, read(body)?).await,
            "UpdateKeyDescription" => self.update_key_description(by, read(body)?).await,
            other => Err(Fault::new("UnknownOperationException", format!("{other} is not implemented"))),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = if body.is_empty() { b"{}" } else { body };
    // The parser's words could quote a plaintext: they are not passed on.
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "ValidationException" } else { "SerializationException" };
        Fault::new(what, "the request is not valid JSON of this operation's shape")
    })
}

/// Seconds since 1970 with three decimals, as the protocol writes times.
pub(super) fn seconds(at: Timestamp) -> Value {
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
