//! The trait that every DNS provider implements.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::instructions::Instructions;
use crate::zone::Handle;
use crate::{Change, Error, Name, OwnerName, RecordKey, RecordType, Result, Snapshot, Ttl, Zone};

/// A DNS provider: a service that hosts zones and accepts changes.
///
/// Implementations only translate and make no decisions. The logic that all providers share (finding the zone,
/// planning, batching, the check before writing) is in [`mod@crate::apply`] and [`plan`](crate::plan()).
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// Returns a short name: `route53`.
    fn id(&self) -> &str;

    /// Returns the capabilities of the provider.
    fn capabilities(&self) -> Capabilities;

    /// Returns why a change can never be written here, such as an unsupported type or text; `None` if no reason is
    /// known. It is called while planning and again before anything is sent, and sends no requests.
    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        let _ = (zone, change);
        None
    }

    /// Returns the account's zones, in any order. `near` allows a cheaper request, but every zone that encloses that
    /// name must be in the result.
    ///
    /// # Errors
    /// Kind `Denied` for invalid credentials or a missing permission, `Unavailable` if the provider is temporarily
    /// unavailable.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>>;

    /// Returns the record sets of a zone, read from the provider's own store. It may return more than the scope, but
    /// never less: an incomplete read is an error.
    ///
    /// # Errors
    /// As [`list_zones`](Self::list_zones), and `dns-zone-not-found`.
    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot>;

    /// Writes one batch of at most [`Capabilities::max_batch`] changes. If [`Capabilities::preconditions`] is set, a
    /// change whose old state no longer exists fails with `dns-stale`; if [`Capabilities::atomicity`] is
    /// [`Atomicity::Batch`], nothing of the batch is then applied.
    ///
    /// # Errors
    /// The error, with the changes that were applied nevertheless.
    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure>;

    /// Returns whether all of the provider's own servers have the changes of a receipt.
    ///
    /// # Errors
    /// Kind `Unavailable` if the provider is temporarily unavailable.
    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus>;
}

/// The part of a zone to read.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Scope<'a> {
    /// The whole zone.
    Zone,
    /// Every record set of these names.
    Names(&'a [OwnerName]),
}

impl Scope<'_> {
    /// Returns whether a name is in the scope.
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
    /// The handle of the snapshot that the changes are based on, if it was read by this provider.
    pub handle: Option<&'a Handle>,
}

impl<'a> Batch<'a> {
    /// Creates a batch of changes to a zone.
    pub fn new(zone: &'a Zone, changes: &'a [Change]) -> Self {
        Self { zone, changes, handle: None }
    }

    /// Sets the handle of the snapshot that the batch is based on.
    pub fn with_handle(self, handle: Option<&'a Handle>) -> Self {
        Self { handle, ..self }
    }
}

/// How much of a batch is applied if something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Atomicity {
    /// All of a batch or nothing.
    Batch,
    /// Each record set as a whole; some sets of a batch may be applied and others not.
    Set,
    /// Each record separately; a set may be half written.
    Record,
    /// Nothing is written: a person sets the records.
    Manual,
}

/// The capabilities of a provider. Plans take them into account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The types that can be written; `None` means all.
    pub types: Option<Vec<RecordType>>,
    /// Minimum TTL; a shorter one is raised to it, and the plan says so.
    pub min_ttl: Ttl,
    /// Maximum length of the text of a TXT record, in bytes.
    pub max_txt: usize,
    /// How much of a batch is applied if something fails.
    pub atomicity: Atomicity,
    /// True if the provider itself refuses a change whose old state no longer exists. Otherwise the zone is read again
    /// just before writing, which leaves a small window.
    pub preconditions: bool,
    /// True if the provider may report success and omit a change, so that the zone is read again afterwards.
    pub may_drop: bool,
    /// True if a whole zone can be read.
    pub listing: bool,
    /// True if [`DnsProvider::sync_status`] is supported.
    pub sync_status: bool,
    /// Maximum number of changes in one batch.
    pub max_batch: usize,
}

impl Capabilities {
    /// Creates capabilities without limits, with that atomicity.
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

/// The changes that were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The sets that were written.
    pub applied: Vec<RecordKey>,
    /// The provider's IDs of the changes, for [`DnsProvider::sync_status`].
    pub ids: Vec<String>,
    /// Instructions for a person, at a provider that cannot write.
    pub instructions: Option<Instructions>,
}

impl Receipt {
    /// Creates a receipt for sets that were written.
    pub fn new(applied: impl IntoIterator<Item = RecordKey>) -> Self {
        Self { applied: applied.into_iter().collect(), ..Self::default() }
    }

    /// Adds the provider's ID of the change.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.ids.push(id.into());
        self
    }

    /// Adds another receipt.
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

/// A failed batch: the error, and the changes that were applied nevertheless.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ApplyFailure {
    /// The error.
    pub error: Error,
    /// The changes that were applied nevertheless.
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
    /// Not known, for example after a connection broke before the response. Read the zone to find out.
    Unknown,
}

impl ApplyFailure {
    /// Adds sets that were written before the failure.
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

/// Converts an error of a batch of which nothing was applied.
impl From<Error> for ApplyFailure {
    fn from(error: Error) -> Self {
        Self { error, applied: Applied::Nothing }
    }
}

/// The progress of a change on the provider's own servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SyncStatus {
    /// Not yet.
    Pending,
    /// All servers have it.
    InSync,
    /// The provider does not report it.
    NotReported,
}
