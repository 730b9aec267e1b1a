//! Who is calling.

use crate::kms::Principal;
use crate::types::{AccessKeyId, UserId};

use super::credentials::{Credential, InForce};
use super::mac::SignatureMatch;
use super::policy::Denied;

/// How a caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Alibaba Cloud's `ACS3-HMAC-SHA256` in the `Authorization` header.
    AliyunAcs3,
    /// Alibaba Cloud's version 1.0 among the parameters.
    AliyunRpc,
    /// OSS's version 1 in the fields of an HTML form.
    OssV1Form,
    /// OSS's version 1 in the `Authorization` header.
    OssV1Header,
    /// OSS's version 1 in the URL.
    OssV1Url,
    /// OSS's version 2 in the `Authorization` header.
    OssV2Header,
    /// OSS's version 4 in the fields of an HTML form.
    OssV4Form,
    /// OSS's version 4 in the `Authorization` header.
    OssV4Header,
    /// OSS's version 4 in the URL.
    OssV4Url,
    /// Signature version 2 in the fields of an HTML form.
    SigV2Form,
    /// Signature version 2 in the `Authorization` header.
    SigV2Header,
    /// Signature version 2 in the URL.
    SigV2Url,
    /// Signature version 4 in the fields of an HTML form.
    SigV4Form,
    /// Signature version 4 in the `Authorization` header.
    SigV4Header,
    /// Signature version 4 in the URL (a presigned URL).
    SigV4Url,
}

impl Scheme {
    /// Whether this is S3's signature version 4, which SSE-KMS asks for there. OSS asks for none in particular.
    #[must_use]
    pub fn is_sigv4(self) -> bool {
        matches!(self, Self::SigV4Form | Self::SigV4Header | Self::SigV4Url)
    }
}

/// A caller whose signature was compared and found right, by a credential that is in force. There is no other way to make
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    user: UserId,
    root: bool,
    access_key: AccessKeyId,
    scheme: Scheme,
}

impl Authenticated {
    pub(super) fn new(
        _proof: SignatureMatch,
        _in_force: InForce,
        credential: &Credential,
        access_key: AccessKeyId,
        scheme: Scheme,
    ) -> Self {
        Self { user: credential.user().clone(), root: credential.root(), access_key, scheme }
    }

    /// A caller for the unit tests of other rooms.
    #[cfg(test)]
    pub(crate) fn for_test(user: &str, root: bool) -> Self {
        let access_key = AccessKeyId::new(format!("AK-{user}"));
        Self { user: UserId::new(user), root, access_key, scheme: Scheme::SigV4Header }
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Whether it is the root user.
    #[must_use]
    pub fn root(&self) -> bool {
        self.root
    }

    /// The access key that signed.
    #[must_use]
    pub fn access_key(&self) -> &AccessKeyId {
        &self.access_key
    }

    /// How it signed.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The same caller, as a key service knows it.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal { user: self.user.clone(), root: self.root }
    }
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The request carries no credentials.
    Anonymous,
    /// A user, authenticated.
    User(Authenticated),
}

impl Caller {
    /// The authenticated user, if there is one.
    #[must_use]
    pub fn user(&self) -> Option<&Authenticated> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user),
        }
    }

    /// Whether the request was signed with S3's signature version 4, which SSE-KMS asks for there.
    #[must_use]
    pub fn is_sigv4(&self) -> bool {
        self.user().is_some_and(|user| user.scheme().is_sigv4())
    }

    /// The caller, as a key service knows it.
    ///
    /// # Errors
    /// [`Denied`]: nobody uses a key anonymously.
    pub fn principal(&self) -> Result<Principal, Denied> {
        self.user().map(Authenticated::principal).ok_or(Denied::Anonymous)
    }
}
