//! GetBucketStat.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/getbucketstat>

use crate::gateway::BucketStat;

use super::error::face;
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::xml::Writer;

/// Everything here is of one storage class; what there could be of others is zero, and clients ask for it.
fn write(stat: &BucketStat) -> bytes::Bytes {
    let mut out = Writer::new("BucketStat");
    let rows = [
        ("Storage", stat.storage),
        ("ObjectCount", stat.objects),
        ("MultipartUploadCount", stat.uploads),
        ("LiveChannelCount", 0),
        ("LastModifiedTime", stat.counted.0 / 1000),
        ("StandardStorage", stat.storage),
        ("StandardObjectCount", stat.objects),
    ];
    for (name, value) in rows {
        out.show(name, value);
    }
    for class in ["InfrequentAccess", "Archive", "ColdArchive", "DeepColdArchive"] {
        for of in ["Storage", "RealStorage", "ObjectCount"] {
            out.show(&format!("{class}{of}"), 0);
        }
    }
    out.show("DeleteMarkerCount", stat.markers);
    out.finish()
}

impl OssDialect {
    pub(super) async fn bucket_stat(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let stat = self.gateway.bucket_stat(&call.requester, &name).await.map_err(|error| face(&error))?;
        Ok(Reply::xml(write(&stat)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;

    #[test]
    fn all_of_it_is_of_one_class() {
        let stat = BucketStat { storage: 7, objects: 3, markers: 1, uploads: 2, counted: Timestamp(5_999) };
        let root = super::super::xml::parse(&write(&stat), "BucketStat").unwrap();
        for (name, value) in [
            ("Storage", "7"),
            ("StandardStorage", "7"),
            ("ObjectCount", "3"),
            ("MultipartUploadCount", "2"),
            ("LastModifiedTime", "5"),
            ("ColdArchiveRealStorage", "0"),
            ("DeleteMarkerCount", "1"),
        ] {
            assert_eq!(root.value(name), Some(value), "{name}");
        }
    }
}
