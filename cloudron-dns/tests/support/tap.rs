//! Counts what goes to a real server, and lets it fail.

use cloudron_dns::conformance::{Calls, Fault, Injection};

#[derive(Default)]
pub struct Tap {
    pub calls: Calls,
    pub injection: Option<Injection>,
    /// What went of the kind that fails, since that was said.
    pub seen: usize,
    /// Whether writes arrive and their answers do not.
    pub loses_writes: bool,
}

impl Tap {
    /// How often something was sent.
    pub fn sent(&self) -> usize {
        self.calls.reads + self.calls.writes
    }

    /// Counts something that is sent, and says what happens to it.
    pub fn fate(&mut self, writes: bool) -> Option<Fault> {
        if writes {
            self.calls.writes += 1
        } else {
            self.calls.reads += 1
        }
        if writes && self.loses_writes {
            return Some(Fault::CutAfter);
        }
        let injection = self.injection.filter(|injection| injection.writes == writes)?;
        self.seen += 1;
        let fails = injection.after < self.seen && self.seen <= injection.after + injection.times;
        fails.then_some(injection.fault)
    }
}
