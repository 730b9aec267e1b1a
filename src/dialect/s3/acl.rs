//! ACLs of buckets and objects, by canned name or by a document that says the same, and the public access block.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto;
use s3s::{S3Response, S3Result};

use crate::gateway::{Acl, CannedAcl, PublicAccessBlock};
use crate::types::UserId;

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket, object, version};
use super::context::Call;
use super::error::{Face, failed};
use super::owner::{canonical_id, owner};

const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

/// The ACL that `x-amz-acl` names.
pub(super) fn header(headers: &HeaderMap) -> Result<Option<CannedAcl>, Face> {
    let Some(value) = headers.get("x-amz-acl") else { return Ok(None) };
    let found = value.to_str().ok().and_then(CannedAcl::named);
    found.map(Some).ok_or_else(|| Face::invalid_argument("The canned ACL is not known, or not supported."))
}

/// Who is granted what, as a comparable pair: a canonical id or a group's URI, and a permission.
type Granted = (String, &'static str);

/// What an ACL grants. On a bucket the ACLs for the bucket's owner are private, as it owns the bucket.
fn grants(acl: &Acl) -> Vec<Granted> {
    let mut all = vec![(canonical_id(&acl.owner), dto::Permission::FULL_CONTROL)];
    let others = acl.owner != acl.bucket_owner;
    match acl.acl {
        CannedAcl::Private => {}
        CannedAcl::PublicRead => all.push((EVERYBODY.to_owned(), dto::Permission::READ)),
        CannedAcl::PublicReadWrite => {
            all.push((EVERYBODY.to_owned(), dto::Permission::READ));
            all.push((EVERYBODY.to_owned(), dto::Permission::WRITE));
        }
        CannedAcl::AuthenticatedRead => all.push((USERS.to_owned(), dto::Permission::READ)),
        CannedAcl::BucketOwnerRead if others => all.push((canonical_id(&acl.bucket_owner), dto::Permission::READ)),
        CannedAcl::BucketOwnerFullControl if others => {
            all.push((canonical_id(&acl.bucket_owner), dto::Permission::FULL_CONTROL));
        }
        CannedAcl::BucketOwnerRead | CannedAcl::BucketOwnerFullControl => {}
    }
    all
}

fn written(acl: &Acl) -> dto::Grants {
    let name = |id: &str| [&acl.owner, &acl.bucket_owner].into_iter().find(|user| canonical_id(user) == id);
    let grantee = |who: String| match name(&who) {
        Some(user) => dto::Grantee {
            display_name: Some(user.as_str().to_owned()),
            email_address: None,
            id: Some(who),
            type_: dto::Type::from_static(dto::Type::CANONICAL_USER),
            uri: None,
        },
        None => dto::Grantee {
            display_name: None,
            email_address: None,
            id: None,
            type_: dto::Type::from_static(dto::Type::GROUP),
            uri: Some(who),
        },
    };
    let grant = |(who, permission)| dto::Grant {
        grantee: Some(grantee(who)),
        permission: Some(dto::Permission::from_static(permission)),
    };
    grants(acl).into_iter().map(grant).collect()
}

/// The canned ACL that a request means: by its header, or by a document that grants exactly what one does.
fn asked(
    headers: &HeaderMap,
    document: Option<dto::AccessControlPolicy>,
    (of, bucket_owner): (&UserId, &UserId),
) -> Result<CannedAcl, Face> {
    match (header(headers)?, document) {
        (Some(_), Some(_)) => Err(Face::invalid_request("Specifying both Canned ACLs and a document is not allowed")),
        (Some(acl), None) => Ok(acl),
        (None, None) => Err(Face::bad("MissingSecurityHeader", "Your request was missing a required header")),
        (None, Some(document)) => {
            let mut sent = Vec::new();
            for grant in document.grants.unwrap_or_default() {
                let grantee = grant.grantee.ok_or_else(Face::malformed_xml)?;
                let who = grantee.id.or(grantee.uri).ok_or_else(Face::malformed_xml)?;
                let permission = grant.permission.ok_or_else(Face::malformed_xml)?;
                sent.push((who, permission.as_str().to_owned()));
            }
            sent.sort();
            let same = |acl: &CannedAcl| {
                let acl = Acl { owner: of.clone(), bucket_owner: bucket_owner.clone(), acl: *acl, inherited: false };
                let mut theirs: Vec<_> =
                    grants(&acl).into_iter().map(|(who, permission)| (who, permission.to_owned())).collect();
                theirs.sort();
                theirs == sent
            };
            let all = [
                CannedAcl::Private,
                CannedAcl::PublicRead,
                CannedAcl::PublicReadWrite,
                CannedAcl::AuthenticatedRead,
                CannedAcl::BucketOwnerRead,
                CannedAcl::BucketOwnerFullControl,
            ];
            all.into_iter().find(same).ok_or_else(|| Face::not_implemented("An ACL that is no canned one"))
        }
    }
}

impl Serve<dto::GetBucketAclInput> for Adapter {
    type Output = dto::GetBucketAclOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketAclInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let acl = self.gateway.bucket_acl(call.caller(), &name).await.map_err(failed)?;
        let (grants, owner) = (Some(written(&acl)), Some(owner(&acl.owner)));
        Ok(S3Response::new(dto::GetBucketAclOutput { grants, owner }))
    }
}

impl Serve<dto::PutBucketAclInput> for Adapter {
    type Output = dto::PutBucketAclOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutBucketAclInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let acl = match input.access_control_policy {
            None => asked(&call.headers, None, (&UserId::new(""), &UserId::new("")))?,
            Some(document) => {
                let now = self.gateway.bucket_acl(call.caller(), &name).await.map_err(failed)?;
                asked(&call.headers, Some(document), (&now.owner, &now.bucket_owner))?
            }
        };
        self.gateway.put_bucket_acl(call.caller(), &name, acl).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutBucketAclOutput {}))
    }
}

impl Serve<dto::GetObjectAclInput> for Adapter {
    type Output = dto::GetObjectAclOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetObjectAclInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let version = version(input.version_id.as_deref())?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        let acl = self.gateway.object_acl(call.caller(), &at, version).await.map_err(failed)?;
        let (grants, owner) = (Some(written(&acl)), Some(owner(&acl.owner)));
        Ok(S3Response::new(dto::GetObjectAclOutput { grants, owner, request_charged: None }))
    }
}

impl Serve<dto::PutObjectAclInput> for Adapter {
    type Output = dto::PutObjectAclOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutObjectAclInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let version = version(input.version_id.as_deref())?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        let acl = match input.access_control_policy {
            None => asked(&call.headers, None, (&UserId::new(""), &UserId::new("")))?,
            Some(document) => {
                let now = self.gateway.object_acl(call.caller(), &at, version.clone()).await.map_err(failed)?;
                asked(&call.headers, Some(document), (&now.owner, &now.bucket_owner))?
            }
        };
        self.gateway.put_object_acl(call.caller(), &at, version, Some(acl)).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutObjectAclOutput { request_charged: None }))
    }
}

impl Serve<dto::GetPublicAccessBlockInput> for Adapter {
    type Output = dto::GetPublicAccessBlockOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetPublicAccessBlockInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let block = self.gateway.public_access_block(call.caller(), &name).await.map_err(failed)?;
        let configuration = dto::PublicAccessBlockConfiguration {
            block_public_acls: Some(block.block_acls),
            block_public_policy: Some(block.block_policy),
            ignore_public_acls: Some(block.ignore_acls),
            restrict_public_buckets: Some(block.restrict_buckets),
        };
        let public_access_block_configuration = Some(configuration);
        Ok(S3Response::new(dto::GetPublicAccessBlockOutput { public_access_block_configuration }))
    }
}

impl Serve<dto::PutPublicAccessBlockInput> for Adapter {
    type Output = dto::PutPublicAccessBlockOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutPublicAccessBlockInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let asked = input.public_access_block_configuration;
        let block = PublicAccessBlock {
            block_acls: asked.block_public_acls.unwrap_or(false),
            ignore_acls: asked.ignore_public_acls.unwrap_or(false),
            block_policy: asked.block_public_policy.unwrap_or(false),
            restrict_buckets: asked.restrict_public_buckets.unwrap_or(false),
        };
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_public_access_block(call.caller(), &name, Some(block)).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutPublicAccessBlockOutput {}))
    }
}

impl Serve<dto::DeletePublicAccessBlockInput> for Adapter {
    type Output = dto::DeletePublicAccessBlockOutput;

    async fn on(
        &self,
        call: Arc<Call>,
        input: dto::DeletePublicAccessBlockInput,
    ) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_public_access_block(call.caller(), &name, None).await.map_err(failed)?;
        Ok(S3Response::new(dto::DeletePublicAccessBlockOutput {}))
    }
}
