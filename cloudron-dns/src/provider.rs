//! The trait that every DNS provider implements.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::instructions::Instructions;
use crate::zone::Handle;
use crate::{Change, Error, Name, OwnerName, RecordKey, RecordType, Result, Snapshot, Ttl, Zone};

/// A DNS provider: somebody who keeps zones and takes changes.
///
/// Implementations translate; they decide nothing. What is right for every provider (finding the zone, planning,
/// batching, checking again before writing) is in [`mod@crate::apply`] and [`plan`](crate::plan()).
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// A short name: `route53`.
    fn id(&self) -> &str;

    /// What the provider can do.
    fn capabilities(&self) -> Capabilities;

    /// Why a change can never be written here, such as a type or a text that the provider does not take; `None` where
    /// nothing is known against it. It is asked while planning and again before anything is sent, and asks nobody.
    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        let _ = (zone, change);
        None
    }

    /// The account's zones, in any order. `near` allows a cheaper question, but every zone that encloses that name
    /// must be in the answer.
    ///
    /// # Errors
    /// Kind `Denied` for bad credentials or a missing permission, `Unavailable` when the provider cannot serve now.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>>;

    /// The record sets of a zone, read from the provider's own store. It may answer more than was asked for, and
    /// never less: what cannot be read in full is an error.
    ///
    /// # Errors
    /// As [`list_zones`](Self::list_zones), and `dns-zone-not-found`.
    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot>;

    /// Writes one batch of changes, not more than [`Capabilities::max_batch`] of them. Where
    /// [`Capabilities::preconditions`] is set, a change whose old state no longer holds fails with `dns-stale`;
    /// where [`Capabilities::atomicity`] is [`Atomicity::Batch`], nothing of the batch is then applied.
    ///
    /// # Errors
    /// The error, with what was applied nonetheless.
    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure>;

    /// Whether the provider's own servers all have what a receipt stands for.
    ///
    /// # Errors
    /// Kind `Unavailable` when the provider cannot serve now.
    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus>;
}

/// What to read.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Scope<'a> {
    /// The whole zone.
    Zone,
    /// Every record set of these names.
    Names(&'a [OwnerName]),
}

impl Scope<'_> {
    /// Whether a name is in it.
    pub fn includes(&self, name: &OwnerName) -> bool {
        match self {
            Self::Zone => true,
            Self::Names(names) => names.contains(name),
        }
    }
}

/// Changes that are written together.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Batch<'a> {
    /// The zone.
    pub zone: &'a Zone,
    /// The changes, in the order in which a provider that takes them one at a time must make them.
    pub changes: &'a [Change],
    /// The handle of the snapshot that the changes are based on, if it was read by this very provider.
    pub handle: Option<&'a Handle>,
}

impl<'a> Batch<'a> {
    /// Changes to a zone.
    pub fn new(zone: &'a Zone, changes: &'a [Change]) -> Self {
        Self { zone, changes, handle: None }
    }

    /// The same batch with the handle of the snapshot that it is based on.
    pub fn with_handle(self, handle: Option<&'a Handle>) -> Self {
        Self { handle, ..self }
    }
}

/// How much of a batch is applied when something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Atomicity {
    /// All of a batch or nothing.
    Batch,
    /// Each record set as a whole; some sets of a batch may be applied and others not.
    Set,
    /// Each record for itself; a set may be half written.
    Record,
    /// Nothing is written: a person sets the records.
    Manual,
}

/// What a provider can do. The plan says what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The types that can be written; `None` means all.
    pub types: Option<Vec<RecordType>>,
    /// The shortest time to live; a shorter one is raised to it, and the plan says so.
    pub min_ttl: Ttl,
    /// The longest text of a TXT record, in bytes.
    pub max_txt: usize,
    /// How much of a batch is applied when something fails.
    pub atomicity: Atomicity,
    /// Whether the provider itself refuses a change whose old state no longer holds. Otherwise the zone is read
    /// again right before writing, which leaves a small window.
    pub preconditions: bool,
    /// Whether the provider may answer that it made a change and leave it out, so that it is read again afterwards.
    pub may_drop: bool,
    /// Whether a whole zone can be read.
    pub listing: bool,
    /// Whether [`DnsProvider::sync_status`] knows.
    pub sync_status: bool,
    /// The most changes in one batch.
    pub max_batch: usize,
}

impl Capabilities {
    /// Capabilities without limits, of that atomicity.
    pub fn new(atomicity: Atomicity) -> Self {
        Self {
            types: None,
            min_ttl: Ttl::MIN,
            max_txt: 4000,
            atomicity,
            preconditions: false,
            may_drop: false,
            listing: true,
            sync_status: false,
            max_batch: usize::MAX,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The sets that were written.
    pub applied: Vec<RecordKey>,
    /// The provider's ids of the changes, for [`DnsProvider::sync_status`].
    pub ids: Vec<String>,
    /// What a person must do instead, at a provider that cannot write.
    pub instructions: Option<Instructions>,
}

impl Receipt {
    /// A receipt for sets that were written.
    pub fn new(applied: impl IntoIterator<Item = RecordKey>) -> Self {
        Self { applied: applied.into_iter().collect(), ..Self::default() }
    }

    /// The same receipt with the provider's id of the change.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.ids.push(id.into());
        self
    }

    /// Adds what another receipt says.
    pub fn extend(&mut self, other: Self) {
        self.applied.extend(other.applied);
        self.ids.extend(other.ids);
        match (&mut self.instructions, other.instructions) {
            (Some(ours), Some(theirs)) => ours.extend(theirs),
            (ours @ None, theirs) => *ours = theirs,
            (Some(_), None) => {}
        }
    }
}

/// A batch that failed: why, and what was applied nonetheless.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ApplyFailure {
    /// Why.
    pub error: Error,
    /// What was applied nonetheless.
    pub applied: Applied,
}

/// How much of a failed batch was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// Nothing.
    Nothing,
    /// The sets of these keys.
    Some(Vec<RecordKey>),
    /// Nobody knows, such as after a connection that broke before the answer. Reading the zone tells.
    Unknown,
}

impl ApplyFailure {
    /// The same failure where these sets were written before.
    pub(crate) fn after(self, mut earlier: Vec<RecordKey>) -> Self {
        let applied = match self.applied {
            Applied::Unknown => Applied::Unknown,
            Applied::Some(keys) => {
                earlier.extend(keys);
                Applied::Some(earlier)
            }
            Applied::Nothing if earlier.is_empty() => Applied::Nothing,
            Applied::Nothing => Applied::Some(earlier),
        };
        Self { error: self.error, applied }
    }
}

/// Nothing was applied.
impl From<Error> for ApplyFailure {
    fn from(error: Error) -> Self {
        Self { error, applied: Applied::Nothing }
    }
}

/// Whether the provider's own servers all have a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SyncStatus {
    /// Not yet.
    Pending,
    /// All have it.
    InSync,
    /// The provider does not say.
    NotReported,
}
