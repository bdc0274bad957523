//! How the services are reached: proxies, authorities, limits.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Proxies, Result};

/// How the services are reached. `Debug` shows no secret.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The proxies to go through.
    pub proxies: Proxies,
    /// A file of certificates in PEM that are trusted besides those of the system: authorities, or the certificate that a
    /// service signed itself.
    pub ca_file: Option<PathBuf>,
    /// Likewise, the certificates themselves in PEM.
    pub ca_pem: Option<String>,
    /// The longest time for one request, its answer read.
    pub timeout: Duration,
    /// How long it may take to be connected.
    pub connect_timeout: Option<Duration>,
    /// How long no byte may arrive while an answer is awaited.
    pub read_timeout: Option<Duration>,
    /// The longest answer that is read, after it was decompressed.
    pub longest_answer: usize,
    /// Whether compressed answers are asked for.
    pub compression: bool,
    /// Whether HTTP/2 is spoken with those who can.
    pub http2: bool,
}

impl Default for HttpOptions {
    /// No proxy, and what the system trusts; 30 seconds and 16 MiB.
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
    /// With the proxies that the environment names: see [`Proxies::from_env`].
    ///
    /// # Errors
    /// `http-proxy` when a variable holds no address of a proxy.
    pub fn from_env() -> Result<Self> {
        Ok(Self { proxies: Proxies::from_env()?, ..Self::default() })
    }

    /// The same with another time limit for each request.
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same, trusting the certificates in a file besides those of the system.
    pub fn with_ca_file(self, file: Option<PathBuf>) -> Self {
        Self { ca_file: file, ..self }
    }
}
