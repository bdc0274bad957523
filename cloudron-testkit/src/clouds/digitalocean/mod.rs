//! A double of the interface of DigitalOcean that keeps its state.
//!
//! It has droplets, actions, tags, SSH keys, firewalls, reserved addresses, domains with their records, and the lists of
//! what can be bought. Names of droplets are not unique and no call is idempotent, as at DigitalOcean. Requests with
//! unknown or missing fields are refused, and a new droplet is handed to a hypervisor of the test, which can boot a machine
//! with its user-data.
//!
//! Undocumented behaviour is modelled like this: an action is done after [`Settings::polls`] look-ups of it or of its
//! droplet, or as many attempts to delete that droplet; a deleted droplet is there for as many look-ups; only the list by
//! a tag is late; a tag that exists cannot be made again; tags stay when their
//! droplet failed, or was refused for lack of quota.

mod catalog;
mod checks;
mod domains;
mod droplets;
mod firewalls;
mod keys;
mod reserved;
mod state;
mod tags;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use self::state::State;
use super::Hypervisor;
use super::door::{self, Answer, Call, Log};
use crate::fault::Fault;

/// How the double behaves, besides single faults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// After how many look-ups an action is done.
    pub polls: u32,
    /// How many lists by a tag do not show a droplet that was just made.
    pub hidden: u32,
    /// How many look-ups by ID do not find a droplet or its action that was just made.
    pub late: u32,
    /// How many lists and look-ups show a droplet that was just made without its tags.
    pub untagged: u32,
    /// How many droplets the account may have.
    pub quota: usize,
    /// Sizes and regions where no droplet can be made.
    pub full: Vec<(String, String)>,
    /// True if a creation is accepted and its action then fails, for lack of a place.
    pub no_place: bool,
    /// True if lists always announce one more page.
    pub endless: bool,
    /// True if the token may only read.
    pub read_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            polls: 1,
            hidden: 0,
            late: 0,
            untagged: 0,
            quota: 10,
            full: Vec::new(),
            no_place: false,
            endless: false,
            read_only: false,
        }
    }
}

/// A running double. It ends with the test's process. Clones are the same.
#[derive(Clone)]
pub struct DigitalOcean {
    endpoint: String,
    state: Arc<Mutex<State>>,
    log: Arc<Mutex<Log>>,
}

impl DigitalOcean {
    /// Starts a double that accepts one token. Droplets run on a hypervisor, for example a function that
    /// returns the address of a new one.
    ///
    /// # Panics
    /// If no port is available.
    pub fn start(token: &str, hypervisor: impl Hypervisor + 'static) -> Self {
        let state = Arc::new(Mutex::new(State::new(token, Box::new(hypervisor))));
        let log = Arc::new(Mutex::new(Log::default()));
        let theirs = state.clone();
        let handler = move |call: &Call| theirs.lock().unwrap_or_else(|e| e.into_inner()).handle(call);
        let address = door::serve(log.clone(), Arc::new(handler), Arc::new(refusal));
        Self { endpoint: format!("http://{address}"), state, log }
    }

    /// Returns the address for clients: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Changes how the double behaves.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state().settings);
    }

    /// Lets the call with that number fail; the next one is number 1.
    pub fn fault(&self, number: usize, fault: Fault) {
        let mut log = self.log();
        let at = log.calls.len() + number;
        log.faults.insert(at, fault);
    }

    /// Accepts another token from now on.
    pub fn replace_token(&self, token: &str) {
        self.state().token = token.to_owned();
    }

    /// Returns the calls since the last time: method and path with query.
    #[must_use]
    pub fn take_calls(&self) -> Vec<(String, String)> {
        let mut log = self.log();
        log.faults.clear();
        std::mem::take(&mut log.calls)
    }

    /// Returns what exists, as `droplets my.example.com`.
    #[must_use]
    pub fn resources(&self) -> Vec<String> {
        self.state().resources()
    }

    /// Returns what exists of a kind, such as `droplets`, as the interface shows it.
    #[must_use]
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        self.state().objects(kind)
    }

    /// Returns the user-data of every droplet that was ever made.
    #[must_use]
    pub fn user_data(&self) -> Vec<String> {
        self.state().user_data.clone()
    }

    /// Adds or replaces something without a call, as somebody else would.
    pub fn put(&self, method: &str, path: &str, body: &Value) -> Answer {
        let mut state = self.state();
        let credential = format!("Bearer {}", state.token);
        let (method, path) = (method.to_owned(), format!("/v2{path}"));
        state.handle(&Call {
            method,
            path,
            query: Vec::new(),
            credential,
            body: body.to_string().into_bytes(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// The answer to a call that is refused.
fn refusal(status: u16, code: &str) -> Answer {
    refused(status, code, &format!("refused: {code}"))
}

fn refused(status: u16, id: &str, message: &str) -> Answer {
    let body = json!({ "id": id, "message": message, "request_id": "double" });
    Answer { status, body, headers: vec![("x-request-id", "double".into())] }
}

fn unprocessable(message: &str) -> Answer {
    refused(422, "unprocessable_entity", message)
}

fn ok(status: u16, body: Value) -> Answer {
    Answer { status, body, headers: Vec::new() }
}
