//! A strict model of Route 53 according to its API reference: atomic batches, limits, error codes, pages, and faults on
//! demand.

mod changes;
mod http;
mod lists;
mod xml;

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use cloudron_dns::conformance::{Calls, Injection};

use http::serve;
use xml::between;

/// The fault of the next request that writes or reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Throttled,
    Busy,
    ServerError,
    /// Another server answers, for example a proxy with an HTML page.
    WebPage,
    /// The connection breaks after the request was executed.
    CutAfter,
    DeniedByName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    pub ttl: String,
    pub values: Vec<String>,
    /// Properties beyond a plain set, as XML that follows the type.
    pub more: String,
}

/// The reversed labels of the name, the type, and the set's identifier.
type Key = (String, String, String);

#[derive(Debug, Clone)]
pub(crate) struct HostedZone {
    pub id: String,
    pub name: String,
    pub private: bool,
    pub sets: BTreeMap<Key, Set>,
}

#[derive(Default)]
pub(crate) struct State {
    pub zones: Vec<HostedZone>,
    pub requests: Vec<String>,
    pub faults: VecDeque<Fault>,
    pub injection: Option<Injection>,
    pub calls: Calls,
    /// How often a change is still pending when queried.
    pub pending: usize,
    /// Maximum number of items in a page, if less than requested.
    pub page: usize,
    changes: usize,
}

#[derive(Clone)]
pub(crate) struct Model {
    pub state: Arc<Mutex<State>>,
    pub endpoint: String,
}

pub(crate) fn turned(name: &str) -> String {
    let mut labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    labels.reverse();
    labels.join(".") + "."
}

impl HostedZone {
    pub(crate) fn new(id: &str, name: &str) -> Self {
        let mut zone = Self { id: id.into(), name: name.into(), private: false, sets: BTreeMap::new() };
        zone.put(name, "NS", "172800", &["ns-1.awsdns-01.org."], "");
        let soa = "ns-1.awsdns-01.org. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
        zone.put(name, "SOA", "900", &[soa], "");
        zone
    }

    pub(crate) fn put(&mut self, name: &str, rtype: &str, ttl: &str, values: &[&str], more: &str) {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        let identifier = between(more, "SetIdentifier").unwrap_or_default();
        let set = Set { ttl: ttl.into(), values, more: more.into() };
        self.sets.insert((turned(name), rtype.into(), identifier), set);
    }
}

impl Model {
    pub(crate) fn start(zones: Vec<HostedZone>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { zones, page: usize::MAX, ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { state, endpoint }
    }

    /// Returns the requests since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    pub(crate) fn fault(&self, faults: &[Fault]) {
        self.state.lock().unwrap().faults.extend(faults);
    }
}
