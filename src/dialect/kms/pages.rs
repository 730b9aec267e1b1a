//! Pages of listings.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Fault;

/// How a request asks for a page of a listing that may be about a key.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    pub(super) key_id: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) marker: Option<String>,
}

const MAX_PAGE: usize = 1000;

/// The rows that a page has: as many as are asked for, or `default`. The formal range of AWS KMS's parameter.
pub(super) fn limit(asked: Option<usize>, default: usize) -> Result<usize, Fault> {
    match asked {
        None => Ok(default),
        Some(limit @ 1..=MAX_PAGE) => Ok(limit),
        Some(_) => Err(Fault::new("ValidationException", format!("Limit must be between 1 and {MAX_PAGE}"))),
    }
}

pub(super) fn invalid_marker() -> Fault {
    Fault::new("InvalidMarkerException", "the marker is not one that this service gave")
}

pub(super) fn listing(name: &str, rows: Vec<Value>, next: Option<String>) -> Value {
    let mut value = json!({ name: rows, "Truncated": next.is_some() });
    if let Some(next) = next {
        value["NextMarker"] = Value::String(next);
    }
    value
}
