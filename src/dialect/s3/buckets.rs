//! Buckets: create, delete, head, location, list, and their default encryption.

use std::sync::Arc;

use http::StatusCode;
use s3s::dto::{self, ServerSideEncryption};
use s3s::{S3Response, S3Result};

use crate::sse::{BucketDefault, BucketEncryption, DataCipher};
use crate::store;

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket, timestamp};
use super::blocked::CustomerBlocked;
use super::context::Call;
use super::error::{Face, failed};
use super::owner::owner;

/// The region whose buckets have an empty location, for history's sake.
const CLASSIC_REGION: &str = "us-east-1";
/// S3 has no name for OSS's other cipher, which an OSS client may have set; it is called as it is there.
const SM4: &str = "SM4";
/// The most buckets on one page.
const BUCKETS_MAXIMUM: i32 = 10_000;

impl Serve<dto::CreateBucketInput> for Adapter {
    type Output = dto::CreateBucketOutput;

    async fn on(&self, call: Arc<Call>, input: dto::CreateBucketInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let region = match input.create_bucket_configuration {
            None => None,
            Some(configuration) if configuration.bucket.is_some() || configuration.location.is_some() => {
                return Err(Face::not_implemented("A directory bucket").into());
            }
            Some(configuration) => configuration.location_constraint.map(|region| region.as_str().to_owned()),
        };
        let location = format!("/{name}");
        let region = region.filter(|region| !region.is_empty());
        let acl = super::acl::header(&call.headers)?.unwrap_or_default();
        let locked = super::lock::of_new_bucket(&call.headers)?;
        self.gateway.create_bucket(call.caller(), name, region, acl, locked).await.map_err(failed)?;
        Ok(S3Response::new(dto::CreateBucketOutput { location: Some(location) }))
    }
}

impl Serve<dto::DeleteBucketInput> for Adapter {
    type Output = dto::DeleteBucketOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteBucketInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.delete_bucket(call.caller(), &name).await.map_err(failed)?;
        Ok(S3Response::new(dto::DeleteBucketOutput {}))
    }
}

impl Serve<dto::HeadBucketInput> for Adapter {
    type Output = dto::HeadBucketOutput;

    async fn on(&self, call: Arc<Call>, input: dto::HeadBucketInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let found = self.gateway.head_bucket(call.caller(), &name).await.map_err(failed)?;
        Ok(S3Response::new(dto::HeadBucketOutput { bucket_region: Some(found.region), ..Default::default() }))
    }
}

impl Serve<dto::GetBucketLocationInput> for Adapter {
    type Output = dto::GetBucketLocationOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketLocationInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let found = self.gateway.head_bucket(call.caller(), &name).await.map_err(failed)?;
        let location = (found.region != CLASSIC_REGION).then_some(found.region);
        Ok(S3Response::new(dto::GetBucketLocationOutput { location_constraint: location.map(Into::into) }))
    }
}

impl Serve<dto::ListBucketsInput> for Adapter {
    type Output = dto::ListBucketsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::ListBucketsInput) -> S3Result<S3Response<Self::Output>> {
        let page = match input.max_buckets {
            None => BUCKETS_MAXIMUM,
            Some(asked @ 1..=BUCKETS_MAXIMUM) => asked,
            Some(_) => return Err(Face::invalid_argument("max-buckets must be between 1 and 10000").into()),
        };
        let after = input.continuation_token.as_deref().map(super::listing::after_token).transpose()?;
        let all = self.gateway.list_buckets(call.caller()).await.map_err(failed)?;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let wanted = all.into_iter().filter(|bucket| {
            bucket.name.as_str().starts_with(prefix)
                && input.bucket_region.as_ref().is_none_or(|region| *region == bucket.region)
                && after.as_ref().is_none_or(|after| bucket.name.as_str() > after.as_str())
        });
        let limit = usize::try_from(page).unwrap_or(usize::MAX);
        let mut rows: Vec<store::Bucket> = wanted.take(limit.saturating_add(1)).collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(|last| super::listing::token(last.name.as_str())) } else { None };
        let buckets = rows.into_iter().map(|bucket| dto::Bucket {
            bucket_region: Some(bucket.region),
            creation_date: Some(timestamp(bucket.created)),
            name: Some(bucket.name.as_str().to_owned()),
        });
        Ok(S3Response::new(dto::ListBucketsOutput {
            buckets: Some(buckets.collect()),
            continuation_token: next,
            owner: call.caller().user().map(|user| owner(user.user())),
            prefix: input.prefix,
        }))
    }
}

impl Serve<dto::PutBucketEncryptionInput> for Adapter {
    type Output = dto::PutBucketEncryptionOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutBucketEncryptionInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let blocked = call.taken.customer_blocked;
        let default = parse_rules(input.server_side_encryption_configuration, blocked.is_some())?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let encryption = BucketEncryption { default, customer_blocked: blocked == Some(true) };
        self.gateway.put_bucket_encryption(call.caller(), &name, encryption).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutBucketEncryptionOutput {}))
    }
}

impl Serve<dto::GetBucketEncryptionInput> for Adapter {
    type Output = dto::GetBucketEncryptionOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketEncryptionInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let encryption = self.gateway.bucket_encryption(call.caller(), &name).await.map_err(failed)?;
        let encryption = encryption.ok_or_else(not_encrypted)?;
        let mut response = S3Response::new(dto::GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(rules(encryption.default)),
        });
        if encryption.customer_blocked {
            response.extensions.insert(CustomerBlocked);
        }
        Ok(response)
    }
}

impl Serve<dto::DeleteBucketEncryptionInput> for Adapter {
    type Output = dto::DeleteBucketEncryptionOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteBucketEncryptionInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.delete_bucket_encryption(call.caller(), &name).await.map_err(failed)?;
        Ok(S3Response::new(dto::DeleteBucketEncryptionOutput {}))
    }
}

/// A bucket's default from its configuration, which has exactly one rule. A rule that says only what it blocks
/// (`blocks`) leaves S3's own default.
fn parse_rules(configuration: dto::ServerSideEncryptionConfiguration, blocks: bool) -> Result<BucketDefault, Face> {
    let Ok([rule]) = <[dto::ServerSideEncryptionRule; 1]>::try_from(configuration.rules) else {
        return Err(Face::malformed_xml());
    };
    let default = match rule.apply_server_side_encryption_by_default {
        Some(default) => default,
        None if blocks => return Ok(BucketDefault::S3 { cipher: DataCipher::Aes256 }),
        None => return Err(Face::malformed_xml()),
    };
    // A bucket's own key is what bucket keys are for: only who says so goes without.
    let bucket_key = rule.bucket_key_enabled != Some(false);
    let key = default.kms_master_key_id;
    match default.sse_algorithm.as_str() {
        ServerSideEncryption::AES256 if key.is_some() => Err(Face::invalid_argument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        )),
        ServerSideEncryption::AES256 => Ok(BucketDefault::S3 { cipher: DataCipher::Aes256 }),
        ServerSideEncryption::AWS_KMS => {
            Ok(BucketDefault::Kms { key: key.filter(|key| !key.is_empty()), bucket_key, cipher: DataCipher::Aes256 })
        }
        ServerSideEncryption::AWS_KMS_DSSE => Err(Face::invalid_argument(
            "aws:kms:dsse promises two independent layers of encryption, which this gateway does not apply. Use \
             aws:kms.",
        )),
        _ => Err(Face::malformed_xml()),
    }
}

/// What a bucket answers that has no rule of its own while the gateway's default is no encryption.
fn not_encrypted() -> Face {
    Face::new(
        StatusCode::NOT_FOUND,
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    )
}

/// A bucket's default as its configuration.
fn rules(default: BucketDefault) -> dto::ServerSideEncryptionConfiguration {
    let (algorithm, key, bucket_key) = match default {
        BucketDefault::S3 { cipher: DataCipher::Aes256 } => (ServerSideEncryption::AES256, None, false),
        BucketDefault::S3 { cipher: DataCipher::Sm4 } => (SM4, None, false),
        BucketDefault::Kms { key, bucket_key, cipher: _ } => (ServerSideEncryption::AWS_KMS, key, bucket_key),
    };
    dto::ServerSideEncryptionConfiguration {
        rules: vec![dto::ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(dto::ServerSideEncryptionByDefault {
                kms_master_key_id: key,
                sse_algorithm: ServerSideEncryption::from_static(algorithm),
            }),
            bucket_key_enabled: Some(bucket_key),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(algorithm: &'static str, key: Option<&str>, bucket_key: Option<bool>) -> dto::ServerSideEncryptionRule {
        dto::ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(dto::ServerSideEncryptionByDefault {
                kms_master_key_id: key.map(str::to_owned),
                sse_algorithm: ServerSideEncryption::from_static(algorithm),
            }),
            bucket_key_enabled: bucket_key,
        }
    }

    fn parse(rules: Vec<dto::ServerSideEncryptionRule>) -> Result<BucketDefault, &'static str> {
        parse_rules(dto::ServerSideEncryptionConfiguration { rules }, false).map_err(|face| face.code)
    }

    #[test]
    fn exactly_one_consistent_rule_is_taken() {
        let cipher = DataCipher::Aes256;
        assert_eq!(parse(vec![rule("AES256", None, None)]), Ok(BucketDefault::S3 { cipher }));
        let kms = BucketDefault::Kms { key: Some("alias/a".into()), bucket_key: false, cipher };
        assert_eq!(parse(vec![rule("aws:kms", Some("alias/a"), Some(false))]), Ok(kms));
        assert_eq!(parse(vec![]), Err("MalformedXML"));
        assert_eq!(parse(vec![rule("AES256", None, None), rule("AES256", None, None)]), Err("MalformedXML"));
        assert_eq!(parse(vec![rule("AES256", Some("k"), None)]), Err("InvalidArgument"));
        let flagged = BucketDefault::Kms { key: None, bucket_key: true, cipher };
        for flag in [None, Some(true)] {
            assert_eq!(parse(vec![rule("aws:kms", None, flag)]), Ok(flagged.clone()), "on unless it is switched off");
        }
        assert_eq!(parse(vec![rule("aws:kms:dsse", None, None)]), Err("InvalidArgument"));
        assert_eq!(parse(vec![rule("ROT13", None, None)]), Err("MalformedXML"));
        let mut empty = rule("AES256", None, None);
        empty.apply_server_side_encryption_by_default = None;
        assert_eq!(parse(vec![empty]), Err("MalformedXML"));
    }

    #[test]
    fn a_default_reads_back_as_it_was_given() {
        let cipher = DataCipher::Aes256;
        for default in [
            BucketDefault::S3 { cipher },
            BucketDefault::Kms { key: None, bucket_key: true, cipher },
            BucketDefault::Kms { key: Some("k".into()), bucket_key: false, cipher },
        ] {
            assert_eq!(parse_rules(rules(default.clone()), false), Ok(default));
        }
    }
}
