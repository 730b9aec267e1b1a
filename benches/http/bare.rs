//! The bare hyper server: `GET /N` answers N bytes from a page-cached file read on the worker; `PUT` computes the MD5 of
//! the body, as every S3 server must, and writes it to a file, which it does not sync; `POST` reads the body and drops it.

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};

const CHUNK: u64 = 64 << 10;

pub(crate) fn run(directory: &str) {
    let directory: Arc<Path> = Path::new(directory).into();
    let file = Arc::new(File::open(directory.join("bare.bin")).unwrap());
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let (file, directory) = (Arc::clone(&file), Arc::clone(&directory));
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&file), Arc::clone(&directory)));
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn answer(
    mut request: Request<Incoming>,
    file: Arc<File>,
    directory: Arc<Path>,
) -> Result<Response<Body>, Infallible> {
    if request.method() == Method::PUT {
        let target = directory.join(request.uri().path().trim_start_matches('/'));
        let target = File::create(target).unwrap();
        let (mut md5, mut at) = (Md5::new(), 0);
        while let Some(frame) = request.body_mut().frame().await {
            let chunk = frame.unwrap().into_data().unwrap_or_default();
            md5.update(&chunk);
            target.write_all_at(&chunk, at).unwrap();
            at += chunk.len() as u64;
        }
        let etag = hex::encode(md5.finalize());
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        return Ok(Response::builder().header("etag", etag).body(empty).unwrap());
    }
    if request.method() == Method::POST {
        while let Some(frame) = request.body_mut().frame().await {
            frame.unwrap();
        }
        return Ok(Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync()));
    }
    let size: u64 = request.uri().path().trim_start_matches('/').parse().unwrap();
    let chunks = stream::unfold(0, move |at| {
        let file = Arc::clone(&file);
        async move {
            let len = usize::try_from((size - at).min(CHUNK)).unwrap();
            if len == 0 {
                return None;
            }
            let mut buffer = vec![0; len];
            let read = file.read_exact_at(&mut buffer, at).map(|()| Frame::data(Bytes::from(buffer)));
            Some((read, at + len as u64))
        }
    });
    let response = Response::builder().header("content-length", size).body(StreamBody::new(chunks).boxed_unsync());
    Ok(response.unwrap())
}
