//! Owners as both dialects show them: a stable canonical id beside the user's name.

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use crate::types::UserId;

/// A user's canonical id: the SHA-256 of its name in hex, as long as AWS's are.
pub(super) fn canonical_id(user: &UserId) -> String {
    hex::encode(digest(&SHA256, user.as_str().as_bytes()))
}

/// Whether an `x-amz-expected-bucket-owner` value means this user: its canonical id or its name.
pub(super) fn means(expected: &str, user: &UserId) -> bool {
    let id = canonical_id(user);
    bool::from(expected.as_bytes().ct_eq(id.as_bytes())) || expected == user.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_stable_and_different_for_each_user() {
        let alice = UserId::new("alice");
        assert_eq!(canonical_id(&alice), "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90");
        assert!(means("alice", &alice) && means(&canonical_id(&alice), &alice));
        assert!(!means("bob", &alice) && !means(&canonical_id(&UserId::new("bob")), &alice));
    }
}
