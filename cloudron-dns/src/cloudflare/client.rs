//! Requests and answers.

use cloudron_core::Code;
use cloudron_http::Response;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::types::{BatchBody, Complaint, Envelope, Listed, ListedZone, Problem};
use crate::rest::{AGENT, CODES, Failure, Page, Rest, Said, Vendor, garbled, json, parse, segment};
use crate::{Result, codes};

pub(super) struct Client {
    pub(super) rest: Rest,
}

pub(super) static VENDOR: Vendor = Vendor {
    name: "Cloudflare",
    endpoint: "https://api.cloudflare.com/client/v4",
    header: ("authorization", "Bearer "),
    agent: AGENT,
    codes: &CODES,
    said,
};

const SCOPES: &str = "make an API token at https://dash.cloudflare.com/profile/api-tokens with the permissions \
                      Zone: Read and DNS: Edit for the zone; a global API key does not do";

fn said(answer: &Response) -> Said {
    let problem: Problem = parse(answer).unwrap_or_default();
    let all = || problem.errors.iter().flat_map(|e| std::iter::once(e).chain(&e.error_chain));
    let code = all().find_map(|complaint| meaning(complaint.code));
    let words =
        |e: &Complaint| if e.code == 0 { e.message.clone() } else { format!("{} ({})", e.message, e.code) };
    let denied = matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        || code == Some(&codes::CREDENTIALS);
    Said {
        message: all().map(words).collect::<Vec<_>>().join("; "),
        code,
        hint: denied.then_some(SCOPES),
        request_id: answer.headers().get("cf-ray").and_then(|v| v.to_str().ok().map(str::to_owned)),
    }
}

/// Returns the meaning of a Cloudflare error number, if the status does not determine it.
fn meaning(number: u32) -> Option<&'static Code> {
    Some(match number {
        // Malformed headers, an unknown or disabled token, one that lacks a permission.
        6003 | 6111 | 9103 | 9106 | 9109 | 10_000 | 10_001 => &codes::CREDENTIALS,
        // No such zone, or one that the token does not see.
        7003 => &codes::ZONE_NOT_FOUND,
        // A record that is gone, is there already, or meets a CNAME that was not there.
        81_044 | 81_053 | 81_054 | 81_057 | 81_058 => &codes::STALE,
        971 => &codes::RATE_LIMITED,
        _ => return None,
    })
}

impl Client {
    /// Returns the zones with a name, or all zones, from all pages.
    pub(super) async fn zones(&self, name: Option<&str>) -> Result<Vec<ListedZone>> {
        let filter = name.map(|name| format!("&name={}", segment(name))).unwrap_or_default();
        let path = format!("/zones?per_page=50{filter}");
        self.rest
            .list(&path, page, |zone: &ListedZone| zone.id.clone())
            .await
            .map_err(|failure| failure.error)
    }

    /// Returns all records of a zone, from all pages.
    pub(super) async fn records(&self, zone: &str) -> Result<Vec<Listed>, Failure> {
        let path = format!("/zones/{}/dns_records?per_page=5000", segment(zone));
        self.rest.list(&path, page, |record: &Listed| record.id.clone()).await
    }

    /// Executes a batch atomically: deletions first, then patches, then new records. It is sent only once.
    pub(super) async fn batch(&self, zone: &str, body: &BatchBody) -> Result<(), Failure> {
        let path = format!("/zones/{}/dns_records/batch", segment(zone));
        let answer = self.rest.once(&Method::POST, &path, Some(&json(body))).await?;
        match parse::<Envelope<serde_json::Value>>(&answer) {
            Some(Envelope { success: true, .. }) => Ok(()),
            _ => Err(Failure { unknown: true, ..garbled(&path).into() }),
        }
    }
}

fn page<T: DeserializeOwned>(answer: &Response) -> Option<Page<T>> {
    let envelope: Envelope<Vec<T>> = parse(answer)?;
    let entries = envelope.success.then_some(envelope.result)??;
    let info = envelope.result_info;
    let more = info.as_ref().is_some_and(|i| i.total_pages.is_some_and(|pages| i.page < pages));
    Some(Page { entries, more, total: info.and_then(|i| i.total_count) })
}
