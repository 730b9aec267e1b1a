//! Bucket policies. They are the same documents that S3 clients set, in the same words.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/putbucketpolicy>

use super::error::face;
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::xml::Writer;

impl OssDialect {
    pub(super) async fn get_policy(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let document = self.gateway.bucket_policy(&call.requester, &name).await.map_err(|error| face(&error))?;
        Ok(Reply::json(document))
    }

    pub(super) async fn put_policy(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let set = self.gateway.put_bucket_policy(&call.requester, &name, call.document.to_vec()).await;
        set.map_err(|error| face(&error))?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_policy(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        self.gateway.delete_bucket_policy(&call.requester, &name).await.map_err(|error| face(&error))?;
        Ok(Reply::no_content())
    }

    pub(super) async fn get_policy_status(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let public = self.gateway.bucket_policy_is_public(&call.requester, &name).await;
        let mut out = Writer::new("PolicyStatus");
        out.show("IsPublic", public.map_err(|error| face(&error))?);
        Ok(Reply::xml(out.finish()))
    }
}
