//! A real listener on port 0 and raw sockets, for what no HTTP client would send.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::admin::Admin;
use super::*;
use crate::config::{Config, TlsFiles};
use crate::metrics::Metrics;

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Probe {
    seen: Mutex<Vec<String>>,
    ids: Mutex<Vec<RequestId>>,
    entered: Notify,
    release: Notify,
}

fn stream_of(frames: Vec<Result<&'static str, &'static str>>) -> ResponseBody {
    let frames = frames.into_iter().map(|item| match item {
        Ok(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
        Err(text) => Err(BodyError::from(io::Error::other(text))),
    });
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

fn whole(text: impl Into<Bytes>) -> ResponseBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Handler for Probe {
    async fn handle(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let path = request.uri().path().to_owned();
        self.seen.lock().unwrap().push(path.clone());
        let id = *request.extensions().get::<RequestId>().unwrap();
        self.ids.lock().unwrap().push(id);
        let info = *request.extensions().get::<ConnInfo>().unwrap();
        match path.as_str() {
            "/echo" => match request.into_body().collect().await {
                Ok(body) => Response::new(whole(body.to_bytes())),
                Err(_) => Response::builder().status(400).body(whole("bad body")).unwrap(),
            },
            "/slow" => {
                self.entered.notify_one();
                self.release.notified().await;
                Response::new(whole("slow answer"))
            }
            "/cut-length" => Response::builder()
                .header("content-length", "10")
                .body(stream_of(vec![Ok("hello"), Err("tag mismatch")]))
                .unwrap(),
            "/cut" => Response::new(stream_of(vec![Ok("hello"), Err("tag mismatch")])),
            "/early" => Response::builder().status(403).body(whole("no")).unwrap(),
            "/endless" => {
                let chunk = Bytes::from(vec![b'x'; 65536]);
                let frames = futures::stream::repeat(chunk).map(|chunk| Ok(Frame::data(chunk)));
                Response::new(StreamBody::new(frames).boxed_unsync())
            }
            "/tls" => Response::new(whole(info.tls.to_string())),
            "/panic" => panic!("on purpose"),
            _ => Response::new(whole("ok")),
        }
    }
}

struct Server {
    address: SocketAddr,
    probe: Arc<Probe>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    task: JoinHandle<Drained>,
}

async fn start(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options::gateway(&Config::default(), None);
    change(&mut options);
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let probe = Arc::new(Probe::default());
    let metrics = Arc::new(Metrics::new().unwrap());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, Arc::clone(&probe), options, Arc::clone(&metrics), shutdown.clone()));
    Server { address, probe, metrics, shutdown, task }
}

impl Server {
    /// Sends `text` as it is and reads until the connection ends. The error is how it ended, if not cleanly.
    async fn raw(&self, text: &[u8]) -> (String, io::Result<()>) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse before it has read everything.
        let _ = socket.write_all(text).await;
        read_out(&mut socket).await
    }

    /// As [`Server::raw`], in small pieces.
    async fn dripped(&self, text: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        for piece in text.chunks(11) {
            let _ = socket.write_all(piece).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        read_out(&mut socket).await.0
    }

    fn seen(&self) -> Vec<String> {
        self.probe.seen.lock().unwrap().clone()
    }

    fn series(&self) -> String {
        String::from_utf8(self.metrics.render().unwrap()).unwrap()
    }

    async fn wait_for(&self, line: &str) {
        let found = async {
            while !self.series().lines().any(|l| l == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, found).await.is_ok(), "{line}\n{}", self.series());
    }
}

async fn read_out(socket: &mut (impl AsyncReadExt + Unpin)) -> (String, io::Result<()>) {
    let mut bytes = Vec::new();
    let ended = timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.expect("the connection stays open");
    (String::from_utf8_lossy(&bytes).into_owned(), ended.map(|_| ()))
}

#[tokio::test]
async fn a_request_is_answered_with_its_id_at_hand_and_counted() {
    let server = start(|_| {}).await;
    let (text, ended) =
        server.raw(b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").await;
    assert!(ended.is_ok() && text.starts_with("HTTP/1.1 200") && text.ends_with("hello"), "{text}");
    let id = server.probe.ids.lock().unwrap()[0];
    assert!(id.as_str().len() == 16 && id.as_str().bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
    server.wait_for("sealgate_http_requests_total{method=\"PUT\",status=\"2xx\"} 1").await;
    server.wait_for("sealgate_http_request_bytes_total 5").await;
    server.wait_for("sealgate_http_response_bytes_total 5").await;
    server.wait_for("sealgate_http_requests_in_flight 0").await;
    server.wait_for("sealgate_http_connections 0").await;
}

/// Collects log lines of this thread; the single-threaded test runtime runs the server on it too.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_is_one_log_line_without_its_query() {
    // With a single dispatcher alive, `tracing` lets whichever test logs first decide, for its own thread, whether a line
    // is ever wanted by anyone. A second one makes it ask all.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        crate::logging::dispatch(crate::config::LogFormat::Json, crate::config::LogLevel::Trace, false, move || {
            writer.clone()
        });
    let _guard = tracing::dispatcher::set_default(&subscriber);
    let server = start(|_| {}).await;
    let request =
        "GET /k%0Aey?X-Amz-Signature=canary HTTP/1.1\r\nHost: a\r\nAuthorization: canary\r\nConnection: close\r\n\r\n";
    let (answer, _) = server.raw(request.as_bytes()).await;
    assert!(answer.ends_with("ok"), "{answer}");
    server.raw(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").await.1.unwrap_err();
    server.wait_for("sealgate_http_connections 0").await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let access: Vec<_> = lines.iter().filter(|line| line["target"] == "sealgate::access").collect();
    assert_eq!(access.len(), 2, "{text}");
    assert_eq!(access[0]["request_id"], server.probe.ids.lock().unwrap()[0].as_str());
    assert_eq!(access[0]["path"], "/k%0Aey");
    assert_eq!((&access[0]["status"], &access[0]["bytes_out"]), (&200.into(), &2.into()));
    assert_eq!((&access[0]["outcome"], &access[1]["outcome"]), (&"complete".into(), &"failed".into()));
    assert!(lines.iter().any(|line| line["error"] == "tag mismatch"), "{text}");
}

#[tokio::test]
async fn pipelined_well_formed_requests_are_all_answered() {
    let server = start(|_| {}).await;
    let text = "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (text, _) = server.raw(text.as_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    assert_eq!(server.seen(), ["/echo", "/last"]);
}

#[tokio::test]
async fn nothing_smuggled_ever_runs() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let heads = [
        "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 35\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "PUT /echo HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /echo HTTP/1.1\nHost: a\n\n",
        "GET /echo HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nX: y\n\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /echo HTTP/1.1\r\n\r\n",
        "GET http://b/echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let server = start(|_| {}).await;
    for head in heads {
        let request = format!("{head}{smuggled}");
        for text in [server.raw(request.as_bytes()).await.0, server.dripped(request.as_bytes()).await] {
            assert!(text.starts_with("HTTP/1.1 400") || text.starts_with("HTTP/1.0 400"), "{head:?} got {text:?}");
            assert!(text.to_lowercase().contains("connection: close"), "{head:?} got {text:?}");
            assert_eq!(text.matches("HTTP/1.").count(), 1, "{head:?} got {text:?}");
            assert_eq!(server.seen(), Vec::<String>::new(), "{head:?}");
        }
    }
    assert!(server.series().contains("sealgate_http_refused_total{reason=\"bare line end\"} 8"), "{}", server.series());
}

#[tokio::test]
async fn a_malformed_second_request_spoils_only_itself() {
    let server = start(|_| {}).await;
    let text = "GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\nHost: a\n\n";
    let (text, _) = server.raw(text.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("HTTP/1.1 400"), "{text}");
    assert_eq!(server.seen(), ["/first"]);
}

#[tokio::test]
async fn malformed_chunks_fail_the_body_and_end_the_connection() {
    let server = start(|_| {}).await;
    for chunk in ["FFFFFFFFFFFFFFFFF\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabcX0\r\n\r\n", "g\r\n"] {
        let head = "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let later = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let (text, _) = server.raw(format!("{head}{chunk}{later}").as_bytes()).await;
        assert!(!text.contains("HTTP/1.1 200"), "{chunk:?} got {text:?}");
    }
    assert!(!server.seen().contains(&"/smuggled".to_owned()));
}

#[tokio::test]
async fn oversized_heads_are_refused_with_their_status() {
    let server = start(|_| {}).await;
    let request = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let long = |n| format!("/{}", "k".repeat(n));
    let many = |n| "x-h: y\r\n".repeat(n);
    let cases = [
        (request(&long(8191), ""), "200"),
        (request(&long(8192), ""), "414"),
        (request(&long(70_000), ""), "414"),
        (request("/", &many(98)), "200"),
        (request("/", &many(101)), "431"),
        (request("/", &format!("x: {}\r\n", "v".repeat(15_000))), "200"),
        (request("/", &format!("x: {}\r\n", "v".repeat(16_384))), "431"),
        (request(&long(200_000), ""), "400"),
    ];
    for (text, status) in cases {
        let text = text.replace("Host: a\r\n", "Host: a\r\nConnection: close\r\n");
        let (answer, _) = server.raw(text.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer:.200}");
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_at_the_timeout() {
    let server = start(|options| options.header_read_timeout = Duration::from_millis(150)).await;
    let begun = Instant::now();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let (mut read, mut write) = socket.split();
    let drip = async {
        for byte in b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = drip => {}
        _ = read_out(&mut read) => {}
    }
    assert!(begun.elapsed() >= Duration::from_millis(140) && begun.elapsed() < PATIENCE);
    assert_eq!(server.seen(), Vec::<String>::new());
    server.wait_for("sealgate_http_refused_total{reason=\"request head too slow\"} 1").await;
}

#[tokio::test]
async fn a_body_that_stands_still_is_cut_in_either_direction() {
    let server = start(|options| options.body_idle_timeout = Duration::from_millis(150)).await;
    let (text, _) = server.raw(b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello").await;
    assert!(!text.contains("200"), "{text}");
    server.wait_for("sealgate_http_refused_total{reason=\"request body stalled\"} 1").await;

    // A byte now and then is no progress either.
    let (read, mut write) = TcpStream::connect(server.address).await.unwrap().into_split();
    write.write_all(b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n").await.unwrap();
    let drip = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut read = read;
    tokio::select! {
        () = drip => {}
        _ = read_out(&mut read) => {}
    }
    server.wait_for("sealgate_http_refused_total{reason=\"request body stalled\"} 2").await;

    let mut reader = TcpStream::connect(server.address).await.unwrap();
    reader.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.wait_for("sealgate_http_refused_total{reason=\"response stalled\"} 1").await;
    server.wait_for("sealgate_http_connections 0").await;
}

#[tokio::test]
async fn a_handler_that_is_slow_to_read_is_not_a_stalled_body() {
    let server = start(|options| options.body_idle_timeout = Duration::from_millis(100)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"PUT /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
    server.probe.entered.notified().await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    server.probe.release.notify_one();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let (text, _) = read_out(&mut socket).await;
    assert!(text.contains("slow answer"), "{text}");
}

#[tokio::test]
async fn a_failing_response_body_never_ends_cleanly() {
    let server = start(|_| {}).await;
    let (text, ended) = server.raw(b"GET /cut-length HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(ended.is_err(), "{text}");
    let (text, ended) = server.raw(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(ended.is_err() && !text.contains("\r\n0\r\n"), "{text}");
    // Without a length, HTTP/1.0 knows the end of a body only by the end of the connection.
    let (text, ended) = server.raw(b"GET /cut HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(ended.is_err(), "{text}");
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let server = start(|_| {}).await;
    let head = b"PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n";
    let (text, ended) = server.raw(&[head.as_slice(), &vec![b'x'; 3_000_000]].concat()).await;
    assert!(ended.is_ok() && text.starts_with("HTTP/1.1 403") && text.ends_with("no"), "{ended:?} {text}");
}

#[tokio::test]
async fn the_continue_is_sent_only_to_a_client_whose_body_is_wanted() {
    let server = start(|_| {}).await;
    let wanted =
        b"PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    assert!(server.raw(wanted).await.0.starts_with("HTTP/1.1 100"));
    let unwanted = b"PUT /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let (text, _) = server.raw(unwanted).await;
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

#[tokio::test]
async fn the_drain_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let server = start(|_| {}).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.probe.entered.notified().await;
    server.shutdown.cancel();
    assert_eq!(read_out(&mut idle).await.0, "");
    // The port closes while the busy connection lives.
    let closed = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(PATIENCE, closed).await.unwrap();
    assert!(!server.task.is_finished());
    server.probe.release.notify_one();
    let (text, ended) = read_out(&mut busy).await;
    assert!(ended.is_ok() && text.ends_with("slow answer"), "{text}");
    assert_eq!(timeout(PATIENCE, server.task).await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut() {
    let server = start(|options| options.drain_timeout = Duration::from_millis(100)).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.probe.entered.notified().await;
    server.shutdown.cancel();
    assert_eq!(timeout(PATIENCE, server.task).await.unwrap().unwrap(), Drained { cut: 1 });
    assert!(read_out(&mut busy).await.1.is_err());
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let server = start(|options| options.max_connections = 1).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    server.probe.entered.notified().await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.seen(), ["/slow"]);
    server.probe.release.notify_one();
    assert!(read_out(&mut first).await.0.ends_with("slow answer"));
    assert!(read_out(&mut second).await.0.ends_with("ok"));
}

#[tokio::test]
async fn a_panicking_handler_costs_one_connection() {
    let server = start(|_| {}).await;
    server.raw(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await.1.ok();
    let (text, _) = server.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(text.ends_with("ok"), "{text}");
    server.wait_for("sealgate_http_requests_in_flight 0").await;
}

#[tokio::test]
async fn tls_is_served_and_plain_http_is_not_answered_there() {
    let fixture = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name);
    let files = TlsFiles { cert: fixture("localhost.pem"), key: fixture("localhost.key") };
    let tls = server_config(&files).unwrap();
    let server = start(|options| options.tls = Some(tls)).await;
    let mut roots = RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_file(fixture("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut socket = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, tcp).await.unwrap();
    socket.write_all(b"GET /tls HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let (text, ended) = read_out(&mut socket).await;
    assert!(ended.is_ok() && text.ends_with("true"), "{text}");
    let (text, _) = server.raw(b"GET /tls HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!text.contains("HTTP/1.1"), "{text}");
    assert_eq!(server.seen(), ["/tls"]);
}

#[test]
fn unusable_tls_files_name_their_setting() {
    let fixture = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name);
    let message = |cert: &str, key: &str| {
        server_config(&TlsFiles { cert: fixture(cert), key: fixture(key) }).unwrap_err().to_string()
    };
    assert!(message("missing.pem", "localhost.key").starts_with("tls_cert"));
    assert!(message("localhost.key", "localhost.key").starts_with("tls_cert"));
    assert!(message("localhost.pem", "localhost.pem").starts_with("tls_key"));
    assert!(message("ca.pem", "localhost.key").starts_with("tls_cert and tls_key"));
}

#[tokio::test]
async fn the_admin_port_tells_health_and_counters_and_nothing_else() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let broken = Arc::new(Mutex::new(None::<String>));
    let (draining, shutdown) = (CancellationToken::new(), CancellationToken::new());
    let state = Arc::clone(&broken);
    let ready: admin::ReadyCheck = Arc::new(move || state.lock().unwrap().clone().map_or(Ok(()), Err));
    let handler = Arc::new(Admin::new(Arc::clone(&metrics), ready, draining.clone()));
    let options = Options::admin(&Config::default());
    let task = tokio::spawn(serve(listener, handler, options, Arc::clone(&metrics), shutdown.clone()));
    let ask = async |method: &str, path: &str| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let text = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        socket.write_all(text.as_bytes()).await.unwrap();
        read_out(&mut socket).await.0
    };
    assert!(ask("GET", "/health/live").await.starts_with("HTTP/1.1 200"));
    assert!(ask("GET", "/health/ready").await.starts_with("HTTP/1.1 200"));
    *broken.lock().unwrap() = Some("the store is read-only".to_owned());
    let answer = ask("GET", "/health/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("read-only"), "{answer}");
    *broken.lock().unwrap() = None;
    draining.cancel();
    assert!(ask("GET", "/health/ready").await.starts_with("HTTP/1.1 503"));
    assert!(ask("GET", "/health/live").await.starts_with("HTTP/1.1 200"));
    let series = ask("GET", "/metrics").await;
    assert!(series.contains("sealgate_http_connections_total 0"), "probes are not clients: {series}");
    assert!(ask("POST", "/metrics").await.starts_with("HTTP/1.1 405"));
    assert!(ask("GET", "/").await.starts_with("HTTP/1.1 404"));
    shutdown.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap();
}

#[test]
fn request_ids_are_sixteen_upper_case_digits() {
    assert_eq!(RequestId::from_bits(0xABCD).as_str(), "000000000000ABCD");
    assert_ne!(RequestId::fresh().unwrap(), RequestId::fresh().unwrap());
}
