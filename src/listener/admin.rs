//! `/health/live`, `/health/ready` and `/metrics`, for probes and Prometheus. Plain HTTP, GET only, no credentials: it
//! belongs on an address that clients cannot reach, and tells nothing of any object or key.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::{Handler, ResponseBody};
use crate::metrics::Metrics;

/// Says whether requests can be served now, or in a few words why not. Asked on every probe: it must not block.
pub type ReadyCheck = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Answers the admin port.
pub struct Admin {
    metrics: Arc<Metrics>,
    ready: ReadyCheck,
    shutdown: CancellationToken,
}

impl Admin {
    /// An admin endpoint over `metrics` and `ready`. Once `shutdown` is cancelled it says "not ready", so that load
    /// balancers turn elsewhere while the drain lasts.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, ready: ReadyCheck, shutdown: CancellationToken) -> Self {
        Self { metrics, ready, shutdown }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<ResponseBody> {
        if method != Method::GET {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        match path {
            "/health/live" => text(StatusCode::OK, "alive\n"),
            "/health/ready" => match self.readiness() {
                Ok(()) => text(StatusCode::OK, "ready\n"),
                Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
            },
            "/metrics" => self.series(),
            _ => text(StatusCode::NOT_FOUND, "try /health/live, /health/ready or /metrics\n"),
        }
    }

    fn readiness(&self) -> Result<(), String> {
        if self.shutdown.is_cancelled() { Err("shutting down".to_owned()) } else { (self.ready)() }
    }

    fn series(&self) -> Response<ResponseBody> {
        match self.metrics.render() {
            Ok(series) => {
                let mut response = text(StatusCode::OK, series);
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            Err(error) => {
                tracing::error!(target: "sealgate::listener", %error, "cannot render metrics");
                text(StatusCode::INTERNAL_SERVER_ERROR, "cannot render metrics\n")
            }
        }
    }
}

impl Handler for Admin {
    async fn handle(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        self.answer(request.method(), request.uri().path())
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
