//! The two tables.

use super::Verb::{Delete, Get, Post, Put};
use super::{SubResource, VALUE_MAXIMUM, Verb};
use crate::store::upstream::Wire;

/// A parameter beside a sub-resource's own.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Argument {
    name: &'static str,
    /// The methods that are another request without it.
    needed: &'static [Verb],
    /// The methods that it may go with.
    taken: &'static [Verb],
    /// All values that it may have; any where there are none.
    values: &'static [&'static str],
}

/// A sub-resource as a dialect has it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row {
    pub(super) sub: SubResource,
    /// The query parameter.
    pub(super) name: &'static str,
    /// The roots of its documents.
    pub(super) roots: &'static [&'static str],
    pub(super) verbs: &'static [Verb],
    arguments: &'static [Argument],
    /// The header in which POST answers what it made.
    pub(super) tells: Option<&'static str>,
}

/// The rows of a dialect.
pub(super) fn of(wire: Wire) -> &'static [Row] {
    match wire {
        Wire::S3 => S3,
        Wire::Oss => OSS,
    }
}

impl Row {
    /// A query that asks for this and for nothing that is not known.
    pub(super) fn query<'a>(
        &self,
        verb: Verb,
        query: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Option<Vec<(&'static str, String)>> {
        let one = |name: &str| {
            let mut found = query.clone().filter(|(known, _)| *known == name).map(|(_, value)| value);
            (found.next(), found.next().is_some())
        };
        let mut whole = Vec::new();
        if !self.arguments.iter().any(|argument| argument.name == self.name) {
            let (Some(""), false) = one(self.name) else { return None };
            whole.push((self.name, String::new()));
        }
        for argument in self.arguments {
            match one(argument.name) {
                (Some(value), false) if argument.takes(verb, value) => whole.push((argument.name, value.to_owned())),
                (None, _) if !argument.needed.contains(&verb) => {}
                _ => return None,
            }
        }
        (whole.len() == query.count()).then_some(whole)
    }
}

impl Argument {
    fn takes(&self, verb: Verb, value: &str) -> bool {
        (1..=VALUE_MAXIMUM).contains(&value.len())
            && (self.taken.contains(&verb) || self.needed.contains(&verb))
            && (self.values.is_empty() || self.values.contains(&value))
    }
}

const fn plain(sub: SubResource, name: &'static str, roots: &'static [&'static str], verbs: &'static [Verb]) -> Row {
    Row { sub, name, roots, verbs, arguments: &[], tells: None }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>
const S3: &[Row] = &[
    plain(SubResource::Accelerate, "accelerate", &["AccelerateConfiguration"], &[Get, Put]),
    plain(SubResource::LegalHold, "legal-hold", &["LegalHold"], &[Get, Put]),
    plain(SubResource::Lifecycle, "lifecycle", &["LifecycleConfiguration"], &[Delete, Get, Put]),
    plain(SubResource::Logging, "logging", &["BucketLoggingStatus"], &[Get, Put]),
    plain(SubResource::Notification, "notification", &["NotificationConfiguration"], &[Get, Put]),
    plain(SubResource::ObjectLock, "object-lock", &["ObjectLockConfiguration"], &[Get, Put]),
    plain(SubResource::Replication, "replication", &["ReplicationConfiguration"], &[Delete, Get, Put]),
    plain(SubResource::RequestPayment, "requestPayment", &["RequestPaymentConfiguration"], &[Get, Put]),
    plain(SubResource::Retention, "retention", &["Retention"], &[Get, Put]),
    plain(SubResource::Website, "website", &["WebsiteConfiguration"], &[Delete, Get, Put]),
];

/// A retention policy's id, which each step after the first names.
const WORM_ID: Argument = Argument { name: "wormId", needed: &[Post], taken: &[], values: &[] };

/// What is about those who reach a bucket (referers, TLS, public access, names of domains) is not here: whom the gateway
/// serves, the store behind it does not see. Nor is what makes an object another (image styles) or forbids to overwrite it.
///
/// <https://www.alibabacloud.com/help/en/oss/developer-reference/bucket-operations/>
const OSS: &[Row] = &[
    Row {
        sub: SubResource::Inventory,
        name: "inventory",
        roots: &["InventoryConfiguration", "ListInventoryConfigurationsResult"],
        verbs: &[Delete, Get, Put],
        arguments: &[
            Argument { name: "inventoryId", needed: &[Delete, Put], taken: &[Get], values: &[] },
            Argument { name: "continuation-token", needed: &[], taken: &[Get], values: &[] },
        ],
        tells: None,
    },
    plain(SubResource::Lifecycle, "lifecycle", &["LifecycleConfiguration"], &[Delete, Get, Put]),
    plain(SubResource::Logging, "logging", &["BucketLoggingStatus"], &[Delete, Get, Put]),
    Row {
        sub: SubResource::Replication,
        name: "replication",
        roots: &["ReplicationConfiguration", "ReplicationRules"],
        verbs: &[Get, Post],
        arguments: &[Argument { name: "comp", needed: &[Post], taken: &[], values: &["add", "delete"] }],
        tells: Some("x-oss-replication-rule-id"),
    },
    plain(SubResource::Replication, "replicationLocation", &["ReplicationLocation"], &[Get]),
    plain(SubResource::RequestPayment, "requestPayment", &["RequestPaymentConfiguration"], &[Get, Put]),
    plain(SubResource::Accelerate, "transferAcceleration", &["TransferAccelerationConfiguration"], &[Get, Put]),
    plain(
        SubResource::LogFields,
        "userDefinedLogFieldsConfig",
        &["UserDefinedLogFieldsConfiguration"],
        &[Delete, Get, Put],
    ),
    plain(SubResource::Website, "website", &["WebsiteConfiguration"], &[Delete, Get, Put]),
    Row {
        sub: SubResource::ObjectLock,
        name: "worm",
        roots: &["InitiateWormConfiguration", "WormConfiguration"],
        verbs: &[Delete, Get, Post],
        arguments: &[],
        tells: Some("x-oss-worm-id"),
    },
    Row {
        sub: SubResource::ObjectLock,
        name: "wormExtend",
        roots: &["ExtendWormConfiguration"],
        verbs: &[Post],
        arguments: &[WORM_ID],
        tells: None,
    },
    Row {
        sub: SubResource::ObjectLock,
        name: "wormId",
        roots: &[],
        verbs: &[Post],
        arguments: &[WORM_ID],
        tells: None,
    },
];
