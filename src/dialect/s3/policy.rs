//! Bucket policies: put, get, delete, and whether one lets the public in.

use std::sync::Arc;

use s3s::dto;
use s3s::{S3Response, S3Result};

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket};
use super::context::Call;
use super::error::failed;

impl Serve<dto::PutBucketPolicyInput> for Adapter {
    type Output = dto::PutBucketPolicyOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutBucketPolicyInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_bucket_policy(call.caller(), &name, input.policy.into_bytes()).await.map_err(failed)?;
        let mut response = S3Response::new(dto::PutBucketPolicyOutput {});
        response.status = Some(http::StatusCode::NO_CONTENT);
        Ok(response)
    }
}

impl Serve<dto::GetBucketPolicyInput> for Adapter {
    type Output = dto::GetBucketPolicyOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketPolicyInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let document = self.gateway.bucket_policy(call.caller(), &name).await.map_err(failed)?;
        let policy = Some(String::from_utf8_lossy(&document).into_owned());
        Ok(S3Response::new(dto::GetBucketPolicyOutput { policy }))
    }
}

impl Serve<dto::GetBucketPolicyStatusInput> for Adapter {
    type Output = dto::GetBucketPolicyStatusOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketPolicyStatusInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let public = self.gateway.bucket_policy_is_public(call.caller(), &name).await.map_err(failed)?;
        let policy_status = Some(dto::PolicyStatus { is_public: Some(public) });
        Ok(S3Response::new(dto::GetBucketPolicyStatusOutput { policy_status }))
    }
}

impl Serve<dto::DeleteBucketPolicyInput> for Adapter {
    type Output = dto::DeleteBucketPolicyOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteBucketPolicyInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.delete_bucket_policy(call.caller(), &name).await.map_err(failed)?;
        Ok(S3Response::new(dto::DeleteBucketPolicyOutput {}))
    }
}
