//! The processes under load.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::load::{Connection, Job, Verb};
use crate::presign::{ACCESS_KEY, BENCH, SECRET_KEY, Signer, presign, presign_oss};

/// A process that says its address on its first line.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("the server did not start");
        let address = url.trim_start_matches("http://").parse().unwrap();
        std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
        Self { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The CPUs that the gateway is to have (`BENCH_GATEWAY_CPUS`, as `taskset -c` takes them): who keeps all else to others
/// measures it as on a machine of its own.
pub(crate) fn own_cpus() -> Option<String> {
    std::env::var("BENCH_GATEWAY_CPUS").ok().filter(|cpus| !cpus.is_empty())
}

/// The gateway: each encryption mode has a bucket, and a GET object of each size.
pub(crate) struct Gateway(Process);

impl Gateway {
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    /// One with more settings, from its environment.
    pub(crate) fn start_with(directory: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = match own_cpus() {
            None => Command::new(env!("CARGO_BIN_EXE_sealgate")),
            Some(cpus) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &cpus, env!("CARGO_BIN_EXE_sealgate")]);
                command
            }
        };
        command.arg("serve");
        Self::start_as(command, directory, settings)
    }

    /// One whose key service takes 5 ms a call: this program under another name.
    pub(crate) fn start_slow(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("serve-slowly");
        Self::start_as(command, directory, &[])
    }

    fn start_as(mut command: Command, directory: &Path, settings: &[(&str, &str)]) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-level", "error"]);
        command.arg("--data-dir").arg(directory).args(["--default-encryption", "none"]);
        command.env("SEALGATE_ACCESS_KEY_ID", ACCESS_KEY).env("SEALGATE_SECRET_ACCESS_KEY", SECRET_KEY);
        command.envs(settings.iter().copied());
        let gateway = Self(Process::start(&mut command));
        gateway.send("PUT", "/bench", &[], &[]);
        gateway
    }

    /// The most memory that the process had so far (`VmHWM`).
    pub(crate) fn peak_memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// The CPU time that the process has taken, in microseconds.
    pub(crate) fn cpu_micros(&self) -> f64 {
        crate::trail::cpu_micros(self.0.child.id())
    }

    /// Puts this many small objects.
    pub(crate) fn fill(&self, count: usize) {
        const CONNECTIONS: usize = 64;
        std::thread::scope(|scope| {
            for first in 0..CONNECTIONS {
                scope.spawn(move || {
                    let mut connection = Connection::open(self.0.address);
                    for number in (first..count).step_by(CONNECTIONS) {
                        let head = self.head("PUT", &format!("/bench/fill/{number:08}"), &[], 100);
                        connection.request(&head, &[1; 100]);
                    }
                });
            }
        });
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let head = self.head(method, path, headers, body.len());
        Connection::open(self.0.address).request(&head, body)
    }

    /// The gateway as any S3 server.
    pub(crate) fn as_server(&self) -> Server<'static> {
        Server { address: self.0.address, by: BENCH }
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], len: usize) -> String {
        let target = presign(BENCH, method, &self.0.address.to_string(), path, "", headers);
        self.head_of(method, &target, headers, len)
    }

    fn head_of(&self, method: &str, target: &str, headers: &[(&str, &str)], len: usize) -> String {
        let host = self.0.address;
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len}\r\n{lines}\r\n")
    }

    pub(crate) fn job(&self, verb: Verb, mode: &str, size: usize, concurrency: usize) -> Job {
        let headers: &[(&str, &str)] = match mode {
            "s3" => &[("x-amz-server-side-encryption", "AES256")],
            "kms" => &[("x-amz-server-side-encryption", "aws:kms")],
            "bucket-key" => &[
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
            ],
            _ => &[],
        };
        let body = Arc::new(content(size));
        let heads = match verb {
            Verb::Get => {
                let path = format!("/bench/get-{mode}-{size}");
                let answer = self.send("PUT", &path, headers, &body);
                let said = answer.lines().find_map(|line| line.strip_prefix("x-amz-server-side-encryption: "));
                assert_eq!(said, headers.first().map(|(_, value)| value.to_ascii_lowercase()).as_deref(), "{mode}");
                vec![self.head("GET", &path, &[], 0); concurrency]
            }
            Verb::Put => (0..concurrency)
                .map(|number| self.head("PUT", &format!("/bench/put-{mode}-{size}-{number}"), headers, size))
                .collect(),
        };
        let body = if verb == Verb::Get { Arc::default() } else { body };
        Job { address: self.0.address, concurrency, heads, body }
    }
}

impl Gateway {
    /// The same work asked for in OSS's words: the objects of [`Gateway::job`], which must have been called before.
    pub(crate) fn oss_job(&self, verb: Verb, mode: &str, size: usize, concurrency: usize) -> Job {
        let headers: &[(&str, &str)] = match (verb, mode) {
            (Verb::Put, "s3") => &[("x-oss-server-side-encryption", "AES256")],
            (Verb::Put, "kms") => &[("x-oss-server-side-encryption", "KMS")],
            _ => &[],
        };
        let head = |number: usize| match verb {
            Verb::Get => {
                let path = format!("/bench/get-{mode}-{size}");
                self.head_of("GET", &presign_oss("GET", &path, headers), headers, 0)
            }
            Verb::Put => {
                let path = format!("/bench/oss-{mode}-{size}-{number}");
                self.head_of("PUT", &presign_oss("PUT", &path, headers), headers, size)
            }
        };
        let heads: Vec<String> = (0..concurrency).map(head).collect();
        let body = Arc::new(if verb == Verb::Get { Vec::new() } else { content(size) });
        // An answer in S3's words would be the wrong thing to compare with.
        let answer = Connection::open(self.0.address).request(&heads[0], &body);
        assert!(answer.contains("x-oss-request-id") && answer.contains("x-oss-hash-crc64ecma"), "{answer}");
        Job { address: self.0.address, concurrency, heads, body }
    }
}

/// The bare hyper server.
pub(crate) struct Bare(Process);

impl Bare {
    pub(crate) fn start(directory: &Path) -> Self {
        std::fs::write(directory.join("bare.bin"), content(64 << 20)).unwrap();
        let own = std::env::current_exe().unwrap();
        Self(Process::start(Command::new(own).arg("bare").arg(directory)))
    }

    pub(crate) fn job(&self, verb: Verb, size: usize, concurrency: usize) -> Job {
        match verb {
            Verb::Get => self.job_of("GET", verb, size, concurrency),
            Verb::Put => self.job_of("PUT", verb, size, concurrency),
        }
    }

    /// Bodies that are read and dropped.
    pub(crate) fn sink(&self, size: usize, concurrency: usize) -> Job {
        self.job_of("POST", Verb::Put, size, concurrency)
    }

    fn job_of(&self, method: &str, verb: Verb, size: usize, concurrency: usize) -> Job {
        let len = if verb == Verb::Get { 0 } else { size };
        let head = |number| {
            let name = if verb == Verb::Get { size.to_string() } else { format!("put-{number}") };
            format!("{method} /{name} HTTP/1.1\r\nhost: bare\r\ncontent-length: {len}\r\n\r\n")
        };
        Job {
            address: self.0.address,
            concurrency,
            heads: (0..concurrency).map(head).collect(),
            body: Arc::new(if verb == Verb::Get { Vec::new() } else { content(size) }),
        }
    }
}

/// An S3 server that runs already, with a bucket `bench`.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) by: Signer<'a>,
}

impl Server<'_> {
    /// Sends a request whose answer must be good; gives the whole answer.
    pub(crate) fn send(&self, method: &str, path: &str, more: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        Connection::open(self.address).whole(&self.head(method, path, more, headers, body.len()), body)
    }

    fn head(&self, method: &str, path: &str, more: &str, headers: &[(&str, &str)], len: usize) -> String {
        let host = self.address.to_string();
        let target = presign(self.by, method, &host, path, more, headers);
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len}\r\n{lines}\r\n")
    }

    /// GETs of one object, or PUTs of an object for each client.
    pub(crate) fn job(&self, verb: Verb, size: usize, concurrency: usize, headers: &[(&str, &str)]) -> Job {
        let body = Arc::new(content(size));
        let kind = headers.len();
        let (heads, body) = match verb {
            Verb::Get => {
                let path = format!("/bench/get-{kind}-{size}");
                self.send("PUT", &path, "", headers, &body);
                (vec![self.head("GET", &path, "", &[], 0); concurrency], Arc::default())
            }
            Verb::Put => {
                let head = |number| self.head("PUT", &format!("/bench/put-{kind}-{size}-{number}"), "", headers, size);
                ((0..concurrency).map(head).collect(), body)
            }
        };
        Job { address: self.address, concurrency, heads, body }
    }

    /// Parts of one upload, a number for each client.
    pub(crate) fn parts(&self, size: usize, concurrency: usize) -> Job {
        let path = "/bench/parts";
        let answer = self.send("POST", path, "uploads=", &[], &[]);
        let id =
            answer.split("<UploadId>").nth(1).and_then(|rest| rest.split("</UploadId>").next()).expect("an upload");
        let id = percent_encoding::utf8_percent_encode(id, UNRESERVED);
        let head = |number| self.head("PUT", path, &format!("partNumber={number}&uploadId={id}"), &[], size);
        Job {
            address: self.address,
            concurrency,
            heads: (1..=concurrency).map(head).collect(),
            body: Arc::new(content(size)),
        }
    }
}

/// What a canonical query escapes.
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Bytes that do not compress.
fn content(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}
