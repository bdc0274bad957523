//! Plans: what would change, as data.

mod build;
mod cuts;
mod display;
mod draft;
mod together;

use serde::{Deserialize, Serialize};

pub use build::plan;

use crate::{
    Atomicity, Capabilities, Error, Name, Observed, Ownership, RecordData, RecordKey, RecordSet, Result,
    Snapshot, Zone, codes,
};

/// One change of one record set. The old state is its precondition: if the zone holds something else by then, the
/// change must not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// There is no such set yet.
    Create(RecordSet),
    /// The set is replaced in one step.
    Replace {
        /// What is there.
        old: RecordSet,
        /// What will be.
        new: RecordSet,
    },
    /// The set goes.
    Delete(RecordSet),
}

impl Change {
    /// The set that changes.
    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Create(set) | Self::Delete(set) | Self::Replace { new: set, .. } => set.key(),
        }
    }

    /// What must be there before.
    pub fn before(&self) -> Option<&RecordSet> {
        match self {
            Self::Create(_) => None,
            Self::Replace { old, .. } | Self::Delete(old) => Some(old),
        }
    }

    /// What will be there afterwards.
    pub fn after(&self) -> Option<&RecordSet> {
        match self {
            Self::Create(new) | Self::Replace { new, .. } => Some(new),
            Self::Delete(_) => None,
        }
    }

    /// Whether a zone that was read afterwards shows that the change was made. Others may have changed the set further
    /// by then: what counts is what this change puts in and takes out.
    pub fn is_in(&self, afterwards: &Snapshot) -> bool {
        let values = |set: Option<&RecordSet>| set.map(|set| set.values().to_vec()).unwrap_or_default();
        let (old, new) = (values(self.before()), values(self.after()));
        let there = afterwards.get(self.key());
        let has = |value: &RecordData| there.is_some_and(|there| there.values().contains(value));
        let added: Vec<&RecordData> = new.iter().filter(|value| !old.contains(value)).collect();
        let mut removed = old.iter().filter(|value| !new.contains(value));
        if !added.is_empty() || new.is_empty() {
            return added.into_iter().all(has) && !removed.any(has);
        }
        // Only the time to live changes, or values go.
        let ttl = |there: &RecordSet| {
            !self.after().is_some_and(|new| new.same_values(there) && new.ttl() != there.ttl())
        };
        there.is_some_and(ttl) && !removed.any(has)
    }

    /// That what is there is what the change was made for.
    ///
    /// # Errors
    /// `dns-stale`, naming what is there.
    pub fn fits(&self, there: Option<&Observed>) -> Result<()> {
        if there.and_then(Observed::plain) == self.before() && there.is_none_or(|t| t.plain().is_some()) {
            return Ok(());
        }
        let there = there.map_or("nothing".to_owned(), |t| t.to_string().replace('\n', " and "));
        let message = format!("{} changed since the plan was made: there is {there} now", self.key());
        Err(Error::new(&codes::STALE, message).with_hint("run the command again"))
    }
}

/// What would change in a zone, and what stands against it. Made by [`plan()`], written by
/// [`apply`](crate::apply::apply), shown by `Display` as a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The zone.
    pub zone: Zone,
    /// The changes, in the order in which a provider that takes them one at a time must make them.
    pub changes: Vec<Change>,
    /// The wanted sets that are right already.
    pub unchanged: Vec<RecordKey>,
    /// What stands against it. A plan with conflicts is not applied.
    pub conflicts: Vec<Conflict>,
    /// What was wanted and is done a little differently.
    pub adjusted: Vec<Adjustment>,
    /// Names that have no answer for a moment, at a provider that takes changes one at a time: a CNAME cannot stand
    /// beside the set that takes its place.
    pub gaps: Vec<RecordKey>,
    /// How much of the plan is applied when something fails midway.
    pub atomicity: Atomicity,
    /// What is ours once the plan is applied.
    pub ownership: Ownership,
}

impl Plan {
    /// Whether there is nothing to write and nothing against it.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.conflicts.is_empty()
    }

    /// Whether the zone holds what was wanted: nothing to write, nothing against it, and nothing
    /// [left undone](Adjustment::undone).
    pub fn is_fulfilled(&self) -> bool {
        self.is_empty() && self.adjusted.iter().all(|adjustment| !adjustment.undone)
    }

    /// How many record sets would be deleted and not replaced by another type at their name.
    pub(crate) fn losses(&self) -> usize {
        together::losses(&self.changes)
    }

    /// Moves every change that a provider cannot hold to the conflicts. `refusal` says why it cannot.
    pub(crate) fn refuse(&mut self, refusal: impl Fn(&Change) -> Option<String>) {
        for change in std::mem::take(&mut self.changes) {
            let Some(why) = refusal(&change) else {
                self.changes.push(change);
                continue;
            };
            let existing = change.before().cloned().map(Observed::Plain).into_iter().collect();
            let (key, wanted) = (change.key().clone(), change.after().cloned());
            self.conflicts.push(Conflict { key, reason: Reason::Unsupported(why), existing, wanted });
        }
        self.conflicts.sort_by(|a, b| a.key.cmp(&b.key));
    }

    /// Nothing unless something stands against the plan.
    ///
    /// # Errors
    /// `dns-conflict` with both sides of every conflict; `dns-spf` when an SPF record is all that stands against it.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.conflicts.first() else { return Ok(()) };
        let mut all: Vec<String> = self.conflicts.iter().take(10).map(ToString::to_string).collect();
        if self.conflicts.len() > all.len() {
            all.push(format!("and {} more", self.conflicts.len() - all.len()));
        }
        let only_spf = self.conflicts.iter().all(|c| matches!(c.reason, Reason::Spf(_)));
        let code = if only_spf { &codes::SPF } else { &codes::CONFLICT };
        let error = Error::new(code, format!("the zone {}: {}", self.zone.apex, all.join("; ")));
        let adoptable = self.conflicts.iter().all(|c| c.reason.is_adoptable());
        Err(error.with_hint(if adoptable {
            "remove these records at your DNS host, or add --adopt to replace them".to_owned()
        } else {
            first.reason.hint().to_owned()
        }))
    }
}

/// Something in the zone that stands against what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conflict {
    /// The set that was to change.
    pub key: RecordKey,
    /// Why it may not.
    pub reason: Reason,
    /// What the zone holds.
    pub existing: Vec<Observed>,
    /// What is wanted instead; nothing if the set was to go.
    pub wanted: Option<RecordSet>,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The values are somebody else's.
    Foreign,
    /// A CNAME cannot stand beside other records of its name (RFC 1034, section 3.6.2).
    CnameAndOther,
    /// What is there cannot be expressed as a plain record set.
    Opaque,
    /// The start of authority and the zone's own name servers are never touched, and its top is no CNAME.
    Protected,
    /// The name is not in the zone.
    NotInZone,
    /// The name lies in a zone of its own, and the record is not the address of a name server there.
    Delegated(Name),
    /// The name lies below a DNAME, which hides it (RFC 6672, section 2.4).
    Redirected(Name),
    /// A DS record stands beside the name servers of a delegated zone and nowhere else (RFC 4035, section 2.4). Name
    /// servers drop it without a word.
    DsWithoutNs,
    /// The provider cannot write it.
    Unsupported(String),
    /// The SPF records cannot be merged.
    Spf(String),
    /// Two wishes contradict each other.
    Contradiction,
    /// Too large a share of the zone would be deleted.
    MassDeletion(String),
}

impl Reason {
    /// Whether [`PlanOptions::adopt`] resolves it.
    pub fn is_adoptable(&self) -> bool {
        matches!(self, Self::Foreign | Self::CnameAndOther)
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Foreign | Self::CnameAndOther => {
                "remove the records at your DNS host, or add --adopt to replace them"
            }
            Self::Opaque => "remove the alias or routing rule in your DNS provider's own console first",
            Self::Protected => "change the zone's SOA and name servers at your DNS provider or registrar",
            Self::NotInZone => "put the record into the zone that encloses its name",
            Self::Delegated(_) => {
                "put the record into the delegated zone, or name the host in its NS records"
            }
            Self::Redirected(_) => "put the record below the target of the DNAME",
            Self::DsWithoutNs => {
                "add or keep the NS records of the same name, or remove the DS records with them"
            }
            Self::Unsupported(_) => "leave this record out, or set it at the DNS host itself",
            Self::Spf(_) => "correct the SPF record at your DNS host, then run the command again",
            Self::Contradiction => "state each record set once",
            Self::MassDeletion(_) => {
                "check that the right zone and the right records were given; add --allow-deletions to delete them"
            }
        }
    }
}

/// Something that was wanted and is done a little differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Adjustment {
    /// The set.
    pub key: RecordKey,
    /// What is done instead, a sentence.
    pub what: String,
    /// Whether a part of what was wanted is not done, so that the set is not right yet.
    #[serde(default)]
    pub undone: bool,
}

/// Which records of others may be taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adopt {
    /// None.
    #[default]
    Nothing,
    /// Those of these sets.
    Keys(Vec<RecordKey>),
    /// All that stand in the way.
    All,
}

impl Adopt {
    fn allows(&self, key: &RecordKey) -> bool {
        match self {
            Self::Nothing => false,
            Self::Keys(keys) => keys.contains(key),
            Self::All => true,
        }
    }
}

/// What a plan may do, and for whom it is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PlanOptions {
    /// Which records of others may be taken over.
    pub adopt: Adopt,
    /// Whether values that are ours and no longer wanted are deleted.
    pub prune: bool,
    /// Whether more than 30 % of a zone of at least 10 sets may be deleted.
    pub allow_mass_deletion: bool,
    /// What the provider can do; without it, nothing is adjusted.
    pub capabilities: Option<Capabilities>,
}

impl PlanOptions {
    /// The defaults for a provider that can do this.
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        Self { capabilities: Some(capabilities), ..Self::default() }
    }

    /// The same options with records that may be taken over.
    pub fn adopt(self, adopt: Adopt) -> Self {
        Self { adopt, ..self }
    }

    /// The same options, with or without deleting what is ours and no longer wanted.
    pub fn prune(self, prune: bool) -> Self {
        Self { prune, ..self }
    }

    /// The same options, with or without the brake on deleting a large share of the zone.
    pub fn allow_mass_deletion(self, allow: bool) -> Self {
        Self { allow_mass_deletion: allow, ..self }
    }
}
