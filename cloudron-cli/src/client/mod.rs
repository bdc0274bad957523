//! A client of the server's interface, over a stream to the machine's loopback address.

mod http_store;
mod owner_store;
mod tls;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloudron_box::api::{ApiError, Config, Status};
use cloudron_core::{Code, Error, Result, Secret};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

pub(crate) use http_store::HttpStore;
pub(crate) use owner_store::{OwnerStore, StoreChange, StoreChanged};

use crate::codes;
use crate::state::Machine;
use crate::target::Target;

/// How long the server may take for an ordinary answer.
const LIMIT: Duration = Duration::from_secs(60);

/// A client of one machine's interface.
pub(crate) struct Client {
    target: Target,
    tls: tls::Pinned,
    host: String,
    port: u16,
    token: Mutex<Option<Secret>>,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// A client for a machine that is reached through `target`.
    pub(crate) fn new(target: Target, machine: &Machine) -> Result<Arc<Self>> {
        Self::to(target, &machine.ca_pem, machine.fqdn.admin_fqdn(), machine.port)
    }

    /// A client for a server with that authority, name and port.
    pub(crate) fn to(target: Target, ca_pem: &str, host: String, port: u16) -> Result<Arc<Self>> {
        let tls = tls::Pinned::new(ca_pem, &host)?;
        Ok(Arc::new(Self { target, tls, host, port, token: Mutex::default(), connection: Mutex::default() }))
    }

    /// The program on the machine.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// What the server says to anybody.
    pub(crate) async fn status(&self) -> Result<Status> {
        let response = self.send(Method::GET, "/api/v1/cloudron/status", None, Bytes::new()).await?;
        decode(&collect(response).await?)
    }

    /// What the server says of itself to those it knows.
    pub(crate) async fn config(&self) -> Result<Config> {
        self.get("/api/v1/cloudron/config").await
    }

    /// Asks for a value.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        decode(&collect(self.known(Method::GET, path, Bytes::new()).await?).await?)
    }

    /// Asks the server to do something.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = encode(body)?;
        decode(&collect(self.known(Method::POST, path, body).await?).await?)
    }

    /// The same with a token of the caller's.
    pub(crate) async fn post_as<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &Secret,
        body: &impl Serialize,
    ) -> Result<T> {
        let response = self.send(Method::POST, path, Some(token), encode(body)?).await?;
        decode(&collect(response).await?)
    }

    /// Asks for a stream of lines and passes each on until it ends.
    pub(crate) async fn lines(&self, path: &str, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let mut body = self.known(Method::GET, path, Bytes::new()).await?.into_body();
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| lost(&self.host, &e))?;
            rest.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                each(String::from_utf8_lossy(&line[..end]).as_ref())?;
            }
        }
        Ok(())
    }

    /// Fetches an object of the machine's store, or a part of it, by an address that is its own permission.
    pub(crate) async fn object(&self, path: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let range = range.map(|r| format!("bytes={}-{}", r.start, r.end.saturating_sub(1)));
        collect(self.request(Method::GET, path, None, Bytes::new(), range.as_deref()).await?).await
    }

    /// Sends a request as somebody whom the server knows. A token lives for some minutes only, and work may take
    /// longer, so one that is not accepted any more is replaced once.
    async fn known(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
        let token = self.token().await?;
        match self.send(method.clone(), path, Some(&token), body.clone()).await {
            Err(e) if e.is(&cloudron_box::codes::TOKEN_INVALID) => {
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
            *slot = Some(self.target.mint_token().await?);
        }
        slot.clone().ok_or_else(|| broken("no token was made"))
    }

    /// Sends a request on the open connection, or on a new one, and turns an answer that says no into an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        self.request(method, path, token, body, None).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Bytes,
        range: Option<&str>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
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
        let answer = tokio::time::timeout(LIMIT, async {
            sender.ready().await.map_err(|e| lost(&self.host, &e))?;
            sender.send_request(request).await.map_err(|e| lost(&self.host, &e))
        });
        let response = answer.await.map_err(|_| late(&self.host))??;
        *connection = Some(sender);
        drop(connection);
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = self.target.remote.forward(self.port).await.map_err(|e| {
            Error::new(&codes::SERVER_DEAD, format!("the server of {} does not answer: {e}", self.host))
                .with_hint(format!("`cloudron machine status {}` says more", self.host))
        })?;
        let opened = tokio::time::timeout(LIMIT, async {
            let stream = self.tls.connect(stream).await?;
            hyper::client::conn::http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|e| lost(&self.host, &e))
        });
        let (sender, connection) = opened.await.map_err(|_| late(&self.host))??;
        // It ends when the sender is dropped; what breaks it reaches the sender too.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes> {
    let body = tokio::time::timeout(LIMIT * 5, response.into_body().collect()).await;
    let body = body.map_err(|_| late("the server"))?;
    Ok(body.map_err(|e| lost("the server", &e))?.to_bytes())
}

fn encode(body: &impl Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec(body).map_err(|e| broken(&format!("the request is not JSON: {e}")))?;
    Ok(body.into())
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|e| broken(&format!("the server's answer is not what was expected: {e}")))
}

/// The error that an answer tells of.
async fn refused(response: Response<Incoming>) -> Error {
    let status = response.status();
    let body = collect(response).await.unwrap_or_default();
    let told: Option<ApiError> = serde_json::from_slice(&body).ok();
    let message =
        told.as_ref().map_or_else(|| format!("the server answered {status}"), |t| t.message.clone());
    let known = told.as_ref().and_then(|t| crate::commands::explain::find(&t.code));
    let error = Error::new(known.unwrap_or_else(|| code_of(status)), message);
    match told.and_then(|t| t.hint) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn code_of(status: StatusCode) -> &'static Code {
    match status {
        StatusCode::CONFLICT => &codes::SERVER_BUSY,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => &codes::SERVER_DENIED,
        _ => &codes::SERVER_REFUSED,
    }
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
