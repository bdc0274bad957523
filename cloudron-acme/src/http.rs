//! ACME over the shared transport: what an authority answers is bounded, and its refusals keep what they say about
//! waiting.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cloudron_core::{Clock, escape};
use cloudron_http::{HttpTransport, Response};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient, Identifier, Problem};

use crate::Error;
use crate::schedule::Seconds;

/// The longest answer, in bytes: a chain of certificates has a few thousand.
const LONGEST: usize = 256 << 10;
/// How much of a text of the authority is kept.
const LONGEST_TEXT: usize = 500;
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";
/// In place of a missing `Retry-After` of renewal information, without which the protocol's library reads no answer.
const SIX_HOURS: HeaderValue = HeaderValue::from_static("21600");

/// What an authority refused, and how long it wants to be left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The last part of the problem's type, such as `rateLimited`.
    pub(crate) kind: String,
    pub(crate) detail: String,
    /// The names that it is about.
    pub(crate) names: Vec<String>,
    pub(crate) retry_after: Option<Seconds>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.detail, &*self.kind) {
            ("", "") => write!(f, "status {}", self.status),
            ("", kind) => f.write_str(kind),
            (detail, "") => f.write_str(detail),
            (detail, kind) => write!(f, "{detail} ({kind})"),
        }
    }
}

impl StdError for Refusal {}

impl From<&Problem> for Refusal {
    fn from(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let mut detail = problem.detail.clone().unwrap_or_default();
        let mut names = Vec::new();
        for part in problem.subproblems.iter().take(crate::MOST_NAMES) {
            if let Some(Identifier::Dns(name)) = &part.identifier {
                names.push(bounded(name));
            }
            if let Some(more) = part.detail.as_deref().filter(|more| !detail.contains(more)) {
                detail = format!("{detail}; {more}");
            }
        }
        Self {
            status: problem.status.unwrap_or_default(),
            kind: bounded(kind.rsplit(':').next().unwrap_or_default()),
            detail: bounded(&detail),
            names,
            retry_after: None,
        }
    }
}

fn bounded(text: &str) -> String {
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    escape::line(&text).into_owned()
}

/// What was last seen of the authority.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    retry_after: Mutex<Option<Seconds>>,
    ahead: Mutex<Option<Seconds>>,
}

impl Seen {
    /// Returns how long the last answer said to wait, and forgets it.
    pub(crate) fn take_retry_after(&self) -> Option<Seconds> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns how many seconds the authority's clock is ahead of this machine's, if it said.
    pub(crate) fn ahead(&self) -> Option<Seconds> {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transport, as the protocol's library wants it.
pub(crate) struct Client {
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seen: Arc<Seen>,
    /// True if the directory is asked for by plain HTTP: then, and only then, other addresses may be.
    pub(crate) plain: bool,
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let (transport, clock, seen) = (self.transport.clone(), self.clock.clone(), self.seen.clone());
        let plain = self.plain;
        Box::pin(async move {
            // Its body is in memory, and reading it cannot fail.
            let (head, body) = request.into_parts();
            let mut body = BytesResponse::from(http::Response::new(body));
            let body = body.body.into_bytes().await.map_err(instant_acme::Error::Other)?;
            if head.uri.scheme_str() != Some("https") && !plain {
                let host = bounded(head.uri.host().unwrap_or_default());
                let message = format!("the authority named an address without TLS, at {host}");
                return Err(failed(Error::new(&crate::codes::ANSWER, message)));
            }
            let is_get = head.method == Method::GET;
            let sent = transport.send(http::Request::from_parts(head, body)).await;
            let mut answer = sent.map_err(failed)?;
            let now = clock.now();
            note(&seen, answer.headers(), now);
            if answer.body().len() > LONGEST {
                let message = format!("the authority's answer is longer than {LONGEST} bytes");
                return Err(failed(Error::new(&crate::codes::ANSWER, message)));
            }
            if let Some(refusal) = refusal(&answer, now) {
                return Err(instant_acme::Error::Other(Box::new(refusal)));
            }
            if is_get && answer.headers().get(RETRY_AFTER).is_none() {
                answer.headers_mut().insert(RETRY_AFTER, SIX_HOURS);
            }
            let (head, body) = answer.into_parts();
            Ok(BytesResponse { parts: head, body: Box::new(body) })
        })
    }
}

fn failed(error: Error) -> instant_acme::Error {
    instant_acme::Error::Other(Box::new(error))
}

/// Returns the refusal in an answer; `None` for a success, and for a nonce that was refused, which the library repeats.
fn refusal(answer: &Response, now: SystemTime) -> Option<Refusal> {
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let problem = serde_json::from_slice::<Problem>(answer.body()).ok();
    if problem.as_ref().is_some_and(|problem| problem.r#type.as_deref() == Some(BAD_NONCE)) {
        return None;
    }
    let refusal = problem.as_ref().map(Refusal::from).unwrap_or_default();
    Some(Refusal { status: status.as_u16(), retry_after: retry_after(answer.headers(), now), ..refusal })
}

fn note(seen: &Seen, headers: &HeaderMap, now: SystemTime) {
    *seen.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = retry_after(headers, now);
    let date = headers
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| httpdate::parse_http_date(date).ok());
    if let Some(date) = date {
        *seen.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(seconds_between(now, date));
    }
}

/// Reads `Retry-After`: a number of seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Seconds> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(seconds_between(now, date).max(0))
}

fn seconds_between(from: SystemTime, to: SystemTime) -> Seconds {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    to.duration_since(from).map_or_else(|back| -seconds(back.duration()), seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Response {
        let mut answer = http::Response::builder().status(status);
        if let Some(text) = retry_after {
            answer = answer.header("retry-after", text);
        }
        answer.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_refusal_says_how_long_to_wait_and_about_which_names_it_is() {
        let body = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","subproblems":
            [{"type":"x","detail":"more","identifier":{"type":"dns","value":"a.example.com"}}]}"#;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_717);
        let refused = refusal(&answer(429, Some("90"), body), now).unwrap();
        assert_eq!((refused.kind.as_str(), refused.retry_after), ("rateLimited", Some(90)));
        assert_eq!(refused.to_string(), "too many; more (rateLimited)");
        assert_eq!(refused.names, ["a.example.com"]);
        let dated = refusal(&answer(503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), "<html>"), now).unwrap();
        assert_eq!((dated.retry_after, dated.to_string()), (Some(60), "status 503".to_owned()));
        assert_eq!(refusal(&answer(200, None, ""), now), None);
    }

    #[test]
    fn a_nonce_that_was_refused_is_left_to_the_library() {
        let body = format!(r#"{{"type":"{BAD_NONCE}"}}"#);
        assert_eq!(refusal(&answer(400, None, &body), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn what_an_authority_says_is_bounded_and_moves_no_cursor() {
        let body = format!(r#"{{"type":"x","detail":"\u001b[2J{}"}}"#, "a".repeat(9999));
        let refused = refusal(&answer(403, None, &body), SystemTime::UNIX_EPOCH).unwrap();
        assert!(refused.detail.len() < 600 && !refused.detail.contains('\u{1b}'));
    }
}
