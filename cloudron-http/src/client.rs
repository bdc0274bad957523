//! The project's HTTP client: reqwest with rustls and ring.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cloudron_core::error::with_causes;

use crate::{Error, HttpOptions, HttpTransport, Request, Response, Result, codes, tls};

/// Maximum memory allocated before a response has arrived, in bytes.
const AT_ONCE: usize = 64 << 20;

/// An HTTP client with a connection pool, on tokio. Follows no redirects and retries nothing, except requests
/// that the server reports as not processed, as HTTP/2 allows.
#[derive(Debug, Clone)]
pub struct ReqwestTransport {
    client: reqwest::Client,
    options: Arc<HttpOptions>,
}

impl ReqwestTransport {
    /// Returns a client. Sends nothing yet.
    ///
    /// # Errors
    /// `http-ca-file` and file errors if the certificates to trust cannot be read.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&options)?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .gzip(options.compression)
            .no_proxy()
            // Shorter than servers keep idle connections: a request on a connection closed meanwhile may have
            // arrived.
            .pool_idle_timeout(std::time::Duration::from_secs(15));
        if !options.http2 {
            client = client.http1_only();
        }
        if let Some(limit) = options.connect_timeout {
            client = client.connect_timeout(limit);
        }
        if let Some(limit) = options.read_timeout {
            client = client.read_timeout(limit);
        }
        if !options.proxies.is_empty() {
            let proxies = options.proxies.clone();
            client = client.proxy(reqwest::Proxy::custom(move |url| {
                Some(proxies.of(&url.as_str().parse().ok()?)?.expose().to_owned())
            }));
        }
        let client = client.build().map_err(|e| {
            Error::new(&cloudron_core::codes::FAILED, format!("HTTP cannot be used: {}", with_causes(&e)))
        })?;
        Ok(Self { client, options: Arc::new(options) })
    }

    /// Returns a client with the settings of the environment: see [`HttpOptions::from_env`].
    ///
    /// # Errors
    /// Same as [`new`](Self::new) and [`HttpOptions::from_env`].
    pub fn from_env() -> Result<Self> {
        Self::new(HttpOptions::from_env()?)
    }

    async fn exchange(&self, request: Request) -> Result<Response> {
        let uri = request.uri().clone();
        let failed = |error: reqwest::Error| self.failure(&uri, &error.without_url());
        let request = reqwest::Request::try_from(request).map_err(|e| {
            let text = format!("{}: not an address: {}", uri.host().unwrap_or_default(), e.without_url());
            Error::new(&cloudron_core::codes::USAGE, text)
        })?;
        let mut answer = self.client.execute(request).await.map_err(failed)?;
        let mut head = http::Response::new(());
        *head.status_mut() = answer.status();
        *head.version_mut() = answer.version();
        *head.headers_mut() = std::mem::take(answer.headers_mut());
        let body = self.body(answer, &uri).await?;
        Ok(head.map(|()| body))
    }

    /// Reads the body, decompressed, up to the size limit.
    async fn body(&self, mut answer: reqwest::Response, uri: &http::Uri) -> Result<Bytes> {
        let host = uri.host().unwrap_or_default();
        // The stated length is not trusted.
        let expected = answer.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        let expected = expected.min(self.options.longest_answer).min(AT_ONCE);
        let (mut whole, mut parts) = (Bytes::new(), BytesMut::new());
        while let Some(part) = answer.chunk().await.map_err(|e| {
            let error = self.failure(uri, &e.without_url());
            let cut = format!("{host}: the answer was cut off: {}", error.message());
            Error::new(error.code(), cut).retryable(error.is_retryable())
        })? {
            if whole.len() + parts.len() + part.len() > self.options.longest_answer {
                let text = format!("{host}: the answer is longer than {} bytes", self.options.longest_answer);
                return Err(Error::new(&codes::UNREACHABLE, text));
            }
            if whole.is_empty() && parts.is_empty() {
                whole = part;
            } else {
                if parts.is_empty() {
                    parts.reserve(expected.max(whole.len() + part.len()));
                }
                parts.extend_from_slice(&std::mem::take(&mut whole));
                parts.extend_from_slice(&part);
            }
        }
        Ok(if parts.is_empty() { whole } else { parts.freeze() })
    }

    /// Builds the error from the causes of the client's error, which do not contain the URL.
    fn failure(&self, uri: &http::Uri, error: &reqwest::Error) -> Error {
        let host = uri.host().unwrap_or_default();
        if error.is_timeout() {
            let text = format!("{host} did not answer in time");
            return Error::new(&cloudron_core::codes::TIMED_OUT, text).retryable(true);
        }
        let through = self.options.proxies.shown(uri);
        let through = through.map(|proxy| format!(" (through the proxy {proxy})")).unwrap_or_default();
        if let Some(problem) = certificate_problem(error) {
            let text = format!("{host}{through}: the certificate is not trusted: {}", problem.text);
            let error = Error::new(&codes::CERTIFICATE, text);
            return if problem.unknown { error.with_hint(TRUST) } else { error };
        }
        // The outermost error says only that a request was sent.
        let causes = error.source().map_or_else(|| error.to_string(), with_causes);
        Error::new(&codes::UNREACHABLE, format!("{host}{through}: {causes}"))
    }
}

/// Hint for a certificate signed by an unknown authority.
const TRUST: &str =
    "if the service has a private authority, name a file with its certificate in the variable SSL_CERT_FILE";

/// A problem with a certificate.
struct Problem {
    text: String,
    /// True if the only problem is an unknown signer.
    unknown: bool,
}

/// Returns the problem with the server's certificate, if that is the cause of the error.
fn certificate_problem(error: &reqwest::Error) -> Option<Problem> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(next) = cause {
        if let Some(rustls::Error::InvalidCertificate(problem)) = next.downcast_ref() {
            let signer = tls::untrusted_signer(problem);
            let text = signer.map_or_else(|| problem.to_string(), str::to_owned);
            return Some(Problem { text, unknown: signer.is_some() });
        }
        // `source()` of an I/O error skips the error that it holds.
        let held = next.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = held.map(|held| held as &(dyn StdError + 'static)).or_else(|| next.source());
    }
    None
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        // Without the query, which may contain a secret.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (start, limit) = (Instant::now(), self.options.timeout);
        let answer = tokio::time::timeout(limit, self.exchange(request)).await.unwrap_or_else(|_| {
            let message = format!("{host} did not answer within {} seconds", limit.as_secs_f32());
            Err(Error::new(&cloudron_core::codes::TIMED_OUT, message).retryable(true))
        });
        let ms = start.elapsed().as_millis() as u64;
        match &answer {
            Ok(answer) => {
                let (status, bytes) = (answer.status().as_u16(), answer.body().len());
                tracing::debug!(host, %method, path, status, bytes, ms, "HTTP");
            }
            Err(error) => tracing::debug!(host, %method, path, %error, ms, "HTTP"),
        }
        answer
    }
}
