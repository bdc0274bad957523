//! Plans: changes as data.

mod build;
mod cuts;
mod display;
mod draft;
mod together;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use build::plan;

use crate::{
    Atomicity, Capabilities, Error, Name, Observed, Ownership, RecordData, RecordKey, RecordSet, Result,
    Snapshot, Zone, codes, zone_file,
};

/// One change of one record set. The old state is its precondition: if the zone has another state by then, the change
/// must not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Creates a set that does not exist yet.
    Create(RecordSet),
    /// Replaces the set in one step.
    Replace {
        /// The current state.
        old: RecordSet,
        /// The new state.
        new: RecordSet,
    },
    /// Deletes the set.
    Delete(RecordSet),
}

impl Change {
    /// Returns the key of the set.
    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Create(set) | Self::Delete(set) | Self::Replace { new: set, .. } => set.key(),
        }
    }

    /// Returns the required state before the change.
    pub fn before(&self) -> Option<&RecordSet> {
        match self {
            Self::Create(_) => None,
            Self::Replace { old, .. } | Self::Delete(old) => Some(old),
        }
    }

    /// Returns the state after the change.
    pub fn after(&self) -> Option<&RecordSet> {
        match self {
            Self::Create(new) | Self::Replace { new, .. } => Some(new),
            Self::Delete(_) => None,
        }
    }

    /// Returns whether a later read of the zone shows that the change was made. Others may have changed the set further
    /// by then, so only the values that this change adds and removes are compared.
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
        // Only the TTL changes, or values are removed.
        let ttl = |there: &RecordSet| {
            !self.after().is_some_and(|new| new.same_values(there) && new.ttl() != there.ttl())
        };
        there.is_some_and(ttl) && !removed.any(has)
    }

    /// Checks this change's precondition against the record set that is currently in the zone.
    ///
    /// # Errors
    /// `dns-stale`, which names the current state.
    pub fn fits(&self, there: Option<&Observed>) -> Result<()> {
        if there.and_then(Observed::plain) == self.before() && there.is_none_or(|t| t.plain().is_some()) {
            return Ok(());
        }
        let there = there.map_or("nothing".to_owned(), |t| t.to_string().replace('\n', " and "));
        let message = format!("{} changed since the plan was made: there is {there} now", self.key());
        Err(Error::new(&codes::STALE, message).with_hint("run the command again"))
    }
}

/// The changes of a zone, and the conflicts. Made by [`plan()`], written by [`apply`](crate::apply::apply), displayed
/// as a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The zone.
    pub zone: Zone,
    /// The changes, in the order in which a provider that takes them one at a time must make them.
    pub changes: Vec<Change>,
    /// The desired sets that are correct already.
    pub unchanged: Vec<RecordKey>,
    /// Conflicts. A plan with conflicts is not applied.
    pub conflicts: Vec<Conflict>,
    /// Sets that differ slightly from the intent.
    pub adjusted: Vec<Adjustment>,
    /// Names without an answer for a moment, at a provider that takes changes one at a time: a CNAME cannot coexist
    /// with the set that replaces it.
    pub gaps: Vec<RecordKey>,
    /// How much of the plan is applied if something fails midway.
    pub atomicity: Atomicity,
    /// The ownership after the plan was applied.
    pub ownership: Ownership,
}

impl Plan {
    /// Writes the wanted record sets as they will be as a zone file. Of the `basis`, what the zone held when the plan was
    /// made, come those that do not change.
    pub fn zone_file(&self, basis: Option<&Snapshot>) -> String {
        let changed: BTreeSet<&RecordKey> = self.changes.iter().map(Change::key).collect();
        let adjusted = self.adjusted.iter().map(|adjustment| &adjustment.key);
        let kept: BTreeSet<&RecordKey> =
            self.unchanged.iter().chain(adjusted.filter(|key| !changed.contains(key))).collect();
        let unchanged = kept.into_iter().filter_map(|key| basis?.sets.get(key).cloned());
        let changed = self.changes.iter().filter_map(|c| c.after().cloned().map(Observed::Plain));
        let sets: Vec<Observed> = unchanged.chain(changed).collect();
        zone_file::write(&self.zone.apex, &sets)
    }

    /// Returns whether there are no changes and no conflicts.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.conflicts.is_empty()
    }

    /// Returns whether the zone has the desired state: no changes, no conflicts, and nothing [left
    /// undone](Adjustment::undone).
    pub fn is_fulfilled(&self) -> bool {
        self.is_empty() && self.adjusted.iter().all(|adjustment| !adjustment.undone)
    }

    /// Returns the number of record sets that would be deleted without a replacement of another type at their name.
    pub(crate) fn losses(&self) -> usize {
        together::losses(&self.changes)
    }

    /// Moves every change that a provider does not support to the conflicts. `refusal` returns the reason.
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

    /// Returns an error if the plan has conflicts.
    ///
    /// # Errors
    /// `dns-conflict` with both sides of every conflict; `dns-spf` if all conflicts are about SPF records.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.conflicts.first() else { return Ok(()) };
        let mut all: Vec<String> = self.conflicts.iter().take(10).map(ToString::to_string).collect();
        if self.conflicts.len() > all.len() {
            all.push(format!("and {} more", self.conflicts.len() - all.len()));
        }
        let only_spf = self.conflicts.iter().all(|c| matches!(c.reason, Reason::Spf(_)));
        let code = if only_spf { &codes::SPF } else { &codes::CONFLICT };
        let error = Error::new(code, format!("the zone {}: {}", self.zone.apex, all.join("; ")));
        Err(match &first.reason {
            // How a user adopts or allows something is up to the program.
            reason if reason.is_adoptable() => error.with_detail("adoptable", first.key.to_string()),
            Reason::MassDeletion(what) => error.with_detail("deletions", what),
            reason => error.with_hint(reason.hint()),
        })
    }
}

/// A state of the zone that conflicts with an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conflict {
    /// The set of the change.
    pub key: RecordKey,
    /// The reason for the conflict.
    pub reason: Reason,
    /// The existing sets.
    pub existing: Vec<Observed>,
    /// The desired set; `None` if the set was to be deleted.
    pub wanted: Option<RecordSet>,
}

/// The reason why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The values have another owner.
    Foreign,
    /// A CNAME cannot coexist with other records of its name (RFC 1034, section 3.6.2).
    CnameAndOther,
    /// The existing set cannot be represented as a plain record set.
    Opaque,
    /// The SOA record and the zone's own name servers are never changed, and the apex cannot be a CNAME.
    Protected,
    /// The name is not in the zone.
    NotInZone,
    /// The name is in a delegated zone, and the record is not the address of a name server there.
    Delegated(Name),
    /// The name is below a DNAME, which hides it (RFC 6672, section 2.4).
    Redirected(Name),
    /// A DS record is only allowed together with the name servers of a delegated zone (RFC 4035, section 2.4). Name
    /// servers silently drop it otherwise.
    DsWithoutNs,
    /// The provider does not support it.
    Unsupported(String),
    /// The SPF records cannot be merged.
    Spf(String),
    /// Two intents contradict each other.
    Contradiction,
    /// Too large a share of the zone would be deleted.
    MassDeletion(String),
}

impl Reason {
    /// Returns whether [`PlanOptions::adopt`] resolves it.
    pub fn is_adoptable(&self) -> bool {
        matches!(self, Self::Foreign | Self::CnameAndOther)
    }

    /// Returns what to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Foreign | Self::CnameAndOther => "remove the records at your DNS host, or adopt them",
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
                "check that the right zone and the right records were given, or allow the deletions"
            }
        }
    }
}

/// A set that differs slightly from the intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Adjustment {
    /// The set.
    pub key: RecordKey,
    /// The difference, as a sentence.
    pub what: String,
    /// True if a part of the intent is not fulfilled, so that the set is not correct yet.
    #[serde(default)]
    pub undone: bool,
}

/// The records of others that may be taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adopt {
    /// None.
    #[default]
    Nothing,
    /// Those of these sets.
    Keys(Vec<RecordKey>),
    /// All conflicting ones.
    All,
}

impl Adopt {
    /// Parses what a user names: `all`, or sets as [`RecordKey::parse_below`] takes them.
    ///
    /// # Errors
    /// `usage` for what is neither; as [`RecordKey::parse_below`].
    pub fn parse(wanted: &[String], domain: &Name) -> Result<Self> {
        if wanted.iter().any(|w| w.eq_ignore_ascii_case("all")) {
            return Ok(Self::All);
        }
        let key = |text: &String| {
            RecordKey::parse_below(text, domain).map_err(|e| match e.is(&cloudron_core::codes::USAGE) {
                true => Error::new(
                    &cloudron_core::codes::USAGE,
                    format!("{text}: `all` or NAME/TYPE is expected, such as my/A"),
                ),
                false => e,
            })
        };
        let keys: Vec<RecordKey> = wanted.iter().map(key).collect::<Result<_>>()?;
        Ok(if keys.is_empty() { Self::Nothing } else { Self::Keys(keys) })
    }

    fn allows(&self, key: &RecordKey) -> bool {
        match self {
            Self::Nothing => false,
            Self::Keys(keys) => keys.contains(key),
            Self::All => true,
        }
    }
}

/// Options of a plan, and the capabilities of the provider.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PlanOptions {
    /// The records of others that may be taken over.
    pub adopt: Adopt,
    /// True if values that are ours and no longer desired are deleted.
    pub prune: bool,
    /// True if more than 30 % of a zone of at least 10 sets may be deleted.
    pub allow_mass_deletion: bool,
    /// The capabilities of the provider; without them, nothing is adjusted.
    pub capabilities: Option<Capabilities>,
}

impl PlanOptions {
    /// Returns the default options for a provider with these capabilities.
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        Self { capabilities: Some(capabilities), ..Self::default() }
    }

    /// Sets the records that may be taken over.
    pub fn adopt(self, adopt: Adopt) -> Self {
        Self { adopt, ..self }
    }

    /// Sets whether values that are ours and no longer desired are deleted.
    pub fn prune(self, prune: bool) -> Self {
        Self { prune, ..self }
    }

    /// Sets whether a large share of the zone may be deleted.
    pub fn allow_mass_deletion(self, allow: bool) -> Self {
        Self { allow_mass_deletion: allow, ..self }
    }
}
