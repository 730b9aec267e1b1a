//! The `sealgate` command: arguments, configuration, logging, then [`sealgate::serve`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealgate::config::{Config, Flags};
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
}

/// What a wrong command line or configuration ends with, as clap does.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let Command::Serve(flags) = Arguments::parse().command;
    let config = match Config::load(&flags).and_then(|config| config.require_root().map(|_| ()).map(|()| config)) {
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
