//! Promises about S3's bodies and headers. See `crate::fuzzing`.

use http::{HeaderMap, HeaderValue, header};
use s3s::dto;
use s3s::xml::{Deserialize, Deserializer, Serialize, Serializer};

use crate::gateway::RangeSpec;

use super::conditions;
use super::edge::fuzzed::{Event, FormParser, MAX_FIELDS};

/// A split, then a form: every split parses alike, and what is kept of the fields is bounded.
pub(crate) fn post_form(input: &[u8]) {
    let [split, body @ ..] = input else { return };
    let whole = parse_form(body, body.len().max(1));
    let pieces = parse_form(body, usize::from(*split).max(1));
    assert_eq!(whole, pieces, "a split decides");
    if let Some((fields, _)) = whole {
        let kept: usize = fields.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
        assert!(kept <= MAX_FIELDS, "the fields are not bounded");
    }
}

type Form = (Vec<(String, String)>, Option<Vec<u8>>);

fn parse_form(body: &[u8], split: usize) -> Option<Form> {
    let mut parser = FormParser::new(b"multipart/form-data; boundary=b").ok()?;
    let (mut fields, mut file) = (Vec::new(), None);
    for piece in body.chunks(split) {
        parser.push(piece);
        while let Some(event) = parser.next().ok()? {
            match event {
                Event::Field { name, value } => fields.push((name, value)),
                Event::File { .. } => file = Some(Vec::new()),
                Event::Data(data) => file.get_or_insert_with(Vec::new).extend_from_slice(&data),
                Event::FileEnd => {}
            }
        }
    }
    parser.finish().ok()?;
    Some((fields, file))
}

/// The XML documents that requests carry: they are read or refused, and one that is read comes back from what it is
/// written as.
pub(crate) fn xml(input: &[u8]) {
    read::<dto::CreateBucketConfiguration>(input);
    read::<dto::CompletedMultipartUpload>(input);
    read::<dto::ServerSideEncryptionConfiguration>(input);
    if let Some(delete) = read::<dto::Delete>(input) {
        let mut out = Vec::new();
        if delete.serialize(&mut Serializer::new(&mut out)).is_ok() && input.is_ascii() && !input.contains(&b'&') {
            assert_eq!(read::<dto::Delete>(&out).map(|again| again.objects.len()), Some(delete.objects.len()));
        }
    }
}

fn read<'xml, T: Deserialize<'xml>>(input: &'xml [u8]) -> Option<T> {
    let mut deserializer = Deserializer::new(input);
    let document = T::deserialize(&mut deserializer).ok()?;
    deserializer.expect_eof().ok()?;
    Some(document)
}

/// A `Range` header: what is read is in order, means the same when it is written again, and lies within any object.
pub(crate) fn range(input: &[u8]) {
    let read = |bytes: &[u8]| {
        let value = HeaderValue::from_bytes(bytes).ok()?;
        conditions::range(&HeaderMap::from_iter([(header::RANGE, value)]))
    };
    let Some(range) = read(input) else { return };
    let written = match range {
        RangeSpec::Bounded(first, last) => {
            assert!(first <= last, "a range that ends before it begins");
            format!("bytes={first}-{last}")
        }
        RangeSpec::From(first) => format!("bytes={first}-"),
        RangeSpec::Suffix(count) => format!("bytes=-{count}"),
    };
    assert_eq!(read(written.as_bytes()), Some(range));
    for size in [0, 1, 1000, u64::MAX] {
        if let Ok((first, len)) = range.resolve(size) {
            assert!(len > 0 && first.checked_add(len).is_some_and(|end| end <= size), "beyond the object");
        }
    }
}

/// An `x-amz-copy-source`: what names an object names a valid one, or is refused when it is looked up.
pub(crate) fn copy_source(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(dto::CopySource::Bucket { bucket, key, version_id }) = dto::CopySource::parse(text)
        && let Ok(at) = super::adapter::object(&bucket, &key)
    {
        assert!(!at.key.as_str().is_empty() && at.key.as_str().len() <= 1024, "a key that is none");
        assert_eq!(at.key.as_str(), &*key, "the key is another");
        let _ = super::adapter::version(version_id.as_deref());
    }
}
