//! Requests through the whole edge: what passes, what it becomes, what is refused and when.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::*;
use crate::dialect::s3::BaseDomains;
use crate::gateway::BodyError;
use crate::identity::testing::*;
use crate::identity::{Scheme, sha256};
use crate::types::AccessKeyId;

const CRC: &str = "x-amz-checksum-crc32c";
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// A body of these frames that counts how often it is asked; after them it ends, fails or says nothing more.
#[derive(Debug)]
struct Script {
    frames: VecDeque<Bytes>,
    end: End,
    polls: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Clean,
    Reset,
    Silence,
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        match (self.frames.pop_front(), self.end) {
            (Some(data), _) => Poll::Ready(Some(Ok(Frame::data(data)))),
            (None, End::Clean) => Poll::Ready(None),
            (None, End::Reset) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            (None, End::Silence) => Poll::Pending,
        }
    }
}

fn script(body: &[u8], split: usize, end: End) -> (Script, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let frames = body.chunks(split).map(Bytes::copy_from_slice).collect();
    (Script { frames, end, polls: Arc::clone(&polls) }, polls)
}

fn edge() -> Edge {
    let config = EdgeConfig {
        sigv2: SigV2::Allowed,
        base_domains: vec!["s3.test".to_owned()],
        idle_timeout: Duration::from_millis(20),
        ..EdgeConfig::default()
    };
    Edge::new(credentials(), StoppedClock::at(SECONDS), config)
}

fn transport() -> Transport {
    Transport { peer: ([127, 0, 0, 1], 1).into(), tls: false }
}

async fn admit(parts: Parts, body: &[u8], end: End) -> Result<Admitted<Script>, EdgeError> {
    edge().admit(parts, script(body, 5, end).0, transport()).await
}

/// The edge's or the body's refusal.
async fn refusal(parts: Parts, body: &[u8]) -> EdgeError {
    match admit(parts, body, End::Clean).await {
        Err(error) => error,
        Ok(admitted) => {
            let failure = admitted.failure.clone();
            let error = admitted.body.collect().await.map(|whole| whole.to_bytes()).unwrap_err();
            assert_eq!(failure.get(), Some(&error));
            error.into()
        }
    }
}

fn put(payload: &str, len: usize, extra: &[(&str, &str)]) -> Parts {
    let len = len.to_string();
    let mut headers = vec![("content-length", len.as_str())];
    headers.extend_from_slice(extra);
    Signer::default().header("PUT", "/b/k", &headers, payload)
}

#[tokio::test]
async fn a_hashed_body_passes_and_the_head_is_clean() {
    let hash = hex::encode(sha256(b"hello world"));
    let parts = put(&hash, 11, &[("content-type", "text/plain"), ("x-amz-meta-a", "1")]);
    let admitted = admit(parts, b"hello world", End::Clean).await.unwrap();
    let headers = &admitted.parts.headers;
    for gone in ["authorization", "x-amz-content-sha256"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    assert_eq!(headers["content-length"], "11");
    assert_eq!(headers["x-amz-meta-a"], "1");
    assert_eq!(admitted.caller.user().unwrap().user().as_str(), "ann");
    assert_eq!(admitted.body.size_hint().exact(), Some(11));
    let failure = admitted.failure.clone();
    assert_eq!(admitted.body.collect().await.unwrap().to_bytes(), "hello world");
    assert_eq!(failure.get(), None);
}

#[tokio::test]
async fn a_session_token_goes_no_further_than_the_edge() {
    let token = "token-of-some-length";
    let url = Signer { token: Some(token.to_owned()), ..Signer::default() }.url("GET", "/b/k", "", &[], "60");
    for parts in [Signer::default().header("GET", "/b/k", &[("x-amz-security-token", token)], EMPTY), url] {
        let edge = Edge::new(temporary(Some(token), None), StoppedClock::at(SECONDS), EdgeConfig::default());
        let admitted = edge.admit(parts, script(b"", 5, End::Clean).0, transport()).await.unwrap();
        assert!(!admitted.parts.headers.contains_key("x-amz-security-token"));
        assert_eq!(admitted.parts.uri, "/b/k");
        assert!(admitted.caller.user().is_some());
    }
}

#[tokio::test]
async fn a_chunked_body_becomes_plain() {
    for (mode, trailer) in [(SIGNED, false), (SIGNED_TRAILER, true), (UNSIGNED_TRAILER, true)] {
        let mut extra = vec![("content-encoding", "aws-chunked,gzip"), ("x-amz-decoded-content-length", "11")];
        if trailer {
            extra.push(("x-amz-trailer", CRC));
        }
        let parts = Signer::default().header("PUT", "/b/k", &extra, mode);
        let chunks: [&[u8]; 2] = [b"hello ", b"world"];
        let value = trailer.then_some((CRC, "AA=="));
        let body = match mode {
            UNSIGNED_TRAILER => unsigned_chunks(&chunks, (CRC, "AA==")),
            _ => Signer::default().chunks(&signature_of(&parts), &chunks, value),
        };
        let admitted = admit(parts, &body, End::Clean).await.unwrap();
        let headers = &admitted.parts.headers;
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers["content-length"], "11");
        assert!(!headers.contains_key("x-amz-trailer") && !headers.contains_key("x-amz-decoded-content-length"));
        assert_eq!(admitted.trailing_checksum.as_deref(), trailer.then_some(CRC));
        let slot = admitted.trailers.clone();
        let mut plain = admitted.body.into_plain();
        assert_eq!(plain.len, 11);
        let mut data = Vec::new();
        while let Some(piece) = futures::StreamExt::next(&mut plain.stream).await {
            data.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(data, b"hello world");
        assert_eq!(slot.and_then(|slot| slot.header(CRC)).as_deref(), trailer.then_some("AA=="));
    }
}

/// B10: a client that waits for `100 Continue` is answered before its body is asked for.
#[tokio::test]
async fn a_refused_request_has_no_byte_of_its_body_read() {
    let liar = Signer { secret: "guess".to_owned(), ..Signer::default() };
    let (body, polls) = script(b"hello", 5, End::Clean);
    let parts = liar.header("PUT", "/b/k", &[("content-length", "5"), ("expect", "100-continue")], "UNSIGNED-PAYLOAD");
    let error = edge().admit(parts, body, transport()).await.unwrap_err();
    assert_eq!(error, EdgeError::Auth(AuthError::SignatureMismatch(AccessKeyId::new(ACCESS_KEY))));
    assert_eq!(polls.load(Ordering::Relaxed), 0);
}

/// A12: the last bytes of a body with another hash never leave.
#[tokio::test]
async fn a_body_with_another_hash_never_reaches_its_length() {
    let hash = hex::encode(sha256(b"hello world"));
    let mut admitted = admit(put(&hash, 11, &[]), b"hello worle", End::Clean).await.unwrap();
    let mut delivered = 0;
    let error = loop {
        match admitted.body.frame().await.unwrap() {
            Ok(frame) => delivered += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error, BodyError::HashMismatch);
    assert!(delivered < 11);
    assert!(admitted.body.frame().await.is_none());
    let empty = refusal(put(&hash, 0, &[]), b"").await;
    assert_eq!(empty, EdgeError::Body(BodyError::HashMismatch));
}

#[tokio::test]
async fn a_body_of_another_length_is_refused() {
    let incomplete = EdgeError::Body(BodyError::Incomplete);
    assert_eq!(refusal(put("UNSIGNED-PAYLOAD", 11, &[]), b"hello").await, incomplete);
    assert_eq!(refusal(put("UNSIGNED-PAYLOAD", 3, &[]), b"hello").await, EdgeError::Body(BodyError::TooLong));
    let reset = admit(put("UNSIGNED-PAYLOAD", 11, &[]), b"hello", End::Reset).await.unwrap();
    assert_eq!(reset.body.collect().await.unwrap_err(), BodyError::Incomplete);
}

#[tokio::test]
async fn a_silent_client_is_cut_off() {
    let admitted = admit(put("UNSIGNED-PAYLOAD", 11, &[]), b"hello", End::Silence).await.unwrap();
    assert_eq!(admitted.body.collect().await.unwrap_err(), BodyError::Timeout);
}

/// A8 and the framing of the head.
#[tokio::test]
async fn the_length_must_be_said_once_and_well() {
    let bare = |method| Signer::default().header(method, "/b/k", &[], "UNSIGNED-PAYLOAD");
    assert_eq!(refusal(bare("PUT"), b"").await, EdgeError::LengthMissing);
    assert_eq!(refusal(bare("POST"), b"").await, EdgeError::LengthMissing);
    assert!(admit(bare("GET"), b"", End::Clean).await.is_ok());
    let both = put("UNSIGNED-PAYLOAD", 3, &[("transfer-encoding", "chunked")]);
    assert_eq!(refusal(both, b"abc").await, EdgeError::LengthConflict);
    let streaming = |extra: &[(&str, &str)]| put(SIGNED, 200, extra);
    assert_eq!(refusal(streaming(&[]), b"").await, EdgeError::LengthMissing);
    for bad in ["-1", "+1", "", "1,1", "0x1", "99999999999999999999"] {
        let error = refusal(streaming(&[("x-amz-decoded-content-length", bad)]), b"").await;
        assert_eq!(error, EdgeError::DecodedLengthInvalid, "{bad}");
    }
    let short = refusal(streaming(&[("x-amz-decoded-content-length", "201")]), b"").await;
    assert_eq!(short, EdgeError::Body(BodyError::Incomplete));
    let (proposed, maximum) = (5_368_709_121, 5_368_709_120);
    let large = refusal(put("UNSIGNED-PAYLOAD", 5_368_709_121, &[]), b"").await;
    assert_eq!(large, EdgeError::TooLarge { proposed, maximum });
}

#[tokio::test]
async fn a_trailer_is_one_known_checksum() {
    let with = |mode, trailer: Option<&str>| {
        let mut extra = vec![("x-amz-decoded-content-length", "3")];
        extra.extend(trailer.map(|name| ("x-amz-trailer", name)));
        put(mode, 100, &extra)
    };
    assert_eq!(refusal(with(UNSIGNED_TRAILER, None), b"").await, EdgeError::TrailerMissing);
    for (mode, name) in [
        (UNSIGNED_TRAILER, "x-amz-meta-a"),
        (UNSIGNED_TRAILER, "x-amz-checksum-crc32,x-amz-checksum-sha1"),
        (SIGNED, CRC),
        ("UNSIGNED-PAYLOAD", CRC),
    ] {
        let error = refusal(with(mode, Some(name)), b"").await;
        assert_eq!(error, EdgeError::TrailerUnsupported(name.to_owned()));
    }
}

/// An empty object's framing is verified although nobody will ask for its bytes.
#[tokio::test]
async fn an_empty_chunked_body_is_verified_before_it_passes() {
    let parts = || put(SIGNED, 86, &[("x-amz-decoded-content-length", "0")]);
    let good = Signer::default().chunks(&signature_of(&parts()), &[], None);
    let admitted = admit(parts(), &good, End::Clean).await.unwrap();
    assert!(admitted.body.is_end_stream());
    let forged = format!("0;chunk-signature={}\r\n\r\n", "0".repeat(64));
    let error = admit(parts(), forged.as_bytes(), End::Clean).await.unwrap_err();
    assert_eq!(error, EdgeError::Body(BodyError::ChunkSignature));
    assert_eq!(admit(parts(), b"", End::Clean).await.unwrap_err(), EdgeError::Body(BodyError::Incomplete));
}

#[tokio::test]
async fn a_presigned_urls_parameters_become_headers_or_go() {
    let parts = || Signer::default().url("GET", "/b/k", "X-A=1", &[], "60");
    let admitted = admit(parts(), b"", End::Clean).await.unwrap();
    assert_eq!(admitted.parts.uri.to_string(), "/b/k?X-A=1");
    assert_eq!(admitted.caller.user().unwrap().scheme(), Scheme::SigV4Url);
    // Signed among the parameters, as SDKs do that put headers into the URL.
    let hoisted = |extra: &[(&str, &str)]| {
        let kms = "X-AMZ-Server-Side-Encryption=aws%3Akms";
        Signer::default().url("GET", "/b/k", kms, extra, "60")
    };
    let admitted = admit(hoisted(&[]), b"", End::Clean).await.unwrap();
    assert_eq!(admitted.parts.uri.to_string(), "/b/k");
    assert_eq!(admitted.parts.headers["x-amz-server-side-encryption"], "aws:kms");
    let error = refusal(hoisted(&[("x-amz-server-side-encryption", "AES256")]), b"").await;
    let name = "x-amz-server-side-encryption".to_owned();
    assert_eq!(error, EdgeError::Auth(AuthError::ParameterContradictsHeader(name)));
}

#[tokio::test]
async fn split_user_metadata_reads_as_it_was_signed() {
    let mut parts = put("UNSIGNED-PAYLOAD", 0, &[("x-amz-meta-m", "a,b")]);
    parts.headers.insert("x-amz-meta-m", "a".parse().unwrap());
    parts.headers.append("x-amz-meta-m", "b".parse().unwrap());
    let admitted = admit(parts, b"", End::Clean).await.unwrap();
    let values: Vec<_> = admitted.parts.headers.get_all("x-amz-meta-m").iter().collect();
    assert_eq!(values, ["a,b"]);
}

#[tokio::test]
async fn an_anonymous_caller_passes_as_nobody() {
    let anonymous = admit(head("GET", "/b/k", &[("host", "s3.test")]), b"", End::Clean).await.unwrap();
    assert_eq!(anonymous.caller, Caller::Anonymous);
}

#[test]
fn the_host_names_a_bucket_below_a_base_domain() {
    let domains = BaseDomains::new(["s3.test".to_owned()]);
    for (host, bucket) in [
        ("pics.s3.test", Some("pics")),
        ("a.b.S3.test:9000", Some("a.b")),
        ("s3.test", None),
        (".s3.test", None),
        ("picss3.test", None),
        ("127.0.0.1:9000", None),
    ] {
        let parts = head("GET", "/", &[("host", host)]);
        assert_eq!(authenticate::bucket_in_host(&parts, &domains).as_deref(), bucket, "{host}");
    }
}

#[test]
fn each_refusal_has_s3s_face() {
    use crate::identity::{Flaw, Place};
    let malformed = |place, flaw| EdgeError::Auth(AuthError::Malformed { place, flaw });
    let region = || Flaw::Region { given: "x".to_owned(), expected: "us-east-1".to_owned() };
    let faces: [(EdgeError, u16, &str); 21] = [
        (AuthError::AccessKeyUnknown(AccessKeyId::new("a")).into(), 403, "InvalidAccessKeyId"),
        (AuthError::SignatureMismatch(AccessKeyId::new("a")).into(), 403, "SignatureDoesNotMatch"),
        (AuthError::TimeTooSkewed { request: 0, now: 1 }.into(), 403, "RequestTimeTooSkewed"),
        (AuthError::HeadersNotSigned(vec![]).into(), 403, "AccessDenied"),
        (AuthError::Expired { valid_for: None, until: 0, now: 1 }.into(), 403, "AccessDenied"),
        (AuthError::SessionToken.into(), 400, "InvalidToken"),
        (AuthError::SessionTokenExpired.into(), 400, "ExpiredToken"),
        (AuthError::SessionTokenMissing(AccessKeyId::new("a")).into(), 403, "InvalidAccessKeyId"),
        (AuthError::SigV2Refused.into(), 400, "InvalidRequest"),
        (AuthError::UnsupportedScheme.into(), 400, "InvalidArgument"),
        (AuthError::StreamingNotAllowed.into(), 403, "AccessDenied"),
        (malformed(Place::Header, region()), 400, "AuthorizationHeaderMalformed"),
        (malformed(Place::Url, region()), 400, "AuthorizationQueryParametersError"),
        (BodyError::HashMismatch.into(), 400, "XAmzContentSHA256Mismatch"),
        (BodyError::ChunkSignature.into(), 403, "SignatureDoesNotMatch"),
        (BodyError::Incomplete.into(), 400, "IncompleteBody"),
        (BodyError::MalformedTrailer("x").into(), 400, "MalformedTrailerError"),
        (BodyError::Timeout.into(), 400, "RequestTimeout"),
        (EdgeError::LengthMissing, 411, "MissingContentLength"),
        (EdgeError::TooLarge { proposed: 2, maximum: 1 }, 400, "EntityTooLarge"),
        (EdgeError::FormUnsupported("tagging".to_owned()), 501, "NotImplemented"),
    ];
    for (error, status, code) in faces {
        let face = error.face();
        assert_eq!((face.status, face.code), (StatusCode::from_u16(status).unwrap(), code), "{error:?}");
    }
    let face = malformed(Place::Header, region()).face();
    assert_eq!(face.message, "The authorization header is malformed; the region 'x' is wrong; expecting 'us-east-1'");
    assert_eq!(face.extra, [("Region", "us-east-1".to_owned())]);
    let hostile = AuthError::AccessKeyUnknown(AccessKeyId::new("<a>&\u{1}"));
    let xml = s3_face(&hostile).to_xml("/b/<k>", "id");
    assert!(xml.contains("<AWSAccessKeyId>&lt;a&gt;&amp;\u{fffd}</AWSAccessKeyId><Resource>/b/&lt;k&gt;</Resource>"));
}
