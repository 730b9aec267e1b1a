//! Continuation tokens of listings: opaque, and of characters that no encoding changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// The first byte of a token; another one would be another form of token.
const VERSION: u8 = 1;

/// A token for the page after `last`.
pub(super) fn token(last: &str) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(last.as_bytes());
    BASE64.encode(bytes)
}

/// The row that a token continues after; `None` for one that we never made.
pub(super) fn row(token: &str) -> Option<String> {
    match BASE64.decode(token).ok()?.as_slice() {
        [VERSION, row @ ..] if !row.is_empty() => String::from_utf8(row.to_vec()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_row_survives_its_token(row in ".{1,40}") {
            let token = token(&row);
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(super::row(&token), Some(row));
        }
    }
}
