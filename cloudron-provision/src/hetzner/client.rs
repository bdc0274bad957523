//! Requests and answers, and what their errors mean.

use std::pin::Pin;
use std::time::Duration;

use cloudron_core::{Code, Error, Result};
use cloudron_http::Response;
use cloudron_http::rest::{Codes, Failure, Page, Rest, Said, Vendor, garbled, json, parse, segment};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::messages::{
    Action, CreatedServer, Labels, List, Location, Meta, Named, NewLabels, NewServer, OneAction, OneServer,
    Prices, Pricing, Problem, ReverseName, Server, ServerType,
};
use crate::cloud::{Marks, Patience, codes};

pub(super) struct Client {
    pub(super) rest: Rest,
}

static CODES: Codes = Codes {
    credentials: &codes::CREDENTIALS,
    not_found: &codes::NOT_FOUND,
    rate_limited: &codes::RATE_LIMITED,
    down: &codes::DOWN,
    refused: &codes::REFUSED,
};

pub(super) static VENDOR: Vendor = Vendor {
    name: "Hetzner Cloud",
    endpoint: "https://api.hetzner.cloud/v1",
    header: ("authorization", "Bearer "),
    agent: concat!("cloudron-provision/", env!("CARGO_PKG_VERSION")),
    codes: &CODES,
    said,
};

fn said(answer: &Response) -> Said {
    let complaint = parse::<Problem>(answer).unwrap_or_default().error;
    let fields = complaint.details.get("fields").map(ToString::to_string).unwrap_or_default();
    Said {
        message: [&*complaint.message, &*fields, &*format!("[{}]", complaint.code)]
            .join(" ")
            .trim()
            .to_owned(),
        code: meaning(&complaint.code),
        hint: None,
        request_id: answer.headers().get("x-correlation-id").and_then(|v| v.to_str().ok().map(str::to_owned)),
    }
}

/// Returns the meaning of Hetzner's error codes: <https://docs.hetzner.cloud/reference/cloud#errors>.
fn meaning(word: &str) -> Option<&'static Code> {
    Some(match word {
        "unauthorized" | "forbidden" | "token_readonly" => &codes::CREDENTIALS,
        "uniqueness_error" => &codes::TAKEN,
        "resource_limit_exceeded" => &codes::QUOTA,
        "resource_unavailable" | "placement_error" => &codes::CAPACITY,
        "rate_limit_exceeded" => &codes::RATE_LIMITED,
        // Another action is running on it, or what uses it is still being removed.
        "locked" | "conflict" | "maintenance" | "resource_in_use" | "bad_gateway" => &codes::DOWN,
        _ => return None,
    })
}

/// Looks up what is about to be made.
pub(super) type Find<'a> = &'a (dyn Fn() -> Finding<'a> + Sync + 'a);
pub(super) type Finding<'a> = Pin<Box<dyn Future<Output = Result<Option<Named>>> + Send + 'a>>;

/// The result of a creating call.
pub(super) enum Made<T> {
    /// It was made.
    New(T),
    /// Something of that name exists, or what was asked for before was made after all.
    There(Named),
}

impl Client {
    pub(super) async fn server_type(&self, name: &str) -> Result<Option<ServerType>> {
        let path = format!("/server_types?per_page=50&name={}", segment(name));
        let found: Vec<ServerType> =
            self.list(&path, "server_types", |t: &ServerType| t.name.clone()).await?;
        Ok(found.into_iter().find(|t| t.name == name))
    }

    pub(super) async fn server_types(&self) -> Result<Vec<ServerType>> {
        self.list("/server_types?per_page=50", "server_types", |t: &ServerType| t.name.clone()).await
    }

    pub(super) async fn pricing(&self) -> Result<Pricing> {
        self.get::<Prices>("/pricing").await.map(|prices| prices.pricing)
    }

    /// Returns the servers that a label selector selects.
    pub(super) async fn servers(&self, selector: &str) -> Result<Vec<Server>> {
        let path = format!("/servers?per_page=50&label_selector={}", segment(selector));
        self.list(&path, "servers", |server: &Server| server.id).await
    }

    pub(super) async fn server_named(&self, name: &str) -> Result<Option<Server>> {
        let path = format!("/servers?per_page=50&name={}", segment(name));
        let found: Vec<Server> = self.list(&path, "servers", |server: &Server| server.id).await?;
        Ok(found.into_iter().find(|server| server.name == name))
    }

    pub(super) async fn server(&self, id: u64) -> Result<Option<Server>> {
        absent(self.get::<OneServer>(&format!("/servers/{id}")).await)
            .map(|found| found.map(|one| one.server))
    }

    /// Returns the SSH keys, firewalls or networks that a filter such as `name=x` selects; all if it is empty.
    pub(super) async fn named(&self, kind: &str, filter: &str) -> Result<Vec<Named>> {
        let more = if filter.is_empty() { String::new() } else { format!("&{filter}") };
        self.list(&format!("/{kind}?per_page=50{more}"), kind, |named: &Named| named.id).await
    }

    /// Returns what carries the marks of a domain.
    pub(super) async fn marked(&self, kind: &str, fqdn: &str) -> Result<Vec<Named>> {
        let filter = format!("label_selector={}", segment(&Marks::label_selector(fqdn)));
        let ours = |named: &Named| Marks::from_labels(&named.labels).is_some_and(|marks| marks.fqdn == fqdn);
        Ok(self.named(kind, &filter).await?.into_iter().filter(ours).collect())
    }

    /// Creates an SSH key, a firewall or a network. After an answer that says or leaves open that it exists, `find` looks
    /// it up before it is created again.
    pub(super) async fn create(
        &self,
        kind: &str,
        one: &str,
        body: &impl Serialize,
        find: Find<'_>,
    ) -> Result<Made<Named>> {
        let path = format!("/{kind}");
        let take = |answer: &Response| {
            let mut value: serde_json::Value = parse(answer)?;
            serde_json::from_value(value.get_mut(one)?.take()).ok()
        };
        self.make(&path, json(body), take, find).await
    }

    pub(super) async fn create_server(
        &self,
        body: &NewServer<'_>,
        find: Find<'_>,
    ) -> Result<Made<CreatedServer>> {
        self.make("/servers", json(body), parse::<CreatedServer>, find).await
    }

    async fn make<T>(
        &self,
        path: &str,
        body: bytes::Bytes,
        take: impl Fn(&Response) -> Option<T>,
        find: Find<'_>,
    ) -> Result<Made<T>> {
        let (mut tries, mut lost) = (self.rest.tries(), false);
        loop {
            let failure = match self.rest.once(&Method::POST, path, Some(&body)).await {
                Ok(answer) => match take(&answer) {
                    Some(made) => return Ok(Made::New(made)),
                    None => Failure { unknown: true, ..garbled(&CODES, path).into() },
                },
                Err(failure) => failure,
            };
            if failure.error.is(&codes::TAKEN) {
                // It exists, so it is only a matter of time until it is listed.
                let mut waits = Patience::of(Duration::from_secs(30)).begin(&*self.rest.clock);
                loop {
                    if let Some(found) = find().await? {
                        return Ok(Made::There(found));
                    }
                    if waits.again("what exists was not listed").await.is_err() {
                        return Err(failure.error);
                    }
                }
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

    /// Looks something up that may have been made just now.
    async fn look(&self, find: Find<'_>) -> Result<Option<Named>> {
        let waits = [2, 4, 0].map(Duration::from_secs);
        for wait in waits {
            if let Some(found) = find().await? {
                return Ok(Some(found));
            }
            self.rest.clock.sleep(wait).await;
        }
        Ok(None)
    }

    /// Returns the location of a name, or all if it is empty.
    pub(super) async fn locations(&self, name: &str) -> Result<Vec<Location>> {
        let filter = if name.is_empty() { String::new() } else { format!("&name={}", segment(name)) };
        let path = format!("/locations?per_page=50{filter}");
        self.list(&path, "locations", |l: &Location| l.name.clone()).await
    }

    pub(super) async fn network_zone(&self, location: &str) -> Result<String> {
        let found = self.locations(location).await?;
        let zone = found.into_iter().find(|l| l.name == location).map(|l| l.network_zone);
        zone.ok_or_else(|| Error::new(&codes::NOT_FOUND, format!("Hetzner has no location {location}")))
    }

    /// Replaces the labels of a server.
    pub(super) async fn label_server(&self, id: u64, labels: Labels) -> Result<()> {
        let body = json(&NewLabels { labels });
        let answer = self.rest.repeat(&Method::PUT, &format!("/servers/{id}"), Some(&body)).await;
        answer.map(drop).map_err(|failure| once(failure.error))
    }

    /// Names an address of a server. Naming it twice does no harm.
    pub(super) async fn name_address(&self, id: u64, name: &ReverseName<'_>) -> Result<()> {
        let path = format!("/servers/{id}/actions/change_dns_ptr");
        let answer = self.rest.repeat(&Method::POST, &path, Some(&json(name))).await;
        answer.map(drop).map_err(|failure| once(failure.error))
    }

    /// Deletes something and waits until it does not exist. What is in use or locked, perhaps because it is being deleted
    /// already, is tried again for a while.
    pub(super) async fn delete(&self, kind: &str, id: u64) -> Result<()> {
        let path = format!("/{kind}/{id}");
        let mut waits = Patience::of(Duration::from_secs(180)).begin(&*self.rest.clock);
        let mut accepted = false;
        loop {
            let reason = if accepted {
                Error::new(&codes::DOWN, format!("{path} is still there"))
            } else {
                match self.rest.repeat(&Method::DELETE, &path, None).await {
                    // Only a server takes time.
                    Ok(_) if kind != "servers" => return Ok(()),
                    Ok(_) => {
                        accepted = true;
                        continue;
                    }
                    Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => return Ok(()),
                    Err(failure) if busy(&failure) => failure.error,
                    Err(failure) => return Err(failure.error),
                }
            };
            if kind == "servers" && self.server(id).await?.is_none() {
                return Ok(());
            }
            waits.again("it was not removed").await.map_err(|_| reason)?;
        }
    }

    pub(super) async fn action(&self, id: u64) -> Result<Option<Action>> {
        absent(self.get::<OneAction>(&format!("/actions/{id}")).await)
            .map(|found| found.map(|one| one.action))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.rest.repeat(&Method::GET, path, None).await.map_err(|failure| failure.error)?;
        parse(&answer).ok_or_else(|| garbled(&CODES, path))
    }

    async fn list<T: DeserializeOwned, K: Ord>(
        &self,
        path: &str,
        kind: &str,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>> {
        let page = |answer: &Response| {
            let mut list: List = parse(answer)?;
            let entries = serde_json::from_value(list.rest.remove(kind)?).ok()?;
            let meta: Meta = serde_json::from_value(list.rest.remove("meta")?).ok()?;
            let Meta { pagination } = meta;
            Some(Page { entries, more: pagination.next_page.is_some(), total: pagination.total_entries })
        };
        self.rest.list(path, page, key).await.map_err(|failure| failure.error)
    }
}

/// Another attempt of the whole step does not help where the attempts of the request did not.
fn once(error: Error) -> Error {
    let retryable = error.is_retryable() && !error.is(&codes::CAPACITY);
    error.retryable(retryable)
}

/// Returns whether an answer says that something is in use or locked.
fn busy(failure: &Failure) -> bool {
    let status = failure.status.map(|status| status.as_u16());
    failure.error.is(&codes::DOWN) && matches!(status, Some(409 | 422 | 423))
}

/// Turns the error for what does not exist into none.
fn absent<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is(&codes::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}
