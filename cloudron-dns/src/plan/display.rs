//! Formatting of plans.

use std::fmt;

use super::{Change, Conflict, Plan, Reason};
use crate::{RecordData, RecordSet};

/// Formats the plan as a diff: `+` is added, `-` is removed, `!` is a conflict.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for adjustment in &self.adjusted {
            writeln!(f, "~ {}: {}", adjustment.key, adjustment.what)?;
        }
        for gap in &self.gaps {
            writeln!(f, "~ {}: has no answer until its replacement is written", gap)?;
        }
        for conflict in &self.conflicts {
            writeln!(f, "! {conflict}")?;
        }
        match (self.unchanged.len(), self.is_empty() && self.adjusted.is_empty()) {
            (0, true) => writeln!(f, "nothing to do"),
            (0, false) => Ok(()),
            (1, _) => writeln!(f, "= 1 record set is right already"),
            (n, _) => writeln!(f, "= {n} record sets are right already"),
        }
    }
}

/// Formats the removed and the added lines, without a line break at the end.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (self.before(), self.after());
        let ttl_changes = old.map(RecordSet::ttl) != new.map(RecordSet::ttl);
        let lines = |set: Option<&RecordSet>, other: Option<&RecordSet>, sign: char| {
            let differs = |v: &&RecordData| ttl_changes || other.is_none_or(|o| !o.values().contains(v));
            let Some(set) = set else { return Vec::new() };
            let line = |v: &RecordData| format!("{sign} {} {} IN {} {v}", set.name(), set.ttl(), set.rtype());
            set.values().iter().filter(differs).map(line).collect::<Vec<_>>()
        };
        f.write_str(&[lines(old, new, '-'), lines(new, old, '+')].concat().join("\n"))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)?;
        if !self.existing.is_empty() {
            let existing: Vec<String> = self.existing.iter().map(one_line).collect();
            write!(f, "; there is {}", existing.join(", "))?;
        }
        match &self.wanted {
            Some(wanted) => write!(f, "; wanted is {}", values(wanted)),
            None if self.existing.is_empty() => Ok(()),
            None if self.reason == Reason::Foreign => f.write_str("; wanted is nothing"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it holds values that are not ours"),
            Self::CnameAndOther => f.write_str("a CNAME cannot stand beside other records"),
            Self::Opaque => f.write_str("it is an alias or a routed set, which is never written over"),
            Self::Protected => {
                f.write_str("the zone's SOA, its own name servers and its top are never touched")
            }
            Self::NotInZone => f.write_str("the name is not in this zone"),
            Self::Delegated(cut) => write!(f, "the name lies in the delegated zone {cut}"),
            Self::Redirected(dname) => {
                write!(f, "the name lies below the DNAME record of {dname}, which hides it")
            }
            Self::DsWithoutNs => f.write_str("a DS record has no effect without NS records of the same name"),
            Self::Unsupported(why) | Self::Spf(why) | Self::MassDeletion(why) => f.write_str(why),
            Self::Contradiction => f.write_str("it is wanted in two ways that exclude each other"),
        }
    }
}

fn one_line(observed: &crate::Observed) -> String {
    match observed {
        crate::Observed::Plain(set) => values(set),
        crate::Observed::Opaque { what, .. } => what.clone(),
    }
}

/// Formats the values with their type, on one line.
fn values(set: &RecordSet) -> String {
    let values: Vec<String> = set.values().iter().map(ToString::to_string).collect();
    format!("{} {} (TTL {})", set.rtype(), values.join(" and "), set.ttl())
}
