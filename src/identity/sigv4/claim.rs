//! What a request says of its own SigV4 signature, taken apart and checked for form.

use crate::identity::date::SignedDate;
use crate::identity::error::{AuthError, Flaw, Place};
use crate::identity::mac::Signature;
use crate::identity::query;
use crate::types::AccessKeyId;

use super::{Window, access_key};

/// The longest validity of a presigned URL in seconds: a week.
const MAX_VALIDITY: i64 = 7 * 24 * 3600;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A SigV4 signature as a request carries it. Nothing of it is believed yet.
#[derive(Clone)]
pub(in crate::identity) struct Claim {
    pub(super) place: Place,
    pub(super) access_key: AccessKeyId,
    pub(super) day: String,
    pub(super) region: String,
    pub(super) service: String,
    pub(super) terminal: String,
    /// As sent: distinct lower-case names in order, with `;` between them.
    pub(super) signed_headers: String,
    /// `None`: not the form of a signature, so no signature can equal it.
    pub(super) signature: Option<Signature>,
    /// A presigned URL's time.
    pub(super) window: Option<Window>,
}

/// Whether a query has a parameter of a SigV4 signature.
pub(in crate::identity) fn has_url_parameters(raw: &str) -> bool {
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders"]
        .iter()
        .any(|name| query::has(raw, name))
}

impl Claim {
    /// Reads what follows `AWS4-HMAC-SHA256` in the `Authorization` header.
    pub(in crate::identity) fn from_header(text: &str) -> Result<Self, AuthError> {
        let malformed = |flaw| AuthError::Malformed { place: Place::Header, flaw };
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for component in text.split(',') {
            let (name, value) = component.trim().split_once('=').ok_or(malformed(Flaw::Components))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut headers,
                "Signature" => &mut signature,
                _ => return Err(malformed(Flaw::Components)),
            };
            if slot.replace(value).is_some() {
                return Err(malformed(Flaw::Components));
            }
        }
        match (credential, headers, signature) {
            (Some(credential), Some(headers), Some(signature)) => {
                Self::of_parts(Place::Header, credential, headers, signature, None)
            }
            _ => Err(malformed(Flaw::Components)),
        }
    }

    /// Reads the `X-Amz-*` parameters of a presigned URL.
    pub(in crate::identity) fn from_url(raw: &str) -> Result<Self, AuthError> {
        let malformed = |flaw| AuthError::Malformed { place: Place::Url, flaw };
        let required = |name| query::single(raw, name)?.ok_or(malformed(Flaw::Incomplete));
        let algorithm = required("X-Amz-Algorithm")?;
        let credential = required("X-Amz-Credential")?;
        let date = required("X-Amz-Date")?;
        let expires = required("X-Amz-Expires")?;
        let headers = required("X-Amz-SignedHeaders")?;
        let signature = required("X-Amz-Signature")?;
        if algorithm != ALGORITHM {
            return Err(malformed(Flaw::Algorithm));
        }
        let date = SignedDate::from_iso(&date).ok_or(malformed(Flaw::Date))?;
        let window = Window { date, valid_for: validity(&expires).map_err(malformed)? };
        Self::of_parts(Place::Url, &credential, &headers, &signature, Some(window))
    }

    /// Reads the credential and the signature of a form; no header is signed there.
    pub(in crate::identity) fn from_form(credential: &str, signature: &str) -> Result<Self, AuthError> {
        Self::of_parts(Place::Form, credential, "host", signature, None)
    }

    fn of_parts(
        place: Place,
        credential: &str,
        signed_headers: &str,
        signature: &str,
        window: Option<Window>,
    ) -> Result<Self, AuthError> {
        let malformed = |flaw| AuthError::Malformed { place, flaw };
        check_names(signed_headers).map_err(malformed)?;
        // From the right: an access key id may contain slashes, the four others never do.
        let mut fields = credential.rsplitn(5, '/');
        let mut field = || fields.next().filter(|text| !text.is_empty()).map(str::to_owned);
        let (terminal, service, region, day, key) = (field(), field(), field(), field(), field());
        let (Some(terminal), Some(service), Some(region), Some(day), Some(key)) = (terminal, service, region, day, key)
        else {
            return Err(malformed(Flaw::Credential));
        };
        if day.len() != 8 || !day.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed(Flaw::Credential));
        }
        Ok(Self {
            place,
            access_key: access_key(&key),
            day,
            region,
            service,
            terminal,
            signed_headers: signed_headers.to_owned(),
            signature: Signature::from_hex(signature.as_bytes()),
            window,
        })
    }

    /// The names of the signed headers, in order.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.signed_headers.split(';')
    }
}

/// The list has `host`, and its names are lower-case, distinct and in order.
fn check_names(list: &str) -> Result<(), Flaw> {
    let names: Vec<&str> = list.split(';').collect();
    let is_lower = |name: &&str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b',')
    };
    if !names.iter().all(is_lower) || !names.is_sorted_by(|a, b| a < b) {
        return Err(Flaw::SignedHeaders);
    }
    if names.contains(&"host") { Ok(()) } else { Err(Flaw::SignedHostMissing) }
}

fn validity(text: &str) -> Result<i64, Flaw> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Flaw::ExpiresNotNumber);
    }
    match text.parse::<i64>() {
        Ok(seconds) if seconds <= 0 => Err(Flaw::ExpiresNotPositive),
        Ok(seconds) if seconds <= MAX_VALIDITY => Ok(seconds),
        // Only digits are left, so what is no i64 lies beyond either end.
        _ if text.starts_with('-') => Err(Flaw::ExpiresNotPositive),
        _ => Err(Flaw::ExpiresTooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: &str = "AK/20130524/us-east-1/s3/aws4_request";

    fn header_flaw(text: &str) -> Option<Flaw> {
        match Claim::from_header(text).err()? {
            AuthError::Malformed { place: Place::Header, flaw } => Some(flaw),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_header_has_exactly_its_three_components() {
        let good = format!("Credential={CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=00");
        assert_eq!(header_flaw(&good), None);
        assert_eq!(header_flaw(&format!("Signature=0,SignedHeaders=host,Credential=a/b/{CREDENTIAL}")), None);
        for bad in [
            String::new(),
            format!("Credential={CREDENTIAL}, SignedHeaders=host"),
            format!("{good}, Signature=11"),
            format!("{good}, Extra=1"),
            format!("{good},"),
            good.replace('=', ":"),
        ] {
            assert_eq!(header_flaw(&bad), Some(Flaw::Components), "{bad}");
        }
        for bad in ["", "AK", "AK/20130524/us-east-1/s3", "/20130524/us-east-1/s3/aws4_request", "AK/2013/r/s3/a"] {
            let text = format!("Credential={bad},SignedHeaders=host,Signature=00");
            assert_eq!(header_flaw(&text), Some(Flaw::Credential), "{bad}");
        }
    }

    #[test]
    fn signed_headers_are_sorted_distinct_lower_case_and_with_host() {
        for good in ["host", "date;host;x-amz-date"] {
            assert_eq!(check_names(good), Ok(()), "{good}");
        }
        for bad in ["", ";host", "host;", "Host", "x-amz-date;host", "host;host", "date host", "host;;range"] {
            assert_eq!(check_names(bad), Err(Flaw::SignedHeaders), "{bad}");
        }
        assert_eq!(check_names("date;range"), Err(Flaw::SignedHostMissing));
    }

    #[test]
    fn a_url_is_valid_for_a_second_to_a_week() {
        assert_eq!((validity("1"), validity("604800")), (Ok(1), Ok(604_800)));
        for (bad, flaw) in [
            ("0", Flaw::ExpiresNotPositive),
            ("-1", Flaw::ExpiresNotPositive),
            ("-99999999999999999999", Flaw::ExpiresNotPositive),
            ("604801", Flaw::ExpiresTooLong),
            ("10000000000", Flaw::ExpiresTooLong),
            ("99999999999999999999", Flaw::ExpiresTooLong),
            ("", Flaw::ExpiresNotNumber),
            ("-", Flaw::ExpiresNotNumber),
            ("+5", Flaw::ExpiresNotNumber),
            ("1e3", Flaw::ExpiresNotNumber),
        ] {
            assert_eq!(validity(bad), Err(flaw), "{bad}");
        }
    }
}
