//! Checks a repository.

mod objects;
mod references;
mod report;

pub use report::{Problem, VerifyDepth, VerifyReport};

use std::collections::BTreeSet;
use std::time::SystemTime;

use cloudron_core::Result;

use crate::cache::history::SnapshotHistory;
use crate::format::trust::{Anchor, Trust};
use crate::keys::Identity;
use crate::snapshot::Session;

/// A running check.
struct Check<'a> {
    session: Session<'a>,
    depth: VerifyDepth,
    identity: Option<&'a Identity>,
    trust: Trust,
    seen: SnapshotHistory,
    /// Days since 1970, which select the sample.
    day: u64,
    report: VerifyReport,
    /// The backups that cannot be restored completely.
    damaged: BTreeSet<String>,
}

impl Check<'_> {
    /// Records a problem with an object. Returns its index in the report.
    fn problem(&mut self, object: &str, text: impl ToString) -> usize {
        let problems = &mut self.report.problems;
        problems.iter().position(|p| p.object == object).unwrap_or_else(|| {
            let (backups, files) = (Vec::new(), Vec::new());
            problems.push(Problem { object: object.to_owned(), text: text.to_string(), backups, files });
            problems.len() - 1
        })
    }

    /// Records that a problem affects a backup.
    fn affects(&mut self, problem: usize, backup: &str) {
        let backups = &mut self.report.problems[problem].backups;
        if !backups.iter().any(|b| b == backup) {
            backups.push(backup.to_owned());
        }
        self.damaged.insert(backup.to_owned());
    }
}

/// Checks a repository.
pub(crate) fn run(
    session: Session<'_>,
    identity: Option<&Identity>,
    depth: VerifyDepth,
) -> Result<VerifyReport> {
    let Session { store, config, memory, .. } = session;
    if let Some(identity) = identity {
        config.check_identity(identity)?;
    }
    let report = VerifyReport::default();
    let seen = SnapshotHistory::load(memory, &config.id, &store.url());
    let day = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 86400;
    let trust = Trust::load(store, config, identity.map_or(Anchor::Description, Anchor::Identity))?;
    let damaged = BTreeSet::new();
    let mut check = Check { session, depth, identity, trust, seen, day, report, damaged };
    check.report.ignored = check.trust.foreign.clone();
    check.description()?;
    check.keys()?;
    let index = check.index()?;
    let packs = check.packs(index.as_ref())?;
    check.snapshots(index.as_ref(), &packs)?;
    let mut report = check.report;
    report.references_checked = identity.is_some();
    report.not_checked = not_checked(depth, identity.is_some());
    report.good.retain(|b| !check.damaged.contains(b));
    report.damaged = check.damaged.into_iter().collect();
    Ok(report)
}

/// Returns what a check of this depth does not cover, for people.
fn not_checked(depth: VerifyDepth, has_identity: bool) -> Vec<String> {
    let mut left = Vec::new();
    if !has_identity {
        left.push("whether the packs that backups need are there, which takes the backup key".to_owned());
        left.push("who signed the description of the repository, which takes the backup key".to_owned());
    }
    match depth {
        VerifyDepth::Quick => left.push("what is in the packs, which a full check reads".to_owned()),
        VerifyDepth::Sample(percent) => {
            left.push(format!("what is in the other {} % of the packs", 100 - percent.min(100)))
        }
        VerifyDepth::Full if !has_identity => {
            left.push("whether the packs open, which takes the backup key".to_owned())
        }
        VerifyDepth::Full => {}
    }
    left
}
