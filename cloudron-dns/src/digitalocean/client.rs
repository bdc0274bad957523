//! Requests and answers.

use std::collections::BTreeSet;

use cloudron_http::Response;
use http::{Method, StatusCode};

use super::types::{Created, Fields, List, Listed, Problem};
use crate::Result;
use crate::rest::{AGENT, CODES, Failure, Page, Rest, Said, Vendor, garbled, json, parse, segment};

/// Maximum number of entries of a page.
const PER_PAGE: usize = 200;

pub(super) struct Client {
    pub(super) rest: Rest,
}

pub(super) static VENDOR: Vendor = Vendor {
    name: "DigitalOcean",
    endpoint: "https://api.digitalocean.com",
    header: ("authorization", "Bearer "),
    agent: AGENT,
    codes: &CODES,
    said,
};

fn said(answer: &Response) -> Said {
    let problem: Problem = parse(answer).unwrap_or_default();
    let header = answer.headers().get("x-request-id").and_then(|v| v.to_str().ok().map(str::to_owned));
    let hint = match answer.status() {
        StatusCode::UNAUTHORIZED => Some("make a token at https://cloud.digitalocean.com/account/api/tokens"),
        StatusCode::FORBIDDEN => {
            Some("give the token the scopes domain:read, domain:create, domain:update and domain:delete")
        }
        _ => None,
    };
    Said {
        message: problem.message.unwrap_or_default(),
        code: None,
        hint,
        request_id: problem.request_id.or(header),
    }
}

impl Client {
    /// Returns all zones, from all pages.
    pub(super) async fn domains(&self) -> Result<Vec<String>> {
        let path = format!("/v2/domains?per_page={PER_PAGE}");
        let take = |page: List| Some(page.domains?.into_iter().map(|d| d.name).collect());
        let page = |answer: &Response| page(answer, take);
        self.rest.list(&path, page, String::clone).await.map_err(|failure| failure.error)
    }

    /// Returns all records of a zone, from all pages; `None` if the zone does not exist.
    pub(super) async fn records(&self, zone: &str) -> Result<Option<Vec<Listed>>> {
        let path = format!("{}?per_page={PER_PAGE}", records_path(zone));
        let page = |answer: &Response| page(answer, |list| list.domain_records);
        match self.rest.list(&path, page, |r: &Listed| r.id).await {
            Ok(records) => Ok(Some(records)),
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    /// Creates a record and returns its ID. After a lost response, the zone is searched for the record before it is
    /// created again; `known` are the IDs of older records.
    pub(super) async fn create(
        &self,
        zone: &str,
        fields: &Fields,
        known: &BTreeSet<u64>,
        same: impl Fn(&Listed) -> bool,
    ) -> Result<u64, Failure> {
        let mut tries = self.rest.tries();
        let (path, body) = (records_path(zone), json(fields));
        loop {
            let failure = match self.rest.once(&Method::POST, &path, Some(&body)).await {
                Ok(answer) => match parse::<Created>(&answer) {
                    Some(created) => return Ok(created.domain_record.id),
                    None => Failure { unknown: true, ..garbled(&path).into() },
                },
                Err(failure) => failure,
            };
            let go_on = tries.again(&failure).await;
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

    /// Replaces a record. It is idempotent.
    pub(super) async fn update(&self, zone: &str, id: u64, fields: &Fields) -> Result<(), Failure> {
        self.rest.repeat(&Method::PUT, &record_path(zone, id), Some(&json(fields))).await.map(|_| ())
    }

    /// Deletes a record. A record that no longer exists is a success.
    pub(super) async fn delete(&self, zone: &str, id: u64) -> Result<(), Failure> {
        match self.rest.repeat(&Method::DELETE, &record_path(zone, id), None).await {
            Err(failure) if failure.status != Some(StatusCode::NOT_FOUND) => Err(failure),
            _ => Ok(()),
        }
    }
}

fn page<T>(answer: &Response, take: impl Fn(List) -> Option<Vec<T>>) -> Option<Page<T>> {
    let list: List = parse(answer)?;
    let more = list.links.pages.as_ref().is_some_and(|pages| pages.next.is_some());
    let total = list.meta.as_ref().and_then(|meta| meta.total);
    Some(Page { entries: take(list)?, more, total })
}

fn records_path(zone: &str) -> String {
    format!("/v2/domains/{}/records", segment(zone))
}

fn record_path(zone: &str, id: u64) -> String {
    format!("{}/{id}", records_path(zone))
}
