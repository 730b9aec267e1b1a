//! What is counted, for Prometheus. One [`Metrics`] holds every series and the registry that renders them; there are no
//! globals. Labels come from fixed sets: no bucket, object key, user or path, which clients could make up without end.

use std::fmt;
use std::sync::OnceLock;

use http::Method;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Upper bounds of the request duration buckets, in seconds: from a cached HEAD to a large upload.
const DURATIONS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// Every series of the process. Cheap to update from any thread; share it in an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    refused: IntCounterVec,
    kms_requests: IntCounterVec,
    /// Requests that have begun and whose response has not ended.
    pub in_flight: IntGauge,
    /// Bytes of request bodies received, as transferred.
    pub bytes_in: IntCounter,
    /// Bytes of response bodies sent.
    pub bytes_out: IntCounter,
    /// Connections open now.
    pub connections: IntGauge,
    /// Connections accepted so far.
    pub connections_total: IntCounter,
    /// Stored data that failed verification: someone must act.
    pub integrity_failures: IntCounter,
    /// Writes that were stored otherwise than as ciphertext.
    pub plaintext_suspects: IntCounter,
    /// 1 while the store refuses writes after a failed sync, else 0.
    pub store_read_only: IntGauge,
    /// 1 while the store has no room for new objects, else 0.
    pub store_full: IntGauge,
    /// 1 while files of the store wait to be unlinked, else 0.
    pub store_cleaning: IntGauge,
    refresh: OnceLock<Refresh>,
}

/// Brings gauges up to date before they are shown.
struct Refresh(Box<dyn Fn(&Metrics) + Send + Sync>);

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresh")
    }
}

impl Metrics {
    /// All series at zero.
    ///
    /// # Errors
    /// When a series' name or label is not valid or given twice: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let r = &registry;
        let build = counter_like(r, "sealgate_build_info", "1, with the version as a label.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).inc();
        Ok(Self {
            requests: counter_like(
                r,
                "sealgate_http_requests_total",
                "Requests answered, by method and status class (`none`: the client left before the answer).",
                &["method", "status"],
            )?,
            durations: durations(r)?,
            refused: counter_like(
                r,
                "sealgate_http_refused_total",
                "Connections cut because a request's framing was malformed, too slow or too large, by reason.",
                &["reason"],
            )?,
            kms_requests: counter_like(
                r,
                "sealgate_kms_requests_total",
                "Calls of key services, by operation and outcome.",
                &["operation", "outcome"],
            )?,
            in_flight: gauge(r, "sealgate_http_requests_in_flight", "Requests whose response has not ended.")?,
            bytes_in: counter(r, "sealgate_http_request_bytes_total", "Bytes of request bodies received.")?,
            bytes_out: counter(r, "sealgate_http_response_bytes_total", "Bytes of response bodies sent.")?,
            connections: gauge(r, "sealgate_http_connections", "Connections open now.")?,
            connections_total: counter(r, "sealgate_http_connections_total", "Connections accepted.")?,
            integrity_failures: counter(
                r,
                "sealgate_integrity_failures_total",
                "Stored data that failed verification. Not zero: someone must act.",
            )?,
            plaintext_suspects: counter(
                r,
                "sealgate_plaintext_suspects_total",
                "Sampled writes that were not stored as ciphertext. Not zero: stop, and look.",
            )?,
            store_read_only: gauge(
                r,
                "sealgate_store_read_only",
                "1 while the store refuses writes after a failed sync.",
            )?,
            store_full: gauge(r, "sealgate_store_full", "1 while the store has no room for new objects.")?,
            store_cleaning: gauge(
                r,
                "sealgate_store_cleaning",
                "1 while files wait to be unlinked: orphans after a start, dead bodies, given-up writes.",
            )?,
            refresh: OnceLock::new(),
            registry,
        })
    }

    /// Counts an answered request. `status`: `None` when the client left before there was an answer.
    pub fn request(&self, method: &Method, status: Option<http::StatusCode>, seconds: f64) {
        let method = method_label(method);
        self.requests.with_label_values(&[method, status_label(status)]).inc();
        self.durations.with_label_values(&[method]).observe(seconds);
    }

    /// Counts a connection that was cut for `reason`, one of a fixed set of words.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// Counts a call of a key service: `operation` such as `generate_data_key`, `outcome` such as `ok` or `unavailable`.
    /// Both from fixed sets of words.
    pub fn kms_request(&self, operation: &'static str, outcome: &'static str) {
        self.kms_requests.with_label_values(&[operation, outcome]).inc();
    }

    /// The duration histogram of one method, for readers in the same process.
    #[must_use]
    pub fn durations(&self, method: &Method) -> Histogram {
        self.durations.with_label_values(&[method_label(method)])
    }

    /// Sets what brings gauges up to date each time before they are rendered; it must not block. The first one stays.
    pub fn refresh_with(&self, refresh: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.refresh.set(Refresh(Box::new(refresh)));
    }

    /// All series in Prometheus' text format (version 0.0.4).
    ///
    /// # Errors
    /// When a series cannot be encoded: a mistake in this file.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        if let Some(refresh) = self.refresh.get() {
            refresh.0(self);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_label(status: Option<http::StatusCode>) -> &'static str {
    match status.map(|code| code.as_u16() / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(_) => "5xx",
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let series = IntCounter::new(name, help)?;
    registry.register(Box::new(series.clone()))?;
    Ok(series)
}

fn counter_like(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    let series = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(series.clone()))?;
    Ok(series)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let series = IntGauge::new(name, help)?;
    registry.register(Box::new(series.clone()))?;
    Ok(series)
}

fn durations(registry: &Registry) -> Result<HistogramVec, prometheus::Error> {
    let help = "Seconds from a request's head to the end of its response, by method.";
    let options = HistogramOpts::new("sealgate_http_request_duration_seconds", help).buckets(DURATIONS.to_vec());
    let series = HistogramVec::new(options, &["method"])?;
    registry.register(Box::new(series.clone()))?;
    Ok(series)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::new().unwrap();
        metrics.request(&Method::GET, Some(StatusCode::NOT_FOUND), 0.003);
        metrics.request(&Method::from_bytes(b"MADEUP").unwrap(), None, 0.1);
        metrics.kms_request("unwrap_key", "ok");
        metrics.refused("bare line feed");
        metrics.integrity_failures.inc();
        metrics.refresh_with(|metrics| metrics.store_read_only.set(1));
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for line in [
            "sealgate_http_requests_total{method=\"GET\",status=\"4xx\"} 1",
            "sealgate_http_requests_total{method=\"other\",status=\"none\"} 1",
            "sealgate_http_request_duration_seconds_bucket{method=\"GET\",le=\"0.005\"} 1",
            "sealgate_kms_requests_total{operation=\"unwrap_key\",outcome=\"ok\"} 1",
            "sealgate_http_refused_total{reason=\"bare line feed\"} 1",
            "sealgate_integrity_failures_total 1",
            "sealgate_store_read_only 1",
            concat!("sealgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("MADEUP"));
    }

    #[test]
    fn two_sets_of_metrics_do_not_meet() {
        let (one, other) = (Metrics::new().unwrap(), Metrics::new().unwrap());
        one.bytes_in.inc_by(5);
        assert_eq!(other.bytes_in.get(), 0);
    }
}
