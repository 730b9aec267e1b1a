//! User metadata that no header can carry as it is: S3 shows it as encoded words.
//! RFC 2047; <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// As many bytes as fit into one encoded word of at most 75 characters (RFC 2047, section 2): base64 of 45 is 60, and the
/// marks around it are 12.
const WORD: usize = 45;

/// A text as a header carries it: itself if it is printable ASCII, else encoded words, none of which splits a character.
pub(super) fn encoded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut words = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str("=?UTF-8?B?");
        STANDARD.encode_string(word, &mut words);
        words.push_str("?=");
        rest = after;
    }
    Cow::Owned(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ascii_stays_and_the_rest_becomes_words() {
        assert_eq!(encoded("a = b?"), "a = b?");
        assert_eq!(encoded(""), "");
        assert_eq!(encoded("caf\u{e9}"), "=?UTF-8?B?Y2Fmw6k=?=");
        assert_eq!(encoded("a\tb"), "=?UTF-8?B?YQli?=");
    }

    #[test]
    fn words_are_short_and_split_no_character() {
        for text in ["\u{e9}".repeat(500), "\u{4e2d}".repeat(500), format!("a{}", "\u{1f512}".repeat(300))] {
            let mut back = String::new();
            for word in encoded(&text).split(' ') {
                assert!(word.len() <= 75, "{word}");
                let base64 = word.strip_prefix("=?UTF-8?B?").and_then(|word| word.strip_suffix("?=")).unwrap();
                back.push_str(std::str::from_utf8(&STANDARD.decode(base64).unwrap()).unwrap());
            }
            assert_eq!(back, text);
        }
    }
}
