//! `sealgate rewrap`: moves what master keys wrap to other master keys, or to the current version of their own.
//!
//! By a bucket's epochs it is O(1) in the number of objects. It may be done while gateways serve the bucket: each epoch's
//! record is replaced in one change, and says the same bucket key before and after.

use serde::{Deserialize, Serialize};

use crate::gateway::{self, Gateway};
use crate::kms::{KeyArn, KeyRef};
use crate::types::BucketName;

/// What to move, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The bucket.
    pub bucket: BucketName,
    /// The master key, by id, ARN or alias. `None`: each epoch stays under its own key, in that key's current version.
    pub to: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Epochs that were wrapped anew.
    pub epochs: u64,
    /// The master keys that wrap the bucket's epochs now.
    pub keys: Vec<KeyArn>,
}

/// Moves the epochs of a bucket.
///
/// # Errors
/// The gateway's; what was moved before stays moved, and it can be run again.
pub async fn rewrap(gateway: &Gateway, plan: &Plan) -> Result<Done, gateway::Error> {
    let to = plan.to.clone().map(KeyRef);
    let moved = gateway.move_epochs(&plan.bucket, to.as_ref()).await?;
    Ok(Done { epochs: moved.moved, keys: moved.keys })
}
