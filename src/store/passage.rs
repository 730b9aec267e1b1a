//! What of a bucket or an object an upstream may be asked to do by itself, since it touches neither bodies nor keys. The tables are closed: a
//! store that does not know a sub-resource may do the plain operation instead (Ceph 16 takes `DELETE ?encryption` for
//! DeleteBucket), so that nothing passes which is not named here, and of this nothing that the operator does not name. S3 and
//! OSS have a table each: their documents differ even where they have one name.

mod table;

use std::fmt;

use bytes::Bytes;

use super::Governance;
use super::upstream::Wire;
use crate::types::{ObjectKey, VersionId};
use table::Row;

/// The longest value of a parameter that goes along.
const VALUE_MAXIMUM: usize = 1024;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Take the configuration away.
    Delete,
    /// Read it.
    Get,
    /// Begin it, or do the next step of it. OSS alone has it.
    Post,
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
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A configuration of a bucket or an object, whatever a dialect calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubResource {
    /// Transfer acceleration.
    Accelerate,
    /// Lists of the objects, made again and again.
    Inventory,
    /// Rules by which objects expire.
    Lifecycle,
    /// Whether a version of an object is held without an end.
    LegalHold,
    /// What stands in the log.
    LogFields,
    /// Where requests are logged.
    Logging,
    /// Whom events are sent to.
    Notification,
    /// How long objects cannot be changed: S3's object lock, OSS's retention policies.
    ObjectLock,
    /// Replication to other buckets.
    Replication,
    /// Who pays.
    RequestPayment,
    /// Until when a version of an object is retained.
    Retention,
    /// A static site.
    Website,
}

impl SubResource {
    /// Whether objects have it, and not buckets.
    #[must_use]
    pub fn is_of_objects(self) -> bool {
        matches!(self, Self::LegalHold | Self::Retention)
    }
}

/// A method on a sub-resource, in the words of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Passage {
    wire: Wire,
    verb: Verb,
    row: &'static Row,
}

impl Passage {
    /// The passage of these names; `None` where there is no such.
    #[must_use]
    pub fn named(wire: Wire, method: &str, sub: &str) -> Option<Self> {
        let row = table::of(wire).iter().find(|row| row.name == sub)?;
        let verb = *row.verbs.iter().find(|verb| verb.name() == method)?;
        Some(Self { wire, verb, row })
    }

    /// Reads an operator's words, such as `GET lifecycle`.
    ///
    /// # Errors
    /// A sentence that says what there is.
    pub fn parse(wire: Wire, text: &str) -> Result<Self, String> {
        let named = text.split_once(' ').and_then(|(method, sub)| Self::named(wire, method, sub.trim()));
        named.ok_or_else(|| {
            let all = |row: &Row| {
                let verbs: Vec<&str> = row.verbs.iter().map(|verb| verb.name()).collect();
                format!("{} {}", verbs.join("/"), row.name)
            };
            let known: Vec<String> = table::of(wire).iter().map(all).collect();
            format!("{text:?} is none of {}", known.join(", "))
        })
    }

    /// Whose words they are.
    #[must_use]
    pub fn wire(self) -> Wire {
        self.wire
    }

    /// The method.
    #[must_use]
    pub fn verb(self) -> Verb {
        self.verb
    }

    /// What it is about.
    #[must_use]
    pub fn sub(self) -> SubResource {
        self.row.sub
    }

    /// The query parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row.name
    }

    /// How the same configuration is read: not each step of one can be.
    #[must_use]
    pub fn reading(self) -> Self {
        let reads = |row: &&Row| row.sub == self.row.sub && row.verbs.contains(&Verb::Get);
        let other = || table::of(self.wire).iter().find(reads).unwrap_or(self.row);
        Self { verb: Verb::Get, row: if reads(&self.row) { self.row } else { other() }, ..self }
    }

    /// Whether this is the root of a document about it. An answer with another one is to another question.
    #[must_use]
    pub fn has_root(self, name: &str) -> bool {
        self.row.roots.contains(&name)
    }

    /// Whether a document goes along.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self.verb, Verb::Post | Verb::Put) && !self.row.roots.is_empty()
    }

    /// The header of the answer that says what was made.
    #[must_use]
    pub fn tells(self) -> Option<&'static str> {
        self.row.tells.filter(|_| self.verb == Verb::Post)
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.name(), self.row.name)
    }
}

/// One request that passes, but for its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// What it is.
    pub passage: Passage,
    /// The whole query: names and values, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// The object that it is about, where it is not about the bucket.
    pub object: Option<PassedObject>,
}

/// The object that a request that passes is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedObject {
    /// Which.
    pub key: ObjectKey,
    /// Which version; the current one otherwise.
    pub version: Option<VersionId>,
    /// Whether a retention period in governance mode may be shortened.
    pub governance: Governance,
}

impl Passing {
    /// The request that is nothing but its sub-resource.
    #[must_use]
    pub fn bare(passage: Passage, object: Option<PassedObject>) -> Self {
        Self { passage, query: vec![(passage.name(), String::new())], object }
    }

    /// The request that a query is, without what a signature adds to it. `None` where any of it is unknown: what would be
    /// left out could change the meaning of the rest.
    /// Of buckets only.
    pub fn read<'a>(wire: Wire, method: &str, query: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<Self> {
        table::of(wire).iter().find_map(|row| {
            let verb = *row.verbs.iter().find(|verb| verb.name() == method)?;
            let query = row.query(verb, query.clone())?;
            Some(Self { passage: Passage { wire, verb, row }, query, object: None })
        })
    }
}

/// Any passage of the sub-resource that a parameter names.
#[must_use]
pub fn passage_about(wire: Wire, parameter: &str) -> Option<Passage> {
    let row = table::of(wire).iter().find(|row| row.name == parameter)?;
    Some(Passage { wire, verb: *row.verbs.first()?, row })
}

/// Whether a request goes to the upstream of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// It does.
    Passes,
    /// Its upstream does something of this configuration, though not this.
    NotThis,
    /// The same configuration passes in the words of another dialect.
    OtherWords,
    /// Nothing of this configuration passes.
    Never,
}

impl Crossing {
    /// What a list says of a request.
    pub(super) fn by<'a>(listed: impl Iterator<Item = &'a Passage> + Clone, asked: Passage) -> Self {
        let mut same = listed.clone().filter(|known| known.sub() == asked.sub());
        match same.next() {
            _ if listed.clone().any(|known| *known == asked) => Self::Passes,
            Some(known) if known.wire() != asked.wire() => Self::OtherWords,
            Some(_) => Self::NotThis,
            None => Self::Never,
        }
    }
}

/// What an upstream answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// It did.
    Done {
        /// The document as it came, or nothing.
        document: Bytes,
        /// What was made, under [`Passage::tells`].
        made: Option<String>,
    },
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

    fn read(method: &str, query: &[(&str, &str)]) -> Option<(String, Vec<(&'static str, String)>)> {
        let read = Passing::read(Wire::Oss, method, query.iter().copied())?;
        Some((read.passage.to_string(), read.query))
    }

    #[test]
    fn only_what_is_in_the_table_is_a_passage() {
        for wire in [Wire::S3, Wire::Oss] {
            for row in table::of(wire) {
                for verb in row.verbs {
                    let text = format!("{} {}", verb.name(), row.name);
                    assert_eq!(Passage::parse(wire, &text).unwrap().to_string(), text);
                }
            }
            for bad in ["", "lifecycle", "DELETE encryption", "get lifecycle", "PUT policy", "POST lifecycle"] {
                let why = Passage::parse(wire, bad).unwrap_err();
                assert!(why.contains("DELETE/GET/PUT lifecycle"), "{why}");
            }
        }
        let extend = Passage::parse(Wire::Oss, "POST wormExtend").unwrap();
        assert_eq!(extend.reading().to_string(), "GET worm");
        for (wire, bad) in [(Wire::S3, "DELETE logging"), (Wire::S3, "GET worm"), (Wire::Oss, "GET object-lock")] {
            assert!(Passage::parse(wire, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_query_is_known_whole_or_not_at_all() {
        assert_eq!(
            read("GET", &[("lifecycle", "")]).unwrap(),
            ("GET lifecycle".into(), vec![("lifecycle", "".into())])
        );
        let listed = read("GET", &[("continuation-token", "t"), ("inventory", "")]).unwrap();
        assert_eq!(listed.1, [("inventory", String::new()), ("continuation-token", "t".into())]);
        assert_eq!(read("PUT", &[("inventory", ""), ("inventoryId", "a")]).unwrap().0, "PUT inventory");
        assert_eq!(read("POST", &[("replication", ""), ("comp", "add")]).unwrap().0, "POST replication");
        assert_eq!(read("POST", &[("wormId", "a")]).unwrap(), ("POST wormId".into(), vec![("wormId", "a".into())]));
        assert_eq!(read("POST", &[("wormExtend", ""), ("wormId", "a")]).unwrap().0, "POST wormExtend");
        let long = "x".repeat(VALUE_MAXIMUM + 1);
        for (method, query) in [
            ("GET", &[("lifecycle", ""), ("other", "")][..]),
            ("GET", &[("lifecycle", ""), ("logging", "")]),
            ("GET", &[("lifecycle", ""), ("lifecycle", "")]),
            ("GET", &[("lifecycle", "x")]),
            ("POST", &[("lifecycle", "")]),
            ("DELETE", &[("inventory", "")]),
            ("DELETE", &[("inventory", ""), ("inventoryId", "")]),
            ("DELETE", &[("inventory", ""), ("inventoryId", "a"), ("continuation-token", "t")]),
            ("PUT", &[("inventory", ""), ("inventoryId", &long)]),
            ("POST", &[("replication", ""), ("comp", "other")]),
            ("POST", &[("replication", "")]),
            ("POST", &[("wormId", "")]),
            ("POST", &[("wormExtend", "")]),
            ("GET", &[("encryption", "")]),
            ("GET", &[]),
        ] {
            assert_eq!(read(method, query), None, "{method} {query:?}");
        }
    }

    #[test]
    fn a_list_says_what_crosses() {
        let passage = |wire, text| Passage::parse(wire, text).unwrap();
        let listed = [passage(Wire::S3, "GET lifecycle"), passage(Wire::S3, "PUT accelerate")];
        for (wire, asked, crossing) in [
            (Wire::S3, "GET lifecycle", Crossing::Passes),
            (Wire::S3, "PUT lifecycle", Crossing::NotThis),
            (Wire::S3, "GET website", Crossing::Never),
            (Wire::Oss, "GET lifecycle", Crossing::OtherWords),
            (Wire::Oss, "GET transferAcceleration", Crossing::OtherWords),
            (Wire::Oss, "GET worm", Crossing::Never),
        ] {
            assert_eq!(Crossing::by(listed.iter(), passage(wire, asked)), crossing, "{asked}");
        }
    }
}
