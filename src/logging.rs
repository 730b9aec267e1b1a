//! Log lines: text or JSON on standard error, through `tracing`.
//!
//! The level that the operator sets is for sealgate's own targets. Libraries are capped whatever it says: `s3s` logs
//! whole requests (with SSE-C keys in their headers) at debug and details of them in errors, so it is silent; all
//! others, HTTP, TLS and signing libraries among them, are held to warnings.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogFormat, LogLevel};

/// Sends the process's log lines to standard error. Call it once.
///
/// # Errors
/// When a global subscriber is set already.
pub fn init(format: LogFormat, level: LogLevel) -> Result<(), tracing_subscriber::util::TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let colours = std::io::stderr().is_terminal();
    dispatch(format, level, colours, std::io::stderr).try_init()
}

/// A subscriber that writes to `writer`, for tests and for [`init`].
pub fn dispatch<W>(format: LogFormat, level: LogLevel, colours: bool, writer: W) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let filter = filter(level);
    match format {
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(false);
            Registry::default().with(layer.with_filter(filter)).into()
        }
        LogFormat::Text => Registry::default().with(layer.with_ansi(colours).with_filter(filter)).into(),
    }
}

fn filter(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    // What is not named here is a library. The lesser of two levels is the one that says less.
    Targets::new().with_default(own.min(Level::WARN)).with_target("sealgate", own).with_target("s3s", LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: LogLevel, run: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let copy = buffer.clone();
        tracing::dispatcher::with_default(&dispatch(format, level, false, move || copy.clone()), run);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn even_at_trace_s3s_is_silent_and_libraries_only_warn() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, LogLevel::Trace, || {
                tracing::error!(target: "s3s", "canary-1");
                tracing::debug!(target: "s3s::ops::get", "canary-2");
                let span = tracing::error_span!(target: "s3s::service", "call", key = "canary-3");
                let _inside = span.enter();
                tracing::info!(target: "hyper::proto", "canary-4");
                tracing::debug!(target: "h2", "canary-5");
                tracing::debug!(target: "rustls::server", "canary-6");
                tracing::trace!(target: "aws_sigv4::http_request", "canary-7");
                tracing::info!(target: "tokio_util", "canary-8");
                tracing::warn!(target: "rustls::server", "kept-1");
                tracing::trace!(target: "sealgate::listener", "kept-2");
            });
            assert!(!text.contains("canary"), "{text}");
            assert!(text.contains("kept-1") && text.contains("kept-2"), "{text}");
        }
    }

    #[test]
    fn the_level_holds_for_our_own_lines() {
        let text = logged(LogFormat::Text, LogLevel::Error, || {
            tracing::warn!(target: "sealgate", "quiet");
            tracing::warn!(target: "hyper", "quiet");
            tracing::error!(target: "sealgate", "loud");
        });
        assert!(text.contains("loud") && !text.contains("quiet"), "{text}");
    }

    #[test]
    fn json_lines_are_flat_objects() {
        let text =
            logged(LogFormat::Json, LogLevel::Info, || tracing::info!(target: "sealgate", status = 200, "request"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["status"], 200);
        assert_eq!(line["message"], "request");
    }
}
