//! What a line of the trail says, in the words of AWS CloudTrail's record of an AWS KMS call.
//! <https://docs.aws.amazon.com/kms/latest/developerguide/logging-using-cloudtrail.html>

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::kms::KeyEvent;
use crate::types::Timestamp;

use super::origin::Origin;

/// What is shown of a key reference that named nothing: it may be any text.
const SHOWN_CHARS: usize = 256;
/// The operations that change nothing. Wrapping and unwrapping are reads in CloudTrail's eyes.
const READ_ONLY: [&str; 5] =
    ["Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GetParametersForImport"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    event_version: &'static str,
    event_time: String,
    event_source: &'static str,
    event_name: &'a str,
    aws_region: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
    user_identity: Identity<'a>,
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    event_type: &'static str,
    read_only: bool,
    request_parameters: Parameters<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Resource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_event_data: Option<Additional>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    r#type: &'static str,
    user_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'a> {
    key_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "ARN")]
    arn: &'a str,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Additional {
    key_version: u32,
}

/// The event as a JSON object, without its place in the chain.
pub(super) fn json(event: &KeyEvent<'_>, at: Timestamp, region: &str, origin: Option<&Origin>) -> String {
    let key = event.key.char_indices().nth(SHOWN_CHARS).map_or(event.key, |(end, _)| &event.key[..end]);
    let is_arn = key.starts_with("arn:");
    let line = Line {
        event_version: "1.08",
        event_time: text(at),
        event_source: "kms.amazonaws.com",
        event_name: event.operation,
        aws_region: region,
        source_ip_address: origin.map_or_else(|| "sealgate".to_owned(), |origin| origin.peer.to_string()),
        user_identity: Identity {
            r#type: if event.principal.root { "Root" } else { "IAMUser" },
            user_name: event.principal.user.as_str(),
        },
        request_id: origin.map(|origin| origin.request_id.as_str()),
        event_type: "AwsApiCall",
        read_only: READ_ONLY.contains(&event.operation),
        request_parameters: Parameters { key_id: key, encryption_context: event.context.map(|context| &context.0) },
        resources: is_arn.then_some(Resource { arn: key, r#type: "AWS::KMS::Key" }).into_iter().collect(),
        additional_event_data: event.version.map(|key_version| Additional { key_version }),
        error_code: event.outcome.err(),
    };
    // Text and numbers always make JSON.
    serde_json::to_string(&line).unwrap_or_default()
}

/// A time as the trail writes it: RFC 3339, in milliseconds, UTC.
pub(super) fn text(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    moment(at).and_then(|moment| moment.format(&format).ok()).unwrap_or_default()
}

/// The hour of a time, as files are named for it.
pub(super) fn hour(at: Timestamp) -> String {
    let format = format_description!("[year][month][day]T[hour]");
    moment(at).and_then(|moment| moment.format(&format).ok()).unwrap_or_default()
}

fn moment(at: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0).saturating_mul(1_000_000)).ok()
}
