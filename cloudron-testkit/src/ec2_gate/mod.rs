//! A gate in front of [`Moto`]: adds what moto lacks of EC2, and fails on request.
//!
//! - A client token starts one instance: the same request again is answered as before, another one with the same token is an
//!   `IdempotentParameterMismatch`.
//! - What was made is not visible at first, for as many looks as the test wants.
//! - A zone has no capacity.
//! - An instance ends slowly, and holds its groups, subnet and network until then.
//! - An instance that is protected from its start on is protected; instances are found by their token.
//! - Any call fails, or its answer is lost.
//!
//! Other services are passed on as they are. Signatures are not checked.

mod http;
mod rules;
mod xml;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use self::http::{Request, Response};
use self::rules::Rules;
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
    faults: Vec<(usize, Fault)>,
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

    /// Hides what is made from now on for so many looks at it.
    pub fn hide_new(&self, looks: u32) {
        self.rules(|rules| rules.hide = looks);
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
    if request.service() != Some("ec2") {
        return Some(http::forward(behind, request));
    }
    let mut state = state.lock().expect("no test panics in here");
    let number = state.calls.len();
    state.calls.push(request.parameter("Action").unwrap_or_default().to_owned());
    let fault = state.faults.iter().position(|(at, _)| *at == number).map(|at| state.faults.remove(at).1);
    Fault::carry_out(fault, || state.rules.apply(behind, request), xml::refusal)
}
