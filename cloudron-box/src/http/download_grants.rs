//! Temporary read access to the backup store, bound to a one-time token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudron_backup::BackupStore;
use cloudron_core::Secret;
use subtle::ConstantTimeEq;

use crate::db::tokens;

/// Lifetime of a download grant.
pub(crate) const LIFE: Duration = Duration::from_secs(30 * 60);

/// Maximum number of grants. The oldest is removed first.
const LIMIT: usize = 100;

/// The access granted by a token.
pub(crate) struct Allowed {
    pub(crate) store: Arc<dyn BackupStore>,
    /// The session that must be valid for reading the store.
    pub(crate) session: Option<[u8; 32]>,
}

#[derive(Clone)]
struct Grant {
    hash: [u8; 32],
    until: Duration,
    store: Arc<dyn BackupStore>,
    /// The session that requested the grant. The grant ends with it.
    session: Option<[u8; 32]>,
}

/// The download grants. They are kept in memory only, so a restart ends them.
#[derive(Default)]
pub(crate) struct Downloads(Mutex<Vec<Grant>>);

impl Downloads {
    /// Allows reading a store for [`LIFE`], or until the session that requested it ends.
    pub(crate) fn allow(
        &self,
        store: Arc<dyn BackupStore>,
        session: Option<[u8; 32]>,
        now: Duration,
    ) -> Secret {
        let token = tokens::fresh();
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|g| g.until > now);
        if grants.len() >= LIMIT {
            grants.remove(0);
        }
        grants.push(Grant { hash: tokens::hash(token.expose()), until: now + LIFE, store, session });
        token
    }

    /// Returns the store that a token opens, and the session that must be valid.
    pub(crate) fn store(&self, token: &str, now: Duration) -> Option<Allowed> {
        let hash = tokens::hash(token);
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // All grants are compared, so that the time reveals nothing.
        let mut found = None;
        for grant in grants.iter() {
            if bool::from(grant.hash.ct_eq(&hash)) && grant.until > now {
                found = Some(Allowed { store: grant.store.clone(), session: grant.session });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_ends_after_its_time() {
        let (downloads, start) = (Downloads::default(), Duration::from_secs(50));
        let token = downloads.allow(Arc::new(cloudron_backup::MemoryStore::new()), None, start);
        assert!(downloads.store(token.expose(), start + LIFE - Duration::from_secs(1)).is_some());
        assert!(downloads.store(token.expose(), start + LIFE).is_none());
        assert!(downloads.store("guess", start).is_none());
    }
}
