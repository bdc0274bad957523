//! Requests and answers.

use cloudron_core::Code;
use cloudron_http::Response;
use http::{Method, StatusCode};

use super::steps::Step;
use super::types::{Action, List, Listed, ListedZone, NewRecords, NewSet, NewTtl, One, Problem, Started};
use crate::rest::{AGENT, CODES, Failure, Page, Rest, Said, Vendor, garbled, json, parse, segment};
use crate::{Error, Result, codes};

/// Maximum number of actions per request.
pub(super) const ACTIONS: usize = 25;

pub(super) struct Client {
    pub(super) rest: Rest,
}

pub(super) static VENDOR: Vendor = Vendor {
    name: "Hetzner",
    endpoint: "https://api.hetzner.cloud/v1",
    header: ("authorization", "Bearer "),
    agent: AGENT,
    codes: &CODES,
    said,
};

fn said(answer: &Response) -> Said {
    let complaint = parse::<Problem>(answer).unwrap_or_default().error;
    let fields = complaint.details.get("fields").map(ToString::to_string).unwrap_or_default();
    let code = meaning(&complaint.code);
    let hint = match &*complaint.code {
        "protected" => Some("allow changes of the set in the Hetzner console"),
        "incorrect_zone_mode" => Some("change the zone at its primary name server: Hetzner only copies it"),
        _ if code == Some(&codes::CREDENTIALS) => Some(
            "make an API token with the permission Read & Write in the zone's project, Security, API tokens",
        ),
        _ => None,
    };
    Said {
        message: [&*complaint.message, &*fields].join(" ").trim().to_owned(),
        code,
        hint,
        request_id: answer.headers().get("x-correlation-id").and_then(|v| v.to_str().ok().map(str::to_owned)),
    }
}

/// Returns the meaning of a Hetzner error code, if the status does not determine it:
/// <https://docs.hetzner.cloud/reference/cloud#errors>.
pub(super) fn meaning(word: &str) -> Option<&'static Code> {
    Some(match word {
        "unauthorized" | "forbidden" | "token_readonly" => &codes::CREDENTIALS,
        "uniqueness_error" => &codes::STALE,
        // Another action is running, or has just changed the same thing: try again.
        "locked" | "conflict" | "maintenance" | "resource_unavailable" => &codes::PROVIDER_DOWN,
        "rate_limit_exceeded" => &codes::RATE_LIMITED,
        "incorrect_zone_mode" => &codes::UNSUPPORTED,
        _ => return None,
    })
}

impl Client {
    /// Returns the zones with a name, or all zones, from all pages.
    pub(super) async fn zones(&self, name: Option<&str>) -> Result<Vec<ListedZone>> {
        let filter = name.map(|name| format!("&name={}", segment(name))).unwrap_or_default();
        let path = format!("/zones?per_page=50{filter}");
        let page = |answer: &Response| page(answer, |list| list.zones);
        self.rest.list(&path, page, |zone: &ListedZone| zone.id).await.map_err(|failure| failure.error)
    }

    pub(super) async fn zone(&self, id: &str) -> Result<ListedZone> {
        let path = format!("/zones/{}", segment(id));
        let answer = self.rest.repeat(&Method::GET, &path, None).await.map_err(|failure| failure.error)?;
        parse::<One>(&answer).and_then(|one| one.zone).ok_or_else(|| garbled(&path))
    }

    /// Returns all sets of a zone, from all pages.
    pub(super) async fn sets(&self, zone: &str) -> Result<Vec<Listed>> {
        let path = format!("{}?per_page=100", sets_path(zone));
        let page = |answer: &Response| page(answer, |list| list.rrsets);
        let key = |set: &Listed| (set.name.clone(), set.rtype.clone());
        self.rest.list(&path, page, key).await.map_err(|failure| failure.error)
    }

    async fn set(&self, zone: &str, name: &str, rtype: &str) -> Result<Option<Listed>, Failure> {
        let path = set_path(zone, name, rtype);
        match self.rest.repeat(&Method::GET, &path, None).await {
            Ok(answer) => {
                let one = parse::<One>(&answer).and_then(|one| one.rrset);
                one.ok_or_else(|| garbled(&path).into()).map(Some)
            }
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Starts one step and returns the action that executes it; `None` if it is done.
    pub(super) async fn start(
        &self,
        zone: &str,
        step: &Step,
        done: impl Fn(&Listed) -> bool,
    ) -> Result<Option<Action>, Failure> {
        let (path, body) = match step {
            Step::Create(set) => return self.create(zone, set, done).await,
            Step::Delete { name, rtype } => return self.delete(&set_path(zone, name, rtype)).await,
            Step::Records { name, rtype, records } => {
                let records = records.clone();
                (set_path(zone, name, rtype) + "/actions/set_records", json(&NewRecords { records }))
            }
            Step::Ttl { name, rtype, ttl } => {
                (set_path(zone, name, rtype) + "/actions/change_ttl", json(&NewTtl { ttl: *ttl }))
            }
        };
        // Saying so twice is the same as once.
        match self.rest.repeat(&Method::POST, &path, Some(&body)).await {
            Ok(answer) => started(&path, &answer),
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => {
                let error = Error::new(&codes::STALE, "the set is gone").with_source(failure.error);
                Err(Failure { error, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Creates a set. After a lost response, the set is looked up before it is created again.
    async fn create(
        &self,
        zone: &str,
        set: &NewSet,
        done: impl Fn(&Listed) -> bool,
    ) -> Result<Option<Action>, Failure> {
        let (mut tries, mut lost) = (self.rest.tries(), false);
        let (path, body) = (sets_path(zone), json(set));
        loop {
            let failure = match self.rest.once(&Method::POST, &path, Some(&body)).await {
                Ok(answer) => match started(&path, &answer) {
                    Ok(action) => return Ok(action),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            let go_on = tries.again(&failure).await;
            // It may also appear only later.
            lost |= failure.unknown;
            if lost {
                match self.set(zone, &set.name, &set.rtype).await {
                    Ok(Some(there)) if done(&there) => return Ok(None),
                    Ok(None) => {}
                    _ => return Err(Failure { unknown: true, ..failure }),
                }
            }
            if !go_on {
                return Err(Failure { unknown: lost, ..failure });
            }
        }
    }

    /// Deletes a set. A set that no longer exists is a success.
    async fn delete(&self, path: &str) -> Result<Option<Action>, Failure> {
        match self.rest.repeat(&Method::DELETE, path, None).await {
            Ok(answer) => started(path, &answer),
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Returns the states of at most [`ACTIONS`] actions.
    pub(super) async fn actions(&self, ids: &[u64]) -> Result<Vec<Action>, Failure> {
        let ids: Vec<String> = ids.iter().map(|id| format!("id={id}")).collect();
        let path = format!("/actions?{}", ids.join("&"));
        let answer = self.rest.repeat(&Method::GET, &path, None).await?;
        parse::<List>(&answer).and_then(|list| list.actions).ok_or_else(|| garbled(&path).into())
    }
}

fn started(path: &str, answer: &Response) -> Result<Option<Action>, Failure> {
    match parse::<Started>(answer) {
        Some(Started { action }) if action.status == "success" => Ok(None),
        Some(Started { action }) => Ok(Some(action)),
        None => Err(Failure { unknown: true, ..garbled(path).into() }),
    }
}

fn page<T>(answer: &Response, take: impl Fn(List) -> Option<Vec<T>>) -> Option<Page<T>> {
    let list: List = parse(answer)?;
    let (more, total) = (list.meta.pagination.next_page.is_some(), list.meta.pagination.total_entries);
    Some(Page { entries: take(list)?, more, total })
}

fn sets_path(zone: &str) -> String {
    format!("/zones/{}/rrsets", segment(zone))
}

fn set_path(zone: &str, name: &str, rtype: &str) -> String {
    format!("{}/{}/{rtype}", sets_path(zone), segment(name))
}
