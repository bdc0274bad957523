//! What is in force, compared with what should be.

use std::time::Duration;

use cloudron_core::escape;
use serde::{Deserialize, Serialize};

use super::diff::{self, Line};
use super::policy::Policy;
use super::render::{TABLE, policy_of};
use super::{files, trial};
use crate::host::{Host, failed, run, try_run};
use crate::{Error, Result, codes};

/// Lines of a difference that are kept.
const MOST: usize = 100;

/// Time in which a table is loaded elsewhere.
const LIMIT: Duration = Duration::from_secs(30);

/// Loads a file into a network of its own, where it has no effect, and prints it as this version of nft does.
const PRINT: &str = "nft -f \"$1\" && nft -s -t list table inet cloudron";

/// The state of the firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// The policy that was confirmed; none if there never was one.
    pub policy: Option<Policy>,
    /// Whether a change is on trial.
    pub on_trial: bool,
    /// Whether the table exists.
    pub in_force: bool,
    /// Whether the file with the rules was changed by somebody else.
    pub file_changed: bool,
    /// The lines in which what is in force differs from what should be: from the trial if there is one, else from the
    /// confirmed rules.
    pub drift: Vec<Change>,
}

/// A line of the table that is missing, or too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The line should be in force, and is not.
    Missing(String),
    /// The line is in force, and should not be.
    Added(String),
}

/// Looks at the firewall.
///
/// # Errors
/// `file-missing` if `nft` is not installed; `system-command`.
pub fn look(host: &dyn Host) -> Result<State> {
    let rules = host.read(&files::rules())?;
    let on_trial = trial::is_on(host)?;
    let policy = rules.as_deref().map(policy_of);
    let file_changed = matches!(policy, Some(Err(_)));
    let table = table(host)?;
    let wanted = match (&rules, on_trial) {
        (_, true) => expected(host, &files::trial())?,
        (Some(_), false) => expected(host, &files::rules())?,
        (None, false) => String::new(),
    };
    let drift = differences(&wanted, table.as_deref().unwrap_or_default());
    Ok(State {
        policy: policy.and_then(Result::ok),
        on_trial,
        in_force: table.is_some(),
        file_changed,
        drift,
    })
}

/// Returns the table that is in force, as this version of nft prints it, without the addresses that it remembers.
pub(super) fn table(host: &dyn Host) -> Result<Option<String>> {
    let tables = run(host, "nft", &["list", "tables"], "")?;
    if !tables.lines().any(|line| line.trim() == format!("table {TABLE}")) {
        return Ok(None);
    }
    let list = ["-s", "-t", "list", "table", "inet", "cloudron"];
    let output = try_run(host, "nft", &list)?;
    if output.is_success() { Ok(Some(output.stdout)) } else { Err(failed("nft", &list, &output)) }
}

/// Returns how this version of nft prints the table of a file.
pub(super) fn expected(host: &dyn Host, file: &std::path::Path) -> Result<String> {
    let file = file.display().to_string();
    let arguments = [
        "--quiet",
        "--wait",
        "--pipe",
        "--collect",
        "--property=PrivateNetwork=yes",
        "/bin/sh",
        "-c",
        PRINT,
        "sh",
        &*file,
    ];
    let output = host.run_within(LIMIT, "systemd-run", &arguments, "")?;
    if output.is_success() { Ok(output.stdout) } else { Err(failed("systemd-run", &arguments[4..], &output)) }
}

/// Fails if what is in force is not what a file says.
pub(super) fn compare(host: &dyn Host, file: &std::path::Path) -> Result<()> {
    let found = differences(&expected(host, file)?, table(host)?.as_deref().unwrap_or_default());
    let Some(first) = found.first() else { return Ok(()) };
    let text = match first {
        Change::Missing(line) => format!("is missing: {line}"),
        Change::Added(line) => format!("is too much: {line}"),
    };
    let text = format!("what is in force is not what was loaded; of {} lines, this one {text}", found.len());
    Err(Error::new(&codes::FIREWALL_CHANGED, text))
}

fn differences(wanted: &str, found: &str) -> Vec<Change> {
    let bounded = |line: &str| escape::line(&line.chars().take(500).collect::<String>()).into_owned();
    let change = |line: &Line<'_>| match line {
        Line::First(line) => Change::Missing(bounded(line)),
        Line::Second(line) => Change::Added(bounded(line)),
    };
    diff::lines(wanted, found).iter().take(MOST).map(change).collect()
}
