//! Options of HTTP connections: proxies, certificate authorities, limits.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Proxies, Result};

/// Options of HTTP connections. `Debug` shows no secrets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The proxies to use.
    pub proxies: Proxies,
    /// PEM file of certificates trusted in addition to the system's: certificate authorities, or a service's
    /// self-signed certificate.
    pub ca_file: Option<PathBuf>,
    /// PEM certificates trusted in addition to the system's.
    pub ca_pem: Option<String>,
    /// Time limit for one request, including reading the response.
    pub timeout: Duration,
    /// Time limit for connecting.
    pub connect_timeout: Option<Duration>,
    /// Maximum time without receiving a byte while waiting for a response.
    pub read_timeout: Option<Duration>,
    /// Maximum size of a response after decompression, in bytes.
    pub longest_answer: usize,
    /// True if compressed responses are accepted.
    pub compression: bool,
    /// True if HTTP/2 is used with servers that support it.
    pub http2: bool,
}

impl Default for HttpOptions {
    /// No proxy, the system's certificates, 30 seconds and 16 MiB.
    fn default() -> Self {
        Self {
            proxies: Proxies::none(),
            ca_file: None,
            ca_pem: None,
            timeout: Duration::from_secs(30),
            connect_timeout: None,
            read_timeout: None,
            longest_answer: 16 << 20,
            compression: true,
            http2: true,
        }
    }
}

impl HttpOptions {
    /// Returns options with the proxies of the environment: see [`Proxies::from_env`].
    ///
    /// # Errors
    /// `http-proxy` if a variable does not contain a valid proxy address.
    pub fn from_env() -> Result<Self> {
        Ok(Self { proxies: Proxies::from_env()?, ..Self::default() })
    }

    /// Sets the time limit for each request.
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets a file of certificates to trust in addition to the system's.
    pub fn with_ca_file(self, file: Option<PathBuf>) -> Self {
        Self { ca_file: file, ..self }
    }
}
