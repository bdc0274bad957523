//! Code that models of REST interfaces share: faults, a clock that nobody waits for, checks of every request; and the
//! promises that are the same at every such provider.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::{Clock, Error, Progress, Result};
use cloudron_dns::{
    DnsProvider, Intent, Ownership, PlanOptions, RecordSet, RecordType, Ttl, Zone, apply, codes, find_zone,
    plan_for,
};
use cloudron_http::{HttpTransport, Request, Response};
use proptest::prelude::*;
use serde_json::Value;

use crate::clock::FakeClock;
pub use crate::task::{name, set};

/// The failure that a request gets instead of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// 429, with `retry-after`.
    RetryAfter(u64),
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
    /// An answer of that status, with the token in its words.
    Status(u16),
}

/// The interface of a vendor.
pub trait Service: Default + Send + 'static {
    const HOST: &str;
    const TOKEN: &str;
    /// Carries a request out; `wrong` takes what no client may send.
    fn route(&mut self, call: &Call<'_>, wrong: &mut Vec<String>) -> (u16, Value);
    /// The body of an error.
    fn complaint(status: u16, message: &str) -> Value;
    /// Every record that is not the vendor's own, one line each: name, type, value and comment.
    fn records(&self, zone: &str) -> Vec<String>;
}

pub struct Call<'a> {
    pub method: &'a str,
    /// The segments of the path, decoded.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    /// The body, or null.
    pub body: Value,
    /// By the clock of the test. Not every service cares.
    #[allow(dead_code)]
    pub now: Duration,
}

impl Call<'_> {
    pub fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

pub struct State<S> {
    pub service: S,
    /// Method and path of every request.
    pub log: Vec<String>,
    /// The rules that requests broke, as text.
    pub violations: Vec<String>,
    pub faults: VecDeque<Fault>,
    /// The requests that ask and those that write, by number.
    pub calls: (usize, usize),
    /// True if writes fail, false if reads; then how many pass first, how many fail after that, and how.
    pub injected: Option<(bool, usize, usize, Fault)>,
    /// A name and type that must have a record after every request.
    pub watched: Option<String>,
}

impl<S> State<S> {
    /// Counts a request, and says what happens to it.
    fn next_fault(&mut self, writes: bool) -> Fault {
        let (reads, written) = self.calls;
        self.calls = (reads + usize::from(!writes), written + usize::from(writes));
        let Some((_, after, times, fault)) = self.injected.as_mut().filter(|(w, ..)| *w == writes) else {
            return self.faults.pop_front().unwrap_or(Fault::None);
        };
        if *after > 0 || *times == 0 {
            *after = after.saturating_sub(1);
            return Fault::None;
        }
        *times -= 1;
        *fault
    }
}

pub struct Model<S> {
    state: Mutex<State<S>>,
    pub clock: Arc<FakeClock>,
}

impl<S: Service> Model<S> {
    pub fn new(service: S) -> Arc<Self> {
        let (log, violations, faults) = (Vec::new(), Vec::new(), VecDeque::new());
        let state = State { service, log, violations, faults, calls: (0, 0), injected: None, watched: None };
        Arc::new(Self { state: Mutex::new(state), clock: Arc::default() })
    }

    pub fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap()
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults = faults.into_iter().collect();
    }

    /// The requests since the last time this was asked.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    pub fn records(&self) -> Vec<String> {
        self.lock().service.records("example.com")
    }

    pub fn none_wrong(&self) {
        assert_eq!(self.lock().violations, Vec::<String>::new());
    }

    /// One request; `None` when the connection breaks.
    fn answer(&self, request: &Request) -> Option<Response> {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.log.push(format!("{} {}", request.method(), request.uri().path_and_query().unwrap()));
        state.violations.extend(head_problems::<S>(request));
        let fault = state.next_fault(request.method() != "GET");
        let complaint = |status, message: &str| Some(response(status, S::complaint(status, message)));
        match fault {
            Fault::RetryAfter(wait) => {
                let mut answer = complaint(429, "too many requests")?;
                answer.headers_mut().insert("retry-after", wait.into());
                return Some(answer);
            }
            Fault::Broken => return complaint(500, "broken"),
            Fault::CutBefore => return None,
            Fault::Status(status) => return complaint(status, &format!("no good: {}", S::TOKEN)),
            _ => {}
        }
        let (status, body) =
            state.service.route(&call(request, self.clock.monotonic()), &mut state.violations);
        if let Some(watched) = &state.watched
            && !state.service.records("example.com").iter().any(|line| line.starts_with(watched))
        {
            state.violations.push(format!("{watched} was gone after {}", request.uri()));
        }
        match fault {
            Fault::BrokenAfter => complaint(500, "broken"),
            Fault::CutAfter => None,
            Fault::Garbled => Some(response(status, Value::Null).map(|_| Bytes::from_static(b"{\"resu"))),
            _ => Some(response(status, body)),
        }
    }
}

fn call<'a>(request: &'a Request, now: Duration) -> Call<'a> {
    let query = request.uri().query().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Call {
        method: request.method().as_str(),
        path: request.uri().path().trim_start_matches('/').split('/').map(decoded).collect(),
        query: pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect(),
        body: serde_json::from_slice(request.body()).unwrap_or(Value::Null),
        now,
    }
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

fn head_problems<S: Service>(request: &Request) -> Vec<String> {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut wrong = Vec::new();
    if header("authorization") != format!("Bearer {}", S::TOKEN) {
        wrong.push("the token");
    }
    if !request.headers().get("authorization").is_some_and(http::HeaderValue::is_sensitive) {
        wrong.push("the openness of the token");
    }
    if request.uri().host() != Some(S::HOST) {
        wrong.push("the host");
    }
    let has_body = request.method() == "POST";
    let json = serde_json::from_slice::<Value>(request.body()).is_ok();
    if has_body != (header("content-type") == "application/json") || has_body != json {
        wrong.push("the body");
    }
    wrong.iter().map(|what| format!("{what} of {} {}", request.method(), request.uri())).collect()
}

fn response(status: u16, body: Value) -> Response {
    let builder = http::Response::builder().status(status).header("content-type", "application/json");
    let builder = builder.header("cf-ray", "ray-1").header("x-correlation-id", "ray-1");
    builder.body(Bytes::from(body.to_string())).unwrap()
}

#[async_trait]
impl<S: Service> HttpTransport for Model<S> {
    async fn send(&self, request: Request) -> Result<Response> {
        self.answer(&request).ok_or_else(|| Error::new(&codes::PROVIDER_DOWN, "connection reset by peer"))
    }
}

pub fn wish() -> Vec<Intent> {
    vec![Intent::Exactly(set("my.example.com", RecordType::A, &["192.0.2.1"]))]
}

/// Finds the zone, plans and applies, as one run of a program does.
pub async fn run_once(provider: &dyn DnsProvider, desired: &[Intent], ours: &mut Ownership, prune: bool) {
    let zone = find_zone(provider, &name("example.com")).await.unwrap();
    let options = PlanOptions::default().prune(prune).allow_mass_deletion(true);
    let (plan, basis) = plan_for(provider, &zone, desired, ours, &options).await.unwrap();
    apply(provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
    *ours = plan.ownership;
}

/// One run; what is ours is written down before and after, as callers do.
pub async fn bring(
    provider: &dyn DnsProvider,
    zone: &Zone,
    desired: &[Intent],
    ours: &mut Ownership,
) -> Result<usize> {
    let options = PlanOptions::default().prune(true).allow_mass_deletion(true);
    let (plan, basis) = plan_for(provider, zone, desired, ours, &options).await?;
    *ours = ours.union(&plan.ownership);
    apply(provider, &plan, Some(&basis), &Progress::none()).await.map_err(Error::from)?;
    *ours = plan.ownership;
    Ok(plan.changes.len())
}

pub fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::RetryAfter(7)),
        1 => Just(Fault::RetryAfter(1000)),
        1 => Just(Fault::Broken),
        2 => Just(Fault::BrokenAfter),
        1 => Just(Fault::CutBefore),
        2 => Just(Fault::CutAfter),
        1 => Just(Fault::Garbled),
        1 => Just(Fault::Status(422)),
    ]
}

prop_compose! {
    pub fn wished(numbers: std::ops::Range<u8>)(
        owner in prop::sample::select(vec!["example.com", "my.example.com", "*.example.com", "a.b.example.com"]),
        text in any::<bool>(),
        ttl in prop::sample::select(vec![60, 300]),
        numbers in prop::collection::btree_set(numbers, 1..4),
    ) -> RecordSet {
        let rtype = if text { RecordType::TXT } else { RecordType::A };
        let value = |n| if text { format!("text {n}") } else { format!("192.0.2.{n}") };
        let values: Vec<String> = numbers.into_iter().map(value).collect();
        let values = values.iter().map(String::as_str);
        RecordSet::parse(name(owner), Ttl::new(ttl).unwrap(), rtype, values).unwrap()
    }
}

/// One set for each key, the first.
pub fn unique(sets: Vec<RecordSet>) -> Vec<RecordSet> {
    let mut seen = BTreeSet::new();
    sets.into_iter().filter(|set| seen.insert(set.key().clone())).collect()
}

pub fn cases() -> ProptestConfig {
    let cases = std::env::var("CLOUDRON_DNS_FAULT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Brings a zone with records of others to several wishes in turn, whatever fails: nothing is lost or doubled.
pub fn survives<S: Service>(
    model: &Arc<Model<S>>,
    provider: &dyn DnsProvider,
    zone: &Zone,
    wishes: Vec<Vec<RecordSet>>,
    faults: Vec<Fault>,
) {
    let before = model.records();
    model.fail(faults);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut ours = Ownership::none();
        for sets in wishes {
            let desired: Vec<Intent> = unique(sets).into_iter().map(Intent::Include).collect();
            let mut tries = 0;
            while let Err(error) = bring(provider, zone, &desired, &mut ours).await {
                tries += 1;
                assert!(tries < 60, "{error:?}");
            }
            assert_eq!(bring(provider, zone, &desired, &mut ours).await.unwrap_or(0), 0);
        }
    });
    let after = model.records();
    for line in &before {
        assert!(after.contains(line), "{line} is lost: {after:?}");
    }
    let different: BTreeSet<&String> = after.iter().collect();
    assert_eq!(different.len(), after.len(), "{after:?}");
    model.none_wrong();
}
