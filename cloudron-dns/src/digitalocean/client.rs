//! Requests and answers, and what may be repeated.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use cloudron_core::http::{HttpTransport, Request, Response};
use cloudron_core::{Clock, ErrorKind, RetryPolicy, Secret, random};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::types::{Created, Fields, Listed, Page, Problem};
use crate::{Error, Result, codes};

/// The most entries that a page may have.
const PER_PAGE: usize = 200;

pub(super) struct Client {
    pub(super) transport: Arc<dyn HttpTransport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: RetryPolicy,
    pub(super) endpoint: String,
    pub(super) token: Secret,
}

/// A request that did not succeed.
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether it may have been carried out nonetheless.
    pub(super) unknown: bool,
    pub(super) status: Option<StatusCode>,
    /// How long the other side wants us to wait.
    wait: Option<Duration>,
}

/// The waits between repetitions of one request.
struct Patience<'a> {
    client: &'a Client,
    start: Duration,
    tries: u32,
}

impl Patience<'_> {
    /// Waits before the next try; `false` when there is none.
    async fn again(&mut self, failure: &Failure) -> bool {
        let (policy, clock) = (&self.client.policy, &self.client.clock);
        let wait = policy.wait(self.tries, random::unit()).max(failure.wait.unwrap_or_default());
        self.tries += 1;
        let late = clock.monotonic().saturating_sub(self.start) + wait > policy.deadline;
        if !failure.error.is_retryable() || self.tries >= policy.attempts || late {
            return false;
        }
        clock.sleep(wait).await;
        true
    }
}

impl Client {
    fn patience(&self) -> Patience<'_> {
        Patience { client: self, start: self.clock.monotonic(), tries: 0 }
    }

    /// All zones, over all pages.
    pub(super) async fn domains(&self) -> Result<Vec<String>> {
        let take = |page: Page| Some(page.domains?.into_iter().map(|d| d.name).collect());
        self.list("/v2/domains", take, String::clone).await.map_err(|failure| failure.error)
    }

    /// All records of a zone, over all pages; none when there is no such zone.
    pub(super) async fn records(&self, zone: &str) -> Result<Option<Vec<Listed>>> {
        match self.list(&records_path(zone), |page| page.domain_records, |r: &Listed| r.id).await {
            Ok(records) => Ok(Some(records)),
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    /// Every entry of a list. One that changes between its pages is read again from the start, since entries would
    /// be missed.
    async fn list<T, K: Ord>(
        &self,
        path: &str,
        take: impl Fn(Page) -> Option<Vec<T>>,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Failure> {
        for _ in 0..4 {
            if let Some(entries) = self.list_once(path, &take, &key).await? {
                return Ok(entries);
            }
        }
        let message = format!("{path} changed again and again while its pages were read");
        Err(Error::new(&codes::PROVIDER_DOWN, message).into())
    }

    async fn list_once<T, K: Ord>(
        &self,
        path: &str,
        take: &impl Fn(Page) -> Option<Vec<T>>,
        key: &impl Fn(&T) -> K,
    ) -> Result<Option<Vec<T>>, Failure> {
        let (mut entries, mut number) = (Vec::new(), 1);
        let (mut seen, mut before) = (BTreeSet::new(), None);
        loop {
            let url = match number {
                1 => format!("{path}?per_page={PER_PAGE}"),
                _ => format!("{path}?per_page={PER_PAGE}&page={number}"),
            };
            let answer = self.repeat(&Method::GET, &url, None).await?;
            let page: Page = parse(&answer).ok_or_else(|| garbled(path))?;
            let more = page.links.pages.as_ref().is_some_and(|pages| pages.next.is_some());
            let total = page.meta.as_ref().and_then(|meta| meta.total);
            let found = take(page).ok_or_else(|| garbled(path))?;
            // The address of the next page is not followed: it could name another host, which would get the token.
            let empty = found.is_empty();
            // One that went from an earlier page draws another one off the next page, which the sum does not show.
            let shifted = number > 1 && total != before;
            before = total;
            let doubled = found.iter().any(|entry| !seen.insert(key(entry)));
            entries.extend(found);
            match more {
                _ if shifted || doubled || (more && empty) => return Ok(None),
                true => number += 1,
                false => return Ok(total.is_none_or(|total| total == entries.len()).then_some(entries)),
            }
        }
    }

    /// Makes a record and says its id. After an answer that was lost the zone is searched for the record before it
    /// is made again; `known` are the ids that are older.
    pub(super) async fn create(
        &self,
        zone: &str,
        fields: &Fields,
        known: &BTreeSet<u64>,
        same: impl Fn(&Listed) -> bool,
    ) -> Result<u64, Failure> {
        let mut patience = self.patience();
        let path = records_path(zone);
        loop {
            let failure = match self.once(&Method::POST, &path, Some(fields)).await {
                Ok(answer) => match parse::<Created>(&answer) {
                    Some(created) => return Ok(created.domain_record.id),
                    None => Failure { unknown: true, ..garbled(&path).into() },
                },
                Err(failure) => failure,
            };
            let go_on = patience.again(&failure).await;
            if !failure.unknown {
                if go_on {
                    continue;
                }
                return Err(failure);
            }
            let Ok(Some(there)) = self.records(zone).await else { return Err(failure) };
            if let Some(made) = there.iter().find(|r| !known.contains(&r.id) && same(r)) {
                return Ok(made.id);
            }
            if !go_on {
                return Err(Failure { unknown: false, ..failure });
            }
        }
    }

    /// Replaces a record. Saying so twice is the same as once.
    pub(super) async fn update(&self, zone: &str, id: u64, fields: &Fields) -> Result<(), Failure> {
        self.repeat(&Method::PUT, &record_path(zone, id), Some(fields)).await.map(|_| ())
    }

    /// Deletes a record. One that is gone already is as wanted.
    pub(super) async fn delete(&self, zone: &str, id: u64) -> Result<(), Failure> {
        match self.repeat(&Method::DELETE, &record_path(zone, id), None).await {
            Err(failure) if failure.status != Some(StatusCode::NOT_FOUND) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Sends a request until it succeeds, fails for good, or patience ends.
    async fn repeat(
        &self,
        method: &Method,
        path: &str,
        fields: Option<&Fields>,
    ) -> Result<Response, Failure> {
        let (mut patience, mut unknown) = (self.patience(), false);
        loop {
            let failure = match self.once(method, path, fields).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            unknown |= failure.unknown;
            if !patience.again(&failure).await {
                return Err(Failure { unknown, ..failure });
            }
        }
    }

    async fn once(&self, method: &Method, path: &str, fields: Option<&Fields>) -> Result<Response, Failure> {
        let request = self.request(method, path, fields)?;
        let answer = self.transport.send(request).await.map_err(|error| {
            // Whatever the transport says of it: a broken connection is worth another try.
            let passing = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut);
            let error = if passing { error.retryable(true) } else { error };
            Failure { unknown: true, ..error.into() }
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.failure(method, path, &answer)) }
    }

    fn request(&self, method: &Method, path: &str, fields: Option<&Fields>) -> Result<Request> {
        let unusable =
            || Error::new(&codes::CREDENTIALS, "the token of DigitalOcean has characters that no token has");
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", self.token.expose())).map_err(|_| unusable())?;
        bearer.set_sensitive(true);
        let body = match fields {
            Some(fields) => serde_json::to_vec(fields).expect("texts and numbers are always JSON"),
            None => Vec::new(),
        };
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("cloudron-dns/", env!("CARGO_PKG_VERSION")));
        if fields.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request
            .body(Bytes::from(body))
            .map_err(|e| Error::new(&cloudron_core::codes::USAGE, format!("{}{path}: {e}", self.endpoint)))
    }

    /// What an answer means that is no success.
    fn failure(&self, method: &Method, path: &str, answer: &Response) -> Failure {
        let status = answer.status();
        let problem: Problem = parse(answer).unwrap_or_default();
        let said = self.printable(problem.message.as_deref().unwrap_or_default());
        let message = format!("{method} {path}: {status}{said}");
        let error = match status {
            StatusCode::UNAUTHORIZED => Error::new(&codes::CREDENTIALS, message)
                .with_hint("make a token at https://cloud.digitalocean.com/account/api/tokens"),
            StatusCode::FORBIDDEN => Error::new(&codes::CREDENTIALS, message).with_hint(
                "give the token the scopes domain:read, domain:create, domain:update and domain:delete",
            ),
            StatusCode::NOT_FOUND => Error::new(&codes::ZONE_NOT_FOUND, message),
            StatusCode::TOO_MANY_REQUESTS => Error::new(&codes::RATE_LIMITED, message),
            status if status.is_server_error() => Error::new(&codes::PROVIDER_DOWN, message),
            _ => Error::new(&codes::REFUSED, message),
        };
        let header = answer.headers().get("x-request-id").and_then(|v| v.to_str().ok().map(str::to_owned));
        let error = match problem.request_id.or(header) {
            Some(id) => error.with_request_id(id),
            None => error,
        };
        let limited = status == StatusCode::TOO_MANY_REQUESTS;
        let wait = if limited { self.wait(answer.headers()) } else { None };
        let error = match wait {
            Some(wait) => error.with_hint(format!("run the command again in {} seconds", wait.as_secs())),
            None => error,
        };
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

    /// What the other side said, short, on one line, and never with the token in it.
    fn printable(&self, text: &str) -> String {
        let text =
            if self.token.is_empty() { text.to_owned() } else { text.replace(self.token.expose(), "…") };
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

/// Nothing was carried out.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, unknown: false, status: None, wait: None }
    }
}

fn parse<T: serde::de::DeserializeOwned>(answer: &Response) -> Option<T> {
    serde_json::from_slice(answer.body()).ok()
}

fn garbled(path: &str) -> Error {
    Error::new(&codes::PROVIDER_DOWN, format!("{path}: the answer is not the JSON that was expected"))
}

fn records_path(zone: &str) -> String {
    let mut path = String::from("/v2/domains/");
    for byte in zone.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => path.push(char::from(byte)),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path + "/records"
}

fn record_path(zone: &str, id: u64) -> String {
    format!("{}/{id}", records_path(zone))
}
