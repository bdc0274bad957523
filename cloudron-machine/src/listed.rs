//! The machines of this computer with the state of each, as a list shows them.

use cloudron_api::Status;
use cloudron_core::Result;
use cloudron_core::table::Table;
use serde::Serialize;

use crate::find::Unfinished;
use crate::registry::Machine;

/// A machine, or a run that died before there was one, in a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Listed {
    /// The domain.
    pub fqdn: String,
    /// The name of the provider.
    pub provider: String,
    /// Where it is.
    pub place: String,
    /// The address of its page. `None` for a run.
    pub url: Option<String>,
    /// Its state, for people.
    pub state: String,
    /// The version of its server, when it answered.
    pub version: Option<String>,
}

impl Listed {
    /// Returns a table of machines.
    pub fn table(machines: &[Self]) -> Table {
        let mut table = Table::new(["Domain", "Provider", "Place", "URL", "State", "Version"]);
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        for Self { fqdn, provider, place, url, state, version } in machines {
            let named = [fqdn, provider, place].map(Clone::clone);
            let [fqdn, provider, place] = named;
            table.row([fqdn, provider, place, or_none(url), state.clone(), or_none(version)]);
        }
        table
    }

    /// A machine, and what its server answered if it was asked.
    pub fn new(machine: &Machine, answer: Option<Result<Status>>) -> Self {
        let (state, version) = match answer {
            None => ("unknown".to_owned(), None),
            Some(Ok(status)) if status.activated => ("running".to_owned(), Some(status.version.to_string())),
            Some(Ok(status)) => ("running, not set up".to_owned(), Some(status.version.to_string())),
            Some(Err(error)) => (format!("unreachable: {}", error.message()), None),
        };
        Self {
            fqdn: machine.fqdn.to_string(),
            provider: machine.reach.provider().into(),
            place: machine.reach.place(),
            url: Some(machine.url()),
            state,
            version,
        }
    }

    /// A run that died before there was a machine, with what can be done about it.
    pub fn unfinished(Unfinished { run, busy, problem }: Unfinished, advice: &str) -> Self {
        Self {
            place: "-".into(),
            url: None,
            state: match (busy, problem) {
                (_, Some(problem)) => problem.message().to_owned(),
                (true, None) => "in progress: another process is working on it".to_owned(),
                (false, None) => format!("unfinished: {advice}"),
            },
            version: None,
            fqdn: run.spec.fqdn,
            provider: run.spec.provider,
        }
    }
}
