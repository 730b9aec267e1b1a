//! The `sealgate` command: arguments, configuration, logging, then [`sealgate::serve`] or one of the repairs.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealgate::config::{Config, Flags};
use sealgate::kms::embedded::RootKey;
use sealgate::store::local::rebuild::rebuild;
use sealgate::types::{BucketName, Clock as _, ObjectAt, SystemClock, VersionId};
use sealgate::{audit, control, encrypt, gateway, logging, rewrap, serve, tools, usage, verify, walk};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An object gateway that encrypts.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve S3 clients.
    Serve(Box<Flags>),
    /// Look into the trail of the uses and changes of master keys, of a running or stopped gateway.
    Audit {
        #[command(subcommand)]
        what: Auditing,
    },
    /// Read every object of a data directory that no gateway serves, and say what does not authenticate.
    Verify(Box<Verifying>),
    /// Encrypt, object by object, what was in an upstream's bucket before sealgate was.
    EncryptBucket(Box<Encrypting>),
    /// Move a bucket's objects to another master key, or to the current version of its own, without touching them.
    Rewrap(Box<Rewrapping>),
    /// Say what depends on master keys.
    Keys {
        #[command(subcommand)]
        what: Keys,
    },
    /// Make the embedded store's database anew from its journal, after db/ was lost or moved away.
    Rebuild {
        /// Directory that holds objects and keys; no gateway may run on it.
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Count the buckets, bucket keys and objects that depend on each version of a master key: whether it can go.
    Usage(Box<Using>),
}

#[derive(Debug, clap::Args)]
struct Using {
    #[command(flatten)]
    flags: Flags,
    /// The key: id, ARN or alias.
    key: String,
    /// Print it as one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Auditing {
    /// Find lines that were removed or altered.
    Verify(Box<Flags>),
    /// Print the events that fit, oldest first, a line of JSON each.
    Query(Box<Querying>),
}

#[derive(Debug, clap::Args)]
struct Querying {
    #[command(flatten)]
    flags: Flags,
    /// A master key: its ARN or key id.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Events from this time on: RFC 3339, a date, or how long ago (30m, 12h, 7d).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Events before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// An operation, such as Decrypt.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// A user's name.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Verifying {
    #[command(flatten)]
    flags: Flags,
    /// Only this bucket; may be given more than once.
    #[arg(long, value_name = "NAME")]
    bucket: Vec<String>,
    /// A master key that was deleted, by id or ARN: name the objects that are unreadable because of that, and no others may be.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A file that remembers how far it came: after a break it goes on from there.
    #[arg(long, value_name = "FILE")]
    cursor: Option<PathBuf>,
    /// At most this many MiB of plaintext a second.
    #[arg(long, value_name = "MIB")]
    rate: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct Encrypting {
    #[command(flatten)]
    flags: Flags,
    /// The bucket; `upstream_foreign_buckets` must name it.
    bucket: String,
    /// Only keys that start with this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// At most this many MiB a second.
    #[arg(long, value_name = "MIB")]
    rate: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct Rewrapping {
    #[command(flatten)]
    flags: Flags,
    /// The bucket, whose bucket keys are wrapped anew.
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// The master key to wrap them: id, ARN or alias. Without it each stays under its own, in that one's current version.
    #[arg(long, value_name = "KEY")]
    to: Option<String>,
    /// Wrap each object's data key anew, too, by its metadata alone.
    #[arg(long)]
    full: bool,
    /// A file that remembers how far it came: after a break it goes on from there.
    #[arg(long, value_name = "FILE", requires = "full")]
    cursor: Option<PathBuf>,
    /// At most this many objects a second.
    #[arg(long, value_name = "NUMBER", requires = "full")]
    rate: Option<u64>,
    /// Say what would be done, and do nothing.
    #[arg(long, requires = "full")]
    dry_run: bool,
}

/// What a wrong command line or configuration ends with, as clap does.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Audit { what: Auditing::Verify(flags) } => run_audit_verify(&flags),
        Command::Audit { what: Auditing::Query(querying) } => run_audit_query(*querying),
        Command::Serve(flags) => run_gateway(&flags),
        Command::Verify(verifying) => run_verify(*verifying),
        Command::EncryptBucket(encrypting) => run_encrypt(*encrypting),
        Command::Rewrap(rewrapping) => run_rewrap(*rewrapping),
        Command::Keys { what: Keys::Usage(using) } => run_usage(&using),
        Command::Rebuild { data_dir } => run_rebuild(&data_dir),
    }
}

/// Verifies the audit trail. Anything wrong ends it with 1.
fn run_audit_verify(flags: &Flags) -> ExitCode {
    let config = match Config::load(flags) {
        Ok(config) => config,
        Err(error) => return fail(&error, WRONG_USE),
    };
    let seal = match RootKey::existing(config.root_key_file.as_deref(), &config.data_dir) {
        Ok(root) => root.record_seal(),
        Err(error) => return fail(&error, WRONG_USE),
    };
    let found = match seal.map(|seal| audit::verify(&config.data_dir, &seal)) {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return fail(&error, 1),
        Err(error) => return fail(&error, 1),
    };
    for problem in &found.problems {
        complain(format_args!("{problem}"));
    }
    say(format_args!("verified {} events; {} problems", found.lines, found.problems.len()));
    if found.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the events that were asked for.
fn run_audit_query(querying: Querying) -> ExitCode {
    let config = match Config::load(&querying.flags) {
        Ok(config) => config,
        Err(error) => return fail(&error, WRONG_USE),
    };
    let now = SystemClock.now();
    let time = |text: Option<String>| text.map(|text| audit::time(&text, now).ok_or(text)).transpose();
    let (since, until) = match (time(querying.since), time(querying.until)) {
        (Ok(since), Ok(until)) => (since, until),
        (Err(text), _) | (_, Err(text)) => {
            complain(format_args!("{text:?} is no time: 2026-11-26T12:00:00Z, 2026-11-26, 30m, 12h and 7d are"));
            return ExitCode::from(WRONG_USE);
        }
    };
    let question = audit::Question {
        key: querying.key,
        since,
        until,
        operation: querying.operation,
        principal: querying.principal,
    };
    match audit::query(&config.data_dir, &question, |line| say(format_args!("{line}"))) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Rebuilds, and says what came back. Objects that are not whole end it with 1, as an error does.
fn run_rebuild(data_dir: &Path) -> ExitCode {
    let rebuilt = match rebuild(data_dir) {
        Ok(rebuilt) => rebuilt,
        Err(error) => return fail(&error, 1),
    };
    let (buckets, objects, uploads) = (rebuilt.buckets, rebuilt.objects, rebuilt.uploads);
    say(format_args!("rebuilt {buckets} buckets, {objects} objects, {uploads} uploads in progress"));
    for name in &rebuilt.damaged {
        complain(format_args!("body files are missing or cut: {name}"));
    }
    if rebuilt.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What async code runs on.
fn runtime() -> Result<tokio::runtime::Runtime, ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| fail(&error, 1))
}

/// What a tool needs that works on a bucket.
fn for_bucket(flags: &Flags, bucket: &str) -> Result<(Config, BucketName, tokio::runtime::Runtime), ExitCode> {
    let config = Config::load(flags).map_err(|error| fail(&error, WRONG_USE))?;
    let bucket = bucket.parse::<BucketName>().map_err(|error| fail(&error, WRONG_USE))?;
    Ok((config, bucket, runtime()?))
}

/// Verifies with a progress bar, where standard error is a terminal. Objects that do not verify end it with 1.
fn run_verify(verifying: Verifying) -> ExitCode {
    let names: Result<Vec<_>, _> = verifying.bucket.iter().map(|name| name.parse()).collect();
    let (config, buckets) = match (Config::load(&verifying.flags), names) {
        (Ok(config), Ok(buckets)) => (config, buckets),
        (Err(error), _) => return fail(&error, WRONG_USE),
        (_, Err(error)) => return fail(&error, WRONG_USE),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let rate = verifying.rate.map(|rate| rate.saturating_mul(1 << 20));
    let plan = verify::Plan { buckets, cursor: verifying.cursor, rate, key: verifying.key };
    let mut bar = Bar(indicatif::ProgressBar::no_length());
    match runtime.block_on(verify::verify(&config, &plan, &mut bar)) {
        Err(error) => fail(&error, 1),
        Ok(found) => {
            bar.0.finish_and_clear();
            let verify::Found { objects, bytes, sealed, damaged, shredded } = found;
            say(format_args!(
                "verified {objects} objects, {bytes} bytes; {sealed} under customer keys; {damaged} damaged"
            ));
            if let Some(key) = &plan.key {
                say(format_args!("{shredded} objects cannot be read any more since key {key} is gone"));
            }
            if damaged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

/// Encrypts a bucket with a progress bar, where standard error is a terminal. Objects that are not encrypted in the end make
/// it end with 1: it can be run again.
fn run_encrypt(encrypting: Encrypting) -> ExitCode {
    let (config, bucket, runtime) = match for_bucket(&encrypting.flags, &encrypting.bucket) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let rate = encrypting.rate.map(|rate| rate.saturating_mul(1 << 20));
    let plan = encrypt::Plan { bucket, prefix: encrypting.prefix, dry_run: encrypting.dry_run, rate };
    let mut bar = Bar(indicatif::ProgressBar::no_length());
    match runtime.block_on(encrypt::encrypt(&config, &plan, &mut bar)) {
        Err(error) => fail(&error, 1),
        Ok(done) => {
            bar.0.finish_and_clear();
            let encrypt::Done { objects, bytes, already, changed, failed, older } = done;
            let would = if plan.dry_run { "would encrypt" } else { "encrypted" };
            say(format_args!(
                "{would} {objects} objects, {bytes} bytes; {already} were encrypted already; {changed} changed meanwhile; \
                 {failed} failed"
            ));
            if older > 0 {
                say(format_args!("{older} older versions are not encrypted and stay so, until they are deleted"));
            }
            if changed == 0 && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

/// Moves a bucket's epochs: by the gateway that runs on the data directory, or without one.
fn run_rewrap(rewrapping: Rewrapping) -> ExitCode {
    let (config, bucket, runtime) = match for_bucket(&rewrapping.flags, &rewrapping.bucket) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let after = match rewrapping.cursor.as_deref().map(walk::read_cursor).transpose() {
        Ok(after) => after.flatten(),
        Err(error) => return fail(&error, 1),
    };
    let full = rewrapping.full.then_some(rewrap::Full { after, rate: rewrapping.rate, dry_run: rewrapping.dry_run });
    let task = control::Task::Rewrap(rewrap::Plan { bucket, to: rewrapping.to.clone(), full });
    let mut ended = Rewrapped { bar: indicatif::ProgressBar::no_length(), code: ExitCode::FAILURE, by: &rewrapping };
    match runtime.block_on(tools::run(&config, &task, |said| ended.hear(said))) {
        Ok(()) => ended.code,
        Err(error) => fail(&error, 1),
    }
}

/// Counts what depends on a key, and says whether it can go.
fn run_usage(using: &Using) -> ExitCode {
    let config = match Config::load(&using.flags) {
        Ok(config) => config,
        Err(error) => return fail(&error, WRONG_USE),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let mut code = ExitCode::FAILURE;
    let bar = indicatif::ProgressBar::new_spinner();
    let asked = runtime.block_on(tools::run(&config, &control::Task::Usage(using.key.clone()), |said| match said {
        control::Said::Counted(more) => {
            bar.inc(more);
            bar.set_message(format!("{} versions", bar.position()));
        }
        control::Said::Usage(usage) => {
            bar.finish_and_clear();
            if using.json {
                say(format_args!("{}", serde_json::to_string(&usage).unwrap_or_default()));
            } else {
                tell_usage(&usage);
            }
            code = ExitCode::SUCCESS;
        }
        control::Said::Failed(why) => complain(format_args!("{why}")),
        control::Said::Rewrapping(_) | control::Said::Rewrapped(_) => {}
    }));
    match asked {
        Ok(()) => code,
        Err(error) => fail(&error, 1),
    }
}

fn tell_usage(usage: &usage::Usage) {
    let state = if usage.enabled { "can be used" } else { "is closed" };
    let current = usage.current.map_or_else(|| "no version".to_owned(), |number| format!("version {number}"));
    say(format_args!("{}: {state}; {current} wraps", usage.key.0));
    for (version, dependents) in &usage.versions {
        let usage::Dependents { buckets, epochs, by_bucket_key, direct, uploads } = dependents;
        let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
        say(format_args!(
            "version {version}: {epochs} bucket keys with {by_bucket_key} objects; {direct} objects directly; {uploads} uploads in \
             progress; in {}",
            buckets.join(", ")
        ));
    }
    for bucket in &usage.defaults {
        say(format_args!("it is the default of bucket {bucket}"));
    }
    if usage.unknown > 0 {
        say(format_args!("{} objects do not verify: nobody knows what they depend on", usage.unknown));
    }
    let to = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(usage.complete_to.0) * 1_000_000)
        .ok()
        .and_then(|to| to.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default();
    say(format_args!("complete up to {to}"));
    say(match (usage.is_retirable(), usage.enabled) {
        (false, _) => format_args!("not safe to retire"),
        (true, true) => format_args!("nothing depends on it; disable it and look again, so that nothing comes after"),
        (true, false) => format_args!("safe to retire"),
    });
}

/// A rewrap as it is told to the terminal.
struct Rewrapped<'a> {
    bar: indicatif::ProgressBar,
    code: ExitCode,
    by: &'a Rewrapping,
}

impl Rewrapped<'_> {
    fn hear(&mut self, said: control::Said) {
        match said {
            control::Said::Failed(why) => self.bar.suspend(|| complain(format_args!("{why}"))),
            control::Said::Counted(_) | control::Said::Usage(_) => {}
            control::Said::Rewrapping(rewrap::Progress::Begins(objects)) => {
                let style = "{bar:40} {human_pos}/{human_len} objects {per_sec} {eta}";
                if let Ok(style) = indicatif::ProgressStyle::with_template(style) {
                    self.bar.set_style(style);
                }
                self.bar.set_length(objects);
            }
            control::Said::Rewrapping(rewrap::Progress::At(more, cursor)) => {
                self.bar.inc(more);
                if let Some(path) = self.by.cursor.as_deref().filter(|_| !self.by.dry_run)
                    && let Err(error) = walk::write_cursor(path, &cursor)
                {
                    self.bar.suspend(|| complain(format_args!("{}: {error}", path.display())));
                }
            }
            control::Said::Rewrapping(rewrap::Progress::Failed(place, why)) => {
                self.bar.suspend(|| complain(format_args!("{place}: {why}")));
            }
            control::Said::Rewrapped(done) => self.end(&done),
        }
    }

    fn end(&mut self, done: &rewrap::Done) {
        self.bar.finish_and_clear();
        if !self.by.dry_run {
            let keys: Vec<&str> = done.keys.iter().map(|key| key.0.as_str()).collect();
            let under = if keys.is_empty() { String::new() } else { format!(", under {}", keys.join(", ")) };
            say(format_args!("wrapped {} bucket keys anew{under}", done.epochs));
        }
        self.code = ExitCode::SUCCESS;
        let Some(walked) = done.walked else { return };
        let would = if self.by.dry_run { "would wrap" } else { "wrapped" };
        let rewrap::Walked { objects, already, others, changed, failed } = walked;
        say(format_args!(
            "{would} {objects} objects anew; {already} were so already; {others} under no master key; {changed} changed \
             meanwhile; {failed} failed"
        ));
        if failed > 0 {
            self.code = ExitCode::FAILURE;
        }
        if let Some(path) = self.by.cursor.as_deref().filter(|_| !self.by.dry_run)
            && let Err(error) = walk::remove_cursor(path)
        {
            complain(format_args!("{}: {error}", path.display()));
        }
    }
}

impl encrypt::Watcher for Bar {
    fn begins(&mut self, bytes: u64) {
        verify::Watcher::begins(self, 0, bytes);
    }

    fn took(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn failed(&mut self, at: &ObjectAt, why: &gateway::Error) {
        let why = std::error::Error::source(why).map_or_else(|| why.to_string(), |cause| format!("{why}: {cause}"));
        self.0.suspend(|| complain(format_args!("{}/{}: {why}", at.bucket, at.key)));
    }
}

/// The progress of a verification.
struct Bar(indicatif::ProgressBar);

impl verify::Watcher for Bar {
    fn begins(&mut self, _: u64, bytes: u64) {
        let style = "{bar:40} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        if let Ok(style) = indicatif::ProgressStyle::with_template(style) {
            self.0.set_style(style);
        }
        self.0.set_length(bytes);
    }

    fn took(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn shredded(&mut self, at: &ObjectAt, version: &VersionId) {
        self.0.suspend(|| say(format_args!("{}/{} ({version}): its key is gone", at.bucket, at.key)));
    }

    fn damaged(&mut self, at: &ObjectAt, version: &VersionId, why: &gateway::Error) {
        let why = std::error::Error::source(why).map_or_else(|| why.to_string(), |cause| format!("{why}: {cause}"));
        self.0.suspend(|| complain(format_args!("{}/{} ({version}): {why}", at.bucket, at.key)));
    }
}

fn run_gateway(flags: &Flags) -> ExitCode {
    let config = match Config::load(flags).and_then(|config| config.require_root().map(|_| ()).map(|()| config)) {
        Ok(config) => config,
        Err(error) => return fail(&error, WRONG_USE),
    };
    if let Err(error) = logging::init(config.log_format, config.log_level) {
        return fail(&error, 1);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    match runtime.block_on(serve::serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (serve::Error::Config(_) | serve::Error::Credentials(_) | serve::Error::RootKey(_))) => {
            fail(&error, WRONG_USE)
        }
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    complain(format_args!("{error}"));
    ExitCode::from(code)
}

/// A line on standard error. `eprintln!` would panic where nobody can take it any more, as on a full disk.
fn complain(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "sealgate: {line}");
}

/// A line on standard output; see [`complain`].
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
