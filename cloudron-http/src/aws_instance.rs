//! The credentials that an instance at EC2 has by its role, from the metadata service (version 2).
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cloudron_core::{Clock, Error, Result, RetryPolicy, Secret, SystemClock, escape};
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{HttpOptions, HttpTransport, Request, ReqwestTransport, Response, codes, is_endpoint};

/// The address of the service, the same on every instance.
const ENDPOINT: &str = "http://169.254.169.254";
/// How long a token may be used, in seconds.
const TOKEN_TTL: &str = "21600";
/// Maximum size of an answer in bytes.
const LONGEST: usize = 16 << 10;
/// How long before their end credentials are replaced. AWS has new ones at least five minutes before.
const EARLY: Duration = Duration::from_secs(300);
/// How long credentials without a next set are used before the service is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// Temporary credentials of a role. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct InstanceCredentials {
    /// The access key ID.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The session token.
    pub session_token: Secret,
    /// When they end.
    pub expires: SystemTime,
}

impl fmt::Debug for InstanceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The metadata service of the instance that this program runs on. It keeps the credentials until shortly before their
/// end; what is asked for at the same moment is asked once.
pub struct InstanceMetadata {
    endpoint: String,
    transport: Arc<dyn HttpTransport>,
    clock: Arc<dyn Clock>,
    policy: RetryPolicy,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credentials: InstanceCredentials,
    /// When the service is asked again.
    until: SystemTime,
}

impl fmt::Debug for InstanceMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceMetadata").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    access_key_id: String,
    secret_access_key: Option<Secret>,
    token: Option<Secret>,
    expiration: Option<Timestamp>,
}

impl InstanceMetadata {
    /// Returns the service of this instance, or the one that the variable `AWS_EC2_METADATA_SERVICE_ENDPOINT` names.
    /// It is reached directly, never by a proxy. Nothing is sent yet.
    ///
    /// # Errors
    /// `instance-credentials` for a variable that is no address.
    pub fn from_env() -> Result<Self> {
        let endpoint =
            std::env::var("AWS_EC2_METADATA_SERVICE_ENDPOINT").ok().filter(|text| !text.is_empty());
        let mut http = HttpOptions::default().within(Duration::from_secs(5));
        http.connect_timeout = Some(Duration::from_secs(2));
        (http.longest_answer, http.compression, http.http2) = (LONGEST, false, false);
        let transport = Arc::new(ReqwestTransport::new(http)?);
        Self::new(endpoint.as_deref().unwrap_or(ENDPOINT), transport, Arc::new(SystemClock))
    }

    /// Returns the service at an address. The transport must use no proxy.
    ///
    /// # Errors
    /// `instance-credentials` for what is no address.
    pub fn new(endpoint: &str, transport: Arc<dyn HttpTransport>, clock: Arc<dyn Clock>) -> Result<Self> {
        if !is_endpoint(endpoint) {
            return Err(failed("the address of the metadata service is not an address".into()));
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let policy = RetryPolicy::attempts(3).within(Duration::from_secs(15));
        Ok(Self { endpoint, transport, clock, policy, kept: Mutex::new(None) })
    }

    /// Returns credentials that are valid for some minutes at least, unless the service has no newer ones: then those that
    /// there are, until they end.
    ///
    /// # Errors
    /// `instance-credentials` if the instance has no role, if the service does not answer, or answers with something else.
    pub async fn credentials(&self) -> Result<InstanceCredentials> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        if let Some(kept) = &*kept
            && now < kept.until
        {
            return Ok(kept.credentials.clone());
        }
        let credentials = match self.ask().await {
            Ok(credentials) => credentials,
            // A service that fails for a moment does no harm as long as the last credentials are valid.
            Err(error) => match &mut *kept {
                Some(last) if now < last.credentials.expires => {
                    tracing::warn!(%error, "the credentials of the instance cannot be renewed yet");
                    last.until = last.credentials.expires.min(now + AGAIN);
                    return Ok(last.credentials.clone());
                }
                _ => return Err(error),
            },
        };
        let now = self.clock.now();
        if credentials.expires <= now {
            return Err(failed("the metadata service answered with credentials that have expired".into()));
        }
        let early = credentials.expires.checked_sub(EARLY).unwrap_or(now);
        let until = early.max(now + AGAIN).min(credentials.expires);
        *kept = Some(Kept { credentials: credentials.clone(), until });
        Ok(credentials)
    }

    async fn ask(&self) -> Result<InstanceCredentials> {
        let token = self.send(Method::PUT, "/latest/api/token", None).await?;
        let token = self.text(&token, StatusCode::OK)?.to_owned();
        let mut token = HeaderValue::from_str(&token).map_err(|_| failed(garbled("the token")))?;
        token.set_sensitive(true);
        let place = "/latest/meta-data/iam/security-credentials/";
        let role = self.send(Method::GET, place, Some(&token)).await?;
        if role.status() == StatusCode::NOT_FOUND {
            return Err(no_role());
        }
        let role = self.text(&role, StatusCode::OK)?.lines().next().unwrap_or_default().trim().to_owned();
        if role.is_empty() {
            return Err(no_role());
        }
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
        if role.len() > 64 || !role.bytes().all(fits) || role.bytes().all(|b| b == b'.') {
            return Err(failed(garbled("the name of the role")));
        }
        let answer = self.send(Method::GET, &format!("{place}{role}"), Some(&token)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(no_role());
        }
        credentials(self.text(&answer, StatusCode::OK)?.as_bytes(), &role)
    }

    /// Sends a request, again after a passing failure: all of them only read.
    async fn send(&self, method: Method, path: &str, token: Option<&HeaderValue>) -> Result<Response> {
        let mut retries = self.policy.begin(&*self.clock);
        loop {
            let mut request = Request::new(Bytes::new());
            *request.method_mut() = method.clone();
            let uri = format!("{}{path}", self.endpoint);
            *request.uri_mut() = uri.parse().map_err(|_| failed("the address has a wrong path".into()))?;
            let headers = request.headers_mut();
            match token {
                Some(token) => _ = headers.insert("x-aws-ec2-metadata-token", token.clone()),
                None => {
                    _ = headers
                        .insert("x-aws-ec2-metadata-token-ttl-seconds", HeaderValue::from_static(TOKEN_TTL));
                }
            }
            let outcome = match self.transport.send(request).await {
                Ok(answer)
                    if !answer.status().is_server_error()
                        && answer.status() != StatusCode::TOO_MANY_REQUESTS =>
                {
                    return Ok(answer);
                }
                Ok(answer) => failed(format!("the metadata service answered with {}", answer.status())),
                Err(error) => {
                    failed("the metadata service does not answer: is this an instance at EC2?".into())
                        .with_source(error)
                }
            };
            if !retries.again(&outcome, None).await {
                return Err(outcome);
            }
        }
    }

    fn text<'a>(&self, answer: &'a Response, status: StatusCode) -> Result<&'a str> {
        if answer.status() != status {
            return Err(failed(format!("the metadata service answered with {}", answer.status())));
        }
        let text =
            (answer.body().len() <= LONGEST).then(|| std::str::from_utf8(answer.body()).ok()).flatten();
        text.ok_or_else(|| failed(garbled("its answer")))
    }
}

/// Reads credentials. The error has no part of them.
fn credentials(body: &[u8], role: &str) -> Result<InstanceCredentials> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| failed(garbled("the credentials")))?;
    if answer.code != "Success" {
        let code: String = answer.code.chars().take(60).collect();
        let code = escape::line(&code);
        return Err(failed(format!("the metadata service has no credentials for the role {role}: {code}")));
    }
    let filled =
        |text: &str| (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let seconds = answer.expiration.and_then(|expires| u64::try_from(expires.as_second()).ok());
    let expires =
        seconds.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    match (answer.secret_access_key, answer.token, expires) {
        (Some(secret_access_key), Some(session_token), Some(expires))
            if [&*answer.access_key_id, secret_access_key.expose(), session_token.expose()]
                .into_iter()
                .all(filled) =>
        {
            let access_key_id = answer.access_key_id;
            Ok(InstanceCredentials { access_key_id, secret_access_key, session_token, expires })
        }
        _ => Err(failed(garbled("the credentials"))),
    }
}

fn garbled(what: &str) -> String {
    format!("the metadata service answered with something else than was expected: {what}")
}

fn no_role() -> Error {
    failed("the instance has no role: it was started without an instance profile, or lost it".into())
}

fn failed(message: String) -> Error {
    Error::new(&codes::INSTANCE_CREDENTIALS, message)
}
