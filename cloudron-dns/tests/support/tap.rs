//! Counts messages to a real server, and makes them fail.

use cloudron_dns::conformance::{Calls, Fault, Injection};

#[derive(Default)]
pub struct Tap {
    pub calls: Calls,
    pub injection: Option<Injection>,
    /// Number of messages of the failing kind since the fault was injected.
    pub seen: usize,
    /// True if writes arrive but their responses are lost.
    pub loses_writes: bool,
}

impl Tap {
    /// Returns the number of sent messages.
    pub fn sent(&self) -> usize {
        self.calls.reads + self.calls.writes
    }

    /// Counts a sent message, and returns its fault.
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
