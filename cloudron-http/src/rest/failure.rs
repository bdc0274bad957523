//! Requests that did not succeed.

use std::time::{Duration, UNIX_EPOCH};

use cloudron_core::Code;
use http::{HeaderMap, Method, StatusCode};

use super::Rest;
use crate::{Error, Response};

/// The longest wait accepted from a response: one day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// The error for the caller.
    pub error: Error,
    /// True if the request may have been carried out.
    pub unknown: bool,
    /// Status of the response, if there was one.
    pub status: Option<StatusCode>,
    /// How long to wait before the next request, as asked by the server.
    pub wait: Option<Duration>,
}

/// A vendor's error response.
#[derive(Default)]
pub struct Said {
    /// The vendor's message.
    pub message: String,
    /// The error code, if it is more specific than the status.
    pub code: Option<&'static Code>,
    /// Advice for the user.
    pub hint: Option<&'static str>,
    /// ID of the request, for the vendor's support.
    pub request_id: Option<String>,
}

/// The request was not carried out.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, unknown: false, status: None, wait: None }
    }
}

impl Rest {
    /// Converts an error response to a failure.
    pub(super) fn failure(&self, method: &Method, path: &str, answer: &Response) -> Failure {
        let (status, codes) = (answer.status(), self.vendor.codes);
        let said = (self.vendor.said)(answer);
        let code = said.code.unwrap_or(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => codes.credentials,
            StatusCode::NOT_FOUND => codes.not_found,
            StatusCode::TOO_MANY_REQUESTS => codes.rate_limited,
            status if status.is_server_error() => codes.down,
            _ => codes.refused,
        });
        let mut error =
            Error::new(code, format!("{method} {path}: {status}{}", self.printable(&said.message)));
        if let Some(hint) = said.hint {
            error = error.with_hint(hint);
        }
        if let Some(id) = said.request_id {
            error = error.with_request_id(id);
        }
        let wait = match status {
            StatusCode::TOO_MANY_REQUESTS => self.wait(answer.headers()),
            // The header is set when the service is unavailable for a while.
            StatusCode::SERVICE_UNAVAILABLE => retry_after(answer.headers(), self.now()),
            // An earlier operation has not finished yet.
            StatusCode::LOCKED => Some(Duration::from_secs(1)),
            _ => None,
        };
        if let (StatusCode::TOO_MANY_REQUESTS, Some(wait)) = (status, wait) {
            error = error.with_hint(format!("run the command again in {} seconds", wait.as_secs()));
        }
        Failure { error, unknown: status.is_server_error(), status: Some(status), wait }
    }

    /// Returns the wait from `retry-after` or `ratelimit-reset` (a time in seconds since 1970).
    fn wait(&self, headers: &HeaderMap) -> Option<Duration> {
        let reset = || Some(until(Duration::from_secs(number(headers, "ratelimit-reset")?), self.now()));
        retry_after(headers, self.now()).or_else(reset)
    }

    /// Returns the current time since 1970.
    fn now(&self) -> Duration {
        self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Shortens the server's text to one line and removes the credential from it.
    pub fn printable(&self, text: &str) -> String {
        let secret = &self.credential;
        let text = if secret.is_empty() { text.to_owned() } else { text.replace(secret.expose(), "…") };
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

/// Returns the wait from `retry-after`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    if let Some(seconds) = number(headers, "retry-after") {
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let date = headers.get("retry-after")?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(until(Duration::from_secs(u64::try_from(date.as_second()).ok()?), now))
}

fn until(time: Duration, now: Duration) -> Duration {
    time.saturating_sub(now).min(LONGEST_WAIT)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, value.parse().unwrap())]);
        retry_after(&headers, Duration::from_secs(784_111_777 - 30))
    }

    #[test]
    fn a_wait_is_seconds_or_a_time_of_day_and_no_longer_than_a_day() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Sat, 05 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("Fri, 01 Jan 9999 00:00:00 GMT"), Some(LONGEST_WAIT));
        assert_eq!(asked("18446744073709551615"), Some(LONGEST_WAIT));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
    }
}
