//! A bucket's default encryption.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/putbucketencryption>

use crate::gateway::Error;
use crate::sse::{BucketDefault, BucketEncryption, DataCipher};

use super::error::face;
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::sse;
use super::xml::{Writer, parse};

const ROOT: &str = "ServerSideEncryptionRule";
const APPLY: &str = "ApplyServerSideEncryptionByDefault";

/// The default that a rule asks for. Its elements come in any order, and an empty one says nothing.
pub(super) fn read(document: &[u8]) -> Result<BucketDefault, Face> {
    let root = parse(document, ROOT)?;
    let rule = root.child(APPLY).ok_or_else(Face::malformed_xml)?;
    let (key, data) = (rule.value("KMSMasterKeyID"), rule.value("KMSDataEncryption"));
    let cipher = match rule.value("SSEAlgorithm").ok_or_else(Face::malformed_xml)? {
        sse::KMS => {
            let cipher = match data {
                None => DataCipher::Aes256,
                Some(sse::SM4) => DataCipher::Sm4,
                Some(other) => {
                    return Err(Face::argument("KMSDataEncryption", other, "The data encryption must be SM4."));
                }
            };
            // OSS has no word for bucket keys; a bucket's own key has them.
            return Ok(BucketDefault::Kms { key: key.map(str::to_owned), bucket_key: true, cipher });
        }
        sse::AES256 => DataCipher::Aes256,
        sse::SM4 => DataCipher::Sm4,
        _ => return Err(sse::bad_algorithm()),
    };
    let beside = [("KMSMasterKeyID", key), ("KMSDataEncryption", data)];
    match beside.into_iter().find_map(|(name, value)| value.map(|value| (name, value))) {
        None => Ok(BucketDefault::S3 { cipher }),
        Some((name, value)) => {
            let message = format!("{name} is not applicable if the default sse algorithm is not KMS");
            Err(Face::argument(name, value, message))
        }
    }
}

/// The rule that a default is.
pub(super) fn write(default: &BucketDefault) -> bytes::Bytes {
    let mut out = Writer::new(ROOT);
    out.within(APPLY, |out| match default {
        BucketDefault::S3 { cipher } => {
            out.text("SSEAlgorithm", sse::method_of(*cipher));
            out.text("KMSMasterKeyID", "");
        }
        BucketDefault::Kms { key, bucket_key: _, cipher } => {
            out.text("SSEAlgorithm", sse::KMS);
            out.text("KMSMasterKeyID", key.as_deref().unwrap_or_default());
            out.some("KMSDataEncryption", sse::data_encryption(*cipher));
        }
    });
    out.finish()
}

impl OssDialect {
    pub(super) async fn put_encryption(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let failed = |error: Error| face(&error);
        let default = read(&call.document)?;
        // What S3 clients have set beside it is not this document's to change.
        let rule = self.gateway.bucket_encryption_rule(&call.requester, &name).await.map_err(failed)?;
        let customer_blocked = rule.is_some_and(|rule| rule.customer_blocked);
        let encryption = BucketEncryption { default, customer_blocked };
        self.gateway.put_bucket_encryption(&call.requester, &name, encryption).await.map_err(failed)?;
        Ok(Reply::empty())
    }

    pub(super) async fn get_encryption(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let rule = self.gateway.bucket_encryption_rule(&call.requester, &name).await.map_err(|error| face(&error))?;
        let rule = rule.ok_or_else(|| {
            Face::missing("NoSuchServerSideEncryptionRule", "The server side encryption configuration was not found.")
                .with("BucketName", &name)
        })?;
        Ok(Reply::xml(write(&rule.default)))
    }

    pub(super) async fn delete_encryption(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        self.gateway.delete_bucket_encryption(&call.requester, &name).await.map_err(|error| face(&error))?;
        Ok(Reply::no_content())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(inner: &str) -> Result<BucketDefault, &'static str> {
        read(format!("<{ROOT}><{APPLY}>{inner}</{APPLY}></{ROOT}>").as_bytes()).map_err(|face| {
            assert_eq!(face.status, 400);
            face.code
        })
    }

    #[test]
    fn a_rule_is_read_in_any_order_and_empty_elements_say_nothing() {
        let kms = BucketDefault::Kms { key: Some("k".into()), bucket_key: true, cipher: DataCipher::Sm4 };
        let text = "<KMSDataEncryption>SM4</KMSDataEncryption><KMSMasterKeyID>k</KMSMasterKeyID><SSEAlgorithm>KMS</SSEAlgorithm>";
        assert_eq!(rule(text), Ok(kms));
        let text = "<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID></KMSMasterKeyID><KMSDataEncryption/>";
        assert_eq!(rule(text), Ok(BucketDefault::S3 { cipher: DataCipher::Aes256 }));
        assert_eq!(rule("<SSEAlgorithm>SM4</SSEAlgorithm>"), Ok(BucketDefault::S3 { cipher: DataCipher::Sm4 }));
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        let table = [
            ("<SSEAlgorithm>AES128</SSEAlgorithm>", "InvalidEncryptionAlgorithmError"),
            ("<SSEAlgorithm>aws:kms</SSEAlgorithm>", "InvalidEncryptionAlgorithmError"),
            ("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>", "InvalidArgument"),
            ("<SSEAlgorithm>SM4</SSEAlgorithm><KMSDataEncryption>SM4</KMSDataEncryption>", "InvalidArgument"),
            ("<SSEAlgorithm>KMS</SSEAlgorithm><KMSDataEncryption>AES</KMSDataEncryption>", "InvalidArgument"),
            ("", "MalformedXML"),
        ];
        for (text, code) in table {
            assert_eq!(rule(text), Err(code), "{text}");
        }
        assert_eq!(read(b"<x/>").unwrap_err().code, "MalformedXML");
        assert_eq!(read(b"<ServerSideEncryptionRule/>").unwrap_err().code, "MalformedXML");
    }

    #[test]
    fn a_rule_reads_back_as_it_was_given() {
        for cipher in [DataCipher::Aes256, DataCipher::Sm4] {
            for default in [
                BucketDefault::S3 { cipher },
                BucketDefault::Kms { key: None, bucket_key: true, cipher },
                BucketDefault::Kms { key: Some("alias/a".into()), bucket_key: true, cipher },
            ] {
                assert_eq!(read(&write(&default)), Ok(default));
            }
        }
    }
}
