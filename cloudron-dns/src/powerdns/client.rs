//! Requests and answers.

use cloudron_http::Response;
use http::{Method, StatusCode};

use super::types::{Patch, Problem, Zone};
use crate::rest::{AGENT, CODES, Failure, Rest, Said, Vendor, garbled, json, parse, segment};
use crate::{Result, codes};

pub(super) struct Client {
    pub(super) rest: Rest,
    /// The server behind the interface.
    pub(super) server: String,
}

pub(super) static VENDOR: Vendor = Vendor {
    name: "PowerDNS",
    endpoint: "http://127.0.0.1:8081",
    header: ("x-api-key", ""),
    agent: AGENT,
    codes: &CODES,
    said,
};

fn said(answer: &Response) -> Said {
    let message = parse::<Problem>(answer).unwrap_or_default().error;
    let hint = match answer.status() {
        StatusCode::UNAUTHORIZED => Some("give the server's `api-key`, and check `webserver-allow-from`"),
        _ => None,
    };
    // <https://github.com/PowerDNS/pdns/blob/master/pdns/ws-auth.cc> has these words.
    let clash = message.contains("Conflicts with") || message.contains("conflicts with");
    let code = (answer.status() == StatusCode::UNPROCESSABLE_ENTITY && clash).then_some(&codes::CONFLICT);
    Said { message, code, hint, request_id: None }
}

impl Client {
    fn zones(&self) -> String {
        format!("/api/v1/servers/{}/zones", segment(&self.server))
    }

    fn path(&self, id: &str) -> String {
        format!("{}/{}", self.zones(), segment(id))
    }

    /// Returns all zones, without their sets. The interface has no pages.
    pub(super) async fn list(&self) -> Result<Vec<Zone>> {
        let path = self.zones();
        let answer = self.rest.repeat(&Method::GET, &path, None).await.map_err(|failure| failure.error)?;
        parse(&answer).ok_or_else(|| garbled(&path))
    }

    /// Returns a zone with all its sets; `None` if the zone does not exist.
    pub(super) async fn zone(&self, id: &str) -> Result<Option<Zone>> {
        let path = self.path(id);
        match self.rest.repeat(&Method::GET, &path, None).await {
            Ok(answer) => parse(&answer).ok_or_else(|| garbled(&path)).map(Some),
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    /// Applies all changes or none. It is sent only once: a repetition would overwrite changes that others wrote in
    /// between.
    pub(super) async fn patch(&self, id: &str, patch: &Patch) -> Result<(), Failure> {
        self.rest.once(&Method::PATCH, &self.path(id), Some(&json(patch))).await.map(|_| ())
    }
}
