//! The query parameters that V1 signs, as data: the union of what the service's documentation and its clients sign. A
//! client and we must agree on every one of them, and a parameter that selects another operation must be here: outside the
//! list it could be added to a signed request.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header>

/// In the order of their bytes.
const SIGNED: &[&str] = &[
    "accessPoint",
    "accessPointConfigForObjectProcess",
    "accessPointForObjectProcess",
    "accessPointPolicy",
    "accessPointPolicyForObjectProcess",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cleanRestoredObject",
    "cloudboxes",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "dataPipeline",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "img",
    "inventory",
    "inventoryId",
    "legalHold",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "objectInfo",
    "objectMeta",
    "objectWorm",
    "overwriteConfig",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "quota",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "responseHeader",
    "restore",
    "retention",
    "rtc",
    "seal",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "udf",
    "udfApplication",
    "udfApplicationLog",
    "udfId",
    "udfImage",
    "udfImageDesc",
    "udfName",
    "uploadId",
    "uploads",
    "userDefinedLogFieldsConfig",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "withHashContext",
    "worm",
    "wormExtend",
    "wormId",
];

/// Every parameter that begins so is signed as well.
const PREFIX: &[u8] = b"x-oss-";

/// Whether V1 signs the parameter of this (decoded) name. A dialect routes by no parameter that this does not name.
#[must_use]
pub fn v1_signs(name: &[u8]) -> bool {
    name.starts_with(PREFIX) || SIGNED.binary_search_by(|signed| signed.as_bytes().cmp(name)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_so_that_all_of_it_is_found() {
        assert!(SIGNED.is_sorted_by(|a, b| a < b));
        assert!(SIGNED.iter().all(|name| v1_signs(name.as_bytes())));
        assert!(v1_signs(b"x-oss-process"));
        for unsigned in
            ["prefix", "marker", "max-keys", "list-type", "Acl", "OSSAccessKeyId", "Expires", "Signature", ""]
        {
            assert!(!v1_signs(unsigned.as_bytes()), "{unsigned}");
        }
    }
}
