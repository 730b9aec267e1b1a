//! Symbolic links.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/putsymlink>

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::gateway::SymlinkRequest;
use crate::types::ObjectKey;

use super::error::{bad_key, face};
use super::face::Face;
use super::objects::{SYMLINK_TARGET, write_conditions, write_face};
use super::request::{Call, check_new_key, key};
use super::response::Reply;
use super::service::OssDialect;
use super::{describe, headers};

/// What an encoded target leaves plain.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The key that a link is to lead to: URL-encoded, in the same bucket.
fn target(call: &Call) -> Result<ObjectKey, Face> {
    let Some(value) = call.headers.get(SYMLINK_TARGET) else {
        return Err(
            Face::bad("MissingArgument", "Missing Some Required Arguments.").with("ArgumentName", SYMLINK_TARGET)
        );
    };
    let spaced: Vec<u8> = value.as_bytes().iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    let text = String::from_utf8(percent_decode(&spaced).collect())
        .map_err(|_| bad_key(&String::from_utf8_lossy(value.as_bytes())))?;
    check_new_key(&text)?;
    key(&text)
}

impl OssDialect {
    pub(super) async fn put_symlink(&self, call: Call) -> Result<Reply, Face> {
        let at = call.new_object()?;
        let forbidden = self.forbids_overwrite(&call, &at.bucket).await?;
        let request = SymlinkRequest {
            target: target(&call)?,
            at,
            headers: headers::of(&call.headers)?,
            conditions: write_conditions(forbidden),
        };
        let written = self.gateway.put_symlink(&call.requester, request).await;
        let written = written.map_err(|error| write_face(&error, forbidden))?;
        let mut out = http::HeaderMap::new();
        describe::etag(&written.etag, &mut out);
        describe::version(written.version.as_ref(), &mut out);
        Ok(Reply::empty().with(out))
    }

    pub(super) async fn get_symlink(&self, call: Call) -> Result<Reply, Face> {
        let (at, version) = (call.object()?, call.version()?);
        let info = self.gateway.symlink(&call.requester, &at, version).await.map_err(|error| face(&error))?;
        let mut out = http::HeaderMap::new();
        describe::etag(&info.etag, &mut out);
        describe::version(info.version.as_ref(), &mut out);
        describe::set(http::header::LAST_MODIFIED, &crate::dialect::conditions::http_date(info.modified), &mut out);
        let target = info.symlink.as_ref().map(ObjectKey::as_str).unwrap_or_default();
        describe::set(SYMLINK_TARGET, &utf8_percent_encode(target, PLAIN).to_string(), &mut out);
        Ok(Reply::empty().with(out))
    }
}
