//! Reading an operation's parameters.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::identity::Parameters;
use crate::kms::EncryptionContext;
use crate::types::Timestamp;

use super::error::Fault;

const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 100;

/// A page: the rows before it, and how many it has at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageAsked {
    pub(super) number: usize,
    pub(super) size: usize,
}

impl PageAsked {
    pub(super) fn skip(self) -> usize {
        self.number.saturating_sub(1).saturating_mul(self.size)
    }
}

/// The parameters of one operation.
#[derive(Debug)]
pub(super) struct Values<'a>(&'a Parameters);

impl<'a> Values<'a> {
    pub(super) fn new(all: &'a Parameters) -> Self {
        Self(all)
    }

    /// Nothing is asked but this.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Fault> {
        match self.0.asked().find(|name| !known.contains(name)) {
            Some(name) => Err(Fault::parameter(name)),
            None => Ok(()),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)
    }

    pub(super) fn required(&self, name: &str) -> Result<&'a str, Fault> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Fault::missing(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(Fault::parameter(name)),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        self.get(name).map(|text| text.parse().map_err(|_| Fault::parameter(name))).transpose()
    }

    pub(super) fn blob(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let bytes = BASE64.decode(self.required(name)?);
        bytes.map(Zeroizing::new).map_err(|_| Fault::parameter(name))
    }

    /// An encryption context: a JSON object of strings.
    pub(super) fn context(&self, name: &str) -> Result<EncryptionContext, Fault> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else {
            return Ok(EncryptionContext::default());
        };
        let pairs: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| Fault::parameter(name))?;
        Ok(EncryptionContext(pairs))
    }

    pub(super) fn page(&self) -> Result<PageAsked, Fault> {
        let number = |name, default: usize, max: usize| match self.number(name)? {
            None => Ok(default),
            Some(asked) => {
                let asked = usize::try_from(asked).ok().filter(|asked| (1..=max).contains(asked));
                asked.ok_or_else(|| Fault::parameter(name))
            }
        };
        Ok(PageAsked {
            number: number("PageNumber", 1, usize::MAX)?,
            size: number("PageSize", DEFAULT_PAGE, MAX_PAGE)?,
        })
    }

    /// A dry run is one that changes and shows nothing; the SDK's word for it is `true`.
    pub(super) fn not_dry(&self) -> Result<(), Fault> {
        match self.flag("DryRun")? {
            Some(true) => Err(Fault::unsupported("DryRun is not supported.")),
            _ => Ok(()),
        }
    }
}

/// A moment as this API writes it: `2016-01-20T00:00:00Z`, in whole seconds.
pub(super) fn shown(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
