//! AppendObject.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/appendobject>

use http::HeaderValue;

use crate::gateway::AppendRequest;

use super::error::NEXT_POSITION;
use super::face::Face;
use super::objects::{write_conditions, write_face};
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::{describe, headers};

/// Where the bytes go.
fn position(call: &Call) -> Result<u64, Face> {
    let text = call.query.get("position").unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| Face::argument("position", text, "The position must be a number that is not negative."))
}

impl OssDialect {
    pub(super) async fn append_object(&self, mut call: Call) -> Result<Reply, Face> {
        let at = call.new_object()?;
        let position = position(&call)?;
        let digests = call.digests()?;
        let forbidden = self.forbids_overwrite(&call, &at.bucket).await?;
        let sse = call.sse.write.take();
        if position == 0 {
            self.check_default(&call, &at.bucket, sse.as_ref()).await?;
        }
        let request = AppendRequest {
            at,
            position,
            headers: headers::of(&call.headers)?,
            sse,
            digests,
            conditions: write_conditions(forbidden),
            body: call.take_body()?,
        };
        let appended = self.gateway.append(&call.requester, request).await;
        let appended = appended.map_err(|error| write_face(&error, forbidden))?;
        let mut out = describe::written(&appended.written);
        out.insert(NEXT_POSITION, HeaderValue::from(appended.next));
        Ok(Reply::empty().with(out))
    }
}
