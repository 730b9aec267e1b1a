//! The `s3s` trait over the gateway: one method per operation, each in the file of its subject. Operations that are not
//! here are answered with 501 by `s3s`, and do not get this far: the allow-list in `route` refuses them first.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::gateway::Gateway;
use crate::types::{BucketName, ObjectAt, ParseError, Timestamp, UploadId, UserId, VersionId};

use super::context::Call;
use super::error::{Face, failed};
use super::{owner, sse_request};

/// The gateway as `s3s` sees it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Adapter {
    pub(super) gateway: Arc<Gateway>,
}

impl Adapter {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    /// Holds a request to what it expects of the owner of `bucket`.
    pub(super) async fn check_owner(&self, call: &Call, bucket: &BucketName, header: &str) -> S3Result<()> {
        let Some(expected) = call.headers.get(header) else { return Ok(()) };
        let expected = expected.to_str().unwrap_or_default();
        let means = |found: &UserId| owner::means(expected, found);
        if self.gateway.is_owned(call.caller(), bucket, means).await.map_err(failed)? {
            return Ok(());
        }
        Err(Face::denied("Access Denied: the bucket's owner is another than expected").into())
    }

    /// Refuses a write that a bucket's default would encrypt under a CMK and that came unsigned or in the clear. What
    /// the request's own headers ask for has been judged already.
    pub(super) async fn check_default(&self, call: &Call, bucket: &BucketName) -> S3Result<()> {
        let Err(refusal) = sse_request::kms_transport(call.context.transport()) else { return Ok(()) };
        if call.chooses_encryption() {
            return Ok(());
        }
        match self.gateway.defaults_to_cmk(bucket).await {
            Ok(true) => Err(refusal.into()),
            // A bucket that is not there is refused by the operation itself.
            Ok(false) | Err(_) => Ok(()),
        }
    }
}

/// The header that holds a request to the owner of its bucket.
pub(super) const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";
/// The same for the source of a copy.
pub(super) const EXPECTED_SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";

/// The S3 face of a name that is none.
pub(super) fn bad_name(error: &ParseError) -> Face {
    match error {
        ParseError::BucketName => Face::bad("InvalidBucketName", "The specified bucket is not valid."),
        ParseError::KeyEmpty => Face::bad("UserKeyMustBeSpecified", "The object key must not be empty."),
        ParseError::KeyTooLong => Face::bad("KeyTooLongError", "Your key is too long"),
        ParseError::PartNumber => {
            Face::invalid_argument("Part number must be an integer between 1 and 10000, inclusive")
        }
        ParseError::UploadId => super::error::face(&crate::gateway::Error::NoSuchUpload),
        ParseError::VersionId => Face::invalid_argument("Invalid version id specified"),
    }
}

/// A bucket's name as `s3s` read it from the path.
pub(super) fn bucket(name: &str) -> Result<BucketName, Face> {
    name.parse().map_err(|error| bad_name(&error))
}

/// An object as `s3s` read it from the path.
pub(super) fn object(bucket_name: &str, key: &str) -> Result<ObjectAt, Face> {
    Ok(ObjectAt { bucket: bucket(bucket_name)?, key: key.parse().map_err(|error| bad_name(&error))? })
}

/// A version, when one is named.
pub(super) fn version(text: Option<&str>) -> Result<Option<VersionId>, Face> {
    text.map(str::parse).transpose().map_err(|error| bad_name(&error))
}

/// An upload id; one that we never made is of no upload.
pub(super) fn upload(text: &str) -> Result<UploadId, Face> {
    text.parse().map_err(|error| bad_name(&error))
}

/// A moment as `s3s` writes it.
pub(super) fn timestamp(at: Timestamp) -> dto::Timestamp {
    let nanoseconds = i128::from(at.0).saturating_mul(1_000_000);
    time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH).into()
}

/// A length as `s3s` writes it.
pub(super) fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// An answer with headers of its own.
pub(super) fn answer<T>(output: T, headers: HeaderMap) -> S3Response<T> {
    let mut response = S3Response::new(output);
    response.headers = headers;
    response
}

macro_rules! delegate {
    ($($name:ident: $input:ident -> $output:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Adapter {
            $(async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                self.on(Call::of(&request)?, request.input).await
            })*
        }
    };
}

/// One operation: its input decides which.
pub(super) trait Serve<I> {
    /// What it answers.
    type Output;
    /// Serves it.
    fn on(&self, call: Arc<Call>, input: I) -> impl Future<Output = S3Result<S3Response<Self::Output>>> + Send;
}

delegate! {
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput;
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput;
    copy_object: CopyObjectInput -> CopyObjectOutput;
    create_bucket: CreateBucketInput -> CreateBucketOutput;
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput;
    delete_bucket: DeleteBucketInput -> DeleteBucketOutput;
    delete_bucket_encryption: DeleteBucketEncryptionInput -> DeleteBucketEncryptionOutput;
    delete_object: DeleteObjectInput -> DeleteObjectOutput;
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput;
    get_bucket_encryption: GetBucketEncryptionInput -> GetBucketEncryptionOutput;
    get_bucket_location: GetBucketLocationInput -> GetBucketLocationOutput;
    get_bucket_versioning: GetBucketVersioningInput -> GetBucketVersioningOutput;
    get_object: GetObjectInput -> GetObjectOutput;
    head_bucket: HeadBucketInput -> HeadBucketOutput;
    head_object: HeadObjectInput -> HeadObjectOutput;
    list_buckets: ListBucketsInput -> ListBucketsOutput;
    list_multipart_uploads: ListMultipartUploadsInput -> ListMultipartUploadsOutput;
    list_object_versions: ListObjectVersionsInput -> ListObjectVersionsOutput;
    list_objects: ListObjectsInput -> ListObjectsOutput;
    list_objects_v2: ListObjectsV2Input -> ListObjectsV2Output;
    list_parts: ListPartsInput -> ListPartsOutput;
    put_bucket_encryption: PutBucketEncryptionInput -> PutBucketEncryptionOutput;
    put_bucket_versioning: PutBucketVersioningInput -> PutBucketVersioningOutput;
    delete_bucket_policy: DeleteBucketPolicyInput -> DeleteBucketPolicyOutput;
    get_bucket_policy: GetBucketPolicyInput -> GetBucketPolicyOutput;
    get_bucket_policy_status: GetBucketPolicyStatusInput -> GetBucketPolicyStatusOutput;
    put_bucket_policy: PutBucketPolicyInput -> PutBucketPolicyOutput;
    delete_bucket_tagging: DeleteBucketTaggingInput -> DeleteBucketTaggingOutput;
    delete_object_tagging: DeleteObjectTaggingInput -> DeleteObjectTaggingOutput;
    get_bucket_tagging: GetBucketTaggingInput -> GetBucketTaggingOutput;
    get_object_attributes: GetObjectAttributesInput -> GetObjectAttributesOutput;
    get_object_tagging: GetObjectTaggingInput -> GetObjectTaggingOutput;
    put_bucket_tagging: PutBucketTaggingInput -> PutBucketTaggingOutput;
    put_object_tagging: PutObjectTaggingInput -> PutObjectTaggingOutput;
    delete_public_access_block: DeletePublicAccessBlockInput -> DeletePublicAccessBlockOutput;
    get_bucket_acl: GetBucketAclInput -> GetBucketAclOutput;
    get_object_acl: GetObjectAclInput -> GetObjectAclOutput;
    get_public_access_block: GetPublicAccessBlockInput -> GetPublicAccessBlockOutput;
    put_bucket_acl: PutBucketAclInput -> PutBucketAclOutput;
    put_object_acl: PutObjectAclInput -> PutObjectAclOutput;
    put_public_access_block: PutPublicAccessBlockInput -> PutPublicAccessBlockOutput;
    delete_bucket_cors: DeleteBucketCorsInput -> DeleteBucketCorsOutput;
    get_bucket_cors: GetBucketCorsInput -> GetBucketCorsOutput;
    put_bucket_cors: PutBucketCorsInput -> PutBucketCorsOutput;
    put_object: PutObjectInput -> PutObjectOutput;
    upload_part: UploadPartInput -> UploadPartOutput;
    upload_part_copy: UploadPartCopyInput -> UploadPartCopyOutput;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_have_their_codes() {
        assert_eq!(bucket("A_b").unwrap_err().code, "InvalidBucketName");
        assert_eq!(object("abc", &"k".repeat(1025)).unwrap_err().code, "KeyTooLongError");
        assert_eq!(version(Some("1")).unwrap_err().code, "InvalidArgument");
        let gone = upload("../x").unwrap_err();
        assert_eq!((gone.status.as_u16(), gone.code), (404, "NoSuchUpload"));
        assert!(version(Some("null")).unwrap().is_some_and(|version| version.is_null()));
    }
}
