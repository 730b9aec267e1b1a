//! The operations: which there are, and how a call is answered.

use std::sync::Arc;

use http::request::Parts;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::identity::{AliyunAuthError, Parameters, pairs};
use crate::kms::Principal;
use crate::kms::embedded::EmbeddedKms;

use super::error::Fault;
use super::names::Place;
use super::values::Values;

/// The one version of this API.
const VERSION: &str = "2016-01-20";

/// Whether a request is a call of the RPC style: it says its action and its version, among its parameters or its headers.
#[must_use]
pub fn is_addressed(parts: &Parts) -> bool {
    let has = |name: &str| pairs(parts.uri.query().unwrap_or_default()).any(|pair| pair.name == name.as_bytes());
    let called = parts.headers.contains_key("x-acs-action") && parts.headers.contains_key("x-acs-version")
        || has("Action") && has("Version");
    let method = parts.method == http::Method::POST || parts.method == http::Method::GET;
    method && parts.uri.path() == "/" && called
}

/// An answer: its status and its JSON, which is wiped on drop since it may hold a key.
#[derive(Debug)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body, `application/json`.
    pub json: Zeroizing<Vec<u8>>,
}

/// The API over a keystore.
#[derive(Debug)]
pub struct AliyunApi {
    pub(super) keystore: Arc<EmbeddedKms>,
    pub(super) place: Place,
}

impl AliyunApi {
    /// An API over this keystore, whose ARNs name this region.
    #[must_use]
    pub fn new(keystore: Arc<EmbeddedKms>, region: String) -> Self {
        Self { keystore, place: Place::new(region) }
    }

    /// Answers a call of an authenticated user. `action` and `version` are what the signature covers. Every failure is an
    /// answer, too.
    pub async fn call(
        &self,
        by: &Principal,
        action: &str,
        version: &str,
        parameters: &Parameters,
        request_id: &str,
    ) -> Answered {
        let done = match check(version, parameters) {
            Ok(()) => self.dispatch(by, action, &Values::new(parameters)).await,
            Err(fault) => Err(fault),
        };
        match done {
            Ok(mut value) => {
                value["RequestId"] = json!(request_id);
                answer(200, &value)
            }
            Err(fault) => refuse(&fault, request_id),
        }
    }

    /// The answer to a request whose signature is not what it should be.
    #[must_use]
    pub fn unverified(error: &AliyunAuthError, request_id: &str) -> Answered {
        refuse(&Fault::from(error), request_id)
    }

    /// The answer to a request that does not come to be a call (said in the text).
    #[must_use]
    pub fn refused(status: u16, code: &'static str, message: &str, request_id: &str) -> Answered {
        refuse(&Fault::new(status, code, message), request_id)
    }

    async fn dispatch(&self, by: &Principal, action: &str, asked: &Values<'_>) -> Result<Value, Fault> {
        match action {
            "CancelKeyDeletion" => self.cancel_key_deletion(by, asked).await,
            "CreateAlias" => self.create_alias(by, asked).await,
            "CreateKey" => self.create_key(by, asked).await,
            "CreateKeyVersion" => self.create_key_version(by, asked).await,
            "Decrypt" => self.decrypt(by, asked).await,
            "DeleteAlias" => self.delete_alias(by, asked).await,
            "DeleteKeyMaterial" => self.delete_key_material(by, asked).await,
            "DescribeKey" => self.describe_key(by, asked).await,
            "DescribeKeyVersion" => self.describe_key_version(by, asked),
            "DisableKey" => self.disable_key(by, asked).await,
            "EnableKey" => self.enable_key(by, asked).await,
            "Encrypt" => self.encrypt(by, asked).await,
            "GenerateDataKey" => self.generate_data_key(by, asked).await,
            "GenerateDataKeyWithoutPlaintext" => self.generate_data_key_without_plaintext(by, asked).await,
            "GetParametersForImport" => self.get_parameters_for_import(by, asked).await,
            "ImportKeyMaterial" => self.import_key_material(by, asked).await,
            "ListAliases" => self.list_aliases(by, asked, None),
            "ListAliasesByKeyId" => self.list_aliases_by_key_id(by, asked),
            "ListKeyVersions" => self.list_key_versions(by, asked),
            "ListKeys" => self.list_keys(by, asked),
            "ReEncrypt" => self.re_encrypt(by, asked).await,
            "ScheduleKeyDeletion" => self.schedule_key_deletion(by, asked).await,
            "UpdateAlias" => self.update_alias(by, asked).await,
            "UpdateKeyDescription" => self.update_key_description(by, asked).await,
            "UpdateRotationPolicy" => self.update_rotation_policy(by, asked).await,
            _ => Err(Fault::new(
                404,
                "InvalidAction.NotFound",
                "Specified api is not found, please check your url and method.",
            )),
        }
    }
}

fn check(version: &str, parameters: &Parameters) -> Result<(), Fault> {
    if version != VERSION {
        return Err(Fault::new(400, "InvalidVersion", "Specified parameter Version is not valid."));
    }
    match parameters.get("Format") {
        // The documented default is XML, which no SDK of today asks for.
        None => Ok(()),
        Some(format) if format.eq_ignore_ascii_case("json") => Ok(()),
        Some(_) => Err(Fault::parameter("Format")),
    }
}

fn refuse(fault: &Fault, request_id: &str) -> Answered {
    let value = json!({
        "HttpStatus": fault.status, "Code": fault.code, "Message": fault.message, "RequestId": request_id,
    });
    answer(fault.status, &value)
}

fn answer(status: u16, value: &Value) -> Answered {
    Answered { status, json: Zeroizing::new(value.to_string().into_bytes()) }
}
