//! How keys are called here: by id, by alias, or by an ARN of Alibaba Cloud's (`acs:kms:region:account:key/id`). The
//! keystore knows AWS's ARNs; this room translates.

use crate::kms::KeyRef;
use crate::kms::embedded::{AliasName, KeyId};
use crate::types::ACCOUNT;

/// Where the keys are, in this API's ARNs.
#[derive(Debug)]
pub(super) struct Place {
    region: String,
}

impl Place {
    pub(super) fn new(region: String) -> Self {
        Self { region }
    }

    pub(super) fn key_arn(&self, id: KeyId) -> String {
        format!("{}key/{id}", self.prefix())
    }

    pub(super) fn alias_arn(&self, name: &AliasName) -> String {
        format!("{}{name}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("acs:kms:{}:{ACCOUNT}:", self.region)
    }

    /// What a `KeyId` names. An ARN of another place names nothing here, and neither does one of AWS's.
    pub(super) fn key(&self, text: &str) -> KeyRef {
        let prefix = self.prefix();
        let named = match text.strip_prefix(&prefix) {
            Some(resource) => resource.strip_prefix("key/").unwrap_or(resource),
            None => text,
        };
        KeyRef(named.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_this_place_names_what_its_last_part_names() {
        let place = Place::new("cn-hangzhou".to_owned());
        let id = "1234abcd-12ab-44cd-86ef-1234567890ab";
        for (text, names) in [
            (id.to_owned(), id.to_owned()),
            ("alias/a".to_owned(), "alias/a".to_owned()),
            (format!("acs:kms:cn-hangzhou:{ACCOUNT}:key/{id}"), id.to_owned()),
            (format!("acs:kms:cn-hangzhou:{ACCOUNT}:alias/a"), "alias/a".to_owned()),
        ] {
            assert_eq!(place.key(&text).0, names);
        }
        let elsewhere = format!("acs:kms:cn-beijing:{ACCOUNT}:key/{id}");
        assert_eq!(place.key(&elsewhere).0, elsewhere);
        assert_eq!(place.key_arn(id.parse().unwrap()), format!("acs:kms:cn-hangzhou:{ACCOUNT}:key/{id}"));
    }
}
