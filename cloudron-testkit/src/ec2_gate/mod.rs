//! A gate in front of [`Moto`]: adds what moto lacks of EC2, and fails on request.
//!
//! - A client token starts one instance: the same request again is answered as before, another one with the same token is an
//!   `IdempotentParameterMismatch`.
//! - What was made is not visible at first, for as many looks as the test wants.
//! - A zone has no capacity.
//! - An instance ends slowly, and holds its groups, subnet and network until then.
//! - An instance that is protected from its start on is protected; instances are found by their token.
//! - What was deleted has no tags any more, and nobody blocks public access unless the test does.
//! - Any call fails, or its answer is lost; calls of an action are refused; credentials are revoked; lists have no end.
//! - An instance that is started boots a machine of the test, and has its address; one that is terminated destroys it.
//!
//! Of other services, the public parameter of an image is the test's, if it says so; the others are passed on as they are.
//! Signatures are not checked.

mod hiding;
mod http;
mod rules;
mod xml;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use self::http::{Request, Response};
use self::rules::Rules;
use crate::clouds::Hypervisor;
pub use crate::fault::Fault;
use crate::moto::Moto;

/// A gate on a port of its own. It lasts as long as the process.
pub struct Gate {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    role_calls: Vec<String>,
    requests: Vec<Vec<(String, String)>>,
    faults: Vec<(usize, Fault)>,
    parameter: Option<String>,
    rules: Rules,
}

impl Gate {
    /// Opens a gate in front of a server.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn before(moto: &Moto) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
        let address = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let behind = moto.endpoint().trim_start_matches("http://").to_owned();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, behind) = (shared.clone(), behind.clone());
                std::thread::spawn(move || {
                    // Whoever gives up in the middle of a request is not answered.
                    let _ = http::serve(stream, |request| answer(&shared, &behind, &request));
                });
            }
        });
        Self { address, state }
    }

    /// Returns its address: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.address.clone()
    }

    /// Hides what is made from now on for so many looks at it. With 0, nothing is hidden any more.
    pub fn hide_new(&self, looks: u32) {
        self.rules(|rules| rules.hiding.hide_new(looks));
    }

    /// Lets instances that are terminated from now on take so many looks to end.
    pub fn end_slowly(&self, looks: u32) {
        self.rules(|rules| rules.slow_end = looks);
    }

    /// Takes the capacity of a zone away: starting an instance there is answered with that code, such as
    /// `InsufficientInstanceCapacity` or `Unsupported`.
    pub fn without_capacity(&self, zone: &str, code: &'static str) {
        self.rules(|rules| _ = rules.full.insert(zone.to_owned(), code));
    }

    /// Boots a machine on a hypervisor for each instance that is started from now on, for example a function that returns
    /// the address of a new one.
    pub fn boot(&self, hypervisor: impl Hypervisor + 'static) {
        self.rules(|rules| rules.hypervisor = Some(Box::new(hypervisor)));
    }

    /// Answers every public parameter with that value.
    ///
    /// # Panics
    /// If a test panicked while it held the gate.
    pub fn parameter(&self, value: &str) {
        self.state.lock().expect("no test panics in here").parameter = Some(value.to_owned());
    }

    /// Refuses an action with that status and code, but for trials of it; with `None` no more.
    pub fn refuse(&self, action: &str, refusal: Option<(u16, &'static str)>) {
        self.rules(|rules| match refusal {
            Some(refusal) => _ = rules.refused.insert(action.to_owned(), refusal),
            None => _ = rules.refused.remove(action),
        });
    }

    /// Refuses trials of an action with that code, such as `PendingVerification`.
    pub fn refuse_trials(&self, code: &'static str) {
        self.rules(|rules| rules.trials = Some(code));
    }

    /// Accepts no credentials, or all of them again.
    pub fn revoke(&self, revoked: bool) {
        self.rules(|rules| rules.revoked = revoked);
    }

    /// Lets every list have another page.
    pub fn endless(&self, endless: bool) {
        self.rules(|rules| rules.endless = endless);
    }

    /// Sets how the account blocks public access: `off`, `block-bidirectional` or `block-ingress`.
    pub fn block_public_access(&self, mode: &'static str) {
        self.rules(|rules| rules.block = mode);
    }

    /// Returns the actions that EC2 was asked for since the last time, in their order, and forgets them and the faults.
    ///
    /// # Panics
    /// If a test panicked while it held the gate.
    pub fn take_calls(&self) -> Vec<String> {
        let mut state = self.state.lock().expect("no test panics in here");
        state.faults.clear();
        state.requests.clear();
        std::mem::take(&mut state.calls)
    }

    /// Returns the actions that IAM was asked for since the last time, in their order.
    ///
    /// # Panics
    /// If a test panicked while it held the gate.
    pub fn take_role_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("no test panics in here").role_calls)
    }

    /// Lets EC2 not know a profile when it is first asked to start an instance with it, so many times.
    pub fn spread_slowly(&self, tries: u32) {
        self.rules(|rules| rules.unknown_profile = tries);
    }

    /// Returns the parameters of the requests to EC2 since [`take_calls`](Self::take_calls).
    ///
    /// # Panics
    /// If a test panicked while it held the gate.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<(String, String)>> {
        self.state.lock().expect("no test panics in here").requests.clone()
    }

    /// Lets the call of that number fail. The first one from now on is number 0.
    ///
    /// # Panics
    /// If a test panicked while it held the gate.
    pub fn fault(&self, number: usize, fault: Fault) {
        let mut state = self.state.lock().expect("no test panics in here");
        let at = state.calls.len() + number;
        state.faults.push((at, fault));
    }

    /// Returns the actions that EC2 was asked for, in their order.
    ///
    /// # Panics
    /// If a test panicked while it held the gate.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().expect("no test panics in here").calls.clone()
    }

    fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.state.lock().expect("no test panics in here").rules);
    }
}

/// Answers a request; `None` breaks the connection.
fn answer(state: &Mutex<State>, behind: &str, request: &Request) -> Option<Response> {
    let mut state = state.lock().expect("no test panics in here");
    match (request.service(), &state.parameter) {
        (Some("ec2"), _) => {}
        (Some("ssm"), Some(value)) => {
            let body = serde_json::json!({ "Parameter": { "Value": value } }).to_string();
            return Some(Response { status: 200, kind: "application/x-amz-json-1.1".into(), body });
        }
        (Some("iam"), _) => {
            let action = request.parameter("Action").unwrap_or_default().to_owned();
            let refused = state.rules.refused.get(&action).map(|(status, code)| xml::refusal(*status, code));
            state.role_calls.push(action.clone());
            drop(state);
            let answer = refused.unwrap_or_else(|| http::forward(behind, request));
            // Moto fails where the profile does not have the role.
            let lacks = action == "RemoveRoleFromInstanceProfile" && answer.status == 500;
            return Some(if lacks { xml::refusal(404, "NoSuchEntity") } else { answer });
        }
        _ => {
            drop(state);
            return Some(http::forward(behind, request));
        }
    }
    let number = state.calls.len();
    state.calls.push(request.parameter("Action").unwrap_or_default().to_owned());
    state.requests.push(request.parameters.clone());
    let fault = state.faults.iter().position(|(at, _)| *at == number).map(|at| state.faults.remove(at).1);
    Fault::carry_out(fault, || state.rules.apply(behind, request), xml::refusal)
}
