//! Tags of objects and buckets.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto;
use s3s::{S3Response, S3Result};

use crate::gateway::{BUCKET_TAGS, OBJECT_TAGS, Tags};

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket, object, version};
use super::context::Call;
use super::error::{Face, face, failed};
use super::route::query_pairs;

/// The tags that a write gives an object.
const HEADER: &str = "x-amz-tagging";

/// The tags in `x-amz-tagging`, which is a URL query.
pub(super) fn header(headers: &HeaderMap) -> Result<Tags, Face> {
    let Some(value) = headers.get(HEADER) else { return Ok(Tags::default()) };
    let malformed = || {
        Face::invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag \
             name duplicates.",
        )
    };
    let text = value.to_str().map_err(|_| malformed())?;
    Tags::new(query_pairs(text), OBJECT_TAGS).map_err(|error| match face(&error) {
        face if face.code == "InvalidTag" => Face { code: "InvalidArgument", ..face },
        face => face,
    })
}

fn parse(tagging: dto::Tagging, maximum: usize) -> Result<Tags, Face> {
    let pair = |tag: dto::Tag| Some((tag.key?, tag.value?));
    let pairs: Option<Vec<_>> = tagging.tag_set.into_iter().map(pair).collect();
    Tags::new(pairs.ok_or_else(Face::malformed_xml)?, maximum).map_err(|error| face(&error))
}

fn rows(tags: &Tags) -> dto::TagSet {
    tags.iter().map(|(key, value)| dto::Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) }).collect()
}

fn named(version: Option<crate::types::VersionId>) -> Option<String> {
    version.map(|version| version.as_str().to_owned())
}

impl Serve<dto::GetObjectTaggingInput> for Adapter {
    type Output = dto::GetObjectTaggingOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetObjectTaggingInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let version = version(input.version_id.as_deref())?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        let (tags, version) = self.gateway.object_tags(call.caller(), &at, version).await.map_err(failed)?;
        Ok(S3Response::new(dto::GetObjectTaggingOutput { tag_set: rows(&tags), version_id: named(version) }))
    }
}

impl Serve<dto::PutObjectTaggingInput> for Adapter {
    type Output = dto::PutObjectTaggingOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutObjectTaggingInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let version = version(input.version_id.as_deref())?;
        let tags = parse(input.tagging, OBJECT_TAGS)?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        if let Some(to) = call.taken.new_key.clone() {
            // UpdateObjectEncryption, see `rekey`.
            self.gateway.update_encryption(call.caller(), &at, version, to).await.map_err(failed)?;
            return Ok(S3Response::new(dto::PutObjectTaggingOutput { version_id: None }));
        }
        let version = self.gateway.put_object_tags(call.caller(), &at, version, tags).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutObjectTaggingOutput { version_id: named(version) }))
    }
}

impl Serve<dto::DeleteObjectTaggingInput> for Adapter {
    type Output = dto::DeleteObjectTaggingOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteObjectTaggingInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let version = version(input.version_id.as_deref())?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        let version = self.gateway.delete_object_tags(call.caller(), &at, version).await.map_err(failed)?;
        Ok(S3Response::new(dto::DeleteObjectTaggingOutput { version_id: named(version) }))
    }
}

impl Serve<dto::GetBucketTaggingInput> for Adapter {
    type Output = dto::GetBucketTaggingOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketTaggingInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let tags = self.gateway.bucket_tags(call.caller(), &name).await.map_err(failed)?;
        Ok(S3Response::new(dto::GetBucketTaggingOutput { tag_set: rows(&tags) }))
    }
}

impl Serve<dto::PutBucketTaggingInput> for Adapter {
    type Output = dto::PutBucketTaggingOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutBucketTaggingInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let tags = parse(input.tagging, BUCKET_TAGS)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_bucket_tags(call.caller(), &name, tags).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutBucketTaggingOutput {}))
    }
}

impl Serve<dto::DeleteBucketTaggingInput> for Adapter {
    type Output = dto::DeleteBucketTaggingOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteBucketTaggingInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_bucket_tags(call.caller(), &name, Tags::default()).await.map_err(failed)?;
        Ok(S3Response::new(dto::DeleteBucketTaggingOutput {}))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parsed(text: &'static str) -> Result<Vec<(String, String)>, &'static str> {
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_static(text))]);
        let tags = header(&headers).map_err(|face| face.code)?;
        Ok(tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn the_header_is_a_query() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(parsed(""), Ok(vec![]));
        assert_eq!(parsed("b=2&a+b=%C3%A9&c"), Ok(vec![pair("a b", "é"), pair("b", "2"), pair("c", "")]));
        assert_eq!(parsed("a=1&a=2"), Err("InvalidArgument"));
        assert_eq!(parsed("a=%3C"), Err("InvalidArgument"));
        assert_eq!(parsed("0&1&2&3&4&5&6&7&8&9&10"), Err("BadRequest"));
    }
}
