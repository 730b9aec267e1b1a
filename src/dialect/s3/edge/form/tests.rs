use super::*;
use crate::dialect::s3::edge::EdgeConfig;
use crate::identity::testing::*;
use crate::identity::{Caller, SigV2};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::Full;
use proptest::prelude::*;

const TYPE: &str = "multipart/form-data; boundary=--b";

/// A form as browsers write it: these fields, then the file.
fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        let part = format!("----b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"----b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a.txt\"\r\n");
    out.extend_from_slice(b"Content-Type: text/plain\r\n\r\n");
    out.extend_from_slice(file);
    out.extend_from_slice(b"\r\n----b--\r\n");
    out
}

type Parsed = (Vec<(String, String)>, Option<String>, Vec<u8>);

fn parse(body: &[u8], split: usize) -> Result<Parsed, FormFlaw> {
    let mut parser = FormParser::new(TYPE.as_bytes())?;
    let (mut fields, mut name, mut data, mut ended) = (vec![], None, vec![], false);
    for piece in body.chunks(split.max(1)) {
        parser.push(piece);
        while let Some(event) = parser.next()? {
            match event {
                Event::Field { name, value } => fields.push((name, value)),
                Event::File { name: given } => name = given,
                Event::Data(bytes) => data.extend_from_slice(&bytes),
                Event::FileEnd => ended = true,
            }
        }
    }
    parser.finish()?;
    if ended { Ok((fields, name, data)) } else { Err(FormFlaw::Malformed("no file")) }
}

proptest! {
    #[test]
    fn any_split_parses_to_the_same(
        file in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()], 0..300),
        value in "[ -~\u{e4}\r\n-]{0,40}",
        split in 1usize..60,
    ) {
        prop_assume!(!file.windows(7).any(|w| w == b"\r\n----b") && !file.starts_with(b"\r\n----b"));
        prop_assume!(!value.contains("\r\n----b"));
        let body = form(&[("key", "k"), ("x", &value)], &file);
        let (fields, name, data) = parse(&body, split).unwrap();
        prop_assert_eq!(fields, [("key".to_owned(), "k".to_owned()), ("x".to_owned(), value)]);
        prop_assert_eq!(name.as_deref(), Some("C:\\dir\\a.txt"));
        prop_assert_eq!(data, file);
    }

    #[test]
    fn a_form_cut_anywhere_is_refused(cut in 1usize..400, split in 1usize..60) {
        let body = form(&[("key", "k")], &[7; 200]);
        // The last line break is no part of the boundary.
        let len = body.len().saturating_sub(2).saturating_sub(cut);
        prop_assert!(parse(&body[..len], split).is_err());
    }

    #[test]
    fn junk_never_panics(body in prop::collection::vec(any::<u8>(), 0..400), split in 1usize..50) {
        let _ = parse(&body, split);
        let _ = parse(&[&b"----b\r\n"[..], &body].concat(), split);
        let _ = FormParser::new(&body);
    }
}

#[test]
fn what_is_no_form_is_refused() {
    for bad in [
        "multipart/form-data",
        "multipart/form-data; x=y",
        "multipart/form-data; boundary=",
        "a; boundary=\"x",
        "a; boundary=x; boundary=y",
        "a; boundary=a{b",
    ] {
        assert!(FormParser::new(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(FormParser::new(format!("a; boundary={}", "x".repeat(71)).as_bytes()).is_err());
    assert!(FormParser::new(b"multipart/form-data; charset=utf-8; Boundary=\"a b\"").is_ok());
    let whole = String::from_utf8(form(&[("key", "k")], b"data")).unwrap();
    let changed: [(&str, &str); 9] = [
        ("----b\r\nContent-Disposition: form-data; name=\"key\"", "----b\r\nX: y"),
        ("name=\"key\"", "name=\"\""),
        ("name=\"key\"", "name=\"key"),
        ("name=\"key\"", "name=\"key\"; name=\"acl\""),
        ("name=\"key\"", "name=\"key\"\r\nContent-Disposition: form-data; name=\"acl\""),
        ("form-data; name=\"key\"", "attachment; name=\"key\""),
        ("\r\n----b\r\n", "\r\n----bx\r\n"),
        ("Content-Type: text/plain", "Content-Transfer-Encoding: base64"),
        ("Content-Type: text/plain", "Content-Type\n: text/plain"),
    ];
    for (from, to) in changed {
        assert!(whole.contains(from), "{from}");
        assert!(parse(whole.replacen(from, to, 1).as_bytes(), 7).is_err(), "{to}");
    }
    let preamble = format!("x\r\n{whole}");
    assert!(parse(preamble.as_bytes(), 7).is_err());
    let two = whole.replace("----b--", "----b\r\nContent-Disposition: form-data; name=\"FILE\"\r\n\r\nx\r\n----b--");
    assert!(parse(two.as_bytes(), 7).is_err(), "one file per form");
    let button =
        whole.replace("----b--", "----b\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nx\r\n----b--");
    assert_eq!(parse(button.as_bytes(), 7).unwrap().2, b"data", "what follows the file is ignored");
}

#[test]
fn fields_are_bounded_however_they_come() {
    let long = "v".repeat(MAX_FIELDS);
    let many: Vec<(String, &str)> = (0..600).map(|at| (format!("x-ignore-{at}"), "")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let after = |len: usize| [form(&[("key", "k")], b"data"), vec![b'x'; len]].concat();
    for split in [1, 100, 1 << 20] {
        assert_eq!(parse(&form(&[("key", &long)], b""), split), Err(FormFlaw::TooLong));
        assert_eq!(parse(&form(&many, b""), split), Err(FormFlaw::TooLong));
        assert_eq!(parse(&after(MAX_FIELDS), split), Err(FormFlaw::TooLong));
        assert!(parse(&after(1000), split).is_ok(), "an epilogue is ignored");
        assert!(parse(&form(&[("key", &long[..18_000])], &vec![1; 100_000]), split).is_ok());
    }
    let mut parser = FormParser::new(TYPE.as_bytes()).unwrap();
    parser.push(b"----b\r\nX: ");
    let endless = (0..100).any(|_| {
        parser.push(&[b'x'; 1000]);
        parser.next().is_err()
    });
    assert!(endless, "a header that never ends");
}

fn edge() -> Edge {
    let config =
        EdgeConfig { sigv2: SigV2::Allowed, base_domains: vec!["s3.test".to_owned()], ..EdgeConfig::default() };
    Edge::new(credentials(), StoppedClock::at(SECONDS), config)
}

async fn admit(target: &str, extra: &[(&str, &str)], body: Vec<u8>) -> Result<Admitted<Full<Bytes>>, EdgeError> {
    let len = body.len().to_string();
    let mut headers = vec![("host", "localhost"), ("content-type", TYPE), ("content-length", len.as_str())];
    headers.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    headers.extend_from_slice(extra);
    headers.retain(|(_, value)| !value.is_empty());
    let transport = Transport { peer: ([127, 0, 0, 1], 1).into(), tls: true };
    edge().admit(head("POST", target, &headers), Full::from(body), transport).await
}

#[tokio::test]
async fn a_form_becomes_the_put_that_it_means() {
    let fields = [
        ("Key", "up/${filename} ä/../x"),
        ("Content-Type", "text/css"),
        ("x-amz-meta-a", "b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("acl", "private"),
        ("success_action_status", "201"),
        ("submit", "ignored"),
    ];
    let admitted = admit("/bucket/", &[("range", "bytes=0-1")], form(&fields, b"data")).await.unwrap();
    assert_eq!(admitted.caller, Caller::Anonymous);
    assert_eq!(admitted.parts.method, Method::PUT);
    assert_eq!(admitted.parts.uri, "/bucket/up/a.txt%20%C3%A4/../x");
    let mut names: Vec<&str> = admitted.parts.headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected =
        ["content-length", "content-type", "host", "x-amz-acl", "x-amz-meta-a", "x-amz-server-side-encryption"];
    assert_eq!(names, expected, "nothing that the POST's own head says goes on");
    let plain = admitted.body.into_plain();
    assert_eq!(plain.length_is, crate::gateway::LengthIs::Ceiling);
    let chunks: Vec<_> = futures::StreamExt::collect(plain.stream).await;
    assert_eq!(chunks, [Ok(Bytes::from_static(b"data"))]);

    let mut response = Response::new(String::new());
    response.headers_mut().insert(header::ETAG, header::HeaderValue::from_static("\"e\""));
    let response = admitted.form.unwrap().answer(response, |document| document);
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()[header::LOCATION], "https://localhost/bucket/up/a.txt%20%C3%A4/../x");
    let document = response.into_body();
    assert!(document.contains("<Bucket>bucket</Bucket><Key>up/a.txt ä/../x</Key><ETag>&quot;e&quot;</ETag>"));
}

#[tokio::test]
async fn a_form_says_how_it_is_answered() {
    for (name, value, status, location) in [
        ("success_action_status", "200", 200, "https://localhost/bucket/k"),
        ("success_action_status", "404", 204, "https://localhost/bucket/k"),
        (
            "success_action_redirect",
            "https://a.example/p?q=1",
            303,
            "https://a.example/p?q=1&bucket=bucket&key=k&etag=%22e%22",
        ),
        ("redirect", "http://a.example", 303, "http://a.example?bucket=bucket&key=k&etag=%22e%22"),
        ("success_action_redirect", "javascript:alert(1)", 204, "https://localhost/bucket/k"),
        ("success_action_redirect", "/relative", 204, "https://localhost/bucket/k"),
        ("success_action_redirect", "http://a.example/\r\nX: y", 204, "https://localhost/bucket/k"),
    ] {
        let reply = admit("/bucket", &[], form(&[("key", "k"), (name, value)], b"")).await.unwrap().form.unwrap();
        let mut response = Response::new(String::new());
        response.headers_mut().insert(header::ETAG, header::HeaderValue::from_static("\"e\""));
        let response = reply.clone().answer(response, |document| document);
        assert_eq!(response.status().as_u16(), status, "{value}");
        assert_eq!(response.headers()[header::LOCATION], location, "{value}");
        let mut failed = Response::new(String::new());
        *failed.status_mut() = StatusCode::NOT_FOUND;
        assert_eq!(reply.answer(failed, |document| document).status(), StatusCode::NOT_FOUND);
    }
}

async fn refusal(target: &str, extra: &[(&str, &str)], body: Vec<u8>) -> (u16, &'static str) {
    let error = match admit(target, extra, body).await {
        Err(error) => error,
        Ok(admitted) => admitted.body.collect().await.map(|_| ()).expect_err("must be refused").into(),
    };
    let face = error.face();
    (face.status.as_u16(), face.code)
}

#[tokio::test]
async fn a_form_that_cannot_be_meant_is_refused() {
    let good = || form(&[("key", "k")], b"data");
    let invalid = (400, "InvalidArgument");
    let malformed = (400, "MalformedPOSTRequest");
    assert_eq!(refusal("/b", &[], form(&[("acl", "private")], b"")).await, invalid, "no key");
    assert_eq!(refusal("/b", &[], form(&[("key", "")], b"")).await, invalid, "a PUT without key makes a bucket");
    assert_eq!(refusal("/b", &[], form(&[("key", "k"), ("KEY", "l")], b"")).await, invalid);
    assert_eq!(refusal("/b", &[], form(&[("key", "k"), ("x-amz-meta-a", "b\nc")], b"")).await, invalid);
    for name in ["x-amz-copy-source", "x-amz-grant-read", "x-amz-content-sha256"] {
        assert_eq!(
            refusal("/b", &[], form(&[("key", "k"), (name, "v")], b"")).await,
            (501, "NotImplemented"),
            "{name}"
        );
    }
    assert_eq!(refusal("/b", &[("x-amz-acl", "private")], good()).await, (403, "AccessDenied"));
    assert_eq!(refusal("/b", &[("authorization", "AWS4-HMAC-SHA256 x")], good()).await, invalid);
    assert_eq!(refusal("/b", &[("content-length", "")], good()).await, (411, "MissingContentLength"));
    assert_eq!(refusal("/b", &[("content-type", "multipart/form-data")], good()).await, malformed);
    assert_eq!(refusal("/b", &[], b"----b--".to_vec()).await, (400, "IncorrectNumberOfFilesInPostRequest"));
    assert_eq!(refusal("/b", &[], good()[..good().len() - 4].to_vec()).await, malformed);
    let long = form(&[("key", &"k".repeat(30_000))], b"");
    assert_eq!(refusal("/b", &[], long).await, (400, "MaxPostPreDataLengthExceededError"));
}

/// Only a POST on a bucket without query is a form: whatever else says it is one goes through the signature.
#[tokio::test]
async fn the_content_type_opens_no_other_door() {
    for target in ["/", "/b/k", "/b?delete", "/b/k?uploads", "/b/k?uploadId=1", "/b%2Fk", "/b?x"] {
        let admitted = admit(target, &[("content-length", "0")], Vec::new()).await.unwrap();
        assert!(admitted.form.is_none(), "{target}");
        let forged = [("content-length", "0"), ("authorization", "AWS4-HMAC-SHA256 Credential=a")];
        assert!(admit(target, &forged, Vec::new()).await.is_err(), "{target}");
    }
    let in_host = admit("/", &[("host", "b.s3.test")], form(&[("key", "k")], b"x")).await.unwrap();
    assert_eq!((in_host.parts.uri.path(), in_host.form.unwrap().bucket.as_str()), ("/k", "b"));
}

#[tokio::test]
async fn the_policys_lengths_bind_the_file() {
    let sized = |len: usize, low: u64, high: u64| {
        let mut parser = FormParser::new(TYPE.as_bytes()).unwrap();
        let body = form(&[], &vec![0; len]);
        parser.push(&body);
        assert!(matches!(parser.next(), Ok(Some(Event::File { .. }))));
        let mut file = FormFile::new(parser, low..=high);
        loop {
            match file.decode(&mut Bytes::new()) {
                Ok(Some(_)) => {}
                Ok(None) => return file.finish(),
                Err(error) => return Err(error),
            }
        }
    };
    assert_eq!((sized(5, 5, 5), sized(0, 0, 0)), (Ok(()), Ok(())));
    assert_eq!(sized(6, 0, 5), Err(BodyError::FileTooLarge { proposed: 6, maximum: 5 }));
    assert_eq!(sized(4, 5, 9), Err(BodyError::FileTooSmall { proposed: 4, minimum: 5 }));
}
