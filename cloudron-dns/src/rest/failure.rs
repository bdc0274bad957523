//! Requests that did not succeed.

use std::time::{Duration, UNIX_EPOCH};

use cloudron_core::Code;
use cloudron_core::http::Response;
use http::{HeaderMap, Method, StatusCode};

use super::Rest;
use crate::{Applied, ApplyFailure, Error, codes};

/// A request that did not succeed.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether it may have been carried out nonetheless.
    pub(crate) unknown: bool,
    pub(crate) status: Option<StatusCode>,
    /// How long the other side wants us to wait.
    pub(crate) wait: Option<Duration>,
}

/// What the vendor says in an answer that is no success.
#[derive(Default)]
pub(crate) struct Said {
    /// Its words.
    pub(crate) message: String,
    /// What it means, where the status does not say it all.
    pub(crate) code: Option<&'static Code>,
    /// What the user can do.
    pub(crate) hint: Option<&'static str>,
    /// By which the vendor's support finds the request.
    pub(crate) request_id: Option<String>,
}

/// As far as one request goes.
impl From<Failure> for ApplyFailure {
    fn from(failure: Failure) -> Self {
        let applied = if failure.unknown { Applied::Unknown } else { Applied::Nothing };
        Self { error: failure.error, applied }
    }
}

/// Nothing was carried out.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, unknown: false, status: None, wait: None }
    }
}

impl Rest {
    /// What an answer means that is no success.
    pub(super) fn failure(&self, method: &Method, path: &str, answer: &Response) -> Failure {
        let status = answer.status();
        let said = (self.vendor.said)(answer);
        let code = said.code.unwrap_or(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => &codes::CREDENTIALS,
            StatusCode::NOT_FOUND => &codes::ZONE_NOT_FOUND,
            StatusCode::TOO_MANY_REQUESTS => &codes::RATE_LIMITED,
            status if status.is_server_error() => &codes::PROVIDER_DOWN,
            _ => &codes::REFUSED,
        });
        let mut error =
            Error::new(code, format!("{method} {path}: {status}{}", self.printable(&said.message)));
        if let Some(hint) = said.hint {
            error = error.with_hint(hint);
        }
        if let Some(id) = said.request_id {
            error = error.with_request_id(id);
        }
        let mut wait = None;
        if status == StatusCode::TOO_MANY_REQUESTS {
            wait = self.wait(answer.headers());
            if let Some(wait) = wait {
                error = error.with_hint(format!("run the command again in {} seconds", wait.as_secs()));
            }
        } else if status == StatusCode::LOCKED {
            // Something that was begun before is not done yet.
            wait = Some(Duration::from_secs(1));
        }
        Failure { error, unknown: status.is_server_error(), status: Some(status), wait }
    }

    /// How long to wait by `retry-after` (seconds) or `ratelimit-reset` (a time of day, in seconds since 1970).
    fn wait(&self, headers: &HeaderMap) -> Option<Duration> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        if let Some(seconds) = number("retry-after") {
            return Some(Duration::from_secs(seconds));
        }
        let reset = UNIX_EPOCH.checked_add(Duration::from_secs(number("ratelimit-reset")?))?;
        Some(reset.duration_since(self.clock.now()).unwrap_or_default())
    }

    /// What the other side said, short, on one line, and never with the credential in it.
    pub(crate) fn printable(&self, text: &str) -> String {
        let secret = &self.credential;
        let text = if secret.is_empty() { text.to_owned() } else { text.replace(secret.expose(), "…") };
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }
}
