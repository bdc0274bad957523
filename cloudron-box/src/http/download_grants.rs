//! Temporary read access to the backup store, bound to a one-time token.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloudron_core::Secret;
use subtle::ConstantTimeEq;

use crate::db::tokens;

/// Lifetime of a download grant.
pub(crate) const LIFE: Duration = Duration::from_secs(30 * 60);

/// Maximum number of grants. The oldest is removed first.
const LIMIT: usize = 100;

#[derive(Clone)]
struct Grant {
    hash: [u8; 32],
    until: Duration,
    /// The session that requested the grant. The grant ends with it.
    session: Option<[u8; 32]>,
}

/// The download grants. They are kept in memory only, so a restart ends them.
#[derive(Default)]
pub(crate) struct Downloads(Mutex<Vec<Grant>>);

impl Downloads {
    /// Allows reading the store for [`LIFE`], or until the session that requested it ends.
    pub(crate) fn allow(&self, session: Option<[u8; 32]>, now: Duration) -> Secret {
        let token = tokens::fresh();
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|g| g.until > now);
        if grants.len() >= LIMIT {
            grants.remove(0);
        }
        grants.push(Grant { hash: tokens::hash(token.expose()), until: now + LIFE, session });
        token
    }

    /// Returns the session that must be valid, if a token allows reading.
    pub(crate) fn session(&self, token: &str, now: Duration) -> Option<Option<[u8; 32]>> {
        let hash = tokens::hash(token);
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // All grants are compared, so that the time reveals nothing.
        let mut found = None;
        for grant in grants.iter() {
            if bool::from(grant.hash.ct_eq(&hash)) && grant.until > now {
                found = Some(grant.session);
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
        let token = downloads.allow(None, start);
        assert!(downloads.session(token.expose(), start + LIFE - Duration::from_secs(1)).is_some());
        assert!(downloads.session(token.expose(), start + LIFE).is_none());
        assert!(downloads.session("guess", start).is_none());
    }
}
