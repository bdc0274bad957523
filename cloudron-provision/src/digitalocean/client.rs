//! Sends requests: what is safe to repeat is repeated, what creates something is not, before it was looked up.

use std::pin::Pin;
use std::time::Duration;

use cloudron_core::{Error, Result};
use cloudron_http::Response;
use cloudron_http::rest::{Failure, Page, Rest, garbled, json, parse};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failures::{CODES, explained, once};
use super::messages::Envelope;
use crate::cloud::{Patience, codes};

pub(super) struct Client {
    pub(super) rest: Rest,
}

/// Looks up what is about to be made.
pub(super) type Find<'a, T> = &'a (dyn Fn() -> Finding<'a, T> + Sync + 'a);
pub(super) type Finding<'a, T> = Pin<Box<dyn Future<Output = Result<Option<T>>> + Send + 'a>>;

/// The result of a creating call.
pub(super) enum Made<T> {
    /// It was made, by that action, if there is one.
    New(T, Option<u64>),
    /// It exists, or what was asked for before was made after all.
    There(T),
}

/// How long a droplet may have an event that keeps it from others.
const PENDING: Duration = Duration::from_secs(300);

impl Client {
    /// Creates something. After an answer that says or leaves open that it exists, `find` looks it up, twice ten seconds
    /// apart, before it is created again.
    pub(super) async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        one: &str,
        body: &impl Serialize,
        find: Find<'_, T>,
    ) -> Result<Made<T>> {
        let (mut tries, mut lost, body) = (self.rest.tries(), false, json(body));
        let mut pending = Patience::of(PENDING).begin(&*self.rest.clock);
        loop {
            let failure = match self.rest.once(&Method::POST, path, Some(&body)).await {
                Ok(answer) => match taken(&answer, one) {
                    Some((made, action)) => return Ok(Made::New(made, action)),
                    None => Failure { unknown: true, ..garbled(&CODES, path).into() },
                },
                Err(failure) => explained(&Method::POST, path, failure),
            };
            if failure.error.is(&codes::TAKEN) {
                // It exists, so it is only a matter of time until it is listed.
                return match self.listed(find).await? {
                    Some(found) => Ok(Made::There(found)),
                    None => Err(failure.error),
                };
            }
            if failure.error.is(&codes::STATE) {
                pending.again("something else went on with the droplet").await.map_err(|_| failure.error)?;
                continue;
            }
            let again = !failure.error.is(&codes::CAPACITY) && tries.again(&failure).await;
            // From then on it may exist, or appear later.
            lost |= failure.unknown;
            if lost && let Some(found) = self.look(find).await? {
                return Ok(Made::There(found));
            }
            if !again {
                return Err(once(failure.error));
            }
        }
    }

    /// Looks something up that may have been made just now, twice ten seconds apart.
    pub(super) async fn look<T>(&self, find: Find<'_, T>) -> Result<Option<T>> {
        if let Some(found) = find().await? {
            return Ok(Some(found));
        }
        self.rest.clock.sleep(Duration::from_secs(10)).await;
        find().await
    }

    /// Looks something up that exists, until it is listed.
    async fn listed<T>(&self, find: Find<'_, T>) -> Result<Option<T>> {
        let mut waits = Patience::of(Duration::from_secs(30)).begin(&*self.rest.clock);
        loop {
            if let Some(found) = find().await? {
                return Ok(Some(found));
            }
            if waits.again("what exists was not listed").await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Deletes something; what does not exist is a success. An event that is pending is waited for.
    pub(super) async fn delete(&self, path: &str) -> Result<()> {
        let mut pending = Patience::of(PENDING).begin(&*self.rest.clock);
        loop {
            let failure = match self.rest.repeat(&Method::DELETE, path, None).await {
                Ok(_) => return Ok(()),
                Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => return Ok(()),
                Err(failure) => explained(&Method::DELETE, path, failure),
            };
            if !failure.error.is(&codes::STATE) {
                return Err(once(failure.error));
            }
            pending.again("something else went on with the droplet").await.map_err(|_| failure.error)?;
        }
    }

    /// Sends something that can be repeated.
    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response, Failure> {
        let answer = self.rest.repeat(&Method::POST, path, Some(&json(body))).await;
        answer.map_err(|failure| explained(&Method::POST, path, failure))
    }

    /// Returns something by its address; none if it does not exist.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, one: &str) -> Result<Option<T>> {
        let answer = match self.rest.repeat(&Method::GET, path, None).await {
            Ok(answer) => answer,
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => return Ok(None),
            Err(failure) => return Err(once(explained(&Method::GET, path, failure).error)),
        };
        let (found, _) = taken(&answer, one).ok_or_else(|| garbled(&CODES, path))?;
        Ok(Some(found))
    }

    /// Returns a list from all its pages; `filter` is empty or begins with `&`.
    pub(super) async fn list<T: DeserializeOwned, K: Ord>(
        &self,
        kind: &str,
        filter: &str,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>> {
        let name = kind.rsplit('/').next().unwrap_or(kind);
        let field = if name == "keys" { "ssh_keys" } else { name };
        let path = format!("/v2/{kind}?per_page=200{filter}");
        let page = |answer: &Response| {
            let mut list: Envelope = parse(answer)?;
            let entries = serde_json::from_value(list.rest.remove(field)?).ok()?;
            let more = list.links.pages.is_some_and(|pages| pages.next.is_some());
            Some(Page { entries, more, total: list.meta.and_then(|meta| meta.total) })
        };
        let found = self.rest.list(&path, page, key).await;
        found.map_err(|failure| once(explained(&Method::GET, &path, failure).error))
    }
}

/// Takes what an answer is about, and the action that it began.
fn taken<T: DeserializeOwned>(answer: &Response, one: &str) -> Option<(T, Option<u64>)> {
    let mut envelope: Envelope = parse(answer)?;
    let value = serde_json::from_value(envelope.rest.remove(one)?).ok()?;
    Some((value, envelope.links.actions.first().map(|action| action.id)))
}

/// Returns the error for something that is gone.
pub(super) fn vanished(what: &str) -> Error {
    Error::new(&codes::NOT_FOUND, format!("{what} does not exist any more"))
}
