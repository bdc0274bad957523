//! DigitalOcean's DNS interface as its documentation and its users describe it, in this process: it keeps records
//! with ids, answers in pages, checks every request, limits their rate and fails on demand.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::{Clock, Error, Result};
use cloudron_dns::codes;
use cloudron_dns::conformance::{Calls, Injection};
use cloudron_http::{HttpTransport, Request, Response};
use serde_json::{Map, Value, json};

use crate::clock::FakeClock;

pub const TOKEN: &str = "dop_v1_0123456789abcdef";

/// The failure that a request gets instead of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// 429, with `retry-after`.
    RetryAfter(u64),
    /// 429, with `ratelimit-reset`.
    Reset(u64),
    /// 500, and nothing was done.
    Broken,
    /// 500, and it was done.
    BrokenAfter,
    /// The connection broke before anything was done.
    CutBefore,
    /// The connection broke after it was done.
    CutAfter,
    /// It was done, and the answer is half a JSON.
    Garbled,
    Refused,
    Unauthorized,
    Forbidden,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub id: u64,
    /// The fields as they are answered.
    pub fields: Map<String, Value>,
}

impl Record {
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns its contents without id and TTL.
    pub fn meaning(&self) -> String {
        let mut fields = self.fields.clone();
        fields.remove("ttl");
        Value::Object(fields).to_string()
    }
}

#[derive(Default)]
pub struct State {
    pub zones: BTreeMap<String, Vec<Record>>,
    pub next_id: u64,
    /// Method and path of every request.
    pub log: Vec<String>,
    /// The rules that requests broke, as text.
    pub violations: Vec<String>,
    pub faults: VecDeque<Fault>,
    pub injection: Option<Injection>,
    pub calls: Calls,
    /// The most requests in a minute.
    pub limit: Option<usize>,
    pub window: (u64, usize),
    /// A name and type that must have a record after every request.
    pub watched: Option<(String, String)>,
    /// The number of further list requests during which a record moves to another page.
    pub shifts: usize,
}

pub struct Model {
    state: Mutex<State>,
    pub clock: Arc<FakeClock>,
}

type Answer = (u16, Value);

fn refused(message: &str) -> Answer {
    (422, json!({"id": "unprocessable_entity", "message": message, "request_id": "req-422"}))
}

fn missing() -> Answer {
    (404, json!({"id": "not_found", "message": "The resource you were accessing could not be found."}))
}

impl Model {
    pub fn new() -> Arc<Self> {
        let model = Self { state: Mutex::default(), clock: Arc::default() };
        model.lock().next_id = 1000;
        Arc::new(model)
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A zone as the real one makes it: with an SOA and three name servers.
    pub fn zone(&self, name: &str) {
        let mut state = self.lock();
        state.zones.insert(name.into(), Vec::new());
        state.put(name, json!({"type": "SOA", "name": "@", "data": "1800", "ttl": 1800}));
        for n in 1..=3 {
            let data = format!("ns{n}.digitalocean.com");
            state.put(name, json!({"type": "NS", "name": "@", "data": data, "ttl": 1800}));
        }
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults = faults.into_iter().collect();
    }

    /// The requests since the last time this was asked.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    pub fn records(&self, zone: &str) -> Vec<Record> {
        self.lock().zones[zone].clone()
    }

    /// One request; `None` when the connection breaks.
    pub fn answer(&self, request: &Request) -> Option<Response> {
        let seconds = self.clock.monotonic().as_secs();
        let mut state = self.lock();
        let (method, path) = (request.method().as_str(), request.uri().path().to_owned());
        state.log.push(format!("{method} {}", request.uri().path_and_query().unwrap()));
        state.check_head(request);
        let fault = state.next_fault(method != "GET");
        if state.limit.is_some_and(|limit| {
            let minute = seconds / 60;
            let used = if state.window.0 == minute { state.window.1 } else { 0 };
            state.window = (minute, used + 1);
            used >= limit
        }) {
            return Some(limited("retry-after", 60 - seconds % 60));
        }
        let plain = |status, body: Value| Some(response(status, body.to_string()));
        let server_error =
            json!({"id": "server_error", "message": "Server was unable to give you a response."});
        match fault {
            Fault::RetryAfter(wait) => return Some(limited("retry-after", wait)),
            Fault::Reset(wait) => return Some(limited("ratelimit-reset", 1_700_000_000 + seconds + wait)),
            Fault::Broken => return plain(500, server_error),
            Fault::CutBefore => return None,
            Fault::Refused => {
                let (status, body) = refused("Something is wrong");
                return plain(status, body);
            }
            Fault::Unauthorized => {
                let message = format!("Unable to authenticate you with {TOKEN}");
                return plain(
                    401,
                    json!({"id": "Unauthorized", "message": message, "request_id": "req-401"}),
                );
            }
            Fault::Forbidden => {
                return plain(403, json!({"id": "Forbidden", "message": "You are not authorized"}));
            }
            _ => {}
        }
        let (status, body) = state.route(method, &path, request);
        if let Some((name, rtype)) = state.watched.clone() {
            let there = |r: &Record| r.text("name") == name && r.text("type") == rtype;
            if !state.zones.values().flatten().any(there) {
                state.violations.push(format!("{name} {rtype} was gone after {method} {path}"));
            }
        }
        match fault {
            Fault::BrokenAfter => plain(500, server_error),
            Fault::CutAfter => None,
            Fault::Garbled => Some(response(status, "{\"domain_rec".into())),
            _ if status == 204 => Some(response(204, String::new())),
            _ => plain(status, body),
        }
    }
}

fn response(status: u16, body: String) -> Response {
    let response = http::Response::builder().status(status).header("content-type", "application/json");
    response.header("x-request-id", "req-header").body(Bytes::from(body)).unwrap()
}

fn limited(header: &str, value: u64) -> Response {
    let mut answer =
        response(429, json!({"id": "too_many_requests", "message": "API Rate limit exceeded."}).to_string());
    answer.headers_mut().insert(http::HeaderName::try_from(header).unwrap(), value.into());
    answer
}

impl State {
    pub fn put(&mut self, zone: &str, fields: Value) -> u64 {
        self.next_id += 1;
        let record = Record { id: self.next_id, fields: fields.as_object().unwrap().clone() };
        self.zones.get_mut(zone).unwrap().push(record);
        self.next_id
    }

    fn check_head(&mut self, request: &Request) {
        let header =
            |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let mut wrong = Vec::new();
        if header("authorization") != format!("Bearer {TOKEN}") {
            wrong.push("the token");
        }
        if request.uri().host().is_some_and(|host| host != "api.digitalocean.com" && host != "127.0.0.1") {
            wrong.push("the host");
        }
        let has_body = matches!(request.method().as_str(), "POST" | "PUT");
        if has_body != (header("content-type") == "application/json") || has_body == request.body().is_empty()
        {
            wrong.push("the body");
        }
        for what in wrong {
            self.violations.push(format!("{what} of {} {}", request.method(), request.uri()));
        }
    }

    fn route(&mut self, method: &str, path: &str, request: &Request) -> Answer {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let body: Option<Map<String, Value>> = serde_json::from_slice(request.body()).ok();
        match (method, &parts[..], body) {
            ("GET", ["v2", "domains"], None) => {
                let zones = self.zones.keys().map(|name| json!({"name": name, "ttl": 1800})).collect();
                page("domains", zones, request)
            }
            ("GET", ["v2", "domains", zone, "records"], None) => {
                let Some(records) = self.zones.get(*zone) else { return missing() };
                let listed = records.iter().map(|r| {
                    let mut fields = r.fields.clone();
                    fields.insert("id".into(), r.id.into());
                    Value::Object(fields)
                });
                let answer = page("domain_records", listed.collect(), request);
                if self.shifts > 0 {
                    self.shifts -= 1;
                    let first = self.zones.get_mut(*zone).unwrap().iter().position(|r| r.text("type") == "A");
                    if let Some(at) = first {
                        self.zones.get_mut(*zone).unwrap().remove(at);
                    }
                }
                answer
            }
            ("POST", ["v2", "domains", zone, "records"], Some(body)) => {
                if !self.zones.contains_key(*zone) {
                    return missing();
                }
                match self.stored(zone, &body, None) {
                    Ok(fields) => {
                        let id = self.put(zone, Value::Object(fields.clone()));
                        self.rectify(zone, &fields);
                        (201, json!({"domain_record": with_id(fields, id)}))
                    }
                    Err(message) => refused(&message),
                }
            }
            ("PUT", ["v2", "domains", zone, "records", id], Some(body)) => {
                let Some(id) = self.find(zone, id) else { return missing() };
                match self.stored(zone, &body, Some(id)) {
                    Ok(fields) => {
                        let records = self.zones.get_mut(*zone).unwrap();
                        records.iter_mut().find(|r| r.id == id).unwrap().fields = fields.clone();
                        self.rectify(zone, &fields);
                        (200, json!({"domain_record": with_id(fields, id)}))
                    }
                    Err(message) => refused(&message),
                }
            }
            ("DELETE", ["v2", "domains", zone, "records", id], None) => {
                let Some(id) = self.find(zone, id) else { return missing() };
                let records = self.zones.get_mut(*zone).unwrap();
                let at = records.iter().position(|r| r.id == id).unwrap();
                let gone = records.remove(at);
                if gone.text("type") == "SOA" || (gone.text("type") == "NS" && gone.text("name") == "@") {
                    self.violations.push(format!("{gone:?} was deleted"));
                }
                (204, Value::Null)
            }
            _ => {
                self.violations.push(format!("there is no {method} {path}"));
                missing()
            }
        }
    }

    fn find(&self, zone: &str, id: &str) -> Option<u64> {
        let id = id.parse().ok()?;
        self.zones.get(zone)?.iter().any(|r| r.id == id).then_some(id)
    }

    /// All records of a set have one time to live: the last one given.
    fn rectify(&mut self, zone: &str, fields: &Map<String, Value>) {
        for record in self.zones.get_mut(zone).unwrap() {
            if record.fields["name"] == fields["name"] && record.fields["type"] == fields["type"] {
                record.fields["ttl"] = fields["ttl"].clone();
            }
        }
    }

    /// A record as it is kept and answered, or why it is refused.
    fn stored(
        &mut self,
        zone: &str,
        body: &Map<String, Value>,
        id: Option<u64>,
    ) -> Result<Map<String, Value>, String> {
        let text = |field: &str| body.get(field).and_then(Value::as_str).ok_or(format!("{field} is missing"));
        let number = |field: &str, most: u64| match body.get(field).and_then(Value::as_u64) {
            Some(number) if number <= most => Ok(number),
            _ => Err(format!("{field} can't be blank")),
        };
        let (rtype, name, data) =
            (text("type")?.to_owned(), text("name")?.to_owned(), text("data")?.to_owned());
        let needed: &[&str] = match &*rtype {
            "MX" => &["priority"],
            "SRV" => &["priority", "port", "weight"],
            "CAA" => &["flags", "tag"],
            _ => &[],
        };
        let known = ["type", "name", "data", "ttl"];
        if let Some(other) = body.keys().find(|k| !known.contains(&&***k) && !needed.contains(&&***k)) {
            self.violations.push(format!("{other} was sent with {rtype}"));
        }
        if name.ends_with('.') || name.is_empty() {
            self.violations.push(format!("the name {name} is not relative"));
        }
        if number("ttl", u64::from(u32::MAX))? < 30 {
            return Err("ttl must be greater than 30".into());
        }
        let mut kept = body.clone();
        let dotted = |data: &str| match data.strip_suffix('.') {
            Some("") | None => Err("Data needs to end with a dot (.)".to_owned()),
            Some(target) if target == zone => Ok("@".to_owned()),
            Some(target) => Ok(target.to_owned()),
        };
        for field in needed.iter().filter(|f| **f != "tag") {
            number(field, if *field == "flags" { 255 } else { 65535 })?;
        }
        let data = match &*rtype {
            "A" => data.parse::<Ipv4Addr>().map(|_| data).map_err(|_| "IP address is invalid")?,
            "AAAA" => data.parse::<Ipv6Addr>().map(|_| data).map_err(|_| "IP address is invalid")?,
            "CNAME" | "MX" | "SRV" => dotted(&data)?,
            "NS" if name != "@" => dotted(&data)?,
            "TXT" if data.is_empty() || data.contains('\\') => return Err("Data is invalid".into()),
            "TXT" if data.len() + data.matches('"').count() + 3 * data.len().div_ceil(255) - 1 > 509 => {
                return Err("Data is too long".into());
            }
            "TXT" => data,
            "CAA" => match text("tag")? {
                "issue" | "issuewild" => dotted(&data)?,
                "iodef" => data,
                _ => return Err("Tag is not included in the list".into()),
            },
            _ => {
                self.violations.push(format!("{rtype} {name} was written"));
                return Err("Type is not included in the list".into());
            }
        };
        kept.insert("data".into(), data.into());
        let others: Vec<&Record> =
            self.zones[zone].iter().filter(|r| Some(r.id) != id && r.text("name") == name).collect();
        let cname = rtype == "CNAME";
        if cname && name == "@" {
            return Err("CNAME cannot be at the top".into());
        }
        if (cname && !others.is_empty()) || others.iter().any(|r| r.text("type") == "CNAME") {
            return Err("CNAME records cannot share a name with other records".into());
        }
        let before = id.and_then(|id| self.zones[zone].iter().find(|r| r.id == id));
        if before.is_some_and(|r| r.text("type") != rtype || r.text("name") != name) {
            self.violations.push(format!("{name} {rtype} took the place of another set's record"));
        }
        let twin = Record { id: 0, fields: kept.clone() }.meaning();
        if others.iter().any(|r| r.meaning() == twin) {
            self.violations.push(format!("{twin} was made twice"));
        }
        Ok(kept)
    }
}

fn with_id(mut fields: Map<String, Value>, id: u64) -> Value {
    fields.insert("id".into(), id.into());
    // What does not belong to a type is answered as null.
    fields.entry("priority").or_insert(Value::Null);
    Value::Object(fields)
}

fn page(what: &str, entries: Vec<Value>, request: &Request) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    let number = |name: &str| {
        let field = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        field.and_then(|text| text.parse::<usize>().ok())
    };
    let (per_page, number) = (number("per_page").unwrap_or(20), number("page").unwrap_or(1));
    if per_page > 200 || number == 0 {
        return refused("per_page must be at most 200");
    }
    let total = entries.len();
    let shown: Vec<Value> = entries.into_iter().skip((number - 1) * per_page).take(per_page).collect();
    let pages = if number * per_page < total {
        // Another host, as a proxy or an attacker would have it.
        let next = format!("https://elsewhere.example/v2/domains?page={}&per_page={per_page}", number + 1);
        json!({"next": next, "last": next})
    } else {
        json!({})
    };
    (200, json!({what: shown, "links": {"pages": pages}, "meta": {"total": total}}))
}

#[async_trait]
impl HttpTransport for Model {
    async fn send(&self, request: Request) -> Result<Response> {
        let cut = || Error::new(&codes::PROVIDER_DOWN, "connection reset by peer");
        self.answer(&request).ok_or_else(cut)
    }
}
