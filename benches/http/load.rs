//! A load that costs little: blocking sockets, prepared requests, answers read and dropped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Put,
}

/// The same request over and over, on several connections.
pub(crate) struct Job {
    pub(crate) address: SocketAddr,
    pub(crate) concurrency: usize,
    /// Each connection's request head: PUTs go to a key of their own.
    pub(crate) heads: Vec<String>,
    /// The body of each request; empty for GET.
    pub(crate) body: Arc<Vec<u8>>,
}

impl Job {
    /// Runs for about `time`; gives requests per second. Each connection makes one request at least, and one
    /// that has begun is finished and counted.
    pub(crate) fn run(&self, time: Duration) -> f64 {
        let start = Instant::now();
        let threads: Vec<_> = (0..self.concurrency)
            .map(|number| {
                let (address, head, body) = (self.address, self.heads[number].clone(), Arc::clone(&self.body));
                std::thread::spawn(move || {
                    let mut connection = Connection::open(address);
                    let mut done = 0u32;
                    loop {
                        connection.request(&head, &body);
                        done += 1;
                        if start.elapsed() >= time {
                            break done;
                        }
                    }
                })
            })
            .collect();
        let done: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        f64::from(done) / start.elapsed().as_secs_f64()
    }
}

/// A kept-alive HTTP/1.1 connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 256 << 10] }
    }

    /// As [`Connection::request`]; gives the whole answer, which is not changed.
    pub(crate) fn whole(mut self, head: &str, body: &[u8]) -> String {
        let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        self.stream.write_all(head.as_bytes()).unwrap();
        self.stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    /// Sends a request and reads its answer to the end; gives the head of the answer.
    pub(crate) fn request(&mut self, head: &str, body: &[u8]) -> String {
        if body.len() <= 64 << 10 {
            self.stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        } else {
            self.stream.write_all(head.as_bytes()).unwrap();
            self.stream.write_all(body).unwrap();
        }
        let mut filled = 0;
        let end = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            if let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer[..filled]));
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        let mut left: usize = length - (filled - end);
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).unwrap();
            assert!(read > 0, "the body was cut");
            left -= read;
        }
        head
    }
}
