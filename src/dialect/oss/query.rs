//! The query of a request: names and values decoded once. An empty value says as little as an absent parameter, but for
//! sub-resources, which have none.

use crate::dialect::query::query_pairs;

use super::face::Face;
use super::xml::Encoding;

/// A request's parameters.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a URL.
    pub(super) fn of(uri: &http::Uri) -> Self {
        let owned = query_pairs(uri.query().unwrap_or_default());
        Self(owned.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Whether the parameter is there, with or without a value.
    #[cfg(test)]
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The parameter's value, where it has one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All parameters, in the order sent.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How names are to be written.
    ///
    /// # Errors
    /// InvalidArgument for an encoding that is not `url`.
    pub(super) fn encoding(&self) -> Result<Encoding, Face> {
        match self.get("encoding-type") {
            None => Ok(Encoding::Plain),
            Some("url") => Ok(Encoding::Url),
            Some(other) => Err(Face::argument("encoding-type", other, "Invalid encoding type.")),
        }
    }

    /// The length of a page: 1 to 1,000.
    ///
    /// # Errors
    /// InvalidArgument for anything else.
    pub(super) fn page(&self, name: &'static str, default: u16) -> Result<u16, Face> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u16>().ok().filter(|number| digits && (1..=1000).contains(number));
        number.ok_or_else(|| {
            Face::argument(name, text, format!("Argument {name} must be an integer between 1 and 1000."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn a_sub_resource_needs_no_value_and_an_argument_does() {
        for text in ["acl", "acl=", "a=b&acl"] {
            assert!(query(text).has("acl"), "{text}");
        }
        let read = query("marker&prefix=a%2Fb+c&delimiter=");
        assert_eq!((read.get("marker"), read.get("prefix"), read.get("delimiter")), (None, Some("a/b c"), None));
    }

    #[test]
    fn pages_have_one_to_a_thousand_rows() {
        assert_eq!(query("").page("max-keys", 100), Ok(100));
        assert_eq!(query("max-keys=1000").page("max-keys", 100), Ok(1000));
        for bad in ["0", "1001", "-1", "x", "%2B5", "99999999999999999999"] {
            let face = query(&format!("max-keys={bad}")).page("max-keys", 100).unwrap_err();
            assert_eq!(face.code, "InvalidArgument", "{bad}");
            assert_eq!(face.extra[0], ("ArgumentName", "max-keys".to_owned()));
        }
    }
}
