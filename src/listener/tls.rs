//! The TLS side of the listener: certificate chain and key from PEM files, TLS 1.2 and 1.3 by aws-lc.

use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::TlsFiles;

/// Why TLS cannot be served. Names the setting at fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate file cannot be read, or holds no certificate.
    #[error("tls_cert: cannot read certificates from {}: {source}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The key file cannot be read, or holds no key.
    #[error("tls_key: cannot read a private key from {}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Certificate and key do not fit each other, or are of an unknown kind.
    #[error("tls_cert and tls_key: {0}")]
    Pair(#[from] rustls::Error),
}

/// Reads what a TLS port needs. It offers HTTP/1.1 only. Reads files: call it before the server runs.
///
/// # Errors
/// [`Error`] names the setting at fault.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, Error> {
    let certificates = |source| Error::Certificates { path: files.cert.clone(), source };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .map_err(certificates)?
        .collect::<Result<_, _>>()
        .map_err(certificates)?;
    if chain.is_empty() {
        return Err(certificates(pem::Error::NoItemsFound));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|source| Error::Key { path: files.key.clone(), source })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
