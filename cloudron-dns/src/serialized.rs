//! Serialized writers within one process, for a provider that checks no preconditions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::apply::changed_since;
use crate::zone::Handle;
use crate::{
    ApplyFailure, Batch, Capabilities, Change, DnsProvider, Name, Receipt, Result, Scope, Snapshot,
    SyncStatus, Zone,
};

/// A provider that serializes its writers in this process. If two plans are based on the same read, the second one to
/// be applied is checked against the current zone, and fails with `dns-stale` if it no longer fits. Without a second
/// writer, this costs no request.
///
/// Use it for providers that check no [preconditions](Capabilities::preconditions). Writers in other processes are
/// still not detected between reading and writing. All writers must share it.
///
/// ```
/// # use cloudron_dns::serialized::SerializedWrites;
/// # use cloudron_dns::memory::MemoryProvider;
/// let shared = std::sync::Arc::new(SerializedWrites::new(MemoryProvider::new()));
/// # drop(shared);
/// ```
#[derive(Debug)]
pub struct SerializedWrites<P> {
    provider: P,
    zones: Mutex<BTreeMap<String, Arc<ZoneLock>>>,
}

impl<P> SerializedWrites<P> {
    /// Wraps a provider so that its writes are serialized.
    pub fn new(provider: P) -> Self {
        Self { provider, zones: Mutex::default() }
    }

    fn lock_of(&self, zone: &Zone) -> Arc<ZoneLock> {
        lock(&self.zones).entry(zone.id.clone()).or_default().clone()
    }
}

/// The numbers of writes that were started and finished before a snapshot was read.
struct Read {
    writes: AtomicU64,
    inner: Option<Handle>,
}

#[async_trait]
impl<P: DnsProvider> DnsProvider for SerializedWrites<P> {
    fn id(&self) -> &str {
        self.provider.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        self.provider.refusal(zone, change)
    }

    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        self.provider.list_zones(near).await
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let writes = AtomicU64::new(self.lock_of(zone).writes.load(Ordering::SeqCst));
        let read = self.provider.read(zone, scope).await?;
        let handle = Read { writes, inner: read.handle.clone() };
        Ok(read.with_handle(Arc::new(handle)))
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let lock = self.lock_of(batch.zone);
        let _guard = lock.write().await;
        let read = batch.handle.and_then(|handle| handle.clone().downcast::<Read>().ok());
        let now = lock.writes.fetch_add(1, Ordering::SeqCst);
        match read.filter(|read| read.writes.load(Ordering::SeqCst) == now) {
            Some(read) => {
                let done = self.provider.apply(batch.with_handle(read.inner.as_ref())).await;
                // The next batch of the same plan need not be checked against this one.
                read.writes.store(now + 2, Ordering::SeqCst);
                done
            }
            None => {
                let names: Vec<Name> = batch.changes.iter().map(|c| c.key().name.clone()).collect();
                let fresh = self.provider.read(batch.zone, Scope::Names(&names)).await?;
                changed_since(batch.changes, &fresh)?;
                self.provider.apply(batch.with_handle(fresh.handle.as_ref())).await
            }
        }
    }

    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus> {
        self.provider.sync_status(receipt).await
    }
}

/// The lock for writing to one zone.
#[derive(Debug, Default)]
struct ZoneLock {
    /// Number of started and finished writes: a read during a write has another number than one after it.
    writes: AtomicU64,
    queue: tokio::sync::Mutex<()>,
}

impl ZoneLock {
    async fn write(&self) -> WriteGuard<'_> {
        WriteGuard { lock: self, _queue: self.queue.lock().await }
    }
}

/// Ends a write when dropped, even if it was cancelled, and lets the next writer begin.
struct WriteGuard<'a> {
    lock: &'a ZoneLock,
    _queue: tokio::sync::MutexGuard<'a, ()>,
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.lock.writes.fetch_add(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
