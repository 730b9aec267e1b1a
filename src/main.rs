//! The `sealgate` command: arguments, configuration, logging, then [`sealgate::serve`] or one of the repairs.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealgate::config::{Config, Flags};
use sealgate::store::local::rebuild::rebuild;
use sealgate::{logging, serve};

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
    /// Make the embedded store's database anew from its journal, after db/ was lost or moved away.
    Rebuild {
        /// Directory that holds objects and keys; no gateway may run on it.
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
    },
}

/// What a wrong command line or configuration ends with, as clap does.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(flags) => run_gateway(&flags),
        Command::Rebuild { data_dir } => run_rebuild(&data_dir),
    }
}

/// Rebuilds, and says what came back. Objects that are not whole end it with 1, as an error does.
fn run_rebuild(data_dir: &Path) -> ExitCode {
    let rebuilt = match rebuild(data_dir) {
        Ok(rebuilt) => rebuilt,
        Err(error) => return fail(&error, 1),
    };
    let (buckets, objects, uploads) = (rebuilt.buckets, rebuilt.objects, rebuilt.uploads);
    println!("rebuilt {buckets} buckets, {objects} objects, {uploads} uploads in progress");
    for name in &rebuilt.damaged {
        eprintln!("sealgate: body files are missing or cut: {name}");
    }
    if rebuilt.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_gateway(flags: &Flags) -> ExitCode {
    let config = match Config::load(flags).and_then(|config| config.require_root().map(|_| ()).map(|()| config)) {
        Ok(config) => config,
        Err(error) => return fail(&error, WRONG_USE),
    };
    if let Err(error) = logging::init(config.log_format, config.log_level) {
        return fail(&error, 1);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
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
    eprintln!("sealgate: {error}");
    ExitCode::from(code)
}
