//! CORS rules. Preflights and the headers of answers to pages are [`crate::dialect::cors`]'s.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/putbucketcors>

use crate::gateway::CorsRule;

use super::error::face;
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Element, Writer, parse};

/// The rules of a document.
pub(super) fn read(document: &[u8]) -> Result<Vec<CorsRule>, Face> {
    let root = parse(document, "CORSConfiguration")?;
    let rule = |rule: &Element| {
        let texts = |name: &'static str| rule.children(name).map(|one| one.text().to_owned()).collect::<Vec<_>>();
        let max_age = match rule.value("MaxAgeSeconds") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| Face::malformed_xml())?),
        };
        Ok(CorsRule {
            id: None,
            origins: texts("AllowedOrigin"),
            methods: texts("AllowedMethod"),
            headers: texts("AllowedHeader"),
            expose: texts("ExposeHeader"),
            max_age,
        })
    };
    root.children("CORSRule").map(rule).collect()
}

/// The document of rules.
pub(super) fn write(rules: &[CorsRule]) -> bytes::Bytes {
    let mut out = Writer::new("CORSConfiguration");
    for rule in rules {
        out.within("CORSRule", |out| {
            let lists = [
                ("AllowedOrigin", &rule.origins),
                ("AllowedMethod", &rule.methods),
                ("AllowedHeader", &rule.headers),
                ("ExposeHeader", &rule.expose),
            ];
            for (name, list) in lists {
                list.iter().for_each(|text| out.text(name, text));
            }
            if let Some(age) = rule.max_age {
                out.show("MaxAgeSeconds", age);
            }
        });
    }
    out.text("ResponseVary", "true");
    out.finish()
}

impl OssDialect {
    pub(super) async fn get_cors(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let rules = self.gateway.bucket_cors(&call.requester, &name).await.map_err(|error| face(&error))?;
        Ok(Reply::xml(write(&rules)))
    }

    pub(super) async fn put_cors(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let rules = read(&call.document)?;
        let set = self.gateway.put_bucket_cors(&call.requester, &name, Some(rules)).await;
        set.map_err(|error| face(&error))?;
        Ok(Reply::empty())
    }

    pub(super) async fn delete_cors(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        self.gateway.put_bucket_cors(&call.requester, &name, None).await.map_err(|error| face(&error))?;
        Ok(Reply::no_content())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_they_were_given() {
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let full = CorsRule {
            id: None,
            origins: list(&["http://a", "*"]),
            methods: list(&["GET", "PUT"]),
            headers: list(&["*"]),
            expose: list(&["x-oss-request-id"]),
            max_age: Some(100),
        };
        let bare = CorsRule { origins: list(&["*"]), methods: list(&["GET"]), ..CorsRule::default() };
        let rules = vec![full, bare];
        assert_eq!(read(&write(&rules)).unwrap(), rules);
        assert!(
            read(b"<CORSConfiguration><CORSRule><MaxAgeSeconds>x</MaxAgeSeconds></CORSRule></CORSConfiguration>")
                .is_err()
        );
    }
}
