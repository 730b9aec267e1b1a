//! What of a bucket an upstream may be asked to do by itself, since it touches neither bodies nor keys. The table is closed: a
//! store that does not know a sub-resource may do the plain operation instead (Ceph 16 takes `DELETE ?encryption` for
//! DeleteBucket), so that nothing passes which is not named here, and of this nothing that the operator does not name.

use std::fmt;
use std::str::FromStr;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Take the configuration away.
    Delete,
    /// Read it.
    Get,
    /// Set it.
    Put,
}

impl Verb {
    /// As HTTP writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }
}

macro_rules! sub_resources {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $root:literal, [$($verb:ident),*];)*) => {
        /// A configuration of a bucket, by the name of S3's query parameter.
        /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SubResource {
            $($(#[$doc])* $name,)*
        }

        impl SubResource {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The query parameter.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The root of the document that describes it. An answer with another one is to another question.
            #[must_use]
            pub fn root(self) -> &'static str {
                match self { $(Self::$name => $root,)* }
            }

            /// The methods that S3 has for it.
            #[must_use]
            pub fn verbs(self) -> &'static [Verb] {
                match self { $(Self::$name => &[$(Verb::$verb),*],)* }
            }
        }
    };
}

sub_resources! {
    /// Transfer acceleration.
    Accelerate = "accelerate", "AccelerateConfiguration", [Get, Put];
    /// Rules by which objects expire.
    Lifecycle = "lifecycle", "LifecycleConfiguration", [Delete, Get, Put];
    /// Where requests are logged.
    Logging = "logging", "BucketLoggingStatus", [Get, Put];
    /// Whom events are sent to.
    Notification = "notification", "NotificationConfiguration", [Get, Put];
    /// Object lock.
    ObjectLock = "object-lock", "ObjectLockConfiguration", [Get, Put];
    /// Replication to other buckets.
    Replication = "replication", "ReplicationConfiguration", [Delete, Get, Put];
    /// Who pays.
    RequestPayment = "requestPayment", "RequestPaymentConfiguration", [Get, Put];
    /// A static site.
    Website = "website", "WebsiteConfiguration", [Delete, Get, Put];
}

/// A method on a sub-resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Passage {
    verb: Verb,
    sub: SubResource,
}

impl Passage {
    /// The passage of these names; `None` where there is no such.
    #[must_use]
    pub fn named(method: &str, sub: &str) -> Option<Self> {
        let sub = *SubResource::ALL.iter().find(|known| known.name() == sub)?;
        let verb = *sub.verbs().iter().find(|verb| verb.name() == method)?;
        Some(Self { verb, sub })
    }

    /// The method.
    #[must_use]
    pub fn verb(self) -> Verb {
        self.verb
    }

    /// The sub-resource.
    #[must_use]
    pub fn sub(self) -> SubResource {
        self.sub
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.name(), self.sub.name())
    }
}

impl FromStr for Passage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split_once(' ').and_then(|(method, sub)| Self::named(method, sub.trim()));
        named.ok_or_else(|| {
            let all = |sub: &SubResource| {
                let verbs: Vec<&str> = sub.verbs().iter().map(|verb| verb.name()).collect();
                format!("{} {}", verbs.join("/"), sub.name())
            };
            let known: Vec<String> = SubResource::ALL.iter().map(all).collect();
            format!("{text:?} is none of {}", known.join(", "))
        })
    }
}

/// What an upstream answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// It did. The document as it came, or nothing.
    Done(bytes::Bytes),
    /// It refused the request, which is the client's business.
    Refused {
        /// The HTTP status, 4xx or 501.
        status: u16,
        /// Its error code.
        code: String,
        /// Its message, or nothing.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_table_is_a_passage() {
        for sub in SubResource::ALL {
            for verb in sub.verbs() {
                let text = format!("{} {}", verb.name(), sub.name());
                assert_eq!(text.parse::<Passage>().unwrap().to_string(), text);
            }
        }
        for bad in
            ["", "lifecycle", "DELETE encryption", "DELETE logging", "get lifecycle", "PUT policy", "POST lifecycle"]
        {
            let why = bad.parse::<Passage>().unwrap_err();
            assert!(why.contains("DELETE/GET/PUT lifecycle"), "{why}");
        }
    }
}
