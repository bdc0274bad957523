//! A client for the server's HTTP API, over a stream to the machine's loopback address.

mod answer;
mod http_store;
mod overview;
mod query;
mod tls;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use answer::Answer;
use bytes::Bytes;
use cloudron_api::{Config, Status};
use cloudron_core::{Cancel, Error, Result, Secret};
use http::{Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

pub use http_store::HttpStore;
pub use overview::Overview;
pub use query::Query;

use crate::codes;
use crate::program::Program;
use crate::registry::Machine;

/// Time limit for an ordinary response.
const LIMIT: Duration = Duration::from_secs(60);
/// Time limit after the program was asked to stop: enough to leave no lock behind.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// The name by which a machine answers with its own authority's certificate, also where another authority has certified its
/// public name.
const SELF: &str = "localhost";

/// A client for the API of one machine.
pub struct Client {
    program: Program,
    tls: tls::Pinned,
    host: String,
    port: u16,
    token: Mutex<Option<Secret>>,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// Returns a client for a machine that is reached through `program`.
    ///
    /// # Errors
    /// `machine-record` if the certificate authority cannot be read.
    pub fn new(program: Program, machine: &Machine) -> Result<Arc<Self>> {
        Self::to(program, &machine.ca_pem, machine.fqdn.admin_fqdn(), machine.port)
    }

    /// Returns a client for a server with this certificate authority, name and port.
    ///
    /// # Errors
    /// `machine-record` if the certificate authority cannot be read.
    pub fn to(program: Program, ca_pem: &str, host: String, port: u16) -> Result<Arc<Self>> {
        let tls = tls::Pinned::new(ca_pem, &host, SELF)?;
        Ok(Arc::new(Self { program, tls, host, port, token: Mutex::default(), connection: Mutex::default() }))
    }

    /// Returns the program on the machine.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Requests the server's public status. Needs no token.
    ///
    /// # Errors
    /// Errors that the server returns, and `server-dead` if it does not answer.
    pub async fn status(&self) -> Result<Status> {
        self.send(Method::GET, "/api/v1/cloudron/status", None, Bytes::new()).await?.json().await
    }

    /// Requests the server's configuration and health. Needs a token.
    ///
    /// # Errors
    /// Errors that the server returns, and `server-dead` if it does not answer.
    pub async fn config(&self) -> Result<Config> {
        self.get("/api/v1/cloudron/config").await
    }

    /// Sends a GET request and reads a JSON value.
    ///
    /// # Errors
    /// Errors that the server returns, and `server-dead` if it does not answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.known(Method::GET, path, Bytes::new()).await?.json().await
    }

    /// Sends a POST request with a JSON body and reads a JSON value.
    ///
    /// # Errors
    /// Errors that the server returns, and `server-dead` if it does not answer.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.known(Method::POST, path, encode(body)?).await?.json().await
    }

    /// Sends a POST request like [`post`](Self::post), with a token of the caller's.
    ///
    /// # Errors
    /// Errors that the server returns, and `server-dead` if it does not answer.
    pub async fn post_as<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &Secret,
        body: &impl Serialize,
    ) -> Result<T> {
        self.send(Method::POST, path, Some(token), encode(body)?).await?.json().await
    }

    /// Sends a GET request and passes on each line of the response until it ends.
    ///
    /// # Errors
    /// Errors that the server returns, and `server-dead` if it does not answer.
    pub async fn lines(&self, path: &str, follow: bool, each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        self.known(Method::GET, path, Bytes::new()).await?.lines(follow, each).await
    }

    /// Fetches an object of the machine's store, or a range of it. The address itself grants access.
    ///
    /// # Errors
    /// Errors that the server returns, and `server-dead` if it does not answer.
    pub async fn object(&self, path: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let most = range.as_ref().map(|r| r.end.saturating_sub(r.start));
        let range = range.map(|r| format!("bytes={}-{}", r.start, r.end.saturating_sub(1)));
        self.request(Method::GET, path, None, Bytes::new(), range.as_deref()).await?.object(most).await
    }

    /// Sends an authenticated request. A token is valid for a few minutes and work may take longer, so a
    /// token that is refused is replaced once.
    async fn known(&self, method: Method, path: &str, body: Bytes) -> Result<Answer> {
        let token = self.token().await?;
        match self.send(method.clone(), path, Some(&token), body.clone()).await {
            Err(e) if e.is(&cloudron_api::codes::TOKEN_INVALID) => {
                *self.token.lock().await = None;
                let token = self.token().await?;
                self.send(method, path, Some(&token), body).await
            }
            other => other,
        }
    }

    async fn token(&self) -> Result<Secret> {
        let mut slot = self.token.lock().await;
        if slot.is_none() {
            *slot = Some(self.program.mint_token().await?);
        }
        slot.clone().ok_or_else(|| broken("no token was made"))
    }

    /// Sends a request on the open connection, or on a new one, and turns an error response into an error.
    async fn send(&self, method: Method, path: &str, token: Option<&Secret>, body: Bytes) -> Result<Answer> {
        self.request(method, path, token, body, None).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Bytes,
        range: Option<&str>,
    ) -> Result<Answer> {
        let traced = (method.clone(), shown(path));
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, SELF);
        if let Some(token) = token {
            let mut value = header::HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| broken("the token cannot be sent"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(|e| broken(&e.to_string()))?;
        let mut connection = self.connection.lock().await;
        let mut sender = match connection.take().filter(|c| !c.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let start = std::time::Instant::now();
        let answer = async {
            sender.ready().await.map_err(|e| lost(&self.host, &e))?;
            sender.send_request(request).await.map_err(|e| lost(&self.host, &e))
        };
        let response = within(&self.program.cancel, LIMIT, &self.host, answer).await??;
        let (status, ms) = (response.status().as_u16(), start.elapsed().as_millis() as u64);
        tracing::debug!(host = self.host, method = %traced.0, path = traced.1, status, ms, "HTTP");
        *connection = Some(sender);
        drop(connection);
        Answer::of(&self.host, &self.program, response).await
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = self.program.remote.forward(self.port).await.map_err(|e| {
            Error::new(&codes::SERVER_DEAD, format!("the server of {} does not answer: {e}", self.host))
        })?;
        let opened = async {
            let stream = self.tls.connect(stream).await?;
            hyper::client::conn::http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|e| lost(&self.host, &e))
        };
        let (sender, connection) = within(&self.program.cancel, LIMIT, &self.host, opened).await??;
        // Ends when the sender is dropped. Connection errors also reach the sender.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }
}

/// Runs `work` with a time limit, which becomes a few seconds once the program was asked to stop.
async fn within<T>(stop: &Cancel, limit: Duration, host: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = work => Ok(done),
        () = tokio::time::sleep(limit) => Err(late(host)),
        () = async { stop.cancelled().await; tokio::time::sleep(STOP_LIMIT).await } => {
            Err(Error::new(&cloudron_core::codes::INTERRUPTED, format!("stopped on request while {host} was asked")))
        }
    }
}

/// Returns a path for traces, without its query. Of a download address, which grants access, only the route
/// is kept.
fn shown(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match path.split_once("/download/") {
        Some((route, _)) => format!("{route}/download/…"),
        None => path.to_owned(),
    }
}

fn encode(body: &impl Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec(body).map_err(|e| broken(&format!("the request is not JSON: {e}")))?;
    Ok(body.into())
}

fn broken(why: &str) -> Error {
    Error::new(&codes::SERVER_REFUSED, why)
}

fn lost(host: &str, error: &hyper::Error) -> Error {
    Error::new(&codes::SERVER_DEAD, format!("the connection to {host} broke: {error}"))
}

fn late(host: &str) -> Error {
    Error::new(
        &cloudron_core::codes::TIMED_OUT,
        format!("{host} did not answer within {} s", LIMIT.as_secs()),
    )
}
